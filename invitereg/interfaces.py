"""What a store and an account backend must do.

All methods that touch a disk, a database or a network return Deferreds. Everything fails with
`invitereg.errors.Unavailable` when the thing behind does not answer, and with `Overloaded`
when too much work waits already.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from twisted.internet.defer import Deferred
from zope.interface import Interface

from invitereg.model import Account, Credentials, Invite, ScramKeys, Status, Use
from invitereg.policy.counters import Counter, Quota
from invitereg.questions import Findings, InviteChanges, Query, Redemption, SessionEnd

__all__ = [
    "Findings",
    "IAccountStore",
    "IAccounts",
    "IInviteStore",
    "InviteChanges",
    "Query",
    "Redemption",
    "SessionEnd",
]


class IInviteStore(Interface):
    """Invites, the names they reserve, their uses, and what is counted about them.

    A change of state is decided by one conditional statement, never by an earlier read, so
    any number of processes may work on one store.
    """

    def create_invite(
        invite: Invite, digest: bytes, quota: Quota | None = None
    ) -> Deferred[None]:
        """Store a new invite, and reserve its username if it fixes one.

        For a reset, the account must exist and nothing is reserved. One that a user makes is
        held to their quota, also against those that they make at the same moment.

        Raises:
            TooManyOpenInvites, Throttled: the quota is used up.
            UsernameTaken: an account has the name that it fixes.
            UsernameReserved: another invite reserves it, or a deleted account did.
            NotFound: a reset for an account that does not exist; or the user whose quota it is
                has been deleted.
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
        made_by: str | None = None,
        inviter: str | None = None,
    ) -> Deferred[Sequence[Invite]]:
        """At most ``limit`` invites in the order of their making, after the one named.

        With ``made_by``, those that this user has made by their own account; with ``inviter``,
        those of this inviter, whoever has made them.

        Raises:
            NotFound: ``after`` names no invite of this domain.
        """

    def count_invites(domain: str, now: datetime) -> Deferred[Mapping[Status, int]]:
        """How many invites there are in each state; none is the same as 0."""

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
            InvalidRequest: it is used up: there is nothing to revoke. If its last use is
                undecided (`invitereg.leases`), it can be revoked, and stays so.
        """

    def revoke_branch(domain: str, username: str, now: datetime) -> Deferred[Sequence[Invite]]:
        """Revoke the open invites of a user and of all who came through them, at once.

        Who came through whom is told by the history, as `invitereg.tree` reads it; so those
        who came through accounts that are deleted by now are among them.

        Returns:
            The invites that were open, as they are then, in the order of their making.

        Raises:
            NotFound: the domain has never known anybody of that name.
        """

    def redeem(redemption: Redemption) -> Deferred[None]:
        """Make an account in one transaction with use, count, name, contacts and notices.

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

    def list_usernames(domain: str) -> Deferred[Sequence[str]]:
        """The names of all accounts, in order; nothing else of them is read."""

    def set_credentials(
        domain: str, username: str, credentials: Credentials, since: datetime
    ) -> Deferred[None]:
        """Set a password and end the sessions of the old one, which was set at ``since``.

        Raises:
            NotFound: no such account, or its password is not that old one any more.
        """

    def delete_account(
        domain: str,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> Deferred[None]:
        """Delete an account with all that is its own, at once.

        Its name is kept from being taken, until `IInviteStore.purge_names` frees it after
        ``until``; None is never. Its open invites are revoked, the resets of its password too,
        its sessions end, and what it was to be told is forgotten. Its roster goes, and who had
        it as a contact sees it no more. It must still have the password that was set at
        ``since``; None asks for none.

        Raises:
            NotFound: no such account, or its password is not that one any more.
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
        """When the password was set, if it is the account's; else None, after as much work.

        Who asks counts it against the limits of logins: see `invitereg.logins`. Another server
        is asked each time, as nothing is kept of an answer, and Unavailable means that it has
        said neither.
        """

    def change_password(
        domain: str, username: str, password: str, since: datetime
    ) -> Deferred[datetime]:
        """Set a new password, if the old one is still what was set at ``since``.

        Returns:
            When the new one was set.

        Raises:
            NotFound: no such account, or it has another password by now.
        """

    def delete(
        domain: str,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> Deferred[None]:
        """Delete an account. See `IAccountStore.delete_account`."""
