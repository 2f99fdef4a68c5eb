"""Making invites, and changing those that are made.

The operator may do anything. A user who asks is named as the ``requestor``, and is held to
the policy here, whichever door they come through.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from twisted.logger import Logger

from invitereg.errors import InvalidRequest, NotFound, Refused, UsernameTaken
from invitereg.interfaces.accounts import IAccounts
from invitereg.interfaces.apikeys import IdempotencyKey
from invitereg.interfaces.queries import InviteChanges, Query
from invitereg.interfaces.stores import IStore
from invitereg.model.invites import (
    Invite,
    Kind,
    generate_invite_id,
    generate_token,
    token_digest,
)
from invitereg.model.names import prepare_localpart
from invitereg.policy.counters import Quota, user_invites_counter
from invitereg.policy.decision import Decision
from invitereg.policy.inviting import (
    Authority,
    Inviter,
    InviteRequest,
    decide_invite,
    default_expiry,
    is_admin,
    refuse_handling,
    refuse_link,
    refuse_opening,
)
from invitereg.policy.values import Domain
from invitereg.runtime.logs import RefusalLog
from invitereg.usecases.newinvites import (
    DEFAULT_EXPIRY,
    Expiry,
    NewInvite,
    check_new_invite,
    expiry_moment,
    require_changes,
    require_free_choice,
)

_log = Logger("invitereg.issuer.Issuer")  # operators' filters match on it


class Issuer:
    """Makes, shows, edits, renews and revokes invites, whoever asks for it.

    Whether they may is judged here: by the invite, too, and not only by what they ask for.

    Attributes:
        domains: what is served, by name; may be updated while running.
        now: tells the time.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        store: IStore,
        accounts: Mapping[str, IAccounts],
        now: Callable[[], datetime],
        refusals: RefusalLog | None = None,
    ) -> None:
        """``refusals`` writes to the log who may not invite."""
        self._refusals = refusals or RefusalLog(_log)
        self.domains = domains
        self._store = store
        self._accounts = accounts
        self.now = now

    async def create(
        self, new: NewInvite, key: IdempotencyKey | None = None
    ) -> tuple[Invite, str]:
        """Make an invite; returns it with its token, which is shown only now.

        If a request with this ``key`` was done before, its invite gets a new token instead.

        Raises:
            OtherRequest: something else was asked for under that key.
            InvalidRequest: what is asked for makes no sense; the text says why.
            NotFound: the inviter has no account.
            InvalidUsername, UsernameTaken, UsernameReserved: the name that it would fix.
            Refused: the policy lets nobody make it, or not the requestor.
        """
        return await self._create(await self._template(new), new.requestor, key)

    async def create_many(self, new: NewInvite, count: int) -> list[tuple[Invite, str]]:
        """Make ``count`` invites alike, all or none; returns each with its token.

        Raises as `create`, and:
            InvalidRequest: they would fix a username, which only one invite can; or a user
                asks for several.
        """
        if new.requestor is not None:
            raise InvalidRequest("Only the operator makes many invites at once.")
        if new.username and count > 1:
            raise InvalidRequest("Only one invite can be for a username.")
        template = await self._template(new)
        made = [
            (replace(template, id=generate_invite_id()), generate_token()) for _ in range(count)
        ]
        digests = [(invite, token_digest(token)) for invite, token in made]
        await self._store.create_invites(digests)
        _log.info(
            "{count} invites ({kind}) made at {domain} by {source}",
            count=count,
            kind=new.kind,
            domain=new.domain,
            source=new.source,
        )
        return made

    async def _template(self, new: NewInvite) -> Invite:
        """Return the invite that is asked for, as made now; raise as `create`."""
        check_new_invite(new)
        if new.requestor is not None:
            decision = await self.explain(new)
            if decision.refusal is not None:
                self._refusals.info(
                    "invite ({kind}) refused at {domain} to {address}: {rule}",
                    kind=new.kind,
                    domain=new.domain,
                    address=new.source,
                    rule=decision.rule,
                )
                raise decision.refusal
        require_free_choice(self.domains[new.domain].policy, new, self.now())
        inviter = None if new.inviter is None else prepare_localpart(new.inviter)
        if inviter and not await self._accounts[new.domain].exists(inviter):
            raise NotFound(f"There is no account {inviter}@{new.domain} that could invite.")
        if new.contact and new.registration:
            await self._require_joining(new)
        now = self.now()
        invite = Invite(
            id=generate_invite_id(),
            domain=new.domain,
            kind=new.kind,
            source=new.source,
            created_at=now,
            expires_at=expiry_moment(now, self._expiry(new)),
            inviter=inviter,
            username=None if new.username is None else prepare_localpart(new.username),
            roles=new.roles,
            groups=new.groups,
            note=new.note,
            uses_allowed=new.uses,
            per_network_allowed=new.per_network,
        )
        self._require_new_link(invite, Authority(new.source, resets=False))
        if invite.username and await self._accounts[new.domain].exists(invite.username):
            raise UsernameTaken(f"The account {invite.username}@{new.domain} exists already.")
        return invite

    async def create_reset(
        self,
        domain: str,
        username: str,
        by: Authority,
        expiry: Expiry = DEFAULT_EXPIRY,
        key: IdempotencyKey | None = None,
    ) -> tuple[Invite, str]:
        """Make an invite that sets a new password for one account; ``key`` as in `create`.

        Raises:
            NotFound: there is no such account.
            MayNotReset, UsernameReserved: ``by`` may make none, or not for that account.
        """
        if expiry is DEFAULT_EXPIRY:
            expiry = self.domains[domain].policy.invites.reset_expiry
        now = self.now()
        invite = Invite(
            id=generate_invite_id(),
            domain=domain,
            kind=Kind.RESET,
            source=by.source,
            created_at=now,
            expires_at=expiry_moment(now, expiry),
            username=prepare_localpart(username),
        )
        self._require_new_link(invite, by)
        if not await self._accounts[domain].recognise(invite.username or ""):
            raise NotFound(f"There is no account {invite.username}@{domain}.")
        return await self._create(invite, key=key)

    async def may_join(self, domain: str) -> bool:
        """Whether who registers by an invite can be made a contact of the inviter."""
        return await self._accounts[domain].contacts_problem() is None

    async def _require_joining(self, new: NewInvite) -> None:
        problem = await self._accounts[new.domain].contacts_problem()
        if problem is None:
            return
        if new.requestor is not None:
            # What to change at the server is for the operator alone.
            raise InvalidRequest("This server can make nobody your contact by an invitation.")
        raise InvalidRequest(f"Nobody can be made a contact at {new.domain}: {problem}")

    async def explain(self, new: NewInvite) -> Decision:
        """Return the policy's decision, as of now, about an invite that a user asks for."""
        policy = self.domains[new.domain].policy
        inviter = await self.look_up_inviter(new.domain, new.requestor or "")
        expiry = self._expiry(new)
        request = InviteRequest(
            registration=new.registration,
            contact=new.contact or not new.registration,
            expiry=expiry - self.now() if isinstance(expiry, datetime) else expiry,
            uses=new.uses,
            grants=bool(new.roles or new.groups),
        )
        return decide_invite(policy, request, inviter)

    async def look_up_inviter(self, domain: str, username: str) -> Inviter:
        """Look up what is known about a user now.

        Raises:
            InvalidUsername: nobody can be called so.
        """
        localpart, now = prepare_localpart(username), self.now()
        counter = user_invites_counter(self.domains[domain].policy, localpart)
        query = Query(domain=domain, now=now, counters=(counter,), inviter=localpart)
        findings = await self._store.look_up(query)
        account = await self._store.get_account(domain, localpart)
        return Inviter(
            username=localpart,
            now=now,
            exists=account is not None or await self._accounts[domain].exists(localpart),
            roles=frozenset(account.roles if account else ()),
            created_at=findings.registered_at,
            open_invites=findings.open_invites,
            made=findings.tallies[0],
        )

    def _expiry(self, new: NewInvite) -> Expiry:
        if new.expiry is not DEFAULT_EXPIRY:
            return new.expiry
        return default_expiry(self.domains[new.domain].policy, new.requestor)

    async def _create(
        self, invite: Invite, requestor: str | None = None, key: IdempotencyKey | None = None
    ) -> tuple[Invite, str]:
        token = generate_token()
        policy = self.domains[invite.domain].policy
        quota = None
        if requestor is not None and not is_admin(policy, requestor):
            counter = user_invites_counter(policy, requestor)
            quota = Quota(
                username=requestor, max_open=policy.invites.users.max_open, made=counter
            )
        made = await self._store.create_invite(invite, token_digest(token), quota, key)
        self._log_done("made" if made.id == invite.id else "renewed", made, invite.source)
        return made, token

    def _log_done(self, what: str, invite: Invite, source: str) -> None:
        _log.info(
            "invite {invite_id} ({kind}) {what} at {domain} by {source}",
            invite_id=invite.id,
            kind=invite.kind,
            what=what,
            domain=invite.domain,
            source=source,
        )

    async def get(self, domain: str, invite_id: str, by: Authority) -> Invite:
        """Return an invite that ``by`` may see, and end.

        Raises:
            NotFound: there is none of that id.
            MayNotReset: it is not for them.
        """
        invite = await self._store.get_invite(domain, invite_id)
        self._require(refuse_handling(invite, by), invite, by)
        return invite

    async def renew(self, domain: str, invite_id: str, by: Authority) -> tuple[Invite, str]:
        """Give a pending invite a new token, and end the old one; it is then of ``by``.

        Raises:
            NotFound, InvalidRequest: see `store.invites.renew`.
            MayNotReset, UsernameReserved, RegistrationClosed: ``by`` may not.
        """
        self._require_new_link(await self._store.get_invite(domain, invite_id), by)
        token = generate_token()
        invite = await self._store.renew_invite(
            domain, invite_id, token_digest(token), self.now(), by.source
        )
        self._log_done("renewed", invite, by.source)
        return invite, token

    async def edit(
        self, domain: str, invite_id: str, changes: InviteChanges, by: Authority
    ) -> Invite:
        """Change an invite's expiry, numbers of uses or note.

        Raises:
            NotFound, InvalidRequest, UsernameTaken, UsernameReserved: see
                `store.invites.edit`.
            MayNotReset, UsernameReserved: ``by`` may not, as the invite is what it is.
        """
        before = await self._store.get_invite(domain, invite_id)
        self._require(refuse_opening(self.domains[domain].policy, before, by), before, by)
        require_changes(before, changes)
        invite = await self._store.edit_invite(
            domain, invite_id, changes, self.now(), by.source
        )
        self._log_done("edited", invite, by.source)
        return invite

    async def revoke(self, domain: str, invite_id: str, by: Authority) -> Invite:
        """End an invite; its token opens nothing any more, and its username is free.

        Raises:
            NotFound, InvalidRequest: see `store.invites.revoke`.
            MayNotReset: it is not for ``by``.
        """
        await self.get(domain, invite_id, by)
        invite = await self._store.revoke_invite(domain, invite_id, self.now())
        self._log_done("revoked", invite, by.source)
        return invite

    def _require_new_link(self, invite: Invite, by: Authority) -> None:
        # What is judged of an invite never changes, so it may be read before the change.
        self._require(refuse_link(self.domains[invite.domain].policy, invite, by), invite, by)

    def _require(self, refusal: Refused | None, invite: Invite, by: Authority) -> None:
        if refusal is None:
            return
        self._refusals.info(
            "invite {invite_id} ({kind}) at {domain} is not for {address}: {rule}",
            invite_id=invite.id,
            kind=invite.kind,
            domain=invite.domain,
            address=by.source,
            rule=type(refusal).__name__,
        )
        raise refusal
