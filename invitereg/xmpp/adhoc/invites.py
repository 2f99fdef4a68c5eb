"""Commands to make, list, renew and revoke invites (XEP-0401).

https://xmpp.org/extensions/xep-0401.html
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from invitereg.config import duration_or_never, role_name
from invitereg.embedded.addresses import parse_jid
from invitereg.errors import NotFound
from invitereg.model.fields import shown
from invitereg.model.invites import Invite, Kind, Status
from invitereg.model.names import typed_username
from invitereg.model.namespaces import NS_INVITATION
from invitereg.policy.inviting import Rights
from invitereg.policy.texts import app_uri, page_url
from invitereg.translations import N_
from invitereg.usecases.newinvites import DEFAULT_EXPIRY
from invitereg.usecases.userinvites import User, UserInvites
from invitereg.xmpp.adhoc.commands import (
    AdHocCommands,
    CommandSessions,
    Completed,
    Requester,
    Stage,
)
from invitereg.xmpp.adhoc.forms import Field, Form, FormValues, Result, ResultValue


class InviteCommand:
    """A command about invites, for accounts of the domain."""

    def __init__(self, invites: UserInvites) -> None:
        self.invites = invites

    def user(self, requester: Requester) -> User:
        """Return the requester's account; call `rights` first, to know that there is one."""
        return User(requester.domain.name, requester.jid.user or "", "adhoc")

    async def rights(self, requester: Requester) -> Rights:
        """Return the requester's rights; none, if it is no account of the domain."""
        if requester.jid.host != requester.domain.name or not requester.jid.user:
            return Rights()
        known: Rights | None = requester.memory.get("rights")
        if known is None:
            known = requester.memory["rights"] = await self.invites.rights(self.user(requester))
        return known


def invitation(
    requester: Requester, invite: Invite, token: str, *, to_register: bool = False
) -> Completed:
    """Return an invite's links as a form; they are shown only now (§4.1).

    Both fields are always there, if empty, because one client needs the page's. ``to_register``
    is for a URI without a contact. A URI that names the username is always without, because the
    name would be lost otherwise.
    """
    gettext, names = requester.gettext, to_register or bool(invite.username)
    uri = app_uri(requester.domain, invite, token, names=names)
    page = page_url(requester.domain, token)
    values = [
        ResultValue(var="uri", label=gettext("Link for apps"), value=uri),
        ResultValue(var="landing-url", label=gettext("Web page to share"), value=page),
    ]
    if invite.expires_at is not None:
        label = gettext("Valid until")
        values.append(
            ResultValue(var="expire", label=label, value=date_time(invite.expires_at))
        )
    title = gettext("Invitation")
    return Completed(Result(form_type=NS_INVITATION, title=title, values=values))


def date_time(moment: datetime) -> str:
    """Return a time in UTC, as in XEP-0082 §3.2."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def described(invite: Invite, gettext: Callable[[str], str]) -> str:
    """Return one line by which people tell an invite from others."""
    parts = [invite.id]
    if invite.username:
        parts.append(gettext("for {name}").format(name=invite.username))
    if invite.expires_at is not None:
        until = f"{invite.expires_at:%Y-%m-%d %H:%M} UTC"
        parts.append(gettext("valid until {time}").format(time=until))
    if invite.note:
        parts.append(shown(invite.note))
    return ", ".join(parts)


MAX_ROWS = 100
_ALL = "all"
_STATUS = {
    Status.PENDING: N_("open"),
    Status.USED: N_("used"),
    Status.EXPIRED: N_("expired"),
    Status.REVOKED: N_("revoked"),
}
_KIND = {
    Kind.ACCOUNT: N_("to register"),
    Kind.CONTACT: N_("to become a contact"),
    Kind.ACCOUNT_AND_CONTACT: N_("to register and become a contact"),
    Kind.RESET: N_("to set a new password"),
}
_COLUMNS = {
    "id": N_("Invitation"),
    "kind": N_("Kind"),
    "inviter": N_("Inviter"),
    "username": N_("Username"),
    "created": N_("Made"),
    "expire": N_("Valid until"),
    "uses": N_("Used"),
    "status": N_("Status"),
    "note": N_("Note"),
}


class _OwnedInvites(InviteCommand):
    """A command for all who may invite, or have invited, and for admins."""

    async def is_allowed(self, requester: Requester) -> bool:
        """Allow it also to those who may not invite any more, while an invite is open."""
        rights = await self.rights(requester)
        return rights.any or rights.admin or rights.has_open


class ListInvites(_OwnedInvites):
    """List invites."""

    node = "invitereg#list-invites"
    name = N_("List invitations")

    async def proceed(
        self, requester: Requester, answers: Sequence[FormValues]
    ) -> Stage | Completed:
        if not (await self.rights(requester)).admin:
            return self._list(
                requester, await self.invites.list_own(self.user(requester), MAX_ROWS + 1)
            )
        if not answers:
            return Stage(self._filter(requester))
        status = answers[0]["status"] or Status.PENDING
        return self._list(
            requester,
            await self.invites.list_all(
                self.user(requester),
                None if status == _ALL else Status(status),
                MAX_ROWS + 1,
                answers[0]["after"],
            ),
        )

    def _filter(self, requester: Requester) -> Form:
        gettext = requester.gettext
        options = [(status.value, gettext(label)) for status, label in _STATUS.items()]
        status = Field(
            var="status",
            label=gettext("Status"),
            kind="list-single",
            value=Status.PENDING.value,
            options=[*options, (_ALL, gettext("all"))],
        )
        after = Field(var="after", label=gettext("Only after this invitation"))
        return Form(form_type=self.node, title=gettext(self.name), fields=[status, after])

    def _list(self, requester: Requester, invites: Sequence[Invite]) -> Completed:
        gettext, shown = requester.gettext, invites[:MAX_ROWS]
        if not shown:
            return Completed(note=gettext("There are no such invitations."))
        note = ""
        if len(invites) > len(shown):
            more = gettext("There are more: these are the first {number}, up to {id}.")
            note = more.format(number=len(shown), id=shown[-1].id)
        result = Result(
            form_type=self.node,
            title=gettext(self.name),
            columns={var: gettext(label) for var, label in _COLUMNS.items()},
            rows=[self._row(requester, invite) for invite in shown],
        )
        return Completed(result, note)

    def _row(self, requester: Requester, invite: Invite) -> dict[str, str]:
        allowed = "∞" if invite.uses_allowed is None else invite.uses_allowed
        return {
            "id": invite.id,
            "kind": requester.gettext(_KIND[invite.kind]),
            "inviter": invite.inviter or "",
            "username": invite.username or "",
            "created": date_time(invite.created_at),
            "expire": date_time(invite.expires_at) if invite.expires_at else "",
            "uses": f"{invite.uses}/{allowed}",
            "status": requester.gettext(_STATUS[invite.status(self.invites.now())]),
            "note": shown(invite.note),
        }


class _OneInvite(_OwnedInvites):
    """A command that begins with the choice of an invite."""

    node: str
    name: str

    async def choice(self, requester: Requester) -> Form | None:
        """Return the form to choose in, or None if there is nothing to choose."""
        gettext = requester.gettext
        label = gettext("Invitation")
        field = Field(var="invite", label=label, required=True)
        if not (await self.rights(requester)).admin:
            own = await self.invites.list_own(self.user(requester), MAX_ROWS)
            if not own:
                return None
            options = [(invite.id, described(invite, gettext)) for invite in own]
            field = Field(
                var="invite", label=label, kind="list-single", required=True, options=options
            )
        return Form(form_type=self.node, title=gettext(self.name), fields=[field])


class RenewInvite(_OneInvite):
    """Make a new link for an invite, in place of one that was lost."""

    node = "invitereg#renew-invite"
    name = N_("Make a new link for an invitation")

    async def proceed(
        self, requester: Requester, answers: Sequence[FormValues]
    ) -> Stage | Completed:
        if answers:
            renewed = await self.invites.renew(self.user(requester), answers[0]["invite"])
            return invitation(requester, *renewed)
        form = await self.choice(requester)
        return Stage(form) if form else _nothing(requester)


class RevokeInvite(_OneInvite):
    """Revoke an invite, after a confirmation."""

    node = "invitereg#revoke-invite"
    name = N_("Revoke an invitation")

    async def proceed(
        self, requester: Requester, answers: Sequence[FormValues]
    ) -> Stage | Completed:
        if not answers:
            form = await self.choice(requester)
            return Stage(form, last=False) if form else _nothing(requester)
        invite_id = answers[0]["invite"]
        if len(answers) == 1:
            return Stage(self._confirmation(requester, await self._get(requester, invite_id)))
        if not answers[1]["confirm"]:
            return Completed(note=requester.gettext("Nothing was revoked."))
        await self.invites.revoke(self.user(requester), invite_id)
        return Completed(note=requester.gettext("The invitation is revoked."))

    async def _get(self, requester: Requester, invite_id: str) -> Invite:
        return await self.invites.get(self.user(requester), invite_id)

    def _confirmation(self, requester: Requester, invite: Invite) -> Form:
        gettext = requester.gettext
        confirm = Field(
            var="confirm", label=gettext("Revoke it"), kind="boolean", required=True, value="1"
        )
        return Form(
            form_type=self.node,
            title=gettext(self.name),
            instructions=described(invite, gettext),
            fields=[confirm],
        )


def _nothing(requester: Requester) -> Completed:
    return Completed(note=requester.gettext("You have no open invitations."))


_EXPIRIES = {
    "1d": N_("one day"),
    "7d": N_("one week"),
    "30d": N_("30 days"),
    "365d": N_("one year"),
    "never": N_("for ever"),
}
# By which apps ask that were written for mod_invites_adhoc of Prosody.
_ALIASES = {"xmpp:prosody.im/mod_invites_adhoc#password-reset": "invitereg#password-reset"}
_UNLIMITED = "unlimited"
_MOST_USES_DIGITS = 9


def invite_commands(invites: UserInvites, seconds: Callable[[], float]) -> AdHocCommands:
    """Return all commands about invites; ``seconds`` is the clock of their sessions."""
    commands = (
        InviteContact(invites),
        CreateAccount(invites),
        ResetPassword(invites),
        ListInvites(invites),
        RenewInvite(invites),
        RevokeInvite(invites),
    )
    return AdHocCommands(commands, CommandSessions(seconds), _ALIASES)


class InviteContact(InviteCommand):
    """Make a link for a friend, at once (§4.1); to register with, if the policy allows it."""

    node = "urn:xmpp:invite#invite"
    name = N_("Invite a contact")

    async def is_allowed(self, requester: Requester) -> bool:
        return (await self.rights(requester)).any

    async def proceed(
        self, requester: Requester, _answers: Sequence[FormValues]
    ) -> Stage | Completed:
        invite, token = await self.invites.invite(
            self.user(requester), await self.rights(requester)
        )
        return invitation(requester, invite, token)


class CreateAccount(InviteCommand):
    """Make a link to register with, maybe with a fixed username (§4.4)."""

    node = "urn:xmpp:invite#create-account"
    name = N_("Create an invitation to register")

    async def is_allowed(self, requester: Requester) -> bool:
        return (await self.rights(requester)).registration

    async def proceed(
        self, requester: Requester, answers: Sequence[FormValues]
    ) -> Stage | Completed:
        if not answers:
            return Stage(await self._form(requester))
        given = answers[0]
        invite, token = await self.invites.create(
            self.user(requester),
            username=_username(requester, given["username"]),
            contact=bool(given.get("roster-subscription")),
            expiry=_expiry(given.get("expiry")),
            uses=_uses(given.get("uses") or "1"),
            roles=given.get("role") or (),
            note=given.get("note") or "",
        )
        return invitation(requester, invite, token, to_register=True)

    async def _form(self, requester: Requester) -> Form:
        gettext, rights = requester.gettext, await self.rights(requester)
        fields = [Field(var="username", label=gettext("Username"))]
        if rights.contact:
            label = gettext("Become contacts")
            fields.append(Field(var="roster-subscription", label=label, kind="boolean"))
        if rights.admin:
            fields += _fields_for_admins(gettext)
        return Form(
            form_type=self.node,
            title=gettext(self.name),
            instructions=gettext("Leave the username empty to let the invited person choose."),
            fields=fields,
        )


class ResetPassword(InviteCommand):
    """Make a link by which the owner of an account sets a new password."""

    node = "invitereg#password-reset"
    name = N_("Create a link to set a new password")

    async def is_allowed(self, requester: Requester) -> bool:
        return (await self.rights(requester)).admin

    async def proceed(
        self, requester: Requester, answers: Sequence[FormValues]
    ) -> Stage | Completed:
        if not answers:
            return Stage(self._form(requester.gettext))
        account = answers[0]["accountjid"]
        if account.host != requester.domain.name or account.user is None:
            raise NotFound(f"There is no account {account.userhost()} here.")
        invite, token = await self.invites.create_reset(self.user(requester), account.user)
        return invitation(requester, invite, token)

    def _form(self, gettext: Callable[[str], str]) -> Form:
        account = Field(
            var="accountjid",
            label=gettext("Address of the account"),
            kind="jid-single",
            required=True,
            read=parse_jid,
        )
        return Form(form_type=self.node, title=gettext(self.name), fields=[account])


def _fields_for_admins(gettext: Callable[[str], str]) -> list[Field]:
    expiries = [(value, gettext(label)) for value, label in _EXPIRIES.items()]
    return [
        Field(var="expiry", label=gettext("Valid for"), kind="list-single", options=expiries),
        Field(
            var="uses",
            label=gettext("How many people can use it (a number, or unlimited)"),
            value="1",
            read=_uses_text,
        ),
        Field(
            var="role",
            label=gettext("Roles that they get, one a line"),
            kind="text-multi",
            read=role_name,
        ),
        Field(var="note", label=gettext("Note for admins")),
    ]


def _username(requester: Requester, text: str | None) -> str | None:
    return None if text is None else typed_username(text, requester.domain.name)


def _expiry(text: str | None) -> timedelta | None:
    return DEFAULT_EXPIRY if text is None else duration_or_never(text)


def _uses_text(text: str) -> str:
    _uses(text)
    return text


def _uses(text: str) -> int | None:
    """Return a number from 1 on; None is unlimited."""
    if text == _UNLIMITED:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_USES_DIGITS and int(text)):
        raise ValueError(text)
    return int(text)
