"""Make accounts at another server: each exactly once, with its use, whatever fails.

An account is made in three steps: the store *reserves* what it takes (a lease), the server
makes the account, the store *completes* or *releases* the lease. If nobody can tell whether
the server made the account, the lease stays, and `Provisioner.settle` asks the server as soon
as it answers again.

So there is no use without its account and no account without its use, each name is given once,
and an account that existed before is never taken for a new one. The protocols of these servers
leave three gaps:

- The server makes the account after denying it for `LATE_SECONDS`, each time it was asked.
- Somebody else makes an account of that name there while an outcome is unknown.
- A server that took longer than `ABANDONED` for an account is down when it is to remove it.
"""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from invitereg.accounts.servercalls import GoneAccounts, ServerCalls
from invitereg.errors import InvalidInvite, NotFound, Refused, Unavailable, UsernameTaken
from invitereg.interfaces.leases import Lease
from invitereg.interfaces.queries import Redemption
from invitereg.interfaces.server import OutcomeUnknown, ServerFault
from invitereg.interfaces.stores import IStore
from invitereg.model.accounts import Account
from invitereg.model.invites import Kind, Use

_log = Logger("invitereg.accounts.making.Making")

LATE_SECONDS = 5.0
"""How long the server must deny an account before it is believed.

A server that has hung for a while may answer a question before it acts on an earlier request.
"""
ABANDONED = timedelta(seconds=20)
"""The age from which a lease has no owner: its process has given up, or died.

It is longer than a registration can take, which is one call of the server and the store's
patience for each write. The clocks of the nodes may differ by what remains.
"""
_ALL = datetime.max.replace(tzinfo=UTC)
_DOUBTFUL = ABANDONED - timedelta(seconds=LATE_SECONDS)


class Provisioner:
    """Make the accounts of one domain at its server, each with its use.

    Attributes:
        run_jobs: does the pending jobs, such as contacts, for a short time; it may be set.
    """

    run_jobs: Callable[[], Coroutine[Any, Any, None]] | None = None

    def __init__(
        self,
        calls: ServerCalls,
        gone: GoneAccounts,
        store: IStore,
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._calls = calls
        self._gone = gone
        self._server = calls.server
        self._domain: str = calls.server.domain
        self._store = store
        self._clock = clock
        self._now = now
        self._busy: set[int] = set()
        # Leases of this process to settle: by asking the server, or by releasing them.
        self._unknown: set[int] = set()
        self._refused: set[int] = set()
        # When the server first denied the account of a lease.
        self._absent_since: dict[int, float] = {}

    async def redeem(self, redemption: Redemption, password: str) -> None:
        """Make an account with its use, as `IAccounts.redeem`."""
        username = redemption.account.username
        # Asked before anything is reserved, or an older account might be taken for the new one.
        if await self._gone.exists(username):
            raise UsernameTaken
        lease = await self._store.reserve(redemption, self._now())
        await self._await(lease, self._server.create(username, password))
        if not await self._complete(lease):
            await self._undo(username)
        if redemption.contact is not None and self.run_jobs is not None:
            # A server reads the roster when a client becomes available (RFC 6121 §4.2): the
            # first session would be without the contact if it were made later.
            await self.run_jobs()

    async def reset(self, use: Use, password: str) -> None:
        """Set a password by a reset invite, as `IPasswords.reset`."""
        account = Account(domain=use.domain, username=use.username, created_at=use.at)
        asked = Redemption(account=account, use=use)
        lease = await self._store.reserve(asked, self._now())
        try:
            await self._await(lease, self._server.set_password(use.username, password))
        except NotFound:
            await self._gone.exists(use.username)
            raise InvalidInvite from None
        # If another node has released the lease, the password is set nonetheless: no harm.
        await self._complete(lease)

    async def _await(self, lease: Lease, call: Deferred[None]) -> None:
        """Wait for the server's part of a lease; release it if the server did nothing."""
        self._busy.add(lease.number)
        try:
            await call
            self._calls.faults.worked()
            self._gone.confirm(lease.redemption.use.username)
        except OutcomeUnknown as fault:
            self._remember(lease)
            raise self._calls.unavailable(fault) from None
        except ServerFault as fault:
            self._refused.add(lease.number)
            await self._release(lease)
            raise self._calls.refusal(fault) from None
        except BaseException:
            self._remember(lease)
            raise
        finally:
            self._busy.discard(lease.number)

    def _remember(self, lease: Lease) -> None:
        """Let `settle` ask about a lease soon, or release it: a reset may be done again."""
        if lease.redemption.use.kind is Kind.RESET:
            self._refused.add(lease.number)
        else:
            self._unknown.add(lease.number)

    async def _complete(self, lease: Lease) -> bool:
        """Complete a lease; return whether it is complete, also by another node."""
        try:
            if await self._store.complete(lease.number):
                return True
        except Refused:
            self._unknown.add(lease.number)
            raise
        use = lease.redemption.use
        return await self._store.get_account(use.domain, use.username) is not None

    async def _release(self, lease: Lease) -> None:
        try:
            await self._store.release(lease.number)
        except Refused:
            return  # The store has logged why; `settle` releases it later.
        self._refused.discard(lease.number)

    async def _undo(self, username: str) -> None:
        """Remove an account that was made after its lease had been given up."""
        text = f"{username}@{self._domain} took too long to make: it is removed again"
        error_id = self._calls.faults.failed(text)
        await self._calls.answer(self._server.delete(username))
        self._gone.forget(username)
        raise Unavailable(error_id)

    async def settle(self) -> None:
        """Complete or release the leases whose outcome is unknown; to be called each second.

        A lease of another process is left alone until that process must have given up.
        """
        now = self._now()
        for lease in await self._store.open_leases(self._domain, _ALL):
            # abs(): the clock may have been set back since.
            number, age = lease.number, abs(now - lease.at)
            ours = number in self._refused or number in self._unknown
            if number in self._busy or not (ours or age >= _DOUBTFUL):
                continue
            made = await self._was_made(lease)
            if made is not None and (ours or age >= ABANDONED):
                await self._settle(lease, made)

    async def _was_made(self, lease: Lease) -> bool | None:
        """Return whether the server has made the account; None while it still may."""
        use, number = lease.redemption.use, lease.number
        if number in self._refused or use.kind is Kind.RESET:
            return False
        try:
            if await self._calls.answer(self._server.exists(use.username)):
                return True
            seconds = self._clock.seconds()
            since = self._absent_since.setdefault(number, seconds)
            if seconds - since < LATE_SECONDS:
                return None
            denied = await self._gone.confirms_control(use.username) is False
        except Refused:
            self._absent_since.clear()
            raise
        if denied:  # The server does not know what it has: the account may exist.
            self._absent_since.clear()
        return None if denied else False

    async def _settle(self, lease: Lease, made: bool) -> None:
        work = self._store.complete if made else self._store.release
        if await work(lease.number):
            use = lease.redemption.use
            _log.info(
                "{what} of {username}@{domain} settled: {outcome} (invite {invite_id})",
                what="reset" if use.kind is Kind.RESET else "registration",
                username=use.username,
                domain=use.domain,
                outcome=_outcome(use, made),
                invite_id=use.invite_id,
            )
        self._unknown.discard(lease.number)
        self._refused.discard(lease.number)
        self._absent_since.pop(lease.number, None)


def _outcome(use: Use, made: bool) -> str:
    if use.kind is Kind.RESET:
        return "nobody knows whether the password is set; the link is good again"
    return "the account was made" if made else "there is no account"
