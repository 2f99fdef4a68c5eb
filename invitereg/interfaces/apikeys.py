"""Keys of the HTTP API: what programs show instead of being the operator."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from invitereg.errors import InvalidRequest
from invitereg.model.invites import generate_invite_id, generate_token
from invitereg.policy.inviting import Authority

REPEATABLE = timedelta(hours=24)
"""How long a request that names itself may be repeated without being done twice."""

MAX_NAME = 100


class Scope(StrEnum):
    """A right that a key gives; none includes another."""

    INVITES_CREATE = "invites:create"
    INVITES_READ = "invites:read"
    INVITES_EDIT = "invites:edit"
    RESETS_CREATE = "resets:create"
    REGISTRATIONS_CREATE = "registrations:create"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key, without the secret: of that, only the digest is stored.

    The secret has 142 random bits (`invitereg.model.invites.generate_token`): a plain SHA-256
    keeps it as safe as a slow hash would, which protects what people choose.

    Attributes:
        id: short public name, safe to log and to show.
        name: what the operator calls it.
        domain: the only one that it is for; None for all.
        expires_at: the first moment at which it is no longer valid; None is never.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    domain: str | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def authority(self) -> Authority:
        """Return the right by which its requests make and change invites."""
        return Authority(f"api:{self.id}", resets=Scope.RESETS_CREATE in self.scopes)

    def valid(self, now: datetime) -> bool:
        """Return whether the key is neither expired nor revoked at ``now``."""
        unexpired = self.expires_at is None or now < self.expires_at
        return self.revoked_at is None and unexpired


def issue_key(
    name: str,
    scopes: Sequence[Scope],
    now: datetime,
    lifetime: timedelta | None = None,
    domain: str | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key and its secret, which is shown only now; without ``lifetime`` for ever.

    Raises:
        InvalidRequest: what is asked for makes no sense; the text says why.
    """
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"A key needs a name of 1 to {MAX_NAME} printable characters.")
    if not scopes:
        raise InvalidRequest("A key without a scope would open nothing.")
    try:
        expires_at = None if lifetime is None else now + lifetime
    except OverflowError:
        raise InvalidRequest("A key cannot expire that far away.") from None
    key = ApiKey(
        id=generate_invite_id(),
        name=name,
        scopes=tuple(dict.fromkeys(scopes)),
        created_at=now,
        domain=domain,
        expires_at=expires_at,
    )
    return key, generate_token()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """The name that a client gave to a request, so that it can be repeated safely.

    Attributes:
        key_id: whose request it is; names of different keys have nothing to do with each other.
        name: digest of the name.
        request: digest of what is asked for: the same name for anything else is a mistake.
    """

    key_id: str
    name: bytes = field(repr=False)
    request: bytes = field(repr=False)
