"""The keys about the server that keeps a domain's accounts, or that its clients log in to.

Passwords cross the way there in clear, unless it is TLS: so it must be, or lead to this machine
or into a network that is named as trusted.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    model_validator,
)

from invitereg.config.endpoints import check_client_endpoint, check_host, host_of, require_safe
from invitereg.config.messages import why_unreadable
from invitereg.config.types import (
    DomainName,
    FilePath,
    HostName,
    Section,
    context_of,
    require_value,
    when_serving,
)
from invitereg.config.urls import split_url, with_ascii_host

LEAST_ITERATIONS = 4096  # RFC 7677 §4
MOST_ITERATIONS = 1_000_000  # a second or so for each login
_MOST_SECRET = 4096


def _client_endpoint(text: str, info: ValidationInfo) -> str:
    kind, _, rest = text.partition(":")
    if kind not in ("tcp", "tls", "unix") or not rest:
        raise ValueError("is no place to connect to, such as tcp:127.0.0.1:5347")
    if kind != "unix":
        numbers = [part.partition("=")[2] or part for part in rest.split(":")]
        if not any(number.isdecimal() and 0 < int(number) < 65536 for number in numbers[1:]):
            raise ValueError("must end with a port, such as tcp:127.0.0.1:5347")
    if kind == "tls":
        check_host(host_of(text))
    elif context_of(info).serving:
        check_client_endpoint(text)
    return text


def _api_url(url: str) -> str:
    """Check that all of an address is used: other parts would be lost, or be in the log."""
    if url:
        try:
            url = with_ascii_host(url)
            parts = split_url(url)
        except ValueError:
            parts = None
        if parts is None or set(url) & set("?#@"):
            raise ValueError(
                "must be an address such as http://127.0.0.1:5280/api, without ? and # and @"
            )
    return url


def secret_in(path: Path) -> str:
    """Return the secret that a file holds, without its line end.

    Raises:
        ValueError: it cannot be read, or holds something else.
    """
    try:
        content = path.read_bytes()[: _MOST_SECRET + 1].decode()
    except OSError as error:
        raise ValueError(f"cannot be read: {why_unreadable(error)}") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8: is it the right file?") from None
    text = content.rstrip("\r\n")
    if not text or "\n" in text or len(content) > _MOST_SECRET:
        raise ValueError("must hold one line, the secret")
    return text


SecretFile = Annotated[FilePath, when_serving(secret_in, final=True)]


class Component(Section):
    """The component that invitereg is at a server (XEP-0114)."""

    connect: Annotated[str, AfterValidator(_client_endpoint)]
    jid: HostName
    secret_file: SecretFile
    register_from: tuple[DomainName | Literal["*"], ...] = ()

    def require_safe(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        """Raise ValueError unless its secret and the passwords are safe on the way."""
        if self.connect.startswith("tcp:"):
            require_safe("connect", host_of(self.connect), networks)


class Accounts(Section):
    """The account backend of a domain, and the hashing of its passwords.

    The keys of one kind of backend mean nothing for the others.
    """

    backend: Literal["embedded", "xmpp", "ejabberd"] = "embedded"
    scram_iterations: Annotated[int, Field(ge=LEAST_ITERATIONS, le=MOST_ITERATIONS)] = 10000
    scram_sha_1: bool = False
    url: Annotated[str, AfterValidator(_api_url)] = ""
    user: str = ""
    password_file: Annotated[SecretFile | None, BeforeValidator(require_value)] = None
    token_file: Annotated[SecretFile | None, BeforeValidator(require_value)] = None
    ca: Annotated[FilePath | None, BeforeValidator(require_value)] = None

    @property
    def embedded(self) -> bool:
        """Whether invitereg keeps them itself."""
        return self.backend == "embedded"

    @model_validator(mode="after")
    def _fits_together(self) -> "Accounts":
        if self.backend == "ejabberd" and not self.url:
            raise ValueError("needs url for the backend ejabberd: http://127.0.0.1:5280/api")
        if self.backend != "ejabberd" and (
            self.url or self.user or self.password_file or self.token_file or self.ca
        ):
            raise ValueError(
                "url, user, password_file, token_file and ca are for ejabberd only"
            )
        if bool(self.user) is not bool(self.password_file):
            raise ValueError("user and password_file go together")
        if self.user and self.token_file:
            raise ValueError("has both a password and a token: keep one of them")
        return self

    def require_safe(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        """Raise ValueError unless the passwords are safe on the way."""
        address = urlsplit(self.url)
        if address.scheme == "http":
            require_safe("url", address.hostname or "", networks)


def _check_authority(path: Path) -> None:
    from invitereg.config.certificates import check_certificate

    check_certificate(path)


AuthorityFile = Annotated[FilePath, when_serving(_check_authority, final=True)]


class UpstreamKeys(Section):
    """The upstream server, to which clients' streams are handed over."""

    connect: Annotated[str, when_serving(check_client_endpoint)]
    tls: Literal["starttls", "direct", "none"] = "starttls"
    ca: Annotated[AuthorityFile | None, BeforeValidator(require_value)] = None
    proxy_protocol: Literal["off", "v1", "v2"] = "off"

    def require_safe(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        """Raise ValueError if passwords would go in clear beyond ``networks``."""
        if self.tls != "none" or self.connect.startswith("unix:"):
            return
        if not self.connect.startswith("tcp:"):
            raise ValueError("upstream: connect: must be tcp: or unix: where tls is none")
        require_safe("upstream: connect", host_of(self.connect), networks)


class DomainC2s(Section):
    """The gateway of one domain: the upstream server that clients are handed over to."""

    upstream: Annotated[UpstreamKeys | None, BeforeValidator(require_value)] = None
