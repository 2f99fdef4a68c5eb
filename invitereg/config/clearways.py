"""What passwords cross in clear: this machine, or networks that are named as trusted."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address


def require_safe(text: str, host: str, networks: Iterable[IPv4Network | IPv6Network]) -> None:
    """Raises ValueError unless what goes in clear to ``host`` is safe there.

    Args:
        text: the key that names the host.
        host: a name or an address; a name is looked up by whoever answers, so it is not safe.
        networks: those that are trusted.
    """
    try:
        address = ip_address(host)
    except ValueError:
        if host == "localhost":
            return
        raise ValueError(
            f"{text}: passwords would go in clear to {host}: write its address, and have that "
            "in trusted_networks; or use TLS"
        ) from None
    if address.is_loopback or any(address in network for network in networks):
        return
    raise ValueError(
        f"{text}: passwords would go in clear to {host}: use TLS, or add the network to "
        "trusted_networks"
    )


def host_of(endpoint: str) -> str:
    """Where a ``tcp:`` endpoint leads to; a colon in an IPv6 address has a backslash."""
    parts = endpoint.replace(r"\:", "\0").split(":")[1:]
    named = [part.removeprefix("host=") for part in parts if part.startswith("host=")]
    return (named or parts or [""])[0].replace("\0", ":")


def given(value: object) -> object:
    """A key that is there is not empty; to have none, it is left out."""
    if value is None:
        raise ValueError("is empty: give it a value, or leave the key out")
    return value
