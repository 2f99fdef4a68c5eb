"""The store as plain dictionaries: for tests, and for whoever keeps nothing.

It takes no locks: everything runs in one thread, and no method waits in between.
"""

import secrets
from collections import Counter as Multiset
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from zope.interface import implementer

from invitereg.errors import InvalidInvite, InvalidRequest, Throttled
from invitereg.interfaces import (
    Findings,
    IAccountStore,
    IInviteStore,
    InviteChanges,
    Query,
    Redemption,
    SessionEnd,
)
from invitereg.model import Account, Credentials, Invite, Status, Use
from invitereg.policy.counters import Counter, Quota
from invitereg.store.memory_domain import Deleted, Domain, Leased, Reservation
from invitereg.store.memory_firing import fired
from invitereg.store.memory_leases import MemoryLeases


@implementer(IInviteStore, IAccountStore)
class MemoryStore(MemoryLeases):
    """Invites, accounts and rosters in memory. Each method is described in its interface."""

    def __init__(self) -> None:
        super().__init__()
        self._server_key = secrets.token_bytes(32)

    @fired
    def create_invite(self, invite: Invite, digest: bytes, quota: Quota | None = None) -> None:
        """See `IInviteStore`."""
        self.add_invite(invite, digest, quota)

    def add_invite(self, invite: Invite, digest: bytes, quota: Quota | None = None) -> None:
        """As `create_invite`, at once."""
        self._at(invite.domain).add(invite, digest, quota, self._hits)

    @fired
    def create_invites(self, issued: Sequence[tuple[Invite, bytes]]) -> None:
        """See `IInviteStore`."""
        domains = {name: domain.copy() for name, domain in self._domains.items()}
        for invite, digest in issued:
            domains.setdefault(invite.domain, Domain()).add(invite, digest)
        self._domains = domains

    @fired
    def look_up(self, query: Query) -> Findings:
        """See `IInviteStore`."""
        at = self._at(query.domain)
        invite_id = at.tokens.get(query.digest or b"")
        holder = at.names.get(query.username or "")
        reserved_for = None
        if isinstance(holder, Reservation) and not holder.lapsed(query.now):
            reserved_for = holder.invite_id
        return Findings(
            invite=at.invites.get(invite_id or ""),
            tallies=tuple(self._hits.tally(query.domain, c, query.now) for c in query.counters),
            account_exists=query.username in at.accounts or isinstance(holder, Leased),
            reserved_for=reserved_for,
            deleted=isinstance(holder, Deleted),
            open_invites=at.open_invites(query.inviter, query.now) if query.inviter else 0,
            registered_at=at.registered_at(query.inviter) if query.inviter else None,
        )

    @fired
    def get_invite(self, domain: str, invite_id: str) -> Invite:
        """See `IInviteStore`."""
        return self._at(domain).invite(invite_id)

    @fired
    def list_invites(
        self,
        domain: str,
        now: datetime,
        status: Status | None = None,
        limit: int = 100,
        after: str | None = None,
        made_by: str | None = None,
        inviter: str | None = None,
    ) -> Sequence[Invite]:
        """See `IInviteStore`."""
        found = self._at(domain).listed(after, made_by)
        invites = (i for i in found if inviter in (None, i.inviter))
        return [i for i in invites if status in (None, i.status(now))][:limit]

    @fired
    def count_invites(self, domain: str, now: datetime) -> Mapping[Status, int]:
        """See `IInviteStore`."""
        return Multiset(invite.status(now) for invite in self._at(domain).invites.values())

    @fired
    def edit_invite(
        self, domain: str, invite_id: str, changes: InviteChanges, now: datetime
    ) -> Invite:
        """See `IInviteStore`."""
        at = self._at(domain)
        values: dict[str, Any] = dict(changes.values)
        edited = replace(at.open_invite(invite_id), **values)
        fixed = edited.username is not None and edited.uses_allowed != 1
        if "uses_allowed" in values and (edited.used_up or fixed):
            raise InvalidRequest("The number of uses must be above those already taken.")
        if "expires_at" in values:
            if edited.expired(now):
                at.free(edited)
            else:
                at.reserve(edited, now)
        at.invites[invite_id] = edited
        return edited

    @fired
    def renew_invite(self, domain: str, invite_id: str, digest: bytes, now: datetime) -> Invite:
        """See `IInviteStore`."""
        return self.give_token(domain, invite_id, digest, now)

    def give_token(self, domain: str, invite_id: str, digest: bytes, now: datetime) -> Invite:
        """As `renew_invite`, at once."""
        at = self._at(domain)
        invite = at.open_invite(invite_id)
        if invite.expired(now):
            raise InvalidRequest(f"The invite {invite_id} has expired.")
        at.tokens = {token: i for token, i in at.tokens.items() if i != invite_id}
        at.tokens[digest] = invite_id
        return invite

    @fired
    def revoke_invite(self, domain: str, invite_id: str, now: datetime) -> Invite:
        """See `IInviteStore`."""
        at = self._at(domain)
        invite = at.invite(invite_id)
        if invite.revoked_at is not None:
            return invite
        if invite_id not in at.undecided:
            at.open_invite(invite_id)
        return at.revoke(invite, now)

    @fired
    def revoke_branch(self, domain: str, username: str, now: datetime) -> Sequence[Invite]:
        """See `IInviteStore`."""
        return self._at(domain).revoke_branch(username, now)

    @fired
    def redeem(self, redemption: Redemption) -> None:
        """See `IInviteStore`."""
        self.take(redemption)
        self.record(redemption)
        if redemption.contact is not None:
            self.join_contacts(redemption, redemption.contact)

    @fired
    def reset(self, use: Use, credentials: Credentials) -> None:
        """See `IInviteStore`."""
        at = self._at(use.domain)
        invite = at.redeemable(use, reset=True)
        if use.username not in at.accounts:
            raise InvalidInvite
        at.take_use(invite)
        at.accounts[use.username] = replace(at.accounts[use.username], credentials=credentials)
        at.uses.append(use)
        self.end_sessions(use.domain, use.username, credentials.changed_at)

    @fired
    def list_uses(self, domain: str, invite_id: str | None = None) -> Sequence[Use]:
        """See `IInviteStore`."""
        return [u for u in self._at(domain).uses if invite_id in (None, u.invite_id)]

    @fired
    def forget_addresses(self, domain: str, before: datetime, at_most: int) -> int:
        """See `IInviteStore`."""
        uses, forgotten = self._at(domain).uses, 0
        for place, use in enumerate(uses):
            if use.address is not None and use.at <= before and forgotten < at_most:
                uses[place] = replace(use, address=None)
                forgotten += 1
        return forgotten

    @fired
    def purge_invites(self, domain: str, before: datetime, at_most: int) -> int:
        """See `IInviteStore`."""
        return self._at(domain).purge_invites(before, at_most)

    @fired
    def purge_names(self, domain: str, now: datetime, at_most: int) -> int:
        """See `IInviteStore`."""
        return self._at(domain).purge_names(now, at_most)

    @fired
    def purge_hits(self, domain: str, name: str, before: datetime, at_most: int) -> int:
        """See `IInviteStore`."""
        return self._hits.purge(domain, name, before, at_most)

    @fired
    def hit(
        self, domain: str, counters: Sequence[Counter], now: datetime
    ) -> tuple[int, ...] | None:
        """See `IInviteStore`."""
        try:
            for counter in counters:
                self._hits.require_below_limit(domain, counter, now)
        except Throttled:
            return None
        return tuple(self._hits.add(domain, counter, now) for counter in counters)

    @fired
    def unhit(self, numbers: tuple[int, ...]) -> None:
        """See `IInviteStore`."""
        for number in numbers:
            self._hits.remove(number)

    @fired
    def get_account(self, domain: str, username: str) -> Account | None:
        """See `IAccountStore`."""
        return self._at(domain).accounts.get(username)

    @fired
    def list_accounts(
        self, domain: str, limit: int | None = None, after: str | None = None
    ) -> Sequence[Account]:
        """See `IAccountStore`."""
        accounts = sorted(self._at(domain).accounts.items())
        return [a for username, a in accounts if after is None or username > after][:limit]

    @fired
    def list_usernames(self, domain: str) -> Sequence[str]:
        """See `IAccountStore`."""
        return sorted(self._at(domain).accounts)

    @fired
    def set_credentials(
        self, domain: str, username: str, credentials: Credentials, since: datetime
    ) -> None:
        """See `IAccountStore`."""
        at = self._at(domain)
        account = at.account(username, since)
        at.accounts[username] = replace(account, credentials=credentials)
        self.end_sessions(domain, username, credentials.changed_at)

    @fired
    def delete_account(
        self,
        domain: str,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> None:
        """See `IAccountStore`."""
        at = self._at(domain)
        at.account(username, since)
        self.drop_contacts(domain, username)
        at.delete(username, now, until)
        self.notices.forget(domain, username)
        self.forget_contacts(domain, username)
        self.end_sessions(domain, username, now)

    @fired
    def change_roles(
        self, domain: str, username: str, add: frozenset[str], remove: frozenset[str]
    ) -> Account:
        """See `IAccountStore`."""
        at = self._at(domain)
        account = at.account(username)
        roles = tuple(sorted((set(account.roles) | add) - remove))
        at.accounts[username] = replace(account, roles=roles)
        return at.accounts[username]

    @fired
    def session_ends(self, after: int | None) -> Sequence[SessionEnd]:
        """See `IAccountStore`."""
        ends = self._ends
        return ends[-1:] if after is None else [end for end in ends if end.number > after]

    @fired
    def server_key(self) -> bytes:
        """See `IAccountStore`."""
        return self._server_key

    def known(self, use: Use) -> Use:
        """What the history still knows of a use."""
        return self._at(use.domain).known(use)
