"""Bodies and queries of the API: their models, and strict reading."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NoReturn, TypeVar
from urllib.parse import parse_qsl

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails
from twisted.web.http_headers import Headers

from invitereg.config import duration_or_never
from invitereg.model.invites import Kind, Status
from invitereg.model.names import MAX_PASSWORD_BYTES
from invitereg.policy.values import parse_address
from invitereg.usecases.newinvites import DEFAULT_EXPIRY, Expiry
from invitereg.web.api.errors import Problem, invalid_request
from invitereg.web.channel import MAX_BODY, WebRequest

_MOST_USES = 10**9
_MOST_WORDS = 100
_RFC_3339 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})$"
)


def _duration(text: str) -> str:
    duration_or_never(text)
    return text


def _address(text: str) -> str:
    if parse_address(text) is None:
        raise ValueError("must be an address, such as 192.0.2.1 or 2001:db8::1")
    return text


def _moment(value: object) -> datetime:
    """Return the UTC time that RFC 3339 text stands for."""
    if not isinstance(value, str) or not re.fullmatch(_RFC_3339, value):
        raise ValueError("must be a time such as 2026-11-29T12:00:00Z")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except OverflowError:
        raise ValueError("is too far away") from None


# NUL is the one character that not every database keeps.
Text = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(min_length=1, max_length=1023, pattern=r"^[^\x00]*$")]
Role = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9:_-]+$")]
Duration = Annotated[
    str,
    Field(pattern=r"^([0-9]{1,12}[smhdw]|never)$", examples=["7d"]),
    AfterValidator(_duration),
]
Timestamp = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(
        {"type": "string", "pattern": _RFC_3339, "examples": ["2026-11-29T12:00:00Z"]}
    ),
]
Uses = Annotated[int, Field(ge=1, le=_MOST_USES)]
ClientAddress = Annotated[
    str,
    Field(
        max_length=64,
        examples=["192.0.2.1", "2001:db8::1"],
        json_schema_extra={"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    ),
    AfterValidator(_address),
]
InviteKind = Literal["account", "contact", "account-and-contact"]
DOMAIN = "May be left out where the key, or the service, is for one domain only."
PER_NETWORK = (
    "How often from one network, in the period of the limit for shared invites; null is as "
    "often as that limit says. For an invite with several uses, as for an event."
)
CLIENT_ADDRESS = (
    "The IP address (IPv4, or IPv6 without brackets; no port) of whom this is done for, by "
    "which the limits judge; otherwise the caller's own."
)


_NOT_BOTH: JsonDict = {"not": {"required": ["expires", "expires_at"]}}


class BodyModel(BaseModel):
    """An object in which nothing is guessed, and nothing unknown is left out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Nothing(BodyModel):
    """An empty object, or no body."""


class Expiring(BodyModel):
    """The expiry of an invite: a duration from now, or a moment."""

    model_config = ConfigDict(json_schema_extra=dict(_NOT_BOTH))

    expires: Duration | None = Field(
        None,
        description="From now, as 12h or 7d, or never; default: as configured. Excludes "
        "`expires_at`.",
    )
    expires_at: Timestamp | None = Field(
        None, description="The moment; null is never. Excludes `expires`."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> "Expiring":
        if {"expires", "expires_at"} <= self.model_fields_set:
            raise ValueError("expires and expires_at exclude each other")
        if "expires" in self.model_fields_set and self.expires is None:
            raise ValueError("expires must be a time such as 7d, or never")
        return self

    @property
    def says_expiry(self) -> bool:
        return bool({"expires", "expires_at"} & self.model_fields_set)

    @property
    def expiry(self) -> Expiry:
        """The expiry; as configured, if the body has none."""
        if not self.says_expiry:
            return DEFAULT_EXPIRY
        return self.expires_at if self.expires is None else duration_or_never(self.expires)


class NewInviteBody(Expiring):
    """An invite to make."""

    domain: Name | None = Field(None, description=DOMAIN)
    kind: InviteKind = Field(
        Kind.ACCOUNT.value, description="Whether it registers, makes contacts, or both."
    )
    inviter: Name | None = Field(None, description="Who invites; null is the operator.")
    username: Name | None = Field(None, description="The only name to be taken with it.")
    uses_allowed: Uses | None = Field(1, description="How often; null is without limit.")
    per_network_allowed: Uses | None = Field(None, description=PER_NETWORK)
    roles: tuple[Role, ...] = Field((), max_length=_MOST_WORDS)
    groups: tuple[Name, ...] = Field((), max_length=_MOST_WORDS)
    note: Text = Field("", description="For the operator.")


class InviteChangesBody(Expiring):
    """Changes to an invite; keys that are left out stay as they are."""

    model_config = ConfigDict(json_schema_extra={**_NOT_BOTH, "minProperties": 1})

    uses_allowed: Uses | None = Field(None, description="How often; null is without limit.")
    per_network_allowed: Uses | None = Field(None, description=PER_NETWORK)
    note: Text = Field("", description="For the operator.")

    @model_validator(mode="after")
    def _something(self) -> "InviteChangesBody":
        if not self.model_fields_set:
            raise ValueError(
                "say what to change: expires, expires_at, uses_allowed, per_network_allowed "
                "or note"
            )
        return self


class NewResetBody(Expiring):
    """The account whose password is to be set."""

    username: Name
    domain: Name | None = Field(None, description=DOMAIN)


class PreviewBody(BodyModel):
    """A token to look at."""

    token: Name
    domain: Name | None = Field(None, description=DOMAIN)
    client_address: ClientAddress | None = Field(None, description=CLIENT_ADDRESS)


class RegistrationBody(BodyModel):
    """A registration, or the new password of the account that a reset invite is for."""

    username: Name
    password: Annotated[str, Field(max_length=MAX_PASSWORD_BYTES)]
    token: Name | None = Field(None, description="Left out where registration is open.")
    fields: dict[Name, Text] = Field(
        default_factory=dict, max_length=50, description="What the operator asks for besides."
    )
    domain: Name | None = Field(None, description=DOMAIN)
    client_address: ClientAddress | None = Field(None, description=CLIENT_ADDRESS)


class QueryModel(BodyModel):
    """The query part of a URL, whose values are text: numbers are read from it."""

    model_config = ConfigDict(strict=False)


class DomainQuery(QueryModel):
    """A query about one domain."""

    domain: Name | None = Field(None, description=DOMAIN)


class ListQuery(DomainQuery):
    """A query for a page of invites."""

    status: Literal["pending", "used", "expired", "revoked", "all"] = Field(
        Status.PENDING.value, description="In which state they are."
    )
    inviter: Name | None = Field(None, description="Who invites.")
    limit: Annotated[int, Field(ge=1, le=1000)] = Field(100, description="How many at most.")
    after: Name | None = Field(None, description="Go on after this id: `next` of a page.")


M = TypeVar("M", bound=BaseModel)

_JSON = "application/json"


def read_body(request: WebRequest, model: type[M]) -> M:
    """Return the JSON object in the body, checked by ``model``; no body is an empty object.

    Raises:
        Problem: it is too large, no JSON, or not what the model describes.
    """
    if request.too_large:
        limit = MAX_BODY // 1024
        raise Problem(413, "too-large", f"The body is larger than {limit} KiB.")
    body = request.content.read() if request.content else b""
    if not body:
        return _validated(model, b"{}")
    _require_json(request.header_values("content-type"))
    _check_json(body)
    return _validated(model, body)


def read_query(request: WebRequest, model: type[M]) -> M:
    """Return the query, checked by ``model``; raises Problem."""
    return _validated(model, json.dumps(query_values(request)).encode())


def query_values(request: WebRequest) -> dict[str, str]:
    """Return the query's values by name.

    Raises:
        Problem: it cannot be read, or says something twice.
    """
    query = (request.uri or b"").partition(b"?")[2].partition(b"#")[0]
    if not query:
        return {}
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=50,
        )
    except ValueError:
        raise Problem(400, "malformed-query", "The query cannot be read.") from None
    names = [name for name, _value in pairs]
    if len(set(names)) < len(names):
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        raise invalid_request([(name, "must be there once only") for name in twice])
    return dict(pairs)


def _require_json(types: Sequence[str]) -> None:
    media, _, parameters = (types[0] if len(types) == 1 else "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media.strip().lower() != _JSON or charset not in ("", "charset=utf-8"):
        raise Problem(
            415,
            "not-json",
            f"The body must be JSON in UTF-8: send it with Content-Type: {_JSON}.",
            headers=Headers({"Accept": [_JSON]}),
        )


def _check_json(body: bytes) -> None:
    """Refuse JSON that programs may read in two ways."""
    try:
        json.loads(
            body.decode(), object_pairs_hook=_without_doubles, parse_constant=_no_constant
        )
    except RecursionError:
        raise Problem(400, "malformed-json", "The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise Problem(400, "malformed-json", "The body is not UTF-8.") from None
    except ValueError as error:
        # Of Python's own errors, the text may quote nothing that was sent.
        place = f" (character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        text = str(error) if isinstance(error, _Ambiguous) else "The body is no JSON"
        raise Problem(400, "malformed-json", f"{text}{place}.") from None


class _Ambiguous(ValueError):
    """JSON that programs read in different ways (RFC 8259 §4, §6)."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Ambiguous("An object has two members of one name")
    return members


def _no_constant(name: str) -> NoReturn:
    raise _Ambiguous(f"{name} is no JSON")


def _validated(model: type[M], text: bytes) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise invalid_request([_mistake(detail) for detail in found]) from None


def _mistake(detail: ErrorDetails) -> tuple[str, str]:
    """Return where a mistake is, and what is wrong there."""
    at = ".".join(str(part) for part in detail["loc"])[:100]
    unknown = detail["type"] == "extra_forbidden"
    return at, "is not known here" if unknown else detail["msg"].removeprefix("Value error, ")
