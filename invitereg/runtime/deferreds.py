"""Deferreds: of coroutine functions, their deadlines, and how many wait for one."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")
P = ParamSpec("P")


def deferred(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Deferred[T]]:
    """Let a coroutine function return a Deferred, as the methods of the plug points do."""

    @wraps(function)
    def begin(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return Deferred.fromCoroutine(function(*args, **kwargs))

    return begin


class Deadline:
    """The moment at which a call must be over."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._end = clock.seconds() + seconds

    @property
    def is_over(self) -> bool:
        """Whether that moment has come."""
        return self._clock.seconds() >= self._end

    def left(self) -> float:
        """Return the seconds until then, at least 0.05."""
        return max(float(self._end - self._clock.seconds()), 0.05)


class SharedCall(Generic[T]):
    """Make a call once for all who ask while it is under way.

    A waiter that is cancelled ends neither the call nor the others' wait.
    """

    def __init__(self, call: Callable[[], Deferred[T]]) -> None:
        self._call = call
        self._under_way = False
        self._waiting: list[Deferred[T]] = []

    def __call__(self) -> Deferred[T]:
        """Return a Deferred for the outcome of the call under way, or of a new one."""
        outcome: Deferred[T] = Deferred(self._waiting.remove)
        self._waiting.append(outcome)
        if not self._under_way:
            self._under_way = True
            maybeDeferred(self._call).addBoth(self._finish)
        return outcome

    def _finish(self, result: T | Failure) -> None:
        self._under_way = False
        waiting, self._waiting = self._waiting, []
        while waiting:
            waiting.pop(0).callback(result)


def shielded(working: Deferred[T]) -> Deferred[T]:
    """Return a Deferred that fires as ``working`` does, and can be cancelled without it."""
    outcome: Deferred[T] = Deferred()
    working.addBoth(outcome.callback)
    return outcome
