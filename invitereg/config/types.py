"""The kinds of values that keys take: from what the file says to what the program uses.

Each raises ValueError with a text that says what is wrong and what would be right.
"""

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import UnionType
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from invitereg.config.messages import KeyTree, quoted
from invitereg.errors import InvalidUsername
from invitereg.model.fields import ADDITIONAL_FIELDS
from invitereg.model.names import (
    disagreement,
    prepare_domain,
    prepare_localpart,
    spelled_like,
)
from invitereg.policy.patterns import InvalidPattern, check_pattern
from invitereg.policy.values import Network

Count = Annotated[int, Field(ge=1)]


Value = TypeVar("Value")


class Section(BaseModel):
    """A part of the file with keys of its own; no key is taken that is not named here."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def as_value(kind: type[Value], keys: Section, **given: object) -> Value:
    """Return the value of the policy that a section describes.

    Args:
        kind: a dataclass. Each of its fields is the key, or the property, of the same name.
            Where that is a section, it becomes the field's kind of value; a list becomes a
            frozenset where the field is one.
        keys: the section.
        given: the fields that are something else than their keys, or have none.
    """
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in given}
    return kind(
        **given, **{name: _as_field(hints[name], getattr(keys, name)) for name in hints}
    )


def _as_field(kind: type, value: object) -> object:
    if isinstance(value, Section):
        return as_value(kind, value)
    if isinstance(value, tuple) and get_origin(kind) is frozenset:
        return frozenset(value)
    return value


def key_tree(section: type[Section]) -> KeyTree:
    """Return every key of a section with those below it; below a plain value there is none."""
    tree: KeyTree = {}
    for name, known in section.model_fields.items():
        # Itself, or what a key has that may be left out.
        optional = isinstance(known.annotation, UnionType)
        kinds = get_args(known.annotation) if optional else (known.annotation,)
        below = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
        tree[name] = key_tree(below[0]) if below else {}
    return tree


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LONGEST = timedelta(days=36525)
_DURATION = re.compile(r"([0-9]{1,12})([smhdw])")
_WRITTEN = "30s, 15m, 12h, 7d, 2w"
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([a-z]*)[\s,]*")
_WORDS = {
    word: meant
    for words, meant in (
        ("s sec secs second seconds", (1, "s")),
        ("m min mins minute minutes", (1, "m")),
        ("h hr hrs hour hours", (1, "h")),
        ("d day days", (1, "d")),
        ("w wk wks week weeks", (1, "w")),
        ("mo month months", (30, "d")),
        ("y yr yrs year years", (365, "d")),
    )
    for word in words.split()
} | {"": (1, "d")}


def _duration(value: object) -> timedelta:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_wrong_with_duration(value)}durations are written {_WRITTEN}")
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds == 0:
        raise ValueError(f"must be longer than nothing: durations are written {_WRITTEN}")
    if seconds > _LONGEST.total_seconds():
        raise ValueError("must be at most 36525d, which is 100 years")
    return timedelta(seconds=seconds)


def _wrong_with_duration(value: object) -> str:
    """Return the mistake in a duration, and the duration that may have been meant."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    meant = _meant(str(value).strip().lower())
    hint = f" (did you mean {meant}?)" if meant else ""
    return f"{quoted(str(value))} is no duration{hint}: "


def _meant(text: str) -> str:
    """Return the duration that may have been meant by ``7 days`` or ``1d12h``; "" for none."""
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return ""
    amounts = [(float(part[1]), *_WORDS.get(part[2], (0, "s"))) for part in parts]
    seconds = round(sum(number * times * _UNITS[unit] for number, times, unit in amounts))
    known = all(times for _number, times, _unit in amounts)
    if not known or not 0 < seconds <= _LONGEST.total_seconds():
        return ""
    number, times, unit = amounts[0]
    if len(amounts) == 1 and number.is_integer():
        return f"{int(number) * times}{unit}"
    return duration_text(timedelta(seconds=seconds))


def duration_or_never(value: object) -> timedelta | None:
    """Parse a duration: ``30s``, ``15m``, ``12h``, ``7d``, ``2w``, or ``never``, which is None.

    Raises:
        ValueError: it is something else; the text says how durations are written.
    """
    return _duration_or("never", value)


def _duration_or(word: str, value: object) -> timedelta | None:
    """Return a duration; None for ``word``."""
    if value == word:
        return None
    try:
        return _duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or {word}") from None


def duration_text(duration: timedelta | None) -> str:
    """Return a duration as the file writes it, in its largest unit that is exact."""
    if duration is None:
        return "never"
    seconds = int(duration.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


Duration = Annotated[
    timedelta,
    PlainValidator(_duration),
    PlainSerializer(duration_text),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+[smhdw]$"}),
]
DurationOrNever = Annotated[
    timedelta | None,
    PlainValidator(duration_or_never),
    PlainSerializer(duration_text),
    WithJsonSchema({"type": "string", "pattern": "^([0-9]+[smhdw]|never)$"}),
]
DurationOrNone = Annotated[
    timedelta,
    PlainValidator(lambda value: _duration_or("none", value) or timedelta()),
    PlainSerializer(lambda duration: duration_text(duration) if duration else "none"),
    WithJsonSchema({"type": "string", "pattern": "^([0-9]+[smhdw]|none)$"}),
]


def domain_name(text: str) -> str:
    """Return a domain's normal form, in U-labels after nameprep.

    Raises:
        ValueError: it is none, or others would take it for another; the text says so.
    """
    try:
        name = prepare_domain(text)
    except ValueError:
        name = ""
    if not all(name.split(".")):
        raise ValueError(f"{quoted(text)} is no domain name, such as example.com")
    reason = disagreement(text)
    if reason is not None:
        raise ValueError(
            f"{quoted(text)} is not the same domain for every server and client: {reason}. "
            "Choose another name"
        )
    return name


def host_name(text: str) -> str:
    """Return a domain in U-labels or A-labels, as ``text`` has it; raises as `domain_name`.

    That is how a server spells its own name, and the only one that it may know.
    """
    return spelled_like(domain_name(text), text)


DomainName = Annotated[str, AfterValidator(domain_name)]
HostName = Annotated[str, AfterValidator(host_name)]


UTC_ZONE = ZoneInfo("UTC")


def _time_zone(value: object) -> ZoneInfo:
    if not isinstance(value, str):
        raise ValueError("must be a time zone, such as Europe/Berlin")
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # of odd names: a path, a folder
        raise ValueError(f"{quoted(value)} is no time zone{_meant_zone(value)}") from None


def _meant_zone(text: str) -> str:
    """Return the name that may have been meant: of a city, too."""
    known = {name.rpartition("/")[2].lower(): name for name in sorted(available_timezones())}
    known |= {name.lower(): name for name in available_timezones()}
    near = difflib.get_close_matches(text.lower().replace(" ", "_"), known, 1)
    return f": did you mean {known[near[0]]}?" if near else ", such as Europe/Berlin"


TimeZone = Annotated[
    ZoneInfo,
    PlainValidator(_time_zone),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]}),
]


_ROLE = re.compile(r"[a-z0-9:_-]+")


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """The context that a value is validated in.

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


def context_of(info: ValidationInfo) -> ValidationContext:
    """Return the `ValidationContext` of this validation."""
    if not isinstance(info.context, ValidationContext):
        raise TypeError("validate with context=ValidationContext(…)")
    return info.context


def when_serving(check: Callable[[Value], object], *, final: bool = False) -> AfterValidator:
    """Return a validator by ``check``, which raises ValueError, of what is used by a service.

    If ``final``, defaults that each domain may have its own for are not checked.
    """

    def validate(value: Value, info: ValidationInfo) -> Value:
        context = context_of(info)
        if context.serving and (context.final or not final):
            check(value)
        return value

    return AfterValidator(validate)


def _count_or_unlimited(value: object) -> int | None:
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
    """Return a username in its prepared form."""
    try:
        return prepare_localpart(text)
    except InvalidUsername:
        raise ValueError(f"{quoted(text)} cannot be a username: see RFC 6122 §2.3") from None


def _address(text: str, domains: tuple[str, ...]) -> str:
    """Return a bare JID at one of the domains, if these are known."""
    example = f"romeo@{(*domains, 'example.com')[0]}"
    user, at, host = text.partition("@")
    if "/" in host:
        tail = quoted(host.partition("/")[2]).strip("\"'")
        raise ValueError(f"must be a bare address, such as {example}, without /{tail}")
    if not at or not user:
        raise ValueError(f"must be an address, such as {example}")
    if domains and domain_name(host) not in domains:
        raise ValueError(f"must be at {' or '.join(domains)}, such as {example}")
    return f"{_username(user)}@{domain_name(host)}"


def role_name(text: str) -> str:
    """Return ``text`` if it can be a role.

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
    """Return a path; a relative one begins at the folder of the configuration."""
    if text.startswith("~"):
        raise ValueError("is not expanded: write the whole path, without ~")
    return context_of(info).folder / _not_empty(text)


def _folder(text: str, info: ValidationInfo) -> Path:
    path = _path(text, info)
    # os.path, as Path.is_dir lets some errors through, such as that of a name too long.
    if os.path.exists(path) and not os.path.isdir(path):
        raise ValueError(f"{path} is no folder")
    return path


def _text_by(read: Callable[[str, ValidationInfo], Path]) -> PlainValidator:
    """Return a validator that refuses what is no text, in pydantic's words."""

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
Admin = Annotated[str, AfterValidator(lambda text, info: _address(text, context_of(info).home))]
LocalAddress = Annotated[
    str, AfterValidator(lambda text, info: _address(text, context_of(info).domains))
]
Role = Annotated[str, AfterValidator(role_name)]
RegistrationField = Annotated[str, AfterValidator(_field)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Title = Annotated[str, AfterValidator(_not_empty)]
FilePath = Annotated[Path, _text_by(_path), WithJsonSchema({"type": "string"})]
FolderPath = Annotated[Path, _text_by(_folder), WithJsonSchema({"type": "string"})]


def require_value(value: object) -> object:
    """Raise ValueError for an empty key: to have none, it is left out."""
    if value is None:
        raise ValueError("is empty: give it a value, or leave the key out")
    return value
