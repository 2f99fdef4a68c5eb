"""The methods of a store, by what they keep.

All return Deferreds. All fail with `invitereg.errors.Unavailable` when the database does not
answer, and with `invitereg.errors.Overloaded` when too much work waits already. What a method
does, and what else it raises, is said where it is done: the table `invitereg.store.store.Store`
names the interaction of each.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from twisted.internet.defer import Deferred
from zope.interface import Interface

from invitereg.interfaces.apikeys import ApiKey, IdempotencyKey
from invitereg.interfaces.leases import Job, Lease
from invitereg.interfaces.queries import (
    AccountTraces,
    Findings,
    InviteChanges,
    LoginAttempt,
    Query,
    Redemption,
    RosterChange,
    SessionEnd,
    Subscribing,
)
from invitereg.model.accounts import Account, Credentials
from invitereg.model.invites import Invite, Status, Use
from invitereg.model.roster import RosterItem
from invitereg.model.subscribing import SubscriptionChange
from invitereg.policy.counters import Counter, Quota
from invitereg.policy.notices import Notice


class IInviteStore(Interface):
    """Invites, reserved names, uses and counts; one conditional statement decides a change."""

    def create_invite(
        invite: Invite,
        digest: bytes,
        quota: Quota | None = None,
        key: IdempotencyKey | None = None,
    ) -> Deferred[Invite]: ...

    def create_invites(issued: Sequence[tuple[Invite, bytes]]) -> Deferred[None]: ...

    def find_request(
        key: IdempotencyKey, now: datetime
    ) -> Deferred[tuple[str, str] | None]: ...

    def look_up(query: Query) -> Deferred[Findings]: ...

    def get_invite(domain: str, invite_id: str) -> Deferred[Invite]: ...

    def list_invites(
        domain: str,
        now: datetime,
        status: Status | None = None,
        limit: int = 100,
        after: str | None = None,
        made_by: str | None = None,
        inviter: str | None = None,
        resets: bool = True,
    ) -> Deferred[Sequence[Invite]]: ...

    def count_invites(domain: str, now: datetime) -> Deferred[Mapping[Status, int]]: ...

    def edit_invite(
        domain: str, invite_id: str, changes: InviteChanges, now: datetime, source: str
    ) -> Deferred[Invite]: ...

    def renew_invite(
        domain: str, invite_id: str, digest: bytes, now: datetime, source: str
    ) -> Deferred[Invite]: ...

    def revoke_invite(domain: str, invite_id: str, now: datetime) -> Deferred[Invite]: ...

    def revoke_branch(
        domain: str, username: str, now: datetime
    ) -> Deferred[Sequence[Invite]]: ...

    def revoke_source(
        domain: str, source: str, now: datetime
    ) -> Deferred[Sequence[Invite]]: ...

    def redeem(redemption: Redemption) -> Deferred[None]: ...

    def reset(use: Use, credentials: Credentials) -> Deferred[None]: ...

    def has_open_reset(domain: str, now: datetime) -> Deferred[bool]: ...

    def list_uses(domain: str, invite_id: str | None = None) -> Deferred[Sequence[Use]]: ...

    def forget_addresses(domain: str, before: datetime, at_most: int) -> Deferred[int]: ...

    def list_domains() -> Deferred[Sequence[str]]: ...

    def purge_invites(domain: str, before: datetime, at_most: int) -> Deferred[int]: ...

    def purge_names(domain: str, now: datetime, at_most: int) -> Deferred[int]: ...

    def purge_hits(domain: str, name: str, before: datetime, at_most: int) -> Deferred[int]: ...

    def purge_requests(before: datetime, at_most: int) -> Deferred[int]: ...

    def hit(
        domain: str, counters: Sequence[Counter], now: datetime
    ) -> Deferred[tuple[int, ...] | None]: ...

    def signing_key() -> Deferred[bytes]: ...


class IAccountStore(Interface):
    """The accounts that invitereg keeps itself."""

    def get_account(domain: str, username: str) -> Deferred[Account | None]: ...

    def list_accounts(
        domain: str, limit: int | None = None, after: str | None = None
    ) -> Deferred[Sequence[Account]]: ...

    def list_usernames(domain: str, deleted: bool = False) -> Deferred[Sequence[str]]: ...

    def set_credentials(
        domain: str, username: str, credentials: Credentials, since: datetime
    ) -> Deferred[None]: ...

    def end_resets(domain: str, username: str, now: datetime) -> Deferred[int]: ...

    def delete_account(
        domain: str,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> Deferred[None]: ...

    def change_roles(
        domain: str, username: str, add: frozenset[str], remove: frozenset[str]
    ) -> Deferred[Account]: ...

    def session_ends(after: int | None) -> Deferred[Sequence[SessionEnd]]: ...

    def purge_session_ends(before: datetime, at_most: int) -> Deferred[int]: ...

    def server_key() -> Deferred[bytes]: ...

    def count_login(
        attempt: LoginAttempt, now: datetime
    ) -> Deferred[tuple[int, ...] | None]: ...

    def login_succeeded(
        attempt: LoginAttempt, numbers: Sequence[int], now: datetime
    ) -> Deferred[None]: ...

    def purge_used_networks(domain: str, before: datetime, at_most: int) -> Deferred[int]: ...


class IRosterStore(Interface):
    """The rosters of the accounts that invitereg keeps itself.

    Both sides of a change are stored in one transaction, so no crash leaves them apart.
    """

    def get_roster(domain: str, username: str) -> Deferred[Mapping[str, RosterItem]]: ...

    def set_item(
        domain: str, username: str, jid: str, name: str, groups: tuple[str, ...], limit: int
    ) -> Deferred[RosterItem]: ...

    def remove_item(domain: str, username: str, jid: str) -> Deferred[SubscriptionChange]: ...

    def subscribe(asked: Subscribing) -> Deferred[SubscriptionChange]: ...

    def roster_changes(after: int | None) -> Deferred[Sequence[RosterChange]]: ...


class ILeaseStore(Interface):
    """Leases, jobs, and accounts that are kept elsewhere."""

    def reserve(redemption: Redemption, now: datetime) -> Deferred[Lease]: ...

    def complete(number: int) -> Deferred[bool]: ...

    def release(number: int) -> Deferred[bool]: ...

    def open_leases(domain: str, before: datetime) -> Deferred[Sequence[Lease]]: ...

    def learn(account: Account) -> Deferred[bool]: ...

    def traces(domain: str, username: str) -> Deferred[AccountTraces | None]: ...

    def end_gone(
        domain: str, username: str, left: AccountTraces, now: datetime
    ) -> Deferred[Sequence[Invite] | None]: ...

    def add_job(job: Job) -> Deferred[int]: ...

    def take_jobs(
        domain: str, node: str, now: datetime, again: datetime
    ) -> Deferred[Sequence[Job]]: ...

    def postpone_job(number: int, until: datetime) -> Deferred[None]: ...

    def finish_job(number: int, answer: str | None = None) -> Deferred[None]: ...

    def get_job(number: int) -> Deferred[Job | None]: ...

    def withdraw_job(number: int) -> Deferred[bool]: ...

    def purge_jobs(now: datetime, at_most: int) -> Deferred[int]: ...


class INoticeStore(Interface):
    """Notices that are still to be sent; `IInviteStore.redeem` stores them."""

    def notices_after(number: int | None, at_most: int) -> Deferred[Sequence[Notice]]: ...

    def notices_of(domain: str, username: str) -> Deferred[Sequence[Notice]]: ...

    def try_notices(numbers: Sequence[int]) -> Deferred[Sequence[int]]: ...

    def remove_notices(numbers: Sequence[int]) -> Deferred[None]: ...

    def purge_notices(before: datetime, at_most: int) -> Deferred[int]: ...


class IKeyStore(Interface):
    """The keys of the HTTP API."""

    def create_key(key: ApiKey, digest: bytes) -> Deferred[None]: ...

    def find_key(digest: bytes) -> Deferred[ApiKey | None]: ...

    def list_keys() -> Deferred[Sequence[ApiKey]]: ...

    def revoke_key(
        key_id: str, now: datetime, *, with_invites: bool = False
    ) -> Deferred[tuple[ApiKey, Sequence[Invite]]]: ...


class IStore(IInviteStore, IAccountStore, IRosterStore, ILeaseStore, INoticeStore, IKeyStore):
    """All that invitereg keeps. Who needs one part of it asks for that interface alone."""
