"""Take over the invites of Prosody's mod_invites, with the tokens that they have there.

It keeps them in a store ``invite_token``: the host's has what lets register, by token, and
each user's has what makes a contact of that user: a token with the time of its end.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
)
from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.engine import Connection

from invitereg.errors import InvalidUsername, NotFound, UsernameReserved, UsernameTaken
from invitereg.model.invites import Invite, Kind, token_digest
from invitereg.model.names import is_domain, prepare_localpart
from invitereg.policy.inviting import PROSODY
from invitereg.store.invites import create
from invitereg.store.tables import invites, uses

_ID_LENGTH = 10
_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"

Seconds = Annotated[float, Field(ge=0, le=253402300799)]
Text = Annotated[str, Field(max_length=10000)]
_seconds = TypeAdapter(Seconds, config=ConfigDict(strict=True))


class NotAnInvite(ValueError):
    """A stored value is no invite; the text says what is wrong, without the token."""


class _StoredTable(BaseModel):
    """A stored table; what other modules add to it is ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


def _plain_list(value: Any) -> Any:
    """Return a Lua table with the keys 1, 2 and so on as a list.

    Raises:
        ValueError: it has other keys.
    """
    if value in ({}, None):
        return []
    if not isinstance(value, dict):
        return value
    numbers = range(1, len(value) + 1)
    if set(value) != set(numbers):
        raise ValueError("should be a list")
    return [value[number] for number in numbers]


def _role_list(value: Any) -> Any:
    """Return roles as a list: Prosody 0.12 stores a table of true, later ones the list itself.

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(value, dict) or 1 in value or not value:
        return _plain_list(value)
    if not all(isinstance(given, bool) for given in value.values()):
        raise ValueError("should be a list, or a table of true and false")
    return sorted((role for role, given in value.items() if given), key=str)


class _Additional(_StoredTable):
    roles: Annotated[list[Text], BeforeValidator(_role_list)] = []
    groups: Annotated[list[Text], BeforeValidator(_plain_list)] = []
    allow_reset: Text | None = None
    source: Text | None = None
    note: Text = ""


class _AccountInvite(_StoredTable):
    type: Literal["register", "roster"]
    jid: Text
    created_at: Seconds
    expires: Seconds
    reusable: bool = False
    additional_data: _Additional = _Additional()

    @field_validator("additional_data", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return value if value not in ([], None) else {}


class FoundInvite(NamedTuple):
    """An invite of Prosody, and the digest of its token."""

    invite: Invite
    digest: bytes


def account_invite(domain: str, token: str, stored: object) -> FoundInvite:
    """Return the invite in the host's store for a token: to register, or to set a password.

    Raises:
        NotAnInvite: it makes no sense.
    """
    try:
        data = _AccountInvite.model_validate(stored)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in detail["loc"])
        text = detail["msg"].removeprefix("Value error, ")
        raise NotAnInvite(f"{path}: {text}" if path else text) from None
    user = _user(domain, data.jid)
    more = data.additional_data
    contact = data.type == "roster"
    if contact and user is None:
        raise NotAnInvite("jid: names nobody who invites")
    reset = _localpart(more.allow_reset) if more.allow_reset is not None else None
    kind = Kind.ACCOUNT_AND_CONTACT if contact else Kind.RESET if reset else Kind.ACCOUNT
    username = reset or (None if contact else user)
    source, maker = _source(domain, more.source)
    invite = Invite(
        id=_id(token),
        domain=domain,
        kind=kind,
        source=source,
        created_at=_time(data.created_at),
        expires_at=_time(data.expires),
        inviter=user if contact else maker,
        username=username,
        roles=tuple(dict.fromkeys(more.roles)),
        groups=tuple(more.groups),
        note=more.note,
        uses_allowed=None if data.reusable and username is None else 1,
    )
    return FoundInvite(invite, token_digest(token))


def contact_invite(
    domain: str, username: str, token: str, stored: object, now: datetime
) -> FoundInvite:
    """Return the invite in a user's store for a token: to become a contact of theirs.

    Raises:
        NotAnInvite: it makes no sense.
    """
    try:
        expires = _seconds.validate_python(stored)
    except ValidationError:
        raise NotAnInvite("here should be the time at which it ends") from None
    invite = Invite(
        id=_id(token),
        domain=domain,
        kind=Kind.CONTACT,
        source=PROSODY,
        created_at=now,
        expires_at=_time(expires),
        inviter=_localpart(username),
    )
    return FoundInvite(invite, token_digest(token))


def _id(token: str) -> str:
    """Return an invite's id: the same at each import, and it tells nothing of the token."""
    named = b"prosody invite " + token.encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(named).digest())
    letters = []
    for _ in range(_ID_LENGTH):
        number, place = divmod(number, len(_ID_ALPHABET))
        letters.append(_ID_ALPHABET[place])
    return "".join(letters)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _localpart(text: str) -> str:
    try:
        return prepare_localpart(text)
    except InvalidUsername:
        raise NotAnInvite(f"{text[:80]!r} is no username") from None


def _user(domain: str, jid: str) -> str | None:
    """Return the localpart of a JID at this domain; None if it has none."""
    username, at, host = jid.rpartition("@")
    if not is_domain(host, domain):
        raise NotAnInvite(f"jid: is not at {domain}")
    return _localpart(username) if at else None


def _source(domain: str, jid: str | None) -> tuple[str, str | None]:
    """Return the source of an invite, and the localpart of its maker at this domain."""
    if jid is None or "@" not in jid:
        return PROSODY, None
    bare = jid.partition("/")[0]
    try:
        user = _user(domain, bare)
    except NotAnInvite:
        return f"adhoc:{bare}", None
    # As we spell it: by that, what somebody has made is revoked together.
    return f"adhoc:{user}@{domain}", user


_KNOWN = select(
    or_(
        exists().where(
            invites.c.domain == bindparam("of_domain"),
            or_(invites.c.id == bindparam("of_id"), invites.c.digest == bindparam("of_digest")),
        ),
        # One that was used, and has been purged since, must not come back.
        exists().where(
            uses.c.domain == bindparam("of_domain"), uses.c.invite_id == bindparam("of_id")
        ),
    )
)


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """The counts of an import: ``invites`` (added), ``expired``, ``unchanged``, ``skipped``.

    Attributes:
        reasons: why, for each that was skipped.
    """

    counts: Mapping[str, int]
    reasons: tuple[str, ...]


def adopt(connection: Connection, found: Iterable[FoundInvite], now: datetime) -> ImportCounts:
    """Add invites with their digests, within a transaction; what is over or known is left out.

    Each is known by its id, which must be the same whenever it is found: one that was renewed,
    revoked or used here stays as it is.

    A name that is not free, or a reset of an account that is not here, is skipped.
    """
    counts = dict.fromkeys(("invites", "expired", "unchanged", "skipped"), 0)
    reasons = []
    for invite, digest in found:
        which = {"of_domain": invite.domain, "of_id": invite.id, "of_digest": digest}
        if connection.scalar(_KNOWN, which):
            counts["unchanged"] += 1
        elif invite.expired(now):
            counts["expired"] += 1
        else:
            connection.exec_driver_sql("SAVEPOINT adoption")
            try:
                create(connection, invite, digest)
            except (NotFound, UsernameReserved, UsernameTaken) as error:
                connection.exec_driver_sql("ROLLBACK TO adoption")
                counts["skipped"] += 1
                reasons.append(f"{invite.kind} invite for {invite.username}: {error}")
            else:
                counts["invites"] += 1
            connection.exec_driver_sql("RELEASE adoption")
    return ImportCounts(counts, tuple(reasons))
