"""Commands to make, list, renew and revoke invites (XEP-0401).

https://xmpp.org/extensions/xep-0401.html
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter

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
    Answers,
    CommandSessions,
    Completed,
    Outcome,
    Requester,
    Stage,
)
from invitereg.xmpp.adhoc.forms import Field, Form, Result


class InviteCommand:
    """A command about invites, for accounts of the domain.

    Attributes:
        allowed: whether it may be executed with these rights.
    """

    node: str
    name: str
    allowed: Callable[[Rights], bool]

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

    async def is_allowed(self, requester: Requester) -> bool:
        return self.allowed(await self.rights(requester))

    def form(self, requester: Requester, *fields: Field, instructions: str = "") -> Form:
        """Return a form under the command's name."""
        title = requester.gettext(self.name)
        return Form(form_type=self.node, title=title, instructions=instructions, fields=fields)


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
        Field(var="uri", label=gettext("Link for apps"), value=uri),
        Field(var="landing-url", label=gettext("Web page to share"), value=page),
    ]
    if invite.expires_at is not None:
        label = gettext("Valid until")
        values.append(Field(var="expire", label=label, value=date_time(invite.expires_at)))
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
    """A command for all who may invite, or whose invites are open, and for admins."""

    allowed = staticmethod(lambda rights: rights.any or rights.admin or rights.has_open)


class ListInvites(_OwnedInvites):
    """List invites."""

    node = "invitereg#list-invites"
    name = N_("List invitations")

    async def proceed(self, requester: Requester, answers: Answers) -> Outcome:
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
        return self.form(requester, status, after)

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

    async def choice(self, requester: Requester) -> Form | None:
        """Return the form to choose in, or None if there is nothing to choose."""
        gettext = requester.gettext
        field = Field(var="invite", label=gettext("Invitation"), required=True)
        if not (await self.rights(requester)).admin:
            own = await self.invites.list_own(self.user(requester), MAX_ROWS)
            if not own:
                return None
            options = [(invite.id, described(invite, gettext)) for invite in own]
            field = replace(field, kind="list-single", options=options)
        return self.form(requester, field)


class RenewInvite(_OneInvite):
    """Make a new link for an invite, in place of one that was lost."""

    node = "invitereg#renew-invite"
    name = N_("Make a new link for an invitation")

    async def proceed(self, requester: Requester, answers: Answers) -> Outcome:
        if answers:
            renewed = await self.invites.renew(self.user(requester), answers[0]["invite"])
            return invitation(requester, *renewed)
        form = await self.choice(requester)
        return Stage(form) if form else _nothing(requester)


class RevokeInvite(_OneInvite):
    """Revoke an invite, after a confirmation."""

    node = "invitereg#revoke-invite"
    name = N_("Revoke an invitation")

    async def proceed(self, requester: Requester, answers: Answers) -> Outcome:
        if not answers:
            form = await self.choice(requester)
            return Stage(form, last=False) if form else _nothing(requester)
        invite_id, gettext = answers[0]["invite"], requester.gettext
        if len(answers) == 1:
            invite = await self.invites.get(self.user(requester), invite_id)
            label = gettext("Revoke it")
            confirm = Field(
                var="confirm", label=label, kind="boolean", required=True, value="1"
            )
            told = described(invite, gettext)
            return Stage(self.form(requester, confirm, instructions=told))
        if not answers[1]["confirm"]:
            return Completed(note=gettext("Nothing was revoked."))
        await self.invites.revoke(self.user(requester), invite_id)
        return Completed(note=gettext("The invitation is revoked."))


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

    allowed = attrgetter("any")

    async def proceed(self, requester: Requester, _answers: Answers) -> Outcome:
        invite, token = await self.invites.invite(
            self.user(requester), await self.rights(requester)
        )
        return invitation(requester, invite, token)


class CreateAccount(InviteCommand):
    """Make a link to register with, maybe with a fixed username (§4.4)."""

    node = "urn:xmpp:invite#create-account"
    name = N_("Create an invitation to register")

    allowed = attrgetter("registration")

    async def proceed(self, requester: Requester, answers: Answers) -> Outcome:
        if not answers:
            return Stage(await self._form(requester))
        given = answers[0]
        username, expiry = given["username"], given.get("expiry")
        invite, token = await self.invites.create(
            self.user(requester),
            username=username and typed_username(username, requester.domain.name),
            contact=bool(given.get("roster-subscription")),
            expiry=duration_or_never(expiry) if expiry else DEFAULT_EXPIRY,
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
        told = gettext("Leave the username empty to let the invited person choose.")
        return self.form(requester, *fields, instructions=told)


class ResetPassword(InviteCommand):
    """Make a link by which the owner of an account sets a new password."""

    node = "invitereg#password-reset"
    name = N_("Create a link to set a new password")

    allowed = attrgetter("admin")

    async def proceed(self, requester: Requester, answers: Answers) -> Outcome:
        if not answers:
            field = Field(
                var="accountjid",
                label=requester.gettext("Address of the account"),
                kind="jid-single",
                required=True,
                read=parse_jid,
            )
            return Stage(self.form(requester, field))
        account = answers[0]["accountjid"]
        if account.host != requester.domain.name or account.user is None:
            raise NotFound(f"There is no account {account.userhost()} here.")
        invite, token = await self.invites.create_reset(self.user(requester), account.user)
        return invitation(requester, invite, token)


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
