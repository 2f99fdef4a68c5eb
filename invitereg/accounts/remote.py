"""Accounts at another server: each is made exactly once, with its use, whatever fails.

An account is made in three steps: the store *reserves* what it takes (a lease), the server
makes the account, the store *completes* or *releases*. Where nobody can tell whether the
server did it, the lease stays, and `settle` asks the server as soon as it answers again.

What holds so: no use without its account, no account without its use, each name given once;
an account that was there before is never taken for a new one. What no protocol of these
servers lets us exclude: that the server makes the account after it has told for
`LATE_SECONDS`, each time that it was asked, that there is none; and that somebody else makes
an account of that very name there while an outcome is unknown.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from invitereg.accounts.scram import decoy_keys
from invitereg.errors import (
    InvalidInvite,
    NotFound,
    Refused,
    UnacceptablePassword,
    Unavailable,
    UsernameReserved,
    UsernameTaken,
)
from invitereg.interfaces import IAccounts, IAccountStore, Redemption
from invitereg.leases import ILeaseStore, Lease
from invitereg.logs import FaultLog
from invitereg.model import Account, Kind, ScramKeys, Use
from invitereg.server import (
    AlreadyThere,
    IServer,
    NotThere,
    OutcomeUnknown,
    PasswordRefused,
    ServerFault,
)

T = TypeVar("T")

LATE_SECONDS = 5.0
"""How long the server must say that there is no account before it is believed.

One that has hung for a while may answer a question before it acts on what was there earlier.
"""
ABANDONED = timedelta(seconds=20)
"""A lease that old is nobody's any more: its owner has given up, or died.

More than a registration takes at most: a step at the server, and the store's patience for
each write. The clocks of several nodes must not be further apart than the rest.
"""
_DOUBTFUL = ABANDONED - timedelta(seconds=LATE_SECONDS)
_SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_ITERATIONS = 10000

PasswordCheck = Callable[[str, str], Deferred[bool]]
"""Whether a password, the second, is that of the username, the first; fails as `IServer`."""


@implementer(IAccounts)
class RemoteAccounts:
    """The accounts of one domain, which ``server`` keeps.

    Attributes:
        carry_out: does errands such as contacts, or leaves them for later; it may be set.
    """

    carry_out: Callable[[], Coroutine[Any, Any, None]] | None = None
    _log = Logger()

    def __init__(
        self,
        server: Any,
        store: Any,
        clock: Any,
        now: Callable[[], datetime],
        check: PasswordCheck,
    ) -> None:
        """``clock`` must be one that never jumps; ``now`` may."""
        self.server = IServer(server)
        self.domain: str = self.server.domain
        self.faults = FaultLog(self._log, f"the server of {self.domain}", clock.seconds)
        self._leases = ILeaseStore(store)
        self._accounts = IAccountStore(store)
        self._clock = IReactorTime(clock)
        self._now = now
        self._check = check
        self._busy: set[int] = set()
        # Leases that we know how to settle: by asking; by releasing.
        self._unknown: set[int] = set()
        self._refused: set[int] = set()
        # Since when the server says that it has not made the account of a lease.
        self._absent_since: dict[int, float] = {}

    def redeem(self, redemption: Redemption, password: str) -> Deferred[None]:
        """See `IAccounts.redeem`."""
        return Deferred.fromCoroutine(self._redeem(redemption, password))

    async def _redeem(self, redemption: Redemption, password: str) -> None:
        username = redemption.account.username
        # Before anything is taken, or an account that exists might be taken for the new one.
        if await self._ask(self.server.exists(username)):
            raise UsernameTaken
        lease: Lease = await self._leases.reserve(redemption, self._now())
        await self._carry_out(lease, self.server.create(username, password))
        if not await self._complete(lease):
            await self._undo(username)
        if redemption.contact is not None and self.carry_out is not None:
            # Who logs in at once would otherwise be without the contact in that session: a
            # server looks into the roster when a client becomes available (RFC 6121 §4.2).
            await self.carry_out()

    def reset(self, use: Use, password: str) -> Deferred[None]:
        """See `IAccounts.reset`."""
        return Deferred.fromCoroutine(self._reset(use, password))

    async def _reset(self, use: Use, password: str) -> None:
        account = Account(domain=use.domain, username=use.username, created_at=use.at)
        asked = Redemption(account=account, use=use)
        lease: Lease = await self._leases.reserve(asked, self._now())
        try:
            await self._carry_out(lease, self.server.set_password(use.username, password))
        except NotFound:
            raise InvalidInvite from None
        # Released by another meanwhile: the password is set all the same, which is harmless.
        await self._complete(lease)

    async def _carry_out(self, lease: Lease, acting: Deferred[None]) -> None:
        """Wait for what the server does for a lease; if it did nothing, give up the lease."""
        self._busy.add(lease.number)
        try:
            await acting
            self.faults.worked()
        except OutcomeUnknown as fault:
            self._remember(lease)
            raise self._unavailable(fault) from None
        except ServerFault as fault:
            self._refused.add(lease.number)
            await self._release(lease)
            raise self._refusal(fault) from None
        except BaseException:
            self._remember(lease)
            raise
        finally:
            self._busy.discard(lease.number)

    def _remember(self, lease: Lease) -> None:
        """Ask about it soon; a reset may be done again without that."""
        if lease.redemption.use.kind is Kind.RESET:
            self._refused.add(lease.number)
        else:
            self._unknown.add(lease.number)

    async def _complete(self, lease: Lease) -> bool:
        """Write down what was done; True also if somebody else has done so."""
        try:
            if await self._leases.complete(lease.number):
                return True
        except Refused:
            self._unknown.add(lease.number)
            raise
        use = lease.redemption.use
        return await self._accounts.get_account(use.domain, use.username) is not None

    async def _release(self, lease: Lease) -> None:
        try:
            await self._leases.release(lease.number)
        except Refused:
            return  # The store says why; `settle` releases it when it can.
        self._refused.discard(lease.number)

    async def _undo(self, username: str) -> None:
        """Remove an account of ours whose lease was given up while we made it."""
        text = f"{username}@{self.domain} took too long to make: it is removed again"
        error_id = self.faults.failed(text)
        await self._ask(self.server.delete(username))
        raise Unavailable(error_id)

    async def settle(self) -> None:
        """Find out what became of leases whose outcome is unknown; to be called each second.

        Those of other processes are left alone until these must have given up.
        """
        now = self._now()
        for lease in await self._leases.open_leases(self.domain, now):
            number, age = lease.number, now - lease.at
            ours = number in self._refused or number in self._unknown
            if number in self._busy or not (ours or age >= _DOUBTFUL):
                continue
            made = await self._was_made(lease)
            if made is not None and (ours or age >= ABANDONED):
                await self._settle(lease, made)

    async def _was_made(self, lease: Lease) -> bool | None:
        """Whether the server has done it; None as long as it may do so yet."""
        use, number = lease.redemption.use, lease.number
        if number in self._refused or use.kind is Kind.RESET:
            return False
        try:
            if await self._ask(self.server.exists(use.username)):
                return True
        except Refused:
            self._absent_since.clear()
            raise
        seconds = self._clock.seconds()
        since = self._absent_since.setdefault(number, seconds)
        return False if seconds - since >= LATE_SECONDS else None

    async def _settle(self, lease: Lease, made: bool) -> None:
        work = self._leases.complete if made else self._leases.release
        if await work(lease.number):
            use = lease.redemption.use
            self._log.info(
                "registration of {username}@{domain} settled: {outcome} (invite {invite_id})",
                username=use.username,
                domain=use.domain,
                outcome="the account was made" if made else "there is no account",
                invite_id=use.invite_id,
            )
        self._unknown.discard(lease.number)
        self._refused.discard(lease.number)
        self._absent_since.pop(lease.number, None)

    def exists(self, domain: str, username: str) -> Deferred[bool]:  # noqa: ARG002
        """See `IAccounts.exists`."""
        return Deferred.fromCoroutine(self._ask(self.server.exists(username)))

    def recognise(self, domain: str, username: str) -> Deferred[bool]:
        """See `IAccounts.recognise`."""
        return Deferred.fromCoroutine(self._recognise(domain, username))

    async def _recognise(self, domain: str, username: str) -> bool:
        if not await self._ask(self.server.exists(username)):
            return False
        account = Account(domain=domain, username=username, created_at=self._now())
        await self._leases.learn(account)
        return True

    def contacts_problem(self, domain: str) -> Deferred[str | None]:  # noqa: ARG002
        """See `IAccounts.contacts_problem`."""
        return Deferred.fromCoroutine(self._ask(self.server.contacts_problem()))

    def get_scram_keys(
        self, domain: str, username: str, mechanism: str
    ) -> Deferred[tuple[ScramKeys, datetime | None]]:
        """See `IAccounts.get_scram_keys`: the server tells nobody its keys, so none fit."""
        name = f"{username}@{domain}"
        return self._accounts.server_key().addCallback(
            lambda secret: (decoy_keys(mechanism, secret, name, _ITERATIONS), None)
        )

    def check_password(
        self,
        domain: str,  # noqa: ARG002
        username: str,
        password: str,
    ) -> Deferred[datetime | None]:
        """See `IAccounts.check_password`; the server does not say since when it is right."""
        return Deferred.fromCoroutine(self._check_password(username, password))

    async def _check_password(self, username: str, password: str) -> datetime | None:
        return _SINCE_EVER if await self._ask(self._check(username, password)) else None

    def change_password(
        self,
        domain: str,  # noqa: ARG002
        username: str,
        password: str,
        since: datetime,  # noqa: ARG002
    ) -> Deferred[datetime]:
        """See `IAccounts.change_password`; the server does not say what was set since."""
        asked = self._ask(self.server.set_password(username, password))
        return Deferred.fromCoroutine(asked).addCallback(lambda _done: self._now())

    def delete(
        self,
        domain: str,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,  # noqa: ARG002
    ) -> Deferred[None]:
        """See `IAccounts.delete`; the server does not say what was set since."""
        return Deferred.fromCoroutine(self._delete(domain, username, now, until))

    async def _delete(
        self, domain: str, username: str, now: datetime, until: datetime | None
    ) -> None:
        """At the server first: until that is done, a second attempt finds all as it was."""
        there = await self._ask(self.server.exists(username))
        if there:
            # So that its name is kept, as that of any account that was deleted.
            account = Account(domain=domain, username=username, created_at=now)
            with suppress(UsernameReserved):
                await self._leases.learn(account)
            await self._ask(self.server.delete(username))
        known = await self._accounts.get_account(domain, username)
        if known is not None:
            await self._accounts.delete_account(domain, username, now, until=until)
        elif not there:
            raise NotFound(f"There is no account {username}@{domain}.")

    async def _ask(self, asking: Deferred[T]) -> T:
        """What the server says; its faults as what the doors know."""
        try:
            answer = await asking
        except ServerFault as fault:
            raise self._refusal(fault) from None
        self.faults.worked()
        return answer

    def _refusal(self, fault: ServerFault) -> Refused:
        match fault:
            case AlreadyThere():
                return UsernameTaken()
            case PasswordRefused():
                return UnacceptablePassword(fault.text)
            case NotThere():
                return NotFound(fault.text)
            case _:
                return self._unavailable(fault)

    def _unavailable(self, fault: ServerFault) -> Unavailable:
        return Unavailable(self.faults.failed(fault.text))
