"""The keys about the server behind a domain, to which its clients are handed over."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from invitereg.config.section import Section
from invitereg.config.values import FilePath, surroundings


def _client_endpoint(text: str, info: ValidationInfo) -> str:
    if surroundings(info).serving:
        from invitereg.config.endpoints import check_client_endpoint

        check_client_endpoint(text)
    return text


def _given(value: object) -> object:
    """Where None means that there is nothing, an empty key must not be taken for it."""
    if value is None:
        raise ValueError("is empty")
    return value


def _authority(path: Path | None, info: ValidationInfo) -> Path | None:
    around = surroundings(info)
    if path is not None and around.serving and around.final:
        from invitereg.config.certificates import check_certificate

        check_certificate(path)
    return path


class UpstreamKeys(Section):
    """The server behind, to which clients' streams are handed over."""

    connect: Annotated[str, AfterValidator(_client_endpoint)]
    tls: Literal["starttls", "direct", "none"] = "starttls"
    ca: Annotated[FilePath | None, BeforeValidator(_given), AfterValidator(_authority)] = None
    proxy_protocol: Literal["off", "v1", "v2"] = "off"

    def require_safe(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        """Raises ValueError if passwords would go in clear beyond ``networks``."""
        if self.tls != "none" or self.connect.startswith("unix:"):
            return
        host = _host(self.connect)
        try:
            address = ip_address(host)
        except ValueError:
            safe = host == "localhost"
        else:
            safe = address.is_loopback or any(address in network for network in networks)
        if not safe:
            raise ValueError(
                f"upstream: with tls: none, passwords go in clear to {host}: use starttls or "
                "direct, or write its address, with its network in trusted_networks"
            )


class DomainC2s(Section):
    """What becomes of one domain's clients once they do not register."""

    upstream: Annotated[UpstreamKeys | None, BeforeValidator(_given)] = None


def _host(endpoint: str) -> str:
    """Where a ``tcp:`` endpoint leads to; a colon in an IPv6 address has a backslash."""
    parts = endpoint.replace(r"\:", "\0").split(":")[1:]
    named = [part.removeprefix("host=") for part in parts if part.startswith("host=")]
    return (named or parts or [""])[0].replace("\0", ":")
