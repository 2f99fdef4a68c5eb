"""Does at the server what was written down as to be done: by us, or by a command."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from invitereg.accounts.remote import RemoteAccounts
from invitereg.errors import Refused, Unavailable
from invitereg.interfaces.leases import Job, Task
from invitereg.interfaces.queries import Redemption
from invitereg.interfaces.server import MissingPrivilege, NotThere, ServerFault
from invitereg.interfaces.stores import ILeaseStore
from invitereg.model.accounts import Account
from invitereg.model.invites import Kind, Use
from invitereg.policy.notices import notices_about
from invitereg.policy.values import Domain

_KEY_BYTES = 32
# A key is used for one message only, so the nonce may be fixed.
_NONCE = bytes(12)


class KeyPair:
    """What a process opens with what was sealed for it.

    Attributes:
        public: in hexadecimal digits.
    """

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw().hex()

    def open(self, sealed: str) -> str:
        """What was sealed; raises ValueError if it was not for this process."""
        try:
            data = bytes.fromhex(sealed)
            sender, box = data[:_KEY_BYTES], data[_KEY_BYTES:]
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(sender))
            key = _derive(shared, sender, self.public)
            return ChaCha20Poly1305(key).decrypt(_NONCE, box, None).decode()
        except InvalidTag:
            raise ValueError("sealed for another") from None


def seal(text: str, public: str) -> str:
    """``text``, as only the owner of the public key can read it, in hexadecimal digits."""
    ephemeral = X25519PrivateKey.generate()
    sender = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    box = ChaCha20Poly1305(_derive(shared, sender, public)).encrypt(_NONCE, text.encode(), None)
    return (sender + box).hex()


def _derive(shared: bytes, sender: bytes, public: str) -> bytes:
    info = b"invitereg errand" + sender + bytes.fromhex(public)
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(shared)


_log = Logger("invitereg.accounts.errands.Errands")

TAKEN = timedelta(seconds=30)
"""Nobody else takes up an errand for so long; far more than the server has for it."""
PROMPT_SECONDS = 2.0
LONGEST_PAUSE = timedelta(seconds=10)
PAUSE_WITHOUT_PRIVILEGE = timedelta(minutes=1)
GIVEN_UP = timedelta(days=7)
FEWEST_TRIES = 20
"""Before it is given up, however long the service was not there to try."""


class Checks(Protocol):
    """Tries a server for its operator."""

    async def faults(self) -> Sequence[str]:
        """List what it does not let us do."""

    async def doubts(self) -> Sequence[str]:
        """List what may be no intention of its operator; raises ServerFault."""


class ServerJobs:
    """Carries out the errands of one domain."""

    def __init__(
        self,
        accounts: RemoteAccounts,
        store: ILeaseStore,
        node: str,
        now: Callable[[], datetime],
        domains: Mapping[str, Domain],
        checks: Checks,
    ) -> None:
        """``node`` names this process as no other is named; ``checks`` try the server."""
        self._checks = checks
        self._domains = domains
        self._accounts = accounts
        self._server = accounts.server
        self._store = store
        self._node = node
        self._now = now
        self._keys = KeyPair()
        self._answers = {
            Task.EXISTS: self._exists,
            Task.KEY: self._key,
            Task.CREATE: self._create,
            Task.DELETE: self._delete,
            Task.CHECK: self._check,
            Task.DOUBTS: self._doubts,
            Task.ABILITY: self._ability,
        }

    async def promptly(self, clock: IReactorTime) -> None:
        """As `carry_out`, for who waits for it: it goes on by itself after a moment.

        It fails never, as what is wrong is said when all is tried again.
        """
        done = Deferred.fromCoroutine(self.carry_out())
        patience: Deferred[None] = deferLater(clock, PROMPT_SECONDS)
        await DeferredList([done, patience], fireOnOneCallback=True, consumeErrors=True)
        patience.cancel()

    async def carry_out(self) -> None:
        """Do what there is to be done; to be called every second."""
        now = self._now()
        found = await self._store.take_jobs(self._accounts.domain, self._node, now, now + TAKEN)
        for errand in found:
            if errand.task in self._answers:
                await self._store.finish_job(errand.number, await self._answer(errand))
            else:
                await self._try(errand)

    async def _try(self, errand: Job) -> None:
        """Do what has to be done in the end, or put it off."""
        try:
            if errand.task is Task.CONTACTS:
                contact = errand.details["contact"]
                await self._server.make_contacts(errand.username, contact)
            else:
                await self._server.end_sessions(errand.username)
        except ServerFault as fault:
            in_vain = isinstance(fault, NotThere) and await self._is_one_gone(errand)
            if not in_vain:
                self._accounts.faults.failed(fault.text)
                if errand.tries < FEWEST_TRIES or self._now() - errand.at < GIVEN_UP:
                    pause = _pause(errand, fault)
                    await self._store.postpone_job(errand.number, self._now() + pause)
                    return
            self._give_up(errand, fault.text)
        else:
            self._accounts.faults.worked()
        await self._store.finish_job(errand.number)

    async def _is_one_gone(self, errand: Job) -> bool:
        """Whether one of the accounts is gone beyond doubt; what it has left ends."""
        contact = errand.details.get("contact")
        try:
            return any(
                [
                    await self._accounts.is_gone(username)
                    for username in (errand.username, *([contact] if contact else []))
                ]
            )
        except Refused:
            return False

    def _give_up(self, errand: Job, cause: str) -> None:
        _log.warn(
            "{task} of {username}@{domain} given up: {cause}",
            task=errand.task,
            username=errand.username,
            domain=errand.domain,
            cause=cause,
        )

    async def _answer(self, errand: Job) -> str:
        """What a command is told, as JSON: a value, or a refusal with its kind and text."""
        try:
            return json.dumps({"value": await self._answers[errand.task](errand)})
        except Unavailable as refusal:
            text = refusal.cause or str(refusal)
            return json.dumps({"refused": "Unavailable", "text": text})
        except Refused as refusal:
            text = str(refusal)
            return json.dumps({"refused": type(refusal).__name__, "text": text})
        except ServerFault as fault:
            return json.dumps({"refused": "Refused", "text": fault.text})

    async def _exists(self, errand: Job) -> bool:
        asked = self._accounts.recognise if errand.details else self._accounts.exists
        return await asked(errand.username)

    async def _key(self, _errand: Job) -> list[str]:
        return [self._node, self._keys.public]

    async def _create(self, errand: Job) -> None:
        now, details = self._now(), errand.details
        account = Account(
            domain=errand.domain,
            username=errand.username,
            created_at=now,
            roles=tuple(json.loads(details["roles"])),
        )
        use = Use(
            domain=errand.domain,
            username=errand.username,
            kind=Kind.ACCOUNT,
            at=now,
            door="cli",
        )
        notices = tuple(notices_about(self._domains[use.domain], use))
        asked = Redemption(account=account, use=use, operator=True, notices=notices)
        await self._accounts.redeem(asked, self._keys.open(details["password"]))

    async def _delete(self, errand: Job) -> None:
        until = errand.details.get("until")
        await self._accounts.delete(
            errand.username,
            self._now(),
            until=datetime.fromisoformat(until) if until else None,
        )
        _log.info("deleted {username}@{domain}", username=errand.username, domain=errand.domain)

    async def _check(self, _errand: Job) -> list[str]:
        return list(await self._checks.faults())

    async def _doubts(self, _errand: Job) -> list[str]:
        return list(await self._checks.doubts())

    async def _ability(self, _errand: Job) -> str | None:
        return await self._server.contacts_problem()


def _pause(errand: Job, fault: ServerFault) -> timedelta:
    if isinstance(fault, MissingPrivilege):
        return PAUSE_WITHOUT_PRIVILEGE
    return min(timedelta(seconds=2 ** min(errand.tries, 4) - 1), LONGEST_PAUSE)
