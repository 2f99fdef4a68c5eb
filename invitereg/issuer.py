"""Making invites, and changing those that are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from twisted.logger import Logger

from invitereg.errors import InvalidRequest, NotFound, UsernameReserved, UsernameTaken
from invitereg.interfaces import IAccounts, IInviteStore, InviteChanges
from invitereg.model import (
    Invite,
    Kind,
    generate_invite_id,
    generate_token,
    prepare_localpart,
    token_digest,
)
from invitereg.policy.values import Domain

DEFAULT_EXPIRY = timedelta.max


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvite:
    """What somebody who makes an invite may say about it.

    Attributes:
        contact: become mutual contacts with the inviter.
        registration: whether it lets register at all; without, it only makes contacts.
        expiry: from now; None is never, `DEFAULT_EXPIRY` what the policy says.
        uses: how often it may be redeemed; None is unlimited.
    """

    domain: str
    source: str
    inviter: str | None = None
    contact: bool = False
    registration: bool = True
    username: str | None = None
    expiry: timedelta | None = DEFAULT_EXPIRY
    uses: int | None = 1
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    note: str = ""

    @property
    def kind(self) -> Kind:
        """The kind of invite that this asks for."""
        if not self.registration:
            return Kind.CONTACT
        return Kind.ACCOUNT_AND_CONTACT if self.contact else Kind.ACCOUNT


class Issuer:
    """Makes, edits, renews and revokes invites, whoever asks for it.

    Attributes:
        domains: what is served, by name; may be replaced while running.
    """

    _log = Logger()

    def __init__(
        self,
        domains: Mapping[str, Domain],
        store: Any,
        accounts: Any,
        now: Callable[[], datetime],
    ) -> None:
        self.domains = domains
        self._store = IInviteStore(store)
        self._accounts = IAccounts(accounts)
        self._now = now

    async def create(self, new: NewInvite) -> tuple[Invite, str]:
        """Make an invite; returns it with its token, which is shown only now.

        Raises:
            InvalidRequest: what is asked for makes no sense; the text says why.
            NotFound: the inviter has no account.
            InvalidUsername, UsernameTaken, UsernameReserved: the name that it would fix.
        """
        return await self._create(await self._template(new))

    async def create_many(self, new: NewInvite, count: int) -> list[tuple[Invite, str]]:
        """Make ``count`` invites alike, all or none; returns each with its token.

        Raises as `create`, and:
            InvalidRequest: they would fix a username, which only one invite can.
        """
        if new.username and count > 1:
            raise InvalidRequest("Only one invite can be for a username.")
        template = await self._template(new)
        made = [
            (replace(template, id=generate_invite_id()), generate_token()) for _ in range(count)
        ]
        digests = [(invite, token_digest(token)) for invite, token in made]
        await self._store.create_invites(digests)
        self._log.info(
            "{count} invites ({kind}) made at {domain} by {source}",
            count=count,
            kind=new.kind,
            domain=new.domain,
            source=new.source,
        )
        return made

    async def _template(self, new: NewInvite) -> Invite:
        """What is asked for, as an invite that is made now; raises as `create`."""
        policy = self.domains[new.domain].policy
        _check_new_invite(new)
        inviter = new.inviter and prepare_localpart(new.inviter)
        if inviter and not await self._accounts.exists(new.domain, inviter):
            raise NotFound(f"There is no account {inviter}@{new.domain} that could invite.")
        if new.contact and new.registration:
            problem = await self._accounts.contacts_problem(new.domain)
            if problem:
                raise InvalidRequest(f"Nobody can be made a contact at {new.domain}: {problem}")
        username = new.username and prepare_localpart(new.username)
        if username:
            if username in policy.admins and new.source != "cli":
                raise UsernameReserved
            if await self._accounts.exists(new.domain, username):
                raise UsernameTaken(f"The account {username}@{new.domain} exists already.")
        expiry = policy.invites.expiry if new.expiry is DEFAULT_EXPIRY else new.expiry
        now = self._now()
        return Invite(
            id=generate_invite_id(),
            domain=new.domain,
            kind=new.kind,
            source=new.source,
            created_at=now,
            expires_at=_expires_at(now, expiry),
            inviter=inviter,
            username=username,
            roles=new.roles,
            groups=new.groups,
            note=new.note,
            uses_allowed=new.uses,
        )

    async def create_reset(
        self,
        domain: str,
        username: str,
        source: str,
        expiry: timedelta | None = DEFAULT_EXPIRY,
    ) -> tuple[Invite, str]:
        """Make an invite that sets a new password for one account.

        Raises:
            NotFound: there is no such account.
        """
        localpart = prepare_localpart(username)
        if not await self._accounts.recognise(domain, localpart):
            raise NotFound(f"There is no account {localpart}@{domain}.")
        if expiry is DEFAULT_EXPIRY:
            expiry = self.domains[domain].policy.invites.reset_expiry
        now = self._now()
        return await self._create(
            Invite(
                id=generate_invite_id(),
                domain=domain,
                kind=Kind.RESET,
                source=source,
                created_at=now,
                expires_at=_expires_at(now, expiry),
                username=localpart,
            )
        )

    async def _create(self, invite: Invite) -> tuple[Invite, str]:
        token = generate_token()
        await self._store.create_invite(invite, token_digest(token))
        self._log.info(
            "invite {invite_id} ({kind}) made at {domain} by {source}",
            invite_id=invite.id,
            kind=invite.kind,
            domain=invite.domain,
            source=invite.source,
        )
        return invite, token

    async def renew(self, domain: str, invite_id: str) -> tuple[Invite, str]:
        """Give a pending invite a new token, and end the old one.

        Raises:
            NotFound, InvalidRequest: see `IInviteStore.renew_invite`.
        """
        token = generate_token()
        digest = token_digest(token)
        invite = await self._store.renew_invite(domain, invite_id, digest, self._now())
        return invite, token

    async def edit(self, domain: str, invite_id: str, changes: InviteChanges) -> Invite:
        """Change an invite's expiry, number of uses or note.

        Raises:
            NotFound, InvalidRequest, UsernameTaken, UsernameReserved: see
                `IInviteStore.edit_invite`.
        """
        uses = changes.values.get("uses_allowed")
        if isinstance(uses, int) and uses < 1:
            raise InvalidRequest("An invite needs at least one use.")
        invite: Invite = await self._store.edit_invite(domain, invite_id, changes, self._now())
        return invite

    async def revoke(self, domain: str, invite_id: str) -> Invite:
        """End an invite; its token opens nothing any more, and its username is free.

        Raises:
            NotFound, InvalidRequest: see `IInviteStore.revoke_invite`.
        """
        invite: Invite = await self._store.revoke_invite(domain, invite_id, self._now())
        self._log.info(
            "invite {invite_id} revoked at {domain}", invite_id=invite_id, domain=domain
        )
        return invite


def _check_new_invite(new: NewInvite) -> None:
    if new.uses is not None and new.uses < 1:
        raise InvalidRequest("An invite needs at least one use.")
    if new.username and new.uses != 1:
        raise InvalidRequest("An invite for one username can have one use only.")
    if (new.contact or not new.registration) and not new.inviter:
        raise InvalidRequest("A contact invite needs an inviter to be a contact of.")
    if new.username and not new.registration:
        raise InvalidRequest("An invite that registers nobody cannot fix a username.")
    if new.expiry is not None and new.expiry <= timedelta():
        raise InvalidRequest("An invite must be valid for some time.")


def _expires_at(now: datetime, expiry: timedelta | None) -> datetime | None:
    try:
        return None if expiry is None else now + expiry
    except OverflowError:
        raise InvalidRequest("An invite cannot expire that far away.") from None
