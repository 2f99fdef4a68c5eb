"""Do the jobs that are stored for the server of a domain, by this process or by a command."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from twisted.internet.defer import Deferred, DeferredList, succeed
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

_log = Logger("invitereg.accounts.errands.Errands")

TAKEN = timedelta(seconds=30)
"""For so long no other process takes a job that was taken; the server has far less time."""
PROMPT_SECONDS = 2.0
"""How long a registration waits for the contacts that it has asked for."""
LONGEST_PAUSE = timedelta(seconds=10)
PAUSE_WITHOUT_PRIVILEGE = timedelta(minutes=1)
GIVEN_UP = timedelta(days=7)
FEWEST_TRIES = 20
"""How often a job is tried before it is given up, however long no service was running."""
_KEY_BYTES = 32
# A key is used for one message only, so the nonce may be fixed.
_NONCE = bytes(12)


class KeyPair:
    """Open what others have sealed for this process.

    The pair is made when the process starts, and its private half stays in memory. Whoever has
    a password for the process seals it with the public half: ephemeral X25519 (RFC 7748), HKDF
    (RFC 5869) and ChaCha20-Poly1305 (RFC 8439). So nobody else can read it in the store.

    Attributes:
        public: the public key in hexadecimal digits.
    """

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw().hex()

    def open(self, sealed: str) -> str:
        """Return the text that was sealed; raise ValueError if it was for another process."""
        try:
            data = bytes.fromhex(sealed)
            sender, box = data[:_KEY_BYTES], data[_KEY_BYTES:]
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(sender))
            key = _derive(shared, sender, self.public)
            return ChaCha20Poly1305(key).decrypt(_NONCE, box, None).decode()
        except InvalidTag:
            raise ValueError("sealed for another") from None


def seal(text: str, public: str) -> str:
    """Return ``text`` sealed for the owner of a public key, in hexadecimal digits."""
    ephemeral = X25519PrivateKey.generate()
    sender = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    box = ChaCha20Poly1305(_derive(shared, sender, public)).encrypt(_NONCE, text.encode(), None)
    return (sender + box).hex()


def _derive(shared: bytes, sender: bytes, public: str) -> bytes:
    info = b"invitereg errand" + sender + bytes.fromhex(public)
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(shared)


class Checks(Protocol):
    """Try what a server lets us do, for its operator."""

    async def faults(self) -> Sequence[str]:
        """List what the server does not let us do."""

    async def warnings(self) -> Sequence[str]:
        """List what the operator may not intend; raise ServerFault if that is unknown."""


class ServerJobs:
    """Do the stored jobs of one domain."""

    def __init__(
        self,
        accounts: RemoteAccounts,
        store: ILeaseStore,
        node: str,
        now: Callable[[], datetime],
        domains: Mapping[str, Domain],
        checks: Checks,
    ) -> None:
        """``node`` names this process and no other; ``checks`` try the server."""
        self._domains = domains
        self._accounts = accounts
        self._server = accounts.server
        self._store = store
        self._node = node
        self._now = now
        self._keys = KeyPair()
        self._answers: dict[Task, Callable[[Job], Awaitable[object]]] = {
            Task.EXISTS: self._exists,
            Task.KEY: lambda _job: succeed([node, self._keys.public]),
            Task.CREATE: self._create,
            Task.DELETE: self._delete,
            Task.CHECK: lambda _job: checks.faults(),
            Task.WARNINGS: lambda _job: checks.warnings(),
            Task.ABILITY: lambda _job: accounts.server.contacts_problem(),
        }

    async def run_briefly(self, clock: IReactorTime) -> None:
        """Do the pending jobs, and wait for that for at most `PROMPT_SECONDS`.

        It never fails: what went wrong is logged when the jobs are tried again.
        """
        done = Deferred.fromCoroutine(self.run())
        patience: Deferred[None] = deferLater(clock, PROMPT_SECONDS)
        await DeferredList([done, patience], fireOnOneCallback=True, consumeErrors=True)
        patience.cancel()

    async def run(self) -> None:
        """Do the pending jobs; to be called every second."""
        now = self._now()
        found = await self._store.take_jobs(self._accounts.domain, self._node, now, now + TAKEN)
        for job in found:
            if job.task in self._answers:
                await self._store.finish_job(job.number, await self._answer(job))
            else:
                await self._try(job)

    async def _try(self, job: Job) -> None:
        """Do a job that nobody waits for, or postpone it."""
        try:
            if job.task is Task.CONTACTS:
                contact = job.details["contact"]
                await self._server.make_contacts(job.username, contact)
            else:
                await self._server.end_sessions(job.username)
        except ServerFault as fault:
            in_vain = isinstance(fault, NotThere) and await self._is_one_gone(job)
            if not in_vain:
                self._accounts.faults.failed(fault.text)
                if job.tries < FEWEST_TRIES or self._now() - job.at < GIVEN_UP:
                    pause = _pause(job, fault)
                    await self._store.postpone_job(job.number, self._now() + pause)
                    return
            self._give_up(job, fault.text)
        else:
            self._accounts.faults.worked()
        await self._store.finish_job(job.number)

    async def _is_one_gone(self, job: Job) -> bool:
        """Return whether an account of a job is certainly gone; then end what it has left."""
        usernames = filter(None, (job.username, job.details.get("contact")))
        try:
            return any([await self._accounts.is_gone(username) for username in usernames])
        except Refused:
            return False

    def _give_up(self, job: Job, cause: str) -> None:
        _log.warn(
            "{task} of {username}@{domain} given up: {cause}",
            task=job.task,
            username=job.username,
            domain=job.domain,
            cause=cause,
        )

    async def _answer(self, job: Job) -> str:
        """Return the answer for a command as JSON: a value, or a refusal's kind and text."""
        try:
            return json.dumps({"value": await self._answers[job.task](job)})
        except Unavailable as refusal:
            text = refusal.cause or str(refusal)
            return json.dumps({"refused": "Unavailable", "text": text})
        except Refused as refusal:
            text = str(refusal)
            return json.dumps({"refused": type(refusal).__name__, "text": text})
        except ServerFault as fault:
            return json.dumps({"refused": "Refused", "text": fault.text})

    async def _exists(self, job: Job) -> bool:
        asked = self._accounts.recognise if job.details else self._accounts.exists
        return await asked(job.username)

    async def _create(self, job: Job) -> None:
        now, details = self._now(), job.details
        account = Account(
            domain=job.domain,
            username=job.username,
            created_at=now,
            roles=tuple(json.loads(details["roles"])),
        )
        use = Use(
            domain=job.domain,
            username=job.username,
            kind=Kind.ACCOUNT,
            at=now,
            door="cli",
        )
        notices = tuple(notices_about(self._domains[use.domain], use))
        asked = Redemption(account=account, use=use, operator=True, notices=notices)
        await self._accounts.redeem(asked, self._keys.open(details["password"]))

    async def _delete(self, job: Job) -> None:
        until = job.details.get("until")
        await self._accounts.delete(
            job.username,
            self._now(),
            until=datetime.fromisoformat(until) if until else None,
        )
        _log.info("deleted {username}@{domain}", username=job.username, domain=job.domain)


def _pause(job: Job, fault: ServerFault) -> timedelta:
    if isinstance(fault, MissingPrivilege):
        return PAUSE_WITHOUT_PRIVILEGE
    return min(timedelta(seconds=2 ** min(job.tries, 4) - 1), LONGEST_PAUSE)
