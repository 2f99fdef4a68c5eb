"""Limits and fairness of connections and requests, by network."""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from invitereg.policy.networks import Address, Occupancy, Share, nested_shares, region
from invitereg.policy.values import parse_address
from invitereg.runtime.meter import Meter

CONNECTIONS_PER_NETWORK = 100
CONNECTIONS = 2000


class WebConnections:
    """Counts the connections to the site, and says which are too many (limits.web).

    One region may have half of all, so that no provider's customer keeps all others out.
    """

    def __init__(
        self,
        per_network: int = CONNECTIONS_PER_NETWORK,
        altogether: int = CONNECTIONS,
        shares: Callable[[Address], tuple[Share, ...]] = nested_shares,
        meter: Meter | None = None,
    ) -> None:
        """``shares`` returns the networks in which an address counts: none, if it is exempt."""
        self._networks = Occupancy(per_network)
        self._requests = Occupancy(per_network)
        self._regions = Occupancy(0)
        self.altogether = altogether
        self._shares = shares
        self._meter = meter or Meter()
        self._open: dict[Hashable, tuple[tuple[Share, ...], tuple[Share, ...]]] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def altogether(self) -> int:
        """Most connections open at once; may be replaced while running."""
        return self._altogether

    @altogether.setter
    def altogether(self, most: int) -> None:
        self._altogether, self._regions.per_network = most, (most + 1) // 2

    @property
    def per_network(self) -> int:
        """Most connections open from one network; may be replaced while running.

        As many requests of one network may be under way: where a trusted proxy has the
        connections, it is these that are counted.
        """
        return self._networks.per_network

    @per_network.setter
    def per_network(self, most: int) -> None:
        self._networks.per_network = self._requests.per_network = most

    def add(self, connection: Hashable, host: str | None) -> bool:
        """Count a connection, or count it anew as that of ``host``; None counts in no network.

        Returns:
            False if it is one too many; it is not counted then.
        """
        self.remove(connection)
        taken = self._take(connection, host)
        if not taken:
            self._meter.turned_away("web")
        return taken

    def _take(self, connection: Hashable, host: str | None) -> bool:
        address = parse_address(host or "")
        shares = self._shares(address) if address is not None else ()
        regions = (region(address),) if address is not None and shares else ()
        if len(self._open) >= self.altogether or not self._networks.add(shares):
            return False
        if not self._regions.add(regions):
            self._networks.remove(shares)
            return False
        self._open[connection] = shares, regions
        return True

    def remove(self, connection: Hashable) -> None:
        """Stop counting a connection, if it was counted."""
        shares, regions = self._open.pop(connection, ((), ()))
        self._networks.remove(shares)
        self._regions.remove(regions)

    def groups(self, address: Address) -> tuple[str, str]:
        """Return the region and the network by which a client takes turns with others."""
        shares = self._shares(address)
        return region(address).network, shares[-1].network if shares else str(address)

    def begin(
        self, client: Address, notify_end: Callable[[], Deferred[None]]
    ) -> tuple[Share, ...] | None:
        """Count a request of ``client`` until it is answered, or its client gone.

        Returns:
            The networks in which it counts; None if it is one too many, and is not counted.
        """
        shares = self._shares(client)
        if not self._requests.add(shares):
            return None
        notify_end().addBoth(lambda _end: self._requests.remove(shares))
        return shares


Item = TypeVar("Item")
Begin = Callable[[], bool]
"""Starts a request; returns False if its client has gone meanwhile."""


class RoundRobin(Generic[Item]):
    """Takes from each group in turn, and within a group from each of its own groups."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._groups: dict[str, RoundRobin[Item]] = {}

    def __bool__(self) -> bool:
        return bool(self._items or self._groups)

    def push(self, groups: Sequence[str], item: Item) -> None:
        """Add an item to a group, which is given from the widest to the narrowest."""
        if groups:
            self._groups.setdefault(groups[0], RoundRobin()).push(groups[1:], item)
        else:
            self._items.append(item)

    def pop(self) -> Item:
        """Take the next item out; its groups get their next turn last. There must be one."""
        if self._items:
            return self._items.popleft()
        name = next(iter(self._groups))
        group = self._groups.pop(name)
        item = group.pop()
        if group:
            self._groups[name] = group
        return item


class RequestTurns:
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
