"""Keys of the HTTP API: what programs show instead of being the operator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface

from invitereg.errors import InvalidRequest
from invitereg.model import Invite, generate_invite_id, generate_token

REPEATABLE = timedelta(hours=24)
"""How long a request that names itself may be repeated without being done twice."""

MAX_NAME = 100


class Scope(StrEnum):
    """What a key allows; nothing includes anything else."""

    INVITES_CREATE = "invites:create"
    INVITES_READ = "invites:read"
    INVITES_EDIT = "invites:edit"
    RESETS_CREATE = "resets:create"
    REGISTRATIONS_CREATE = "registrations:create"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key, without the secret: of that, only the digest is stored.

    The secret has 142 random bits (`invitereg.model.generate_token`): a plain SHA-256 keeps
    it as safe as a slow hash would, which protects what people choose.

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

    def valid(self, now: datetime) -> bool:
        """Whether it opens anything at ``now``."""
        unexpired = self.expires_at is None or now < self.expires_at
        return self.revoked_at is None and unexpired


def issue_key(
    name: str,
    scopes: Sequence[Scope],
    now: datetime,
    lifetime: timedelta | None = None,
    domain: str | None = None,
) -> tuple[ApiKey, str]:
    """A new key with its secret, which is shown only now; a ``lifetime`` of None is for ever.

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
class Once:
    """The name that a client gave to a request, so that it can be repeated safely.

    Attributes:
        key_id: whose request it is; names of different keys have nothing to do with each other.
        name: digest of the name.
        request: digest of what is asked for: the same name for anything else is a mistake.
    """

    key_id: str
    name: bytes = field(repr=False)
    request: bytes = field(repr=False)


class IKeyStore(Interface):
    """The keys, and which invites were made by requests that may be repeated."""

    def create_key(key: ApiKey, digest: bytes) -> Deferred[None]:
        """Store a new key.

        Raises:
            InvalidRequest: there is a key of that id or secret already.
        """

    def find_key(digest: bytes) -> Deferred[ApiKey | None]:
        """The key whose secret has this digest, valid or not; None if there is none."""

    def list_keys() -> Deferred[Sequence[ApiKey]]:
        """All keys in the order of their making, also those that are over."""

    def revoke_key(key_id: str, now: datetime) -> Deferred[ApiKey]:
        """End a key; one that is revoked already stays as it is.

        Raises:
            NotFound: no such key.
        """

    def create_invite_once(invite: Invite, digest: bytes, once: Once) -> Deferred[Invite]:
        """Store a new invite, as `IInviteStore.create_invite`, unless the request is a repeat.

        Invite and name are written together or not at all. A repeat, within `REPEATABLE` of
        the first, makes nothing: it gives the invite that the first has made ``digest`` as its
        new token, and returns it.

        Raises:
            OtherRequest: something else was asked for under that name.
            InvalidRequest: a repeat, and the invite of the first is not pending any more.
            Refused: as `IInviteStore.create_invite`.
        """

    def purge_repeats(before: datetime, at_most: int) -> Deferred[int]:
        """Forget requests that were first made by ``before``.

        Returns:
            How many were forgotten: fewer than ``at_most`` if none is left.
        """


def forget_repeats(keys: Any, now: Callable[[], datetime], at_most: int) -> Deferred[int]:
    """Forget some requests that may not be repeated any more; returns how many."""
    forgotten: Deferred[int] = IKeyStore(keys).purge_repeats(now() - REPEATABLE, at_most)
    return forgotten
