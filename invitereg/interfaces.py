"""What a store and an account backend must do.

All methods that touch a disk, a database or a network return Deferreds; so do their
in-memory twins. Everything fails with `invitereg.errors.Unavailable` when the thing behind
does not answer, and with `Overloaded` when too much work waits already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from twisted.internet.defer import Deferred
from zope.interface import Interface

from invitereg.model import Account, Credentials, Invite, ScramKeys, Status, Use
from invitereg.policy.counters import Counter
from invitereg.policy.values import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to look up at once, as of ``now``.

    Attributes:
        digest: of the token whose invite is asked for.
        username: the name whose state is asked for.
        counters: what to count, each by its own period.
    """

    domain: str
    now: datetime
    digest: bytes | None = None
    username: str | None = None
    counters: tuple[Counter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a `Query` found; ``tallies`` in the order of the query's counters.

    Attributes:
        reserved_for: id of the invite that reserves the username at ``now``.
        deleted: the username is kept from being taken again after its account's deletion.
    """

    invite: Invite | None = None
    tallies: tuple[Tally, ...] = ()
    account_exists: bool = False
    reserved_for: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """All that one registration writes, in one transaction or not at all.

    Attributes:
        account: the account to make.
        use: the row of history; its ``invite_id`` names the invite whose use is taken.
        counter: what is counted by it, and may refuse it.
        operator: made by the operator: takes a name whose deleted account reserves it.
        contact: username that becomes a mutual contact of the account, if it has an account
            with less than ``roster_limit`` contacts then.
    """

    account: Account
    use: Use
    counter: Counter | None = None
    operator: bool = False
    contact: str | None = None
    roster_limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """The sessions of an account that were opened with other credentials than it has are over.

    Attributes:
        number: increases with each; a service remembers the last that it has seen.
    """

    number: int
    domain: str
    username: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteChanges:
    """What `IInviteStore.edit_invite` sets; absent names stay as they are.

    Keys of ``values``: ``expires_at`` (datetime or None), ``uses_allowed`` (int or None),
    ``note`` (str).
    """

    values: Mapping[str, datetime | int | str | None] = field(default_factory=dict)


class IInviteStore(Interface):
    """Invites, the names they reserve, their uses, and what is counted about them.

    A change of state is decided by one conditional statement, never by an earlier read, so
    any number of processes may work on one store.
    """

    def create_invite(invite: Invite, digest: bytes) -> Deferred[None]:
        """Store a new invite, and reserve its username if it fixes one.

        For a reset, the account must exist and nothing is reserved.

        Raises:
            UsernameTaken: an account has the name that it fixes.
            UsernameReserved: another invite reserves it, or a deleted account did.
            NotFound: a reset for an account that does not exist.
            InvalidRequest: the domain has an invite of that id or token already.
        """

    def create_invites(issued: Sequence[tuple[Invite, bytes]]) -> Deferred[None]:
        """Store new invites, each with its digest: all of them or, if one is refused, none.

        Raises as `create_invite`.
        """

    def look_up(query: Query) -> Deferred[Findings]:
        """What the policy must know, in one read; an unknown invite is None, not an error."""

    def get_invite(domain: str, invite_id: str) -> Deferred[Invite]:
        """One invite.

        Raises:
            NotFound: no such invite at this domain.
        """

    def list_invites(
        domain: str,
        now: datetime,
        status: Status | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Deferred[Sequence[Invite]]:
        """At most ``limit`` invites in the order of their making, after the one named.

        Raises:
            NotFound: ``after`` names no invite of this domain.
        """

    def edit_invite(
        domain: str, invite_id: str, changes: InviteChanges, now: datetime
    ) -> Deferred[Invite]:
        """Change an invite that is neither revoked nor used up; returns it as it is then.

        Its reservation lives as long as it does; one that had expired is made again.

        Raises:
            NotFound: no such invite.
            InvalidRequest: it is revoked or used up, ``uses_allowed`` is not above its uses, or
                more than one use is asked for although it fixes a username.
            UsernameTaken, UsernameReserved: it had expired and its name is gone.
        """

    def renew_invite(
        domain: str, invite_id: str, digest: bytes, now: datetime
    ) -> Deferred[Invite]:
        """Give a pending invite another token; the old one is unknown from then on.

        Raises:
            NotFound: no such invite.
            InvalidRequest: it is not pending at ``now``; the text says why.
        """

    def revoke_invite(domain: str, invite_id: str, now: datetime) -> Deferred[Invite]:
        """Revoke an invite and free its name; one that is revoked already stays as it is.

        Raises:
            NotFound: no such invite.
            InvalidRequest: it is used up: there is nothing to revoke.
        """

    def redeem(redemption: Redemption) -> Deferred[None]:
        """Make an account: use, count, name, account and contacts in one transaction.

        Raises:
            InvalidInvite: revoked, used up or gone, or not for this. Expiry is not asked again.
            Throttled: the counter is at its limit.
            UsernameTaken, UsernameReserved: the name is not free for this invite.
        """

    def reset(use: Use, credentials: Credentials) -> Deferred[None]:
        """Set an account's password by a reset invite: use, password and session end at once.

        Raises:
            InvalidInvite: revoked, used up or gone, or the account is gone.
        """

    def list_uses(domain: str, invite_id: str | None = None) -> Deferred[Sequence[Use]]:
        """The history, oldest first: all of a domain, or that of one invite."""

    def forget_addresses(domain: str, before: datetime, at_most: int) -> Deferred[int]:
        """Remove the addresses from the history up to ``before``, the oldest first.

        Returns:
            How many were removed: fewer than ``at_most`` if none is left.
        """

    def purge_invites(domain: str, before: datetime, at_most: int) -> Deferred[int]:
        """Remove the invites that were over by ``before``: revoked, used up or expired by then.

        Their uses stay in the history.

        Returns:
            How many were removed: fewer than ``at_most`` if none is left.
        """

    def purge_names(domain: str, now: datetime, at_most: int) -> Deferred[int]:
        """Make names free that are held no longer than until ``now``.

        Those are reservations that have lapsed, and names of deleted accounts that were kept
        as long as `IAccountStore.delete_account` was told. Returns as `purge_invites`.
        """

    def purge_hits(domain: str, name: str, before: datetime, at_most: int) -> Deferred[int]:
        """Remove the hits up to ``before`` on all counters of that name.

        Returns as `purge_invites`.
        """

    def hit(
        domain: str, counters: Sequence[Counter], now: datetime
    ) -> Deferred[tuple[int, ...] | None]:
        """Count one hit on every counter, or on none if any of them is at its limit.

        Returns:
            The hits' numbers for `unhit`, or None if a limit was reached.
        """

    def unhit(numbers: tuple[int, ...]) -> Deferred[None]:
        """Take hits back, as if they had not happened."""


class IAccountStore(Interface):
    """The accounts that invitereg keeps itself."""

    def get_account(domain: str, username: str) -> Deferred[Account | None]:
        """One account with its credentials, or None."""

    def list_accounts(
        domain: str, limit: int | None = None, after: str | None = None
    ) -> Deferred[Sequence[Account]]:
        """Accounts in the order of their names, after the one named."""

    def delete_account(
        domain: str, username: str, now: datetime, until: datetime | None = None
    ) -> Deferred[None]:
        """Delete an account, keep its name from being taken, and end its sessions.

        The name becomes free by `IInviteStore.purge_names` after ``until``; None is never.
        Its roster goes, and who had it as a contact sees it no more.

        Raises:
            NotFound: no such account.
        """

    def change_roles(
        domain: str, username: str, add: frozenset[str], remove: frozenset[str]
    ) -> Deferred[Account]:
        """Add and remove roles; returns the account as it is then, roles sorted.

        Raises:
            NotFound: no such account.
        """

    def session_ends(after: int | None) -> Deferred[Sequence[SessionEnd]]:
        """What was ended after number ``after``, oldest first; for None, only the last one."""

    def server_key() -> Deferred[bytes]:
        """A secret of 32 bytes that is the same for all who share the store."""


class IAccounts(Interface):
    """An account backend: where passwords live."""

    def redeem(redemption: Redemption, password: str) -> Deferred[None]:
        """Make the account of a redemption exactly once, whatever fails.

        The redemption's account comes without credentials. Raises as `IInviteStore.redeem`.
        """

    def reset(use: Use, password: str) -> Deferred[None]:
        """Set a new password by a reset invite. Raises as `IInviteStore.reset`."""

    def exists(domain: str, username: str) -> Deferred[bool]:
        """Whether there is an account of that name."""

    def recognise(domain: str, username: str) -> Deferred[bool]:
        """As `exists`; if so, the store knows of it. Raises as `ILeaseStore.learn`."""

    def contacts_problem(domain: str) -> Deferred[str | None]:
        """Why accounts cannot be made contacts here, for the operator; None if they can."""

    def get_scram_keys(
        domain: str, username: str, mechanism: str
    ) -> Deferred[tuple[ScramKeys, datetime | None]]:
        """The keys to check a SCRAM exchange against, and when they were set.

        For an unknown account, keys that no password fits, the same at each time, and None:
        so a stranger cannot tell who exists.
        """

    def check_password(domain: str, username: str, password: str) -> Deferred[datetime | None]:
        """When the password was set, if it is the account's; else None, after as much work."""

    def delete(
        domain: str, username: str, now: datetime, until: datetime | None = None
    ) -> Deferred[None]:
        """Delete an account; ``until`` is as in `IAccountStore.delete_account`.

        Raises:
            NotFound: no such account.
        """
