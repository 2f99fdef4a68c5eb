"""The kinds of values that keys take: from what the file says to what the program uses.

Each raises ValueError with a text that says what is wrong and what would be right.
"""

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from invitereg.config.domainvalues import domain_name
from invitereg.config.mistakes import quoted
from invitereg.errors import InvalidUsername
from invitereg.model.fields import ADDITIONAL_FIELDS
from invitereg.model.names import prepare_localpart
from invitereg.policy.patterns import InvalidPattern, check_pattern
from invitereg.policy.values import Network

_ROLE = re.compile(r"[a-z0-9:_-]+")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a value is judged by besides itself.

    Attributes:
        folder: what relative paths begin at.
        serving: whether what only a running service needs is checked as well.
        domains: all that are served; empty if that is not known.
        home: of these, what admins may be at.
        final: whether the values are the ones that hold for a domain, and not only defaults
            that each domain may have its own for.
        secures: whether the service ends TLS anywhere, so that certificates must be usable.
    """

    folder: Path
    serving: bool
    domains: tuple[str, ...] = ()
    home: tuple[str, ...] = ()
    final: bool = False
    secures: bool = True


def surroundings(info: ValidationInfo) -> Surroundings:
    """What `Surroundings` this validation is given."""
    if not isinstance(info.context, Surroundings):
        raise TypeError("validate with context=Surroundings(…)")
    return info.context


def _count_or_unlimited(value: object) -> int | None:
    """A number from 1 on; ``unlimited`` is None."""
    if value == "unlimited":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("must be a number from 1 on, or unlimited")
    return value


def _network(value: object) -> Network:
    if not isinstance(value, str):
        raise ValueError("must be a network in quotes, such as 192.0.2.0/24")
    try:
        network = ip_network(value)
    except ValueError:
        raise ValueError(_wrong_with_network(value)) from None
    if network.version == 6 and network.network_address.ipv4_mapped:
        raise ValueError("must be written as an IPv4 network, such as 192.0.2.0/24")
    return network


def _wrong_with_network(text: str) -> str:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return f"{quoted(text)} is no network, such as 192.0.2.0/24 or 2001:db8::/32"
    alone = ip_address(text.partition("/")[0])
    return f"is an address within a network: did you mean {meant}, or {alone} alone?"


def _username(text: str) -> str:
    """A username in its prepared form."""
    try:
        return prepare_localpart(text)
    except InvalidUsername:
        raise ValueError(f"{quoted(text)} cannot be a username: see RFC 6122 §2.3") from None


def _admin(text: str, info: ValidationInfo) -> str:
    return _address(text, surroundings(info).home)


def _local_address(text: str, info: ValidationInfo) -> str:
    return _address(text, surroundings(info).domains)


def _address(text: str, domains: tuple[str, ...]) -> str:
    """A bare JID at one of the domains, if these are known."""
    example = f"romeo@{(*domains, 'example.com')[0]}"
    user, at, host = text.partition("@")
    if "/" in host:
        raise ValueError(f"must be a bare address, such as {example}, without /{_tail(host)}")
    if not at or not user:
        raise ValueError(f"must be an address, such as {example}")
    if domains and domain_name(host) not in domains:
        raise ValueError(f"must be at {' or '.join(domains)}, such as {example}")
    return f"{_username(user)}@{domain_name(host)}"


def _tail(host: str) -> str:
    return quoted(host.partition("/")[2]).strip("\"'")


def role_name(text: str) -> str:
    """``text`` if it can be a role.

    Raises:
        ValueError: it cannot; the text says what can.
    """
    if not _ROLE.fullmatch(text):
        raise ValueError(
            f"{quoted(text)} is no role: small letters, digits and : _ - only, as in team:lead"
        )
    return text


def _field(text: str) -> str:
    name = text.removesuffix("+")
    if name not in ADDITIONAL_FIELDS:
        near = difflib.get_close_matches(name, ADDITIONAL_FIELDS, 1)
        known = f"did you mean {near[0]}?" if near else f"one of {', '.join(ADDITIONAL_FIELDS)}"
        raise ValueError(f"{quoted(text)} is no field of a registration (XEP-0077): {known}")
    return text


def _pattern(text: str) -> str:
    try:
        check_pattern(text)
    except InvalidPattern as error:
        raise ValueError(f"is no regular expression of RE2: {error}") from None
    return text


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty: leave the key out for its default")
    return text


def _path(text: str, info: ValidationInfo) -> Path:
    """A path; a relative one begins at the folder of the configuration."""
    if text.startswith("~"):
        raise ValueError("is not expanded: write the whole path, without ~")
    return surroundings(info).folder / _not_empty(text)


def _folder(text: str, info: ValidationInfo) -> Path:
    path = _path(text, info)
    # os.path, as Path.is_dir lets some errors through, such as that of a name too long.
    if os.path.exists(path) and not os.path.isdir(path):
        raise ValueError(f"{path} is no folder")
    return path


def _text_by(read: Callable[[str, ValidationInfo], Path]) -> PlainValidator:
    """Lets a validator that turns text into something else say what else it was given."""

    def validate(value: object, info: ValidationInfo) -> Path:
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "must be text")
        return read(value, info)

    return PlainValidator(validate)


CountOrUnlimited = Annotated[
    int | None,
    PlainValidator(_count_or_unlimited),
    PlainSerializer(lambda count: "unlimited" if count is None else count),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "unlimited"}]}),
]
CidrNetwork = Annotated[Network, PlainValidator(_network), WithJsonSchema({"type": "string"})]
Username = Annotated[str, AfterValidator(_username)]
Admin = Annotated[str, AfterValidator(_admin)]
LocalAddress = Annotated[str, AfterValidator(_local_address)]
Role = Annotated[str, AfterValidator(role_name)]
RegistrationField = Annotated[str, AfterValidator(_field)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Title = Annotated[str, AfterValidator(_not_empty)]
FilePath = Annotated[Path, _text_by(_path), WithJsonSchema({"type": "string"})]
FolderPath = Annotated[Path, _text_by(_folder), WithJsonSchema({"type": "string"})]
