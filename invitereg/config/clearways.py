"""Where passwords may go in clear: to this machine, or to networks that are trusted."""

import re
from collections.abc import Iterable

from invitereg.config.mistakes import quoted
from invitereg.model.names import ascii_domain
from invitereg.policy.values import Address, Network, parse_address

_COLON = re.compile(r"(?<!\\):")


def require_safe(text: str, host: str, networks: Iterable[Network]) -> None:
    """Raise ValueError unless what goes in clear to ``host`` may be safe there.

    Args:
        text: the key that names the host.
        host: an address; or a name, of which only the addresses are safe or not, and they are
            judged at each connection (`invitereg.runtime.trustedendpoint`).
        networks: those that are trusted.
    """
    address, networks = parse_address(host), tuple(networks)
    if address is None and (host == "localhost" or networks):
        return
    if not is_trusted(address, networks):
        network = "the network" if address is not None else "the network of its addresses"
        raise ValueError(
            f"{text}: passwords would go in clear to {host}: use TLS, or add {network} to "
            "trusted_networks"
        )


def is_trusted(address: Address | None, networks: Iterable[Network]) -> bool:
    """Return whether an address is this machine's, or lies in one of ``networks``."""
    return address is not None and (
        address.is_loopback or any(address in network for network in networks)
    )


def host_of(endpoint: str) -> str:
    """Return the host of a ``tcp:`` endpoint, where IPv6 has backslashes before its colons."""
    _kind, *parts = _COLON.split(endpoint)
    if not parts:
        return ""
    return parts[_host_place(parts)].removeprefix("host=").replace(r"\:", ":")


def check_host(host: str) -> None:
    """Raise ValueError unless ``host`` is an address, or a name that can be looked up.

    Of any other name no resolver says that there is none: whoever asks would wait for ever.
    """
    if parse_address(host) is None:
        try:
            ascii_domain(host)
        except ValueError:
            raise ValueError(f"{quoted(host)} is no name of a host") from None


def with_host(endpoint: str, host: str) -> str:
    """Return a ``tcp:`` endpoint that leads to another host, and is else the same."""
    kind, *parts = _COLON.split(endpoint)
    place = _host_place(parts)
    key = "host=" if parts[place].startswith("host=") else ""
    parts[place] = key + host.replace(":", r"\:")
    return ":".join((kind, *parts))


def _host_place(parts: list[str]) -> int:
    """Return which of an endpoint's arguments has the host; one by its place goes first."""
    by_place = [number for number, part in enumerate(parts) if "=" not in part]
    named = [number for number, part in enumerate(parts) if part.startswith("host=")]
    places = by_place if len(by_place) > 1 or not named else named
    return places[0] if places else 0


def given(value: object) -> object:
    """A key that is there is not empty; to have none, it is left out."""
    if value is None:
        raise ValueError("is empty: give it a value, or leave the key out")
    return value
