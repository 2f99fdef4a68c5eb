"""The leases and errands of the `MemoryStore`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from zope.interface import implementer

from invitereg.errors import InvalidInvite, UsernameTaken
from invitereg.interfaces import Redemption, SessionEnd
from invitereg.leases import Errand, ILeaseStore, Lease, Task
from invitereg.model import Account, Kind
from invitereg.store.errands import AT_ONCE, IMPLAUSIBLE_PAUSE, KEPT
from invitereg.store.leasing import contacts_errand, sessions_errand
from invitereg.store.memory_domain import Deleted, Leased, Reservation
from invitereg.store.memory_firing import fired
from invitereg.store.memory_hits import Hits
from invitereg.store.memory_notices import Notices
from invitereg.store.memory_rosters import MemoryRosters


@dataclass(frozen=True, slots=True)
class _Taken:
    """A lease, and what is needed to give it back."""

    lease: Lease
    hit: int | None = None
    held: Reservation | Deleted | Leased | None = None


@implementer(ILeaseStore)
class MemoryLeases(MemoryRosters):
    """Leases and errands in memory. Each method is described in its interface.

    Attributes:
        notices: what is to be told; `memory_telling` has the store of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hits = Hits()
        self.notices = Notices()
        self._ends: list[SessionEnd] = []
        self._leases: dict[int, _Taken] = {}
        self._errands: dict[int, tuple[Errand, datetime]] = {}
        self._last = 0

    def take(self, redemption: Redemption) -> int | None:
        """Take a use and count, if the name is free; returns the hit's number, if any."""
        account, use = redemption.account, redemption.use
        at = self._at(use.domain)
        invite = None if use.invite_id is None else at.redeemable(use, reset=False)
        counter = redemption.counter
        if counter is not None:
            self._hits.require_below_limit(use.domain, counter, use.at)
        refusal = at.refusal(
            account.username, use.invite_id, use.at, even_deleted=redemption.operator
        )
        if refusal is not None:
            raise refusal
        if invite is not None:
            at.take_use(invite)
        return None if counter is None else self._hits.add(use.domain, counter, use.at)

    def take_reset(self, redemption: Redemption) -> Account:
        """Take the use of a reset of an account that is known; returns that."""
        at, use = self._at(redemption.use.domain), redemption.use
        invite = at.redeemable(use, reset=True)
        if use.username not in at.accounts:
            raise InvalidInvite
        at.take_use(invite)
        return at.accounts[use.username]

    def record(self, redemption: Redemption) -> None:
        """Write down the account and the use."""
        at = self._at(redemption.use.domain)
        at.names.pop(redemption.account.username, None)
        account = redemption.account
        at.accounts[account.username] = account
        at.uses.append(redemption.use)
        self.notices.forget(account.domain, account.username)
        self.notices.add(redemption.notices)

    def end_sessions(self, domain: str, username: str, at: datetime) -> None:
        """Say that an account's sessions are over."""
        number = len(self._ends) + 1
        self._ends.append(SessionEnd(number=number, domain=domain, username=username, at=at))

    def forget_contacts(self, domain: str, username: str) -> None:
        """Make no contacts any more of an account that is deleted, whoever gets its name."""
        self._errands = {
            number: (errand, due)
            for number, (errand, due) in self._errands.items()
            if errand.domain != domain
            or errand.task is not Task.CONTACTS
            or username not in (errand.username, errand.details["contact"])
        }

    @fired
    def reserve(self, redemption: Redemption, now: datetime) -> Lease:
        """See `ILeaseStore`."""
        account, use = redemption.account, redemption.use
        at, hit, held = self._at(use.domain), None, None
        if use.kind is Kind.RESET:
            account = self.take_reset(redemption)
        else:
            hit = self.take(redemption)
            held = at.names.get(account.username)
            at.names[account.username] = Leased()
        self._last += 1
        kept = replace(redemption, account=replace(account, credentials=None), counter=None)
        lease = Lease(number=self._last, redemption=kept, at=now)
        self._leases[lease.number] = _Taken(lease, hit, held)
        at.undecided.append(use.invite_id)
        return lease

    @fired
    def complete(self, number: int) -> bool:
        """See `ILeaseStore`."""
        taken = self._leases.pop(number, None)
        if taken is None:
            return False
        redemption = taken.lease.redemption
        use = redemption.use
        self._at(use.domain).undecided.remove(use.invite_id)
        if use.kind is Kind.RESET:
            self._at(use.domain).uses.append(use)
            self.end_sessions(use.domain, use.username, use.at)
            self._add(sessions_errand(use))
            return True
        self.record(redemption)
        if redemption.contact is not None:
            self._add(contacts_errand(redemption, redemption.contact))
        return True

    @fired
    def release(self, number: int) -> bool:
        """See `ILeaseStore`."""
        taken = self._leases.pop(number, None)
        if taken is None:
            return False
        use = taken.lease.redemption.use
        at = self._at(use.domain)
        at.undecided.remove(use.invite_id)
        invite = at.invites.get(use.invite_id or "")
        if invite is not None and not self._is_past(taken.lease.redemption):
            at.invites[invite.id] = replace(invite, uses=invite.uses - 1)
        if taken.hit is not None:
            self._hits.remove(taken.hit)
        if use.kind is not Kind.RESET:
            del at.names[use.username]
            if taken.held is not None:
                at.names[use.username] = taken.held
            if invite is not None and invite.revoked_at is not None:
                at.free(invite)
        return True

    def _is_past(self, redemption: Redemption) -> bool:
        if redemption.use.kind is not Kind.RESET:
            return False
        known = self._at(redemption.use.domain).accounts.get(redemption.use.username)
        return known is None or known.created_at != redemption.account.created_at

    @fired
    def open_leases(self, domain: str, before: datetime) -> Sequence[Lease]:
        """See `ILeaseStore`."""
        leases = [taken.lease for taken in self._leases.values()]
        found = [i for i in leases if i.redemption.use.domain == domain and i.at <= before]
        return found[:100]

    @fired
    def learn(self, account: Account) -> bool:
        """See `ILeaseStore`."""
        at = self._at(account.domain)
        refusal = at.refusal(account.username, None, account.created_at)
        if isinstance(refusal, UsernameTaken):
            return False
        if refusal is not None:
            raise refusal
        at.names.pop(account.username, None)
        at.accounts[account.username] = account
        return True

    def _add(self, errand: Errand) -> int:
        self._last += 1
        self._errands[self._last] = (replace(errand, number=self._last), errand.at)
        return self._last

    @fired
    def add_errand(self, errand: Errand) -> int:
        """See `ILeaseStore`."""
        return self._add(errand)

    @fired
    def take_errands(
        self, domain: str, node: str, now: datetime, again: datetime
    ) -> Sequence[Errand]:
        """See `ILeaseStore`."""
        taken = []
        for number, (errand, due) in list(self._errands.items()):
            mine = errand.domain == domain and errand.node in (None, node)
            over = errand.expires is not None and errand.expires <= now
            is_due = due <= now or due > again + IMPLAUSIBLE_PAUSE
            if mine and not over and errand.answer is None and is_due:
                taken.append(replace(errand, tries=errand.tries + 1))
                self._errands[number] = (taken[-1], again)
            if len(taken) == AT_ONCE:
                break
        return taken

    @fired
    def put_off(self, number: int, until: datetime) -> None:
        """See `ILeaseStore`."""
        if number in self._errands:
            self._errands[number] = (self._errands[number][0], until)

    @fired
    def finish_errand(self, number: int, answer: str | None = None) -> None:
        """See `ILeaseStore`."""
        errand, due = self._errands.pop(number, (None, None))
        if errand is not None and due is not None and answer is not None:
            self._errands[number] = (replace(errand, answer=answer, details={}), due)

    @fired
    def get_errand(self, number: int) -> Errand | None:
        """See `ILeaseStore`."""
        return self._errands[number][0] if number in self._errands else None

    @fired
    def withdraw(self, number: int) -> bool:
        """See `ILeaseStore`."""
        if number not in self._errands or self._errands[number][0].tries:
            return False
        del self._errands[number]
        return True

    @fired
    def purge_errands(self, domain: str, now: datetime, at_most: int) -> int:
        """See `ILeaseStore`."""
        over = [
            number
            for number, (errand, _due) in self._errands.items()
            if errand.domain == domain
            and errand.expires is not None
            and errand.expires <= now - KEPT
        ][:at_most]
        for number in over:
            del self._errands[number]
        return len(over)
