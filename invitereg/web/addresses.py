"""Who is asking: the client's address, also behind a reverse proxy."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from invitereg.policy.values import Address, Network, parse_address, within

# What a socket without addresses counts as, such as a UNIX socket: a proxy on this computer.
_HERE = IPv4Address("127.0.0.1")


def client_address(
    peer: str | None, forwarded: Sequence[str], trusted: tuple[Network, ...]
) -> Address:
    """The address by which a request is judged.

    Every proxy appends the address of its own peer to X-Forwarded-For, so the header is
    believed from its end, as far as those who wrote it are ``trusted``. What a proxy of ours
    wrote and nobody can read names the proxy itself: never nobody, whom no rule would bind.

    Args:
        peer: of the connection; None for a socket that has no addresses, which is trusted.
        forwarded: the X-Forwarded-For headers, in their order.
        trusted: networks of proxies.
    """
    address = parse_address(peer or "")
    believed = is_trusted(address, trusted)
    address = address or _HERE
    for entry in _from_the_end(forwarded):
        if not believed:
            break
        told = parse_address(entry)
        if told is None:
            break
        address, believed = told, within(told, trusted)
    return address


def is_trusted(peer: Address | None, trusted: tuple[Network, ...]) -> bool:
    """Whether a peer is a proxy that is believed; None, a socket without addresses, is."""
    return peer is None or within(peer, trusted)


def _from_the_end(forwarded: Sequence[str]) -> Iterator[str]:
    for line in reversed(forwarded):
        for entry in reversed(line.split(",")):
            yield _without_port(entry.strip())


def _without_port(entry: str) -> str:
    """``192.0.2.1:4711`` and ``[2001:db8::1]:4711`` without what some proxies add."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
