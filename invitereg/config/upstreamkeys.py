"""The keys about the server behind a domain, to which its clients are handed over."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from invitereg.config.clearways import given, host_of, require_safe
from invitereg.config.section import Section
from invitereg.config.values import FilePath, surroundings


def _client_endpoint(text: str, info: ValidationInfo) -> str:
    if surroundings(info).serving:
        from invitereg.config.endpoints import check_client_endpoint

        check_client_endpoint(text)
    return text


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
    ca: Annotated[FilePath | None, BeforeValidator(given), AfterValidator(_authority)] = None
    proxy_protocol: Literal["off", "v1", "v2"] = "off"

    def require_safe(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        """Raises ValueError if passwords would go in clear beyond ``networks``."""
        if self.tls != "none" or self.connect.startswith("unix:"):
            return
        if not self.connect.startswith("tcp:"):
            raise ValueError("upstream: connect: must be tcp: or unix: where tls is none")
        require_safe("upstream: connect", host_of(self.connect), networks)


class DomainC2s(Section):
    """What becomes of one domain's clients once they do not register."""

    upstream: Annotated[UpstreamKeys | None, BeforeValidator(given)] = None
