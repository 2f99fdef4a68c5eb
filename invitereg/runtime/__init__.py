"""The process's environment: threads, ports, TLS, the log, and the service manager."""

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
