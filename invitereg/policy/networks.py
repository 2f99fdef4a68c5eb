"""Networks: the ones that an address lies in, and how much of a limit each may use.

A subscriber with IPv6 gets a /64, and often a /56 or a /48 (RFC 6177 §2), so 65,536 networks
of the size /64. To count /64 networks alone would give such a subscriber as many times the
limit. So an IPv6 address is counted on nested prefixes, of which each wider one may use twice
as much: neighbours are not shut out by each other, and a subscriber gains little.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

IPV4_PREFIX = 32
IPV6_PREFIX = 64
_NESTED_IPV6 = (64, 56, 48)


@dataclass(frozen=True, slots=True)
class Share:
    """A network, and how much of a limit it may use.

    Attributes:
        network: in CIDR notation, or the name of what is no network; the key of a counter.
        times: how many times the limit of a single network.
    """

    network: str
    times: int = 1


@lru_cache(maxsize=4096)
def nested_shares(
    address: Address, ipv4_prefix: int = IPV4_PREFIX, ipv6_prefix: int = IPV6_PREFIX
) -> tuple[Share, ...]:
    """Return the networks that ``address`` is counted in, the narrowest first.

    For IPv4 there is one. For IPv6, those of the prefixes 64, 56 and 48 that are wider than
    ``ipv6_prefix`` follow.
    """
    if isinstance(address, IPv4Address):
        return (Share(cidr(address, ipv4_prefix)),)
    wider = (prefix for prefix in _NESTED_IPV6 if prefix < ipv6_prefix)
    prefixes = enumerate((ipv6_prefix, *wider))
    return tuple(Share(cidr(address, prefix), 2**place) for place, prefix in prefixes)


def region(address: Address) -> Share:
    """Return a network so wide that hardly anybody holds two of them.

    An IPv4 /16 or an IPv6 /32, the least that a provider gets (RIPE-738 §5.1.2).
    """
    return Share(cidr(address, 16 if isinstance(address, IPv4Address) else 32))


def neighbourhood(address: Address | None) -> str:
    """Return a network in which somebody's address changes from day to day.

    An IPv4 /24 or an IPv6 /48; without an address, this computer.
    """
    if address is None:
        return "local"
    return cidr(address, 24 if isinstance(address, IPv4Address) else 48)


def cidr(address: Address, prefix: int) -> str:
    """Return the network of ``address`` that has the given prefix, in CIDR notation."""
    return str(ip_network((address, prefix), strict=False))


class Occupancy:
    """Counts open items, such as connections, in each network that they come from."""

    def __init__(self, per_network: int) -> None:
        self.per_network = per_network
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, shares: Collection[Share]) -> bool:
        """Count one more, until `remove`; False, and it is not counted, if it is too many."""
        if any(self._open[one.network] >= one.times * self.per_network for one in shares):
            return False
        for share in shares:
            self._open[share.network] += 1
        return True

    def remove(self, shares: Collection[Share]) -> None:
        """Count one less, as what was added with these shares is closed."""
        for share in shares:
            self._open[share.network] -= 1
            if not self._open[share.network]:
                del self._open[share.network]
