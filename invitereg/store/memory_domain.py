"""One domain of the `MemoryStore`: its invites, its accounts, and who holds which name."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from invitereg.errors import (
    InvalidInvite,
    InvalidRequest,
    NotFound,
    Refused,
    UsernameReserved,
    UsernameTaken,
)
from invitereg.model import Account, Invite, Kind, Use


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
    """What there is at one domain; ``names`` tells only who but an account holds a name."""

    invites: dict[str, Invite] = field(default_factory=dict)
    tokens: dict[bytes, str] = field(default_factory=dict)
    names: dict[str, Reservation | Deleted | Leased] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)

    def copy(self) -> "Domain":
        """The same, to be changed apart from this."""
        return Domain(
            invites=dict(self.invites),
            tokens=dict(self.tokens),
            names=dict(self.names),
            accounts=dict(self.accounts),
            uses=list(self.uses),
        )

    def add(self, invite: Invite, digest: bytes) -> None:
        """Keep a new invite; raises as `IInviteStore.create_invite`."""
        if invite.kind is Kind.RESET:
            self.account(invite.username or "")
        if invite.id in self.invites or digest in self.tokens:
            raise InvalidRequest(f"There is an invite {invite.id} already.")
        self.reserve(invite, invite.created_at)
        self.invites[invite.id] = invite
        self.tokens[digest] = invite.id

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

    def account(self, username: str) -> Account:
        """One account; raises NotFound."""
        if username not in self.accounts:
            raise NotFound(f"There is no account {username}.")
        return self.accounts[username]

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
