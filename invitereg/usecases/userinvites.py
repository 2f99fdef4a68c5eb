"""Users' own invites: made, listed and ended by their account, whichever the door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from invitereg.errors import MayNotInvite, NotFound
from invitereg.interfaces.stores import IInviteStore
from invitereg.model.invites import Invite, Kind, Status
from invitereg.policy.counters import made_by
from invitereg.policy.inviting import (
    Authority,
    InviteRequest,
    Rights,
    decide_renewal,
    is_admin,
    rights_of,
)
from invitereg.policy.values import Domain
from invitereg.translations import N_
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.newinvites import DEFAULT_EXPIRY, NewInvite


@dataclass(frozen=True, slots=True)
class User:
    """A user who asks, and the door that they ask through.

    Attributes:
        username: prepared localpart of an account that is logged in.
        door: ``adhoc`` or ``web``.
    """

    domain: str
    username: str
    door: str

    @property
    def source(self) -> str:
        """Return the user as an invite records its source."""
        return f"{self.door}:{self.username}@{self.domain}"


class UserInvites:
    """Users' invites: one's own, and for admins everybody's."""

    def __init__(self, issuer: Issuer, store: IInviteStore) -> None:
        self._issuer = issuer
        self._store = store

    def now(self) -> datetime:
        return self._issuer.now()

    @property
    def domains(self) -> Mapping[str, Domain]:
        return self._issuer.domains

    def is_admin(self, user: User) -> bool:
        return is_admin(self.domains[user.domain].policy, user.username)

    async def rights(self, user: User) -> Rights:
        """Return the user's rights, their limits aside."""
        known = await self._issuer.look_up_inviter(user.domain, user.username)
        return rights_of(self.domains[user.domain].policy, known)

    async def invite(self, user: User, rights: Rights | None = None) -> tuple[Invite, str]:
        """Make the invite that lets a friend do the most that the user may let them.

        What ``rights`` say, which may have been asked for just before, is only what is tried.

        Raises:
            Refused: as `Issuer.create`.
        """
        if rights is None:
            rights = await self.rights(user)
        contact = rights.contact and await self._issuer.may_join(user.domain)
        return await self._issuer.create(
            NewInvite(
                domain=user.domain,
                source=user.source,
                inviter=user.username,
                requestor=user.username,
                contact=contact or not rights.registration,
                registration=rights.registration,
            )
        )

    async def create(
        self,
        user: User,
        *,
        username: str | None = None,
        contact: bool = False,
        expiry: timedelta | None = DEFAULT_EXPIRY,
        uses: int | None = 1,
        roles: tuple[str, ...] = (),
        note: str = "",
    ) -> tuple[Invite, str]:
        """Make an invite to register, as described.

        Raises:
            Refused: as `Issuer.create`.
        """
        return await self._issuer.create(
            NewInvite(
                domain=user.domain,
                source=user.source,
                inviter=user.username,
                requestor=user.username,
                username=username,
                contact=contact,
                expiry=expiry,
                uses=uses,
                roles=roles,
                note=note,
            )
        )

    async def create_reset(self, admin: User, username: str) -> tuple[Invite, str]:
        """Make a link by which somebody sets a new password.

        Raises:
            NotFound: there is no such account.
            MayNotInvite: the user is no admin.
            UsernameReserved: it is another admin's, or their own.
        """
        self._require_admin(admin)
        by = self._authority(admin)
        return await self._issuer.create_reset(admin.domain, username, by)

    async def list_own(self, user: User, limit: int) -> Sequence[Invite]:
        """Return the invites made by the user that are pending, oldest first."""
        return await self._store.list_invites(
            user.domain, self.now(), Status.PENDING, limit, made_by=user.username
        )

    async def list_all(
        self, admin: User, status: Status | None, limit: int, after: str | None = None
    ) -> Sequence[Invite]:
        """Return the domain's invites, in the order of their making, after the one named.

        Raises:
            NotFound: ``after`` names none.
            MayNotInvite: the user is no admin.
        """
        self._require_admin(admin)
        return await self._store.list_invites(admin.domain, self.now(), status, limit, after)

    async def get(self, user: User, invite_id: str) -> Invite:
        """Return an invite that the user may change.

        Raises:
            NotFound: there is none of that id, or it is none of theirs.
        """
        invite = await self._store.get_invite(user.domain, invite_id)
        if made_by(invite) != user.username and not self.is_admin(user):
            raise NotFound(f"There is no invite {invite_id} at {user.domain}.", invite_id)
        return invite

    async def renew(self, user: User, invite_id: str) -> tuple[Invite, str]:
        """Give a pending invite a new link, and end the old one.

        Raises:
            Refused: as `get` and `Issuer.renew`, or they may not make such an invite any more.
        """
        invite = await self.get(user, invite_id)
        if invite.kind is not Kind.RESET:
            request = InviteRequest(
                registration=invite.kind is not Kind.CONTACT,
                contact=invite.kind is not Kind.ACCOUNT,
                grants=bool(invite.roles or invite.groups),
            )
            known = await self._issuer.look_up_inviter(user.domain, user.username)
            decision = decide_renewal(self.domains[user.domain].policy, request, known)
            if decision.refusal is not None:
                raise decision.refusal
        return await self._issuer.renew(user.domain, invite.id, self._authority(user))

    async def revoke(self, user: User, invite_id: str) -> Invite:
        """End an invite.

        Raises:
            Refused: as `get` and `Issuer.revoke`.
        """
        invite = await self.get(user, invite_id)
        return await self._issuer.revoke(user.domain, invite.id, self._authority(user))

    def _authority(self, user: User) -> Authority:
        return Authority(user.source, resets=self.is_admin(user))

    def _require_admin(self, user: User) -> None:
        if not self.is_admin(user):
            raise MayNotInvite(N_("Only an admin can do that."))
