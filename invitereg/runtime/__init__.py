"""The process's environment: threads, ports, TLS, the log, and the service manager.

Two clocks come in as arguments, here and everywhere: ``clock`` or ``seconds`` is monotonic, for
time-outs and rates; ``now`` is the time of day in UTC, which may jump.
"""

from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
)


class IReactor(
    IReactorCore, IReactorTime, IReactorFromThreads, IReactorTCP, IReactorPluggableNameResolver
):
    """The reactor, with all that a service asks of it."""
