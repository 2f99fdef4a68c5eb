"""One domain of the `MemoryStore`: its invites, its accounts, and who holds which name."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from invitereg.errors import (
    InvalidInvite,
    InvalidRequest,
    NotFound,
    Refused,
    TooManyOpenInvites,
    UsernameReserved,
    UsernameTaken,
)
from invitereg.model import Account, Invite, Kind, Status, Use
from invitereg.policy.counters import Quota, made_by
from invitereg.store.memory_hits import Hits
from invitereg.tree import Tree


@dataclass(frozen=True, slots=True)
class Reservation:
    """A name that an invite reserves."""

    invite_id: str
    until: datetime | None

    def lapsed(self, now: datetime) -> bool:
        """Whether it holds the name no more."""
        return self.until is not None and self.until <= now


@dataclass(frozen=True, slots=True)
class Deleted:
    """What holds the name of a deleted account; for ever, without ``until``."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Leased:
    """What holds a name while its account is made elsewhere."""

    until: None = None


@dataclass(slots=True)
class Domain:
    """What there is at one domain.

    Attributes:
        names: who but an account holds a name.
        undecided: the invites, or None, of uses that may yet be given back.
    """

    invites: dict[str, Invite] = field(default_factory=dict)
    tokens: dict[bytes, str] = field(default_factory=dict)
    names: dict[str, Reservation | Deleted | Leased] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    undecided: list[str | None] = field(default_factory=list)

    def copy(self) -> "Domain":
        """The same, to be changed apart from this."""
        return Domain(
            invites=dict(self.invites),
            tokens=dict(self.tokens),
            names=dict(self.names),
            accounts=dict(self.accounts),
            uses=list(self.uses),
            undecided=list(self.undecided),
        )

    def known(self, use: Use) -> Use:
        """What the history still knows of a use, whose address may be forgotten."""
        return next(one for one in self.uses if replace(one, address=use.address) == use)

    def add(
        self,
        invite: Invite,
        digest: bytes,
        quota: Quota | None = None,
        hits: Hits | None = None,
    ) -> None:
        """Keep a new invite; raises as `IInviteStore.create_invite`."""
        if quota is not None and hits is not None:
            self._require_open_below(quota, invite.created_at)
            hits.require_below_limit(invite.domain, quota.made, invite.created_at)
        if invite.kind is Kind.RESET:
            self.account(invite.username or "")
        if invite.id in self.invites or digest in self.tokens:
            raise InvalidRequest(f"There is an invite {invite.id} already.")
        self.reserve(invite, invite.created_at)
        self.invites[invite.id] = invite
        self.tokens[digest] = invite.id
        if quota is not None and hits is not None:
            hits.add(invite.domain, quota.made, invite.created_at)

    def listed(self, after: str | None, by: str | None) -> list[Invite]:
        """The invites after the one named, that a user has made if that is asked."""
        invites = list(self.invites.values())
        if after is not None:
            invites = invites[list(self.invites).index(self.invite(after).id) + 1 :]
        return [one for one in invites if by is None or made_by(one) == by]

    def invite(self, invite_id: str) -> Invite:
        """One invite; raises NotFound."""
        if invite_id not in self.invites:
            raise NotFound(f"There is no invite {invite_id}.")
        return self.invites[invite_id]

    def open_invite(self, invite_id: str) -> Invite:
        """One that is neither revoked nor used up; raises NotFound, InvalidRequest."""
        invite = self.invite(invite_id)
        if invite.revoked_at is not None:
            raise InvalidRequest(f"The invite {invite.id} is revoked.")
        if invite.used_up:
            raise InvalidRequest(f"The invite {invite.id} is used up.")
        return invite

    def open_invites(self, username: str, now: datetime) -> int:
        """How many invites that a user has made are pending."""
        made = (one for one in self.invites.values() if made_by(one) == username)
        return sum(one.status(now) is Status.PENDING for one in made)

    def registered_at(self, username: str) -> datetime | None:
        """When an account of that name was last made here."""
        made = (use.at for use in self.uses if use.username == username and use.registers)
        return max(made, default=None)

    def _require_open_below(self, quota: Quota, now: datetime) -> None:
        """Raises NotFound if the account is deleted, TooManyOpenInvites at the limit."""
        if isinstance(self.names.get(quota.username), Deleted):
            raise NotFound(f"There is no account {quota.username}.")
        most = quota.max_open
        if most is not None and self.open_invites(quota.username, now) >= most:
            raise TooManyOpenInvites(most)

    def account(self, username: str, since: datetime | None = None) -> Account:
        """One account, whose password was set at ``since`` if that is asked; or NotFound."""
        account = self.accounts.get(username)
        set_at = account and account.credentials and account.credentials.changed_at
        if account is None or since not in (None, set_at):
            raise NotFound(f"There is no account {username}.")
        return account

    def delete(self, username: str, now: datetime, until: datetime | None) -> None:
        """Delete an account with its invites and its resets."""
        del self.accounts[username]
        self.names[username] = Deleted(until)
        for invite in list(self.invites.values()):
            if invite.kind is Kind.RESET and invite.username == username:
                self._revoke_open(invite, now)
        self.revoke_of({username}, now)

    def revoke_branch(self, username: str, now: datetime) -> Sequence[Invite]:
        """Revoke a branch of the tree; raises NotFound."""
        tree = Tree(self.uses)
        known = username in self.accounts or isinstance(self.names.get(username), Deleted)
        if not known and not tree.of(username):
            raise NotFound(f"Nobody of the name {username} has ever been here.")
        return self.revoke_of(tree.branch(username), now)

    def revoke_of(self, usernames: set[str], now: datetime) -> Sequence[Invite]:
        """Revoke what these users have made; returns what was open."""
        made = [one for one in self.invites.values() if one.inviter in usernames]
        return [revoked for one in made if (revoked := self._revoke_open(one, now))]

    def _revoke_open(self, invite: Invite, now: datetime) -> Invite | None:
        if invite.revoked_at is not None or (
            invite.used_up and invite.id not in self.undecided
        ):
            return None
        return self.revoke(invite, now)

    def revoke(self, invite: Invite, now: datetime) -> Invite:
        """Revoke an invite, and free the name that it reserves."""
        revoked = replace(invite, revoked_at=now)
        self.invites[invite.id] = revoked
        self.free(revoked)
        return revoked

    def refusal(
        self, username: str, invite_id: str | None, now: datetime, *, even_deleted: bool = False
    ) -> Refused | None:
        """Why a name cannot be taken with an invite, or None if it can."""
        if username in self.accounts:
            return UsernameTaken()
        holder = self.names.get(username)
        if isinstance(holder, Leased):
            return UsernameTaken()
        if isinstance(holder, Reservation):
            free = holder.invite_id == invite_id or holder.lapsed(now)
            return None if free else UsernameReserved(reserved_for=holder.invite_id)
        return None if holder is None or even_deleted else UsernameReserved()

    def reserve(self, invite: Invite, now: datetime) -> None:
        """Reserve what an invite fixes; raises UsernameTaken, UsernameReserved."""
        if invite.username is None or invite.kind is Kind.RESET:
            return
        refusal = self.refusal(invite.username, invite.id, now)
        if refusal is not None:
            raise refusal
        self.names[invite.username] = Reservation(invite.id, invite.expires_at)

    def free(self, invite: Invite) -> None:
        """Give up what an invite reserves."""
        holder = self.names.get(invite.username or "")
        if isinstance(holder, Reservation) and holder.invite_id == invite.id:
            del self.names[invite.username or ""]

    def redeemable(self, use: Use, *, reset: bool) -> Invite:
        """The invite of a use, if it has one left; raises InvalidInvite."""
        invite = self.invites.get(use.invite_id or "")
        if invite is None or invite.revoked_at is not None or invite.used_up:
            raise InvalidInvite
        if invite.kind is Kind.CONTACT or reset is not (invite.kind is Kind.RESET):
            raise InvalidInvite
        if invite.username not in (None, use.username):
            raise InvalidInvite
        return invite

    def take_use(self, invite: Invite) -> None:
        """Count one use."""
        self.invites[invite.id] = replace(invite, uses=invite.uses + 1)

    def purge_invites(self, before: datetime, at_most: int) -> int:
        """Forget invites that were over by ``before``; returns how many."""
        over = [one.id for one in self.invites.values() if self._over(one, before)][:at_most]
        for invite_id in over:
            del self.invites[invite_id]
        self.tokens = {
            digest: invite_id
            for digest, invite_id in self.tokens.items()
            if invite_id in self.invites
        }
        return len(over)

    def _over(self, invite: Invite, moment: datetime) -> bool:
        if invite.id in self.undecided:
            return False
        if invite.revoked_at is not None and invite.revoked_at <= moment:
            return True
        used_at = max((use.at for use in self.uses if use.invite_id == invite.id), default=None)
        used_up = invite.used_up and used_at is not None and used_at <= moment
        return used_up or invite.expired(moment)

    def purge_names(self, now: datetime, at_most: int) -> int:
        """Forget what holds a name no longer than until ``now``; returns how many."""
        lapsed = [
            name
            for name, holder in self.names.items()
            if holder.until is not None and holder.until <= now
        ][:at_most]
        for name in lapsed:
            del self.names[name]
        return len(lapsed)
