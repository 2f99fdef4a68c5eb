"""The keys of the HTTP API as plain dictionaries, beside the `MemoryStore`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from zope.interface import implementer

from invitereg.errors import InvalidRequest, NotFound, OtherRequest
from invitereg.keys import REPEATABLE, ApiKey, IKeyStore, Once
from invitereg.model import Invite
from invitereg.store.memory import MemoryStore
from invitereg.store.memory_firing import fired


@dataclass(frozen=True, slots=True)
class _Request:
    once: Once
    invite: Invite

    @property
    def at(self) -> datetime:
        return self.invite.created_at


@implementer(IKeyStore)
class MemoryKeyStore:
    """Keys in memory. Each method is described in its interface."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._keys: dict[bytes, ApiKey] = {}
        self._requests: dict[tuple[str, bytes], _Request] = {}

    @fired
    def create_key(self, key: ApiKey, digest: bytes) -> None:
        """See `IKeyStore`."""
        if digest in self._keys or key.id in (other.id for other in self._keys.values()):
            raise InvalidRequest(f"There is a key {key.id} already.")
        self._keys[digest] = key

    @fired
    def find_key(self, digest: bytes) -> ApiKey | None:
        """See `IKeyStore`."""
        return self._keys.get(digest)

    @fired
    def list_keys(self) -> Sequence[ApiKey]:
        """See `IKeyStore`."""
        return list(self._keys.values())

    @fired
    def revoke_key(self, key_id: str, now: datetime) -> ApiKey:
        """See `IKeyStore`."""
        for digest, key in self._keys.items():
            if key.id == key_id:
                self._keys[digest] = replace(key, revoked_at=key.revoked_at or now)
                return self._keys[digest]
        raise NotFound(f"There is no key {key_id}.")

    @fired
    def create_invite_once(self, invite: Invite, digest: bytes, once: Once) -> Invite:
        """See `IKeyStore`."""
        now, place = invite.created_at, (once.key_id, once.name)
        earlier = self._requests.get(place)
        if earlier is None or earlier.at <= now - REPEATABLE:
            self._store.add_invite(invite, digest)
            self._requests[place] = _Request(once, invite)
            return invite
        if earlier.once.request != once.request:
            raise OtherRequest
        return self._store.give_token(earlier.invite.domain, earlier.invite.id, digest, now)

    @fired
    def purge_repeats(self, before: datetime, at_most: int) -> int:
        """See `IKeyStore`."""
        old = [place for place, one in self._requests.items() if one.at <= before][:at_most]
        for place in old:
            del self._requests[place]
        return len(old)
