"""Define the format of an export: a line of JSON for each thing, checked when it is read.

The format is the export's own, not that of the tables: a later program with other tables
reads it all the same. `FORMAT` grows with every change that an older program cannot read; 2
brought the inviter of a use, and notices, 3 what an invite allows for one network.
"""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar
from xml.parsers.expat import ExpatError, ParserCreate

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from invitereg.errors import InvalidUsername
from invitereg.interfaces.apikeys import MAX_NAME, Scope
from invitereg.model.accounts import ScramKeys
from invitereg.model.invites import Kind
from invitereg.model.names import in_unicode, prepare_domain, prepare_localpart
from invitereg.model.roster import Subscription, owner_of
from invitereg.model.subscribing import SubscriptionState
from invitereg.policy.notices import NoticeKind

T = TypeVar("T")

FORMAT = 3

_MOST = 2**31 - 1  # what PostgreSQL's INTEGER holds


def _domain(text: str) -> str:
    return _require_same(in_unicode(text), prepare_domain(in_unicode(text)))


def _localpart(text: str) -> str:
    try:
        return _require_same(text, prepare_localpart(text))
    except InvalidUsername:
        raise ValueError("that is no username") from None


def _require_same(text: str, prepared: str) -> str:
    if prepared != text:
        raise ValueError(f"write it {prepared}")
    return text


def _scram(text: str) -> str:
    try:
        ScramKeys.from_string(text)
    except ValueError:
        raise ValueError("these are no SCRAM keys as RFC 5803 writes them") from None
    return text


def _bare_jid(text: str) -> str:
    text = in_unicode(text)
    domain, username = owner_of(text)
    prepared = prepare_domain(domain)
    if "@" in text:
        prepared = f"{_localpart(username)}@{prepared}"
    return _require_same(text, prepared)


def _stanza(text: str) -> str:
    try:
        ParserCreate().Parse(text, True)
    except ExpatError:
        raise ValueError("that is no XML") from None
    return in_unicode(text)


def _shown(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that cannot be shown")
    return text


DomainName = Annotated[str, AfterValidator(_domain)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Shown = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_shown)]
Source = Annotated[Shown, AfterValidator(in_unicode)]
Username = Annotated[str, AfterValidator(_localpart)]
Secret = Annotated[bytes, Field(min_length=32, max_length=32)]
Words = tuple[Shown, ...]


class _BaseLine(BaseModel):
    """Strict: nothing is guessed, nothing unknown is left out."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        ser_json_bytes="hex",
        val_json_bytes="hex",
        hide_input_in_errors=True,
    )


class Header(_BaseLine):
    """The first line: its format and who wrote it. A later format may add to it."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["invitereg"] = "invitereg"
    format: Annotated[int, Field(ge=1)] = FORMAT
    version: Shown
    table_schema: str = Field(alias="schema")


class ServerKey(_BaseLine):
    """The secret from which the SCRAM keys of unknown accounts are made."""

    type: Literal["server_key"] = "server_key"
    key: Secret


class AccountLine(_BaseLine):
    """An account; ``credentials`` as RFC 5803 writes them, one for each mechanism."""

    type: Literal["account"] = "account"
    domain: DomainName
    username: Username
    created_at: AwareDatetime
    credentials: tuple[Annotated[str, AfterValidator(_scram)], ...] | None
    changed_at: AwareDatetime | None
    roles: Words
    groups: Words
    details: dict[str, str]

    @model_validator(mode="after")
    def _have_both(self) -> "AccountLine":
        if (self.credentials is None) is not (self.changed_at is None):
            raise ValueError("credentials and changed_at go together")
        return self


class DeletedLine(_BaseLine):
    """The name of a deleted account, which nobody may take."""

    type: Literal["deleted"] = "deleted"
    domain: DomainName
    username: Username
    until: AwareDatetime | None = None


class RosterItemLine(_BaseLine):
    """An item of an account's roster."""

    type: Literal["roster_item"] = "roster_item"
    domain: DomainName
    username: Username
    jid: Annotated[str, AfterValidator(_bare_jid)]
    name: str
    groups: Words
    subscription: Subscription
    ask: bool
    approved: bool
    request: Annotated[str, AfterValidator(_stanza)] | None
    listed: bool

    @model_validator(mode="after")
    def _make_sense(self) -> "RosterItemLine":
        try:
            SubscriptionState((self.subscription, self.ask, self.request is not None))
        except ValueError:
            raise ValueError("RFC 6121 knows no such state of a subscription") from None
        return self


class InviteLine(_BaseLine):
    """An invite; its username and its state tell whether it reserves a name."""

    type: Literal["invite"] = "invite"
    domain: DomainName
    id: Id
    digest: Secret
    kind: Kind
    source: Source
    inviter: Username | None
    username: Username | None
    roles: Words
    groups: Words
    note: str
    uses_allowed: Annotated[int, Field(ge=1, le=_MOST)] | None
    uses: Annotated[int, Field(ge=0, le=_MOST)]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    used_at: AwareDatetime | None
    per_network_allowed: Annotated[int, Field(ge=1, le=_MOST)] | None = None

    @model_validator(mode="after")
    def _make_sense(self) -> "InviteLine":
        if self.uses_allowed is not None and self.uses > self.uses_allowed:
            raise ValueError("it has more uses than it allows")
        if self.username is not None and self.uses_allowed != 1:
            raise ValueError("an invite for one username can have one use only")
        return self


class UseLine(_BaseLine):
    """A use of the history; format 1 leaves out its inviter, whom the invite tells."""

    type: Literal["use"] = "use"
    domain: DomainName
    username: Username
    kind: Kind
    at: AwareDatetime
    door: Shown
    invite_id: Id | None
    inviter: Username | None = None
    address: Source | None


class NoticeLine(_BaseLine):
    """A notice for an account about a registration of the history."""

    type: Literal["notice"] = "notice"
    domain: DomainName
    username: Username
    kind: NoticeKind
    about_domain: DomainName
    about_username: Username
    at: AwareDatetime


class KeyLine(_BaseLine):
    """A key of the HTTP API, which stays valid."""

    type: Literal["key"] = "key"
    id: Id
    digest: Secret
    name: Annotated[Shown, Field(max_length=MAX_NAME)]
    scopes: tuple[Scope, ...]
    domain: DomainName | None
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class End(_BaseLine):
    """The last line: without it, the file was cut off."""

    type: Literal["end"] = "end"
    lines: int


Line = (
    ServerKey
    | AccountLine
    | DeletedLine
    | RosterItemLine
    | InviteLine
    | UseLine
    | NoticeLine
    | KeyLine
    | End
)

COUNTED = {
    "account": "accounts",
    "deleted": "deleted",
    "roster_item": "roster_items",
    "invite": "invites",
    "use": "uses",
    "notice": "notices",
    "key": "keys",
}
"""The types of lines that are counted, each with the name of its count."""

_reader: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="type")])


class Malformed(Exception):
    """A line that cannot be read; the text says what is wrong with it, and no secret."""


def read_header(line: bytes) -> Header:
    """Return the first line, of any format; raise Malformed."""
    return _read(Header.model_validate_json, line)


def read_line(line: bytes) -> Line:
    """Return a later line; raise Malformed."""
    return _read(_reader.validate_json, line)


def write_line(line: Header | Line) -> bytes:
    """Return a line as UTF-8, with its line end."""
    return line.model_dump_json(by_alias=True).encode() + b"\n"


def _read(read: Callable[[bytes], T], line: bytes) -> T:
    try:
        return read(line)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in detail["loc"])
        text = worded(detail)
        raise Malformed(f"{path}: {text}" if path else text) from None


_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "string_too_short": "is empty, or too short",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "has characters that are not allowed there, or too many",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "json_invalid": "this is no line of JSON",
    "json_type": "this is no line of JSON",
    "bytes_type": "must be text, of hexadecimal digits",
    "bytes_invalid_encoding": "must be hexadecimal digits",
    "union_tag_not_found": "it does not say its type",
    "union_tag_invalid": "its type is none that is known here",
    "timezone_aware": "must be a time with its offset, such as 2026-11-29T12:00:00Z",
}


def worded(detail: ErrorDetails) -> str:
    """Return a text for an error of pydantic; it repeats nothing of the line."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind.startswith(("datetime", "date_")):
        return "must be a time, such as 2026-11-29T12:00:00Z"
    if kind in ("enum", "literal_error"):
        return f"must be {context['expected']}"
    if kind in ("greater_than_equal", "less_than_equal"):
        least = "ge" in context
        return f"must be at {'least' if least else 'most'} {context['ge' if least else 'le']}"
    if kind in ("bytes_too_short", "bytes_too_long"):
        return "must have 64 hexadecimal digits"
    return _WORDS.get(kind, "cannot be used")
