"""The store on an SQL database: hands each question to its job, as a read or as a write."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.engine import Connection
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from invitereg.errors import Overloaded, Throttled
from invitereg.exchange import Exchange
from invitereg.interfaces import (
    Findings,
    IAccountStore,
    IInviteStore,
    InviteChanges,
    Query,
    Redemption,
    SessionEnd,
)
from invitereg.leases import ILeaseStore
from invitereg.model import Account, Credentials, Invite, Status, Use
from invitereg.policy.counters import Counter, Quota
from invitereg.roster import RosterItem
from invitereg.rosterstore import IRosterStore, RosterChange, Subscribing
from invitereg.store import (
    accounts,
    finding,
    hits,
    invites,
    purging,
    redeeming,
    revoking,
    rosterchanges,
    rosters,
    sessions,
)
from invitereg.store.sql_leases import SQLLeases


@implementer(IInviteStore, IAccountStore, IRosterStore, ILeaseStore)
class SQLStore(SQLLeases):
    """Invites, accounts and rosters in a `Database`; the interfaces describe each method."""

    def create_invite(
        self, invite: Invite, digest: bytes, quota: Quota | None = None
    ) -> Deferred[None]:
        """See `IInviteStore`."""
        return self._write(lambda c: invites.create(c, invite, digest, quota))

    def create_invites(self, issued: Sequence[tuple[Invite, bytes]]) -> Deferred[None]:
        """See `IInviteStore`."""
        return self._write(lambda c: invites.create_all(c, issued))

    def look_up(self, query: Query) -> Deferred[Findings]:
        """See `IInviteStore`."""
        return self._read(lambda c: finding.look_up(c, query))

    def get_invite(self, domain: str, invite_id: str) -> Deferred[Invite]:
        """See `IInviteStore`."""
        return self._read(lambda c: invites.get(c, domain, invite_id))

    def list_invites(
        self,
        domain: str,
        now: datetime,
        status: Status | None = None,
        limit: int = 100,
        after: str | None = None,
        made_by: str | None = None,
        inviter: str | None = None,
    ) -> Deferred[Sequence[Invite]]:
        """See `IInviteStore`."""
        return self._read(
            lambda c: invites.list_page(c, domain, now, status, limit, after, made_by, inviter)
        )

    def count_invites(self, domain: str, now: datetime) -> Deferred[Mapping[Status, int]]:
        """See `IInviteStore`."""
        return self._read(lambda c: invites.count(c, domain, now))

    def edit_invite(
        self, domain: str, invite_id: str, changes: InviteChanges, now: datetime
    ) -> Deferred[Invite]:
        """See `IInviteStore`."""
        return self._write(lambda c: invites.edit(c, domain, invite_id, changes, now))

    def renew_invite(
        self, domain: str, invite_id: str, digest: bytes, now: datetime
    ) -> Deferred[Invite]:
        """See `IInviteStore`."""
        return self._write(lambda c: invites.renew(c, domain, invite_id, digest, now))

    def revoke_invite(self, domain: str, invite_id: str, now: datetime) -> Deferred[Invite]:
        """See `IInviteStore`."""
        return self._write(lambda c: invites.revoke(c, domain, invite_id, now))

    def revoke_branch(
        self, domain: str, username: str, now: datetime
    ) -> Deferred[Sequence[Invite]]:
        """See `IInviteStore`."""
        return self._write(lambda c: revoking.revoke_branch(c, domain, username, now))

    def redeem(self, redemption: Redemption) -> Deferred[None]:
        """See `IInviteStore`."""
        return self._write(lambda c: redeeming.redeem(c, redemption))

    def reset(self, use: Use, credentials: Credentials) -> Deferred[None]:
        """See `IInviteStore`."""
        return self._write(lambda c: redeeming.reset(c, use, credentials))

    def list_uses(self, domain: str, invite_id: str | None = None) -> Deferred[Sequence[Use]]:
        """See `IInviteStore`."""
        return self._read(lambda c: redeeming.list_uses(c, domain, invite_id))

    def forget_addresses(self, domain: str, before: datetime, at_most: int) -> Deferred[int]:
        """See `IInviteStore`."""
        return self._write(lambda c: redeeming.forget_addresses(c, domain, before, at_most))

    def purge_invites(self, domain: str, before: datetime, at_most: int) -> Deferred[int]:
        """See `IInviteStore`."""
        return self._write(lambda c: purging.purge_invites(c, domain, before, at_most))

    def purge_names(self, domain: str, now: datetime, at_most: int) -> Deferred[int]:
        """See `IInviteStore`."""
        return self._write(lambda c: purging.purge_names(c, domain, now, at_most))

    def purge_hits(
        self, domain: str, name: str, before: datetime, at_most: int
    ) -> Deferred[int]:
        """See `IInviteStore`."""
        return self._write(lambda c: purging.purge_hits(c, domain, name, before, at_most))

    def hit(
        self, domain: str, counters: Sequence[Counter], now: datetime
    ) -> Deferred[tuple[int, ...] | None]:
        """See `IInviteStore`."""

        def job(connection: Connection) -> tuple[int, ...] | None:
            return hits.add_all(connection, domain, counters, now)

        # The job must fail, for what it has counted to be undone.
        return self._write(job).addErrback(_none_at_limit) if counters else succeed(())

    def unhit(self, numbers: tuple[int, ...]) -> Deferred[None]:
        """See `IInviteStore`."""
        return self._write(lambda c: hits.remove(c, numbers))

    def get_account(self, domain: str, username: str) -> Deferred[Account | None]:
        """See `IAccountStore`."""
        return self._read(lambda c: accounts.get(c, domain, username))

    def list_accounts(
        self, domain: str, limit: int | None = None, after: str | None = None
    ) -> Deferred[Sequence[Account]]:
        """See `IAccountStore`."""
        return self._read(lambda c: accounts.list_page(c, domain, limit, after))

    def list_usernames(self, domain: str) -> Deferred[Sequence[str]]:
        """See `IAccountStore`."""
        return self._read(lambda c: accounts.list_names(c, domain))

    def set_credentials(
        self, domain: str, username: str, credentials: Credentials, since: datetime
    ) -> Deferred[None]:
        """See `IAccountStore`."""
        return self._write(
            lambda c: accounts.set_credentials(c, domain, username, credentials, since)
        )

    def delete_account(
        self,
        domain: str,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> Deferred[None]:
        """See `IAccountStore`."""
        return self._write(lambda c: accounts.remove(c, domain, username, now, until, since))

    def change_roles(
        self, domain: str, username: str, add: frozenset[str], remove: frozenset[str]
    ) -> Deferred[Account]:
        """See `IAccountStore`."""
        return self._write(lambda c: accounts.change_roles(c, domain, username, add, remove))

    def session_ends(self, after: int | None) -> Deferred[Sequence[SessionEnd]]:
        """See `IAccountStore`."""
        return self._read(lambda c: sessions.ends(c, after))

    def server_key(self) -> Deferred[bytes]:
        """See `IAccountStore`."""
        return self._read(accounts.server_key)

    def get_roster(self, domain: str, username: str) -> Deferred[Mapping[str, RosterItem]]:
        """See `IRosterStore`."""
        return self._read(lambda c: rosters.get(c, domain, username))

    def set_item(
        self,
        domain: str,
        username: str,
        jid: str,
        name: str,
        groups: tuple[str, ...],
        limit: int,
    ) -> Deferred[RosterItem]:
        """See `IRosterStore`."""
        return self._write(
            lambda c: rosters.set_item(c, domain, username, jid, name, groups, limit)
        )

    def remove_item(self, domain: str, username: str, jid: str) -> Deferred[Exchange]:
        """See `IRosterStore`."""
        return self._write(lambda c: rosters.remove_item(c, domain, username, jid))

    def subscribe(self, subscribing: Subscribing) -> Deferred[Exchange]:
        """See `IRosterStore`."""
        return self._write(lambda c: rosters.subscribe(c, subscribing))

    def roster_changes(self, after: int | None) -> Deferred[Sequence[RosterChange]]:
        """See `IRosterStore`."""
        return self._read(lambda c: rosterchanges.after(c, after))


def _none_at_limit(failure: Failure) -> None:
    """A counter's limit is an answer; a queue that is full, though also throttled, is not."""
    if failure.check(Overloaded):
        failure.raiseException()
    failure.trap(Throttled)
