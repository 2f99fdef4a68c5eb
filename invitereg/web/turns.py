"""Which request begins next, so that nobody's many requests hold up those of others."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

Item = TypeVar("Item")
Begin = Callable[[], bool]
"""Begins a request; returns False if there is nothing to begin, as its client has gone."""


class RoundRobin(Generic[Item]):
    """A queue from which each group gives one in turn, and within it each group of its own."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._groups: dict[str, RoundRobin[Item]] = {}

    def __bool__(self) -> bool:
        """Return whether anything waits."""
        return bool(self._items or self._groups)

    def push(self, groups: Sequence[str], item: Item) -> None:
        """Add an item to a group, which is given from the widest to the narrowest."""
        if groups:
            self._groups.setdefault(groups[0], RoundRobin()).push(groups[1:], item)
        else:
            self._items.append(item)

    def pop(self) -> Item:
        """Take the next item out; its groups go behind all others. There must be one."""
        if self._items:
            return self._items.popleft()
        name = next(iter(self._groups))
        group = self._groups.pop(name)
        item = group.pop()
        if group:
            self._groups[name] = group
        return item


class Turns:
    """Begins at most one request in a turn of the reactor.

    All else that the service does, for whomever, goes on between two requests.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: RoundRobin[Begin] = RoundRobin()
        self._taken = False

    def add(self, groups: Sequence[str], begin: Begin) -> None:
        """Call ``begin`` as soon as it is the turn of its groups, which may be now.

        Args:
            groups: networks of the client, the widest first: each is fair to all within it.
            begin: must not raise.
        """
        self._waiting.push(groups, begin)
        if not self._taken:
            self._next()

    def _next(self) -> None:
        self._taken = bool(self._waiting)
        if self._taken:
            # First, so that whatever is added meanwhile waits for it.
            self._clock.callLater(0, self._next)
        while self._waiting and not self._waiting.pop()():
            pass
