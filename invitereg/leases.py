"""What a store keeps of work at a server that holds a domain's accounts.

A *lease* is what a registration has taken before its account is made there: a use of the
invite, a hit on a counter, a name. It is completed or released exactly once. An *errand* is
something to be done at the server until it is done, whoever asked for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twisted.internet.defer import Deferred
from zope.interface import Interface

from invitereg.interfaces import Redemption
from invitereg.model import Account


class Task(StrEnum):
    """What an errand asks for; its ``details`` by the names in brackets."""

    CONTACTS = "contacts"  # make the account and another contacts (contact)
    END_SESSIONS = "end-sessions"  # of the account
    EXISTS = "exists"  # whether there is the account (learn: to know of it)
    KEY = "key"  # the public key of the service that answers, to seal secrets for it
    CREATE = "create"  # make an account (password, sealed; roles)
    DELETE = "delete"  # delete it (until)
    CHECK = "check"  # what the server does not let us do
    ABILITY = "ability"  # why contacts cannot be made


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What is taken for a registration, or a reset, whose outcome is open.

    Attributes:
        number: names it; increases.
        redemption: what will be written when it is completed. For a reset only its use
            counts. Its counter is None: what was counted is known to the store.
        at: when it was made.
    """

    number: int
    redemption: Redemption
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Something to be done at the server.

    Attributes:
        number: names it; 0 before it is stored.
        node: the one process that may do it; None for any.
        at: when it was asked for.
        expires: it is not taken up at that moment or later; None is never.
        tries: how often it was taken up, this time included.
        answer: what came of it, for who asked; None as long as nothing did.
    """

    domain: str
    username: str
    task: Task
    at: datetime
    number: int = 0
    details: Mapping[str, str] = field(default_factory=dict, repr=False)
    node: str | None = None
    expires: datetime | None = None
    tries: int = 0
    answer: str | None = None


class ILeaseStore(Interface):
    """Leases, errands, and accounts that are kept elsewhere."""

    def reserve(redemption: Redemption, now: datetime) -> Deferred[Lease]:
        """Take all that a registration takes, before its account is made.

        The name is taken for everybody else meanwhile.

        For a reset, its use is taken; the account must be known.

        Raises as `IInviteStore.redeem`, and `IInviteStore.reset` for a reset.
        """

    def complete(number: int) -> Deferred[bool]:
        """The account was made, or the password set: write down all of the redemption.

        Contacts become an errand. False, and nothing is done, if the lease is gone.
        """

    def release(number: int) -> Deferred[bool]:
        """It was not made: give back what was taken. False if the lease is gone."""

    def open_leases(domain: str, before: datetime) -> Deferred[Sequence[Lease]]:
        """Leases made at ``before`` or earlier, oldest first, at most 100."""

    def learn(account: Account) -> Deferred[bool]:
        """Know of an account that was found at the server, to give it roles and resets.

        False if it is known already.

        Raises:
            UsernameReserved: its name is reserved here, or a deleted account's.
        """

    def add_errand(errand: Errand) -> Deferred[int]:
        """Ask for something; returns its number."""

    def take_errands(
        domain: str, node: str, now: datetime, again: datetime
    ) -> Deferred[Sequence[Errand]]:
        """What is to be done now; nobody else is given it before ``again``. At most 20.

        What is put off for longer than any errand is (two minutes after ``again``) was so by
        a clock that was ahead: it is to be done now.
        """

    def put_off(number: int, until: datetime) -> Deferred[None]:
        """It could not be done: try again at ``until``."""

    def finish_errand(number: int, answer: str | None = None) -> Deferred[None]:
        """It is done: forget it, or keep the answer for who asked."""

    def get_errand(number: int) -> Deferred[Errand | None]:
        """One errand, or None when it is forgotten."""

    def withdraw(number: int) -> Deferred[bool]:
        """Forget an errand that nobody has taken up; False if somebody has."""

    def purge_errands(domain: str, now: datetime, at_most: int) -> Deferred[int]:
        """Forget those that expired an hour ago; returns as `IInviteStore.purge_invites`."""
