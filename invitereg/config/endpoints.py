"""Endpoints to listen on and to connect to, and whether passwords are safe on the way.

Twisted's parser of endpoints takes 0.4 s to import: it is, where one is checked.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ValidationInfo, field_validator

from invitereg.config.messages import quoted
from invitereg.config.types import FilePath, Section, context_of, when_serving
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


EXAMPLES = (
    "tcp:5222, tcp:5222:interface=127.0.0.1, haproxy:tcp:5222 or systemd:domain=INET:index=0"
)
_HIGHEST_PORT = 65535
_PORT = re.compile(r"tcp6?:(?:(?:[^:]*:)*port=)?(-?[0-9]+)(?::|$)")


def check_endpoint(text: str) -> None:
    """Raise ValueError with a text for the operator unless ``text`` can be listened on."""
    from twisted.internet.endpoints import serverFromString

    kind = without_proxy(text).partition(":")[0].lower()
    if kind in ("ssl", "tls"):
        raise ValueError(
            f"TLS is added here already, with the certificate under tls: "
            f"write tcp: in place of {kind}:"
        )
    try:
        serverFromString(object(), text)
    except Exception as error:
        # A plugin may raise anything; Twisted's own raise six different types.
        if kind == "systemd" and isinstance(error, (IndexError, KeyError)):
            return  # well written, but this process (a check, say) was not started by systemd
        raise ValueError(f"is no Twisted endpoint, such as {EXAMPLES}") from None
    port = _port(text)
    if port is not None and not 0 <= port <= _HIGHEST_PORT:
        raise ValueError(f"the port must be between 0 and {_HIGHEST_PORT}")


def check_client_endpoint(text: str) -> None:
    """Raise ValueError with a text for the operator unless ``text`` can be connected to."""
    from twisted.internet.endpoints import clientFromString

    if text.partition(":")[0].lower() in ("ssl", "tls"):
        raise ValueError("TLS is added here already: write tcp:, and tls: direct beside it")
    try:
        clientFromString(object(), text)
    except Exception:  # as above
        raise ValueError(
            "is no Twisted client endpoint, such as tcp:127.0.0.1:15222 or unix:/run/xmpp"
        ) from None
    if text.partition(":")[0].lower() == "tcp":
        check_host(host_of(text))


def fixed_endpoint(text: str) -> str | None:
    """Return ``text``; None where the system chooses the port, as two such are two ports."""
    return None if _port(text) == 0 else text


def is_proxied(text: str) -> bool:
    """Whether a proxy connects there, and tells for whom (``haproxy:``, PROXY protocol)."""
    return without_proxy(text) != text


def _port(text: str) -> int | None:
    """Return the TCP port, where there is one that can be read."""
    match = _PORT.match(without_proxy(text))
    try:
        return None if match is None else int(match[1])
    except ValueError:  # more digits than Python reads
        return None


def without_proxy(text: str) -> str:
    """Return the endpoint itself, without the ``haproxy:`` before it."""
    return re.sub(r"\A(?:haproxy:)+", "", text, flags=re.IGNORECASE)


Endpoint = Annotated[str, when_serving(check_endpoint)]


def _opens_files(info: ValidationInfo) -> bool:
    """Return whether to open the certificate's files: the service does, where it ends TLS."""
    context = context_of(info)
    return context.serving and context.final and context.secures


class Tls(Section):
    """The certificate that clients see, with its chain, and its key: files in PEM form."""

    certificate: FilePath
    private_key: FilePath

    @field_validator("certificate")
    @classmethod
    def _is_usable(cls, path: Path, info: ValidationInfo) -> Path:
        if _opens_files(info):
            from invitereg.config.certificates import check_certificate

            check_certificate(path)
        return path

    @field_validator("private_key")
    @classmethod
    def _belongs_to_certificate(cls, path: Path, info: ValidationInfo) -> Path:
        if _opens_files(info):
            from invitereg.config.certificates import check_private_key

            check_private_key(path, info.data.get("certificate"))
        return path


@dataclass(frozen=True, slots=True)
class WebListeners:
    """The endpoints of the site and of the metrics; all empty where there is no site."""

    listen: tuple[str, ...] = ()
    listen_tls: tuple[str, ...] = ()
    metrics_listen: tuple[str, ...] = ()
