"""Accounts at another server: each is made exactly once, with its use, whatever fails.

An account is made in three steps: the store *reserves* what it takes (a lease), the server
makes the account, the store *completes* or *releases*. Where nobody can tell whether the
server did it, the lease stays, and `settle` asks the server as soon as it answers again.

What holds so: no use without its account, no account without its use, each name given once;
an account that was there before is never taken for a new one. What no protocol of these
servers lets us exclude: that the server makes the account after it has told for
`LATE_SECONDS`, each time that it was asked, that there is none; that somebody else makes an
account of that very name there while an outcome is unknown; and that a server which took longer
than `ABANDONED` to make an account is away when it is to remove it again.
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
"""How long the server must say that there is no account before it is believed.

One that has hung for a while may answer a question before it acts on what was there earlier.
"""
ABANDONED = timedelta(seconds=20)
"""A lease that old is nobody's any more: its owner has given up, or died.

More than a registration takes at most: a step at the server, and the store's patience for
each write. The clocks of several nodes must not be further apart than the rest.
"""
_EVER = datetime.max.replace(tzinfo=UTC)
_DOUBTFUL = ABANDONED - timedelta(seconds=LATE_SECONDS)


class Provisioner:
    """Makes the accounts of one domain, each with its use.

    Attributes:
        carry_out: does errands such as contacts, or leaves them for later; it may be set.
    """

    carry_out: Callable[[], Coroutine[Any, Any, None]] | None = None

    def __init__(
        self,
        calls: ServerCalls,
        gone: GoneAccounts,
        store: IStore,
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        """``clock`` must be one that never jumps; ``now`` may."""
        self._calls = calls
        self._gone = gone
        self._server = calls.server
        self._domain: str = calls.server.domain
        self._store = store
        self._clock = clock
        self._now = now
        self._busy: set[int] = set()
        # Leases that we know how to settle: by asking; by releasing.
        self._unknown: set[int] = set()
        self._refused: set[int] = set()
        # Since when the server says that it has not made the account of a lease.
        self._absent_since: dict[int, float] = {}

    async def redeem(self, redemption: Redemption, password: str) -> None:
        """See `IAccounts.redeem`."""
        username = redemption.account.username
        # Before anything is taken, or an account that exists might be taken for the new one.
        if await self._gone.exists(username):
            raise UsernameTaken
        lease = await self._store.reserve(redemption, self._now())
        await self._carry_out(lease, self._server.create(username, password))
        if not await self._complete(lease):
            await self._undo(username)
        if redemption.contact is not None and self.carry_out is not None:
            # Who logs in at once would otherwise be without the contact in that session: a
            # server looks into the roster when a client becomes available (RFC 6121 §4.2).
            await self.carry_out()

    async def reset(self, use: Use, password: str) -> None:
        """See `IAccounts.reset`."""
        account = Account(domain=use.domain, username=use.username, created_at=use.at)
        asked = Redemption(account=account, use=use)
        lease = await self._store.reserve(asked, self._now())
        try:
            await self._carry_out(lease, self._server.set_password(use.username, password))
        except NotFound:
            await self._gone.exists(use.username)
            raise InvalidInvite from None
        # Released by another meanwhile: the password is set all the same, which is harmless.
        await self._complete(lease)

    async def _carry_out(self, lease: Lease, acting: Deferred[None]) -> None:
        """Wait for what the server does for a lease; if it did nothing, give up the lease."""
        self._busy.add(lease.number)
        try:
            await acting
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
        """Ask about it soon; a reset may be done again without that."""
        if lease.redemption.use.kind is Kind.RESET:
            self._refused.add(lease.number)
        else:
            self._unknown.add(lease.number)

    async def _complete(self, lease: Lease) -> bool:
        """Write down what was done; True also if somebody else has done so."""
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
            return  # The store says why; `settle` releases it when it can.
        self._refused.discard(lease.number)

    async def _undo(self, username: str) -> None:
        """Remove an account of ours whose lease was given up while we made it."""
        text = f"{username}@{self._domain} took too long to make: it is removed again"
        error_id = self._calls.faults.failed(text)
        await self._calls.ask(self._server.delete(username))
        self._gone.forget(username)
        raise Unavailable(error_id)

    async def settle(self) -> None:
        """Find out what became of leases whose outcome is unknown; to be called each second.

        Those of other processes are left alone until these must have given up.
        """
        now = self._now()
        for lease in await self._store.open_leases(self._domain, _EVER):
            # One that is ahead by so much was made before the clock was set back.
            number, age = lease.number, abs(now - lease.at)
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
            if await self._calls.ask(self._server.exists(use.username)):
                return True
            seconds = self._clock.seconds()
            since = self._absent_since.setdefault(number, seconds)
            if seconds - since < LATE_SECONDS:
                return None
            denied = await self._gone.is_told_of_control(use.username) is False
        except Refused:
            self._absent_since.clear()
            raise
        if denied:  # It does not know what it has: it has made the account, perhaps.
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
