"""The open streams of clients, and the limits on those that nobody has logged in on."""

from invitereg.policy.networks import Occupancy, Share, region
from invitereg.policy.values import Address, Limits
from invitereg.xmpp.stream import ClientStream


class StreamCount:
    """The streams that are open, and how many of them are not sessions yet.

    Only those are limited (limits.streams): altogether, from one network, and from one region,
    which may take half of them. So no provider's customer keeps all others out.

    Attributes:
        open: all of them.
    """

    def __init__(self, per_network: int, altogether: int) -> None:
        self.open: set[ClientStream] = set()
        self._altogether = altogether
        self._networks = Occupancy(per_network)
        self._regions = Occupancy((altogether + 1) // 2)
        self._unauthenticated: dict[ClientStream, tuple[Share, ...]] = {}

    def add(self, stream: ClientStream, address: Address | None, limits: Limits) -> bool:
        """Count a stream, or count it anew; False, and it is not limited, if it is too many.

        One without an address is not limited either.
        """
        self.open.add(stream)
        self.bound(stream)
        if address is None:
            return True
        shares, wide = limits.shares(address), region(address)
        if len(self._unauthenticated) >= self._altogether or not self._regions.add([wide]):
            return False
        if not self._networks.add(shares):
            self._regions.remove([wide])
            return False
        self._unauthenticated[stream] = (*shares, wide)
        return True

    def bound(self, stream: ClientStream) -> None:
        """Limit a stream no longer; sessions are limited by their account."""
        counted = self._unauthenticated.pop(stream, None)
        if counted is not None:
            *shares, wide = counted
            self._networks.remove(shares)
            self._regions.remove([wide])

    def remove(self, stream: ClientStream) -> None:
        """Forget a stream that is closed."""
        self.open.discard(stream)
        self.bound(stream)
