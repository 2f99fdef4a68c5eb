"""Invites and resets of the API."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from invitereg.interfaces.apikeys import Scope
from invitereg.interfaces.queries import InviteChanges
from invitereg.interfaces.stores import IStore
from invitereg.model.invites import Invite, Status
from invitereg.model.names import prepare_localpart, typed_username
from invitereg.policy.values import Domain
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.newinvites import NewInvite, expiry_moment
from invitereg.views import (
    InvitePage,
    InviteWithHistory,
    IssuedInvite,
    StoredInvite,
    issued_invite,
    stored_invite,
    with_history,
)
from invitereg.web.api.operations import ApiResponse, Call, operation
from invitereg.web.api.requests import (
    DomainQuery,
    InviteChangesBody,
    ListQuery,
    NewInviteBody,
    NewResetBody,
    Nothing,
    QueryModel,
)

_ONE = ("invites", "{id}")


class Invites:
    """Carries out the operations on invites."""

    def __init__(self, issuer: Issuer, store: IStore, now: Callable[[], datetime]) -> None:
        self._issuer = issuer
        self._store = store
        self._now = now

    @operation(
        "POST",
        "invites",
        id="createInvite",
        scope=Scope.INVITES_CREATE,
        status=201,
        statuses=(409,),
        repeatable=True,
    )
    async def create(self, call: Call[NewInviteBody, QueryModel]) -> ApiResponse[IssuedInvite]:
        """Make an invite."""
        body = call.body
        domain = call.domain(body.domain)
        new = NewInvite(
            domain=domain.name,
            source=call.key.authority.source,
            inviter=body.inviter and typed_username(body.inviter, domain.name),
            contact=body.kind != "account",
            registration=body.kind != "contact",
            username=body.username and typed_username(body.username, domain.name),
            expiry=body.expiry,
            uses=body.uses_allowed,
            per_network=body.per_network_allowed,
            roles=tuple(dict.fromkeys(body.roles)),
            groups=tuple(dict.fromkeys(body.groups)),
            note=body.note,
        )
        made = await self._repeated(call) or await self._issuer.create(
            new, call.idempotency_key
        )
        return _made(made, domain)

    @operation(
        "POST",
        "resets",
        id="createReset",
        scope=Scope.RESETS_CREATE,
        status=201,
        repeatable=True,
    )
    async def reset(self, call: Call[NewResetBody, QueryModel]) -> ApiResponse[IssuedInvite]:
        """Make a link that sets a new password for an account."""
        body = call.body
        domain = call.domain(body.domain)
        username = typed_username(body.username, domain.name)
        made = await self._repeated(call) or await self._issuer.create_reset(
            domain.name, username, call.key.authority, body.expiry, call.idempotency_key
        )
        return _made(made, domain)

    async def _repeated(self, call: Call[Any, Any]) -> tuple[Invite, str] | None:
        """Renew the invite that the same request has made before; None for a first request."""
        made = call.idempotency_key and await self._store.find_request(
            call.idempotency_key, self._now()
        )
        return await self._issuer.renew(*made, call.key.authority) if made else None

    @operation("GET", "invites", id="listInvites", scope=Scope.INVITES_READ)
    async def list(self, call: Call[Nothing, ListQuery]) -> ApiResponse[InvitePage]:
        """List invites, the oldest first, page by page."""
        query = call.query
        domain, now = call.domain(query.domain).name, self._now()
        status = None if query.status == "all" else Status(query.status)
        inviter = query.inviter and prepare_localpart(query.inviter)
        found = await self._store.list_invites(
            domain,
            now,
            status,
            query.limit + 1,
            query.after,
            inviter=inviter,
            resets=call.key.authority.resets,
        )
        page = found[: query.limit]
        after = page[-1].id if len(found) > len(page) else None
        items = tuple(stored_invite(invite, now) for invite in page)
        values = query.model_dump(exclude_unset=True) | {"after": after}
        return ApiResponse(
            content=InvitePage.of(items=items, next=after),
            link_next=f"invites?{urlencode(values)}" if after else None,
        )

    @operation("GET", *_ONE, id="getInvite", scope=Scope.INVITES_READ)
    async def show(self, call: Call[Nothing, DomainQuery]) -> ApiResponse[InviteWithHistory]:
        """Show an invite and who has used it."""
        domain = call.domain(call.query.domain).name
        invite = await self._issuer.get(domain, call.name, call.key.authority)
        uses = await self._store.list_uses(domain, invite.id)
        return ApiResponse(content=with_history(invite, uses, self._now()))

    @operation("PATCH", *_ONE, id="editInvite", scope=Scope.INVITES_EDIT, statuses=(409,))
    async def edit(
        self, call: Call[InviteChangesBody, DomainQuery]
    ) -> ApiResponse[StoredInvite]:
        """Change an invite that is neither revoked nor used up."""
        body = call.body
        values: dict[str, Any] = body.model_dump(
            include={"uses_allowed", "per_network_allowed", "note"}, exclude_unset=True
        )
        if body.says_expiry:
            values["expires_at"] = expiry_moment(self._now(), body.expiry)
        domain = call.domain(call.query.domain).name
        changes = InviteChanges(values=values)
        by = call.key.authority
        return self._changed(await self._issuer.edit(domain, call.name, changes, by))

    @operation("POST", *_ONE, "renew", id="renewInvite", scope=Scope.INVITES_EDIT)
    async def renew(self, call: Call[Nothing, DomainQuery]) -> ApiResponse[IssuedInvite]:
        """Give a pending invite a new token, and end the old one."""
        domain = call.domain(call.query.domain)
        invite, token = await self._issuer.renew(domain.name, call.name, call.key.authority)
        return ApiResponse(content=issued_invite(invite, token, domain))

    @operation("POST", *_ONE, "revoke", id="revokeInvite", scope=Scope.INVITES_EDIT)
    async def revoke(self, call: Call[Nothing, DomainQuery]) -> ApiResponse[StoredInvite]:
        """End an invite, and free its username."""
        domain = call.domain(call.query.domain).name
        by = call.key.authority
        return self._changed(await self._issuer.revoke(domain, call.name, by))

    def _changed(self, invite: Invite) -> ApiResponse[StoredInvite]:
        return ApiResponse(content=stored_invite(invite, self._now()))


def _made(made: tuple[Invite, str], domain: Domain) -> ApiResponse[IssuedInvite]:
    invite, token = made
    content = issued_invite(invite, token, domain)
    return ApiResponse(content=content, location=f"invites/{invite.id}")
