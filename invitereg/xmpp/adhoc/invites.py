"""Ad-hoc commands to make, list, renew and revoke invites (XEP-0401).

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
from invitereg.xmpp.adhoc.commands import AdHocCommands, Asker, CommandSessions, Outcome, Stage
from invitereg.xmpp.adhoc.forms import Answers, Field, Form, Result, Told


class InviteCommand:
    """A command about invites, for those who have an account at the domain."""

    def __init__(self, invites: UserInvites) -> None:
        self.invites = invites

    def user(self, asker: Asker) -> User:
        """Whose account it is that asks; only after `rights` said that there may be one."""
        return User(asker.domain.name, asker.jid.user or "", "adhoc")

    async def rights(self, asker: Asker) -> Rights:
        """What they may do; somebody from elsewhere, nothing."""
        if asker.jid.host != asker.domain.name or not asker.jid.user:
            return Rights()
        known: Rights | None = asker.memory.get("rights")
        if known is None:
            known = asker.memory["rights"] = await self.invites.rights(self.user(asker))
        return known


def invitation(
    asker: Asker, invite: Invite, token: str, *, to_register: bool = False
) -> Outcome:
    """An invite with its links, which are shown only now (§4.1).

    Both fields are there even where one has nothing in it, as one client needs the page's.
    ``to_register`` is for a URI that says nothing of contacts; one that names the username to
    take never does, else the name would be lost.
    """
    gettext, names = asker.gettext, to_register or bool(invite.username)
    uri = app_uri(asker.domain, invite, token, names=names)
    page = page_url(asker.domain, token)
    values = [
        Told(var="uri", label=gettext("Link for apps"), value=uri),
        Told(var="landing-url", label=gettext("Web page to share"), value=page),
    ]
    if invite.expires_at is not None:
        label = gettext("Valid until")
        values.append(Told(var="expire", label=label, value=date_time(invite.expires_at)))
    title = gettext("Invitation")
    return Outcome(Result(form_type=NS_INVITATION, title=title, values=values))


def date_time(moment: datetime) -> str:
    """As XEP-0082 §3.2 writes it, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def described(invite: Invite, gettext: Callable[[str], str]) -> str:
    """One line by which people tell an invite from others."""
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
    """For all who may invite, or have invited, and for admins."""

    async def is_allowed(self, asker: Asker) -> bool:
        """Also for those who may not invite any more, as long as an invite is open."""
        rights = await self.rights(asker)
        return rights.any or rights.admin or rights.has_open


class ListInvites(_OwnedInvites):
    """The invites there are."""

    node = "invitereg#list-invites"
    name = N_("List invitations")

    async def proceed(self, asker: Asker, answers: Sequence[Answers]) -> Stage | Outcome:
        """See `Command`."""
        if not (await self.rights(asker)).admin:
            return self._list(asker, await self.invites.own(self.user(asker), MAX_ROWS + 1))
        if not answers:
            return Stage(self._filter(asker))
        status = answers[0]["status"] or Status.PENDING
        return self._list(
            asker,
            await self.invites.everybodys(
                self.user(asker),
                None if status == _ALL else Status(status),
                MAX_ROWS + 1,
                answers[0]["after"],
            ),
        )

    def _filter(self, asker: Asker) -> Form:
        gettext = asker.gettext
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

    def _list(self, asker: Asker, invites: Sequence[Invite]) -> Outcome:
        gettext, shown = asker.gettext, invites[:MAX_ROWS]
        if not shown:
            return Outcome(note=gettext("There are no such invitations."))
        note = ""
        if len(invites) > len(shown):
            more = gettext("There are more: these are the first {number}, up to {id}.")
            note = more.format(number=len(shown), id=shown[-1].id)
        result = Result(
            form_type=self.node,
            title=gettext(self.name),
            columns={var: gettext(label) for var, label in _COLUMNS.items()},
            rows=[self._row(asker, invite) for invite in shown],
        )
        return Outcome(result, note)

    def _row(self, asker: Asker, invite: Invite) -> dict[str, str]:
        allowed = "∞" if invite.uses_allowed is None else invite.uses_allowed
        return {
            "id": invite.id,
            "kind": asker.gettext(_KIND[invite.kind]),
            "inviter": invite.inviter or "",
            "username": invite.username or "",
            "created": date_time(invite.created_at),
            "expire": date_time(invite.expires_at) if invite.expires_at else "",
            "uses": f"{invite.uses}/{allowed}",
            "status": asker.gettext(_STATUS[invite.status(self.invites.now())]),
            "note": shown(invite.note),
        }


class _OneInvite(_OwnedInvites):
    """What begins with the choice of an invite."""

    node: str
    name: str

    async def choice(self, asker: Asker) -> Form | None:
        """The form to choose in; None if there is nothing to choose."""
        gettext = asker.gettext
        label = gettext("Invitation")
        field = Field(var="invite", label=label, required=True)
        if not (await self.rights(asker)).admin:
            own = await self.invites.own(self.user(asker), MAX_ROWS)
            if not own:
                return None
            options = [(invite.id, described(invite, gettext)) for invite in own]
            field = Field(
                var="invite", label=label, kind="list-single", required=True, options=options
            )
        return Form(form_type=self.node, title=gettext(self.name), fields=[field])


class RenewInvite(_OneInvite):
    """A new link for an invite, in place of one that was lost."""

    node = "invitereg#renew-invite"
    name = N_("Make a new link for an invitation")

    async def proceed(self, asker: Asker, answers: Sequence[Answers]) -> Stage | Outcome:
        """See `Command`."""
        if answers:
            renewed = await self.invites.renew(self.user(asker), answers[0]["invite"])
            return invitation(asker, *renewed)
        form = await self.choice(asker)
        return Stage(form) if form else _nothing(asker)


class RevokeInvite(_OneInvite):
    """The end of an invite, once that is confirmed."""

    node = "invitereg#revoke-invite"
    name = N_("Revoke an invitation")

    async def proceed(self, asker: Asker, answers: Sequence[Answers]) -> Stage | Outcome:
        """See `Command`."""
        if not answers:
            form = await self.choice(asker)
            return Stage(form, last=False) if form else _nothing(asker)
        invite_id = answers[0]["invite"]
        if len(answers) == 1:
            return Stage(self._confirmation(asker, await self._get(asker, invite_id)))
        if not answers[1]["confirm"]:
            return Outcome(note=asker.gettext("Nothing was revoked."))
        await self.invites.revoke(self.user(asker), invite_id)
        return Outcome(note=asker.gettext("The invitation is revoked."))

    async def _get(self, asker: Asker, invite_id: str) -> Invite:
        return await self.invites.get(self.user(asker), invite_id)

    def _confirmation(self, asker: Asker, invite: Invite) -> Form:
        gettext = asker.gettext
        confirm = Field(
            var="confirm", label=gettext("Revoke it"), kind="boolean", required=True, value="1"
        )
        return Form(
            form_type=self.node,
            title=gettext(self.name),
            instructions=described(invite, gettext),
            fields=[confirm],
        )


def _nothing(asker: Asker) -> Outcome:
    return Outcome(note=asker.gettext("You have no open invitations."))


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
    """All commands about invites, whose sessions are timed by ``seconds``."""
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
    """A link for a friend, at once (§4.1); to register with, where the policy lets it."""

    node = "urn:xmpp:invite#invite"
    name = N_("Invite a contact")

    async def is_allowed(self, asker: Asker) -> bool:
        """For all who may invite at all."""
        return (await self.rights(asker)).any

    async def proceed(self, asker: Asker, _answers: Sequence[Answers]) -> Stage | Outcome:
        """See `Command`."""
        invite, token = await self.invites.invite(self.user(asker), await self.rights(asker))
        return invitation(asker, invite, token)


class CreateAccount(InviteCommand):
    """A link to register with, perhaps by one username only (§4.4)."""

    node = "urn:xmpp:invite#create-account"
    name = N_("Create an invitation to register")

    async def is_allowed(self, asker: Asker) -> bool:
        """For those who may let people register."""
        return (await self.rights(asker)).registration

    async def proceed(self, asker: Asker, answers: Sequence[Answers]) -> Stage | Outcome:
        """See `Command`."""
        if not answers:
            return Stage(await self._form(asker))
        given = answers[0]
        invite, token = await self.invites.create(
            self.user(asker),
            username=_username(asker, given["username"]),
            contact=bool(given.get("roster-subscription")),
            expiry=_expiry(given.get("expiry")),
            uses=_uses(given.get("uses") or "1"),
            roles=given.get("role") or (),
            note=given.get("note") or "",
        )
        return invitation(asker, invite, token, to_register=True)

    async def _form(self, asker: Asker) -> Form:
        gettext, rights = asker.gettext, await self.rights(asker)
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
    """A link by which somebody who has an account sets a new password."""

    node = "invitereg#password-reset"
    name = N_("Create a link to set a new password")

    async def is_allowed(self, asker: Asker) -> bool:
        """For admins."""
        return (await self.rights(asker)).admin

    async def proceed(self, asker: Asker, answers: Sequence[Answers]) -> Stage | Outcome:
        """See `Command`."""
        if not answers:
            return Stage(self._form(asker.gettext))
        account = answers[0]["accountjid"]
        if account.host != asker.domain.name or account.user is None:
            raise NotFound(f"There is no account {account.userhost()} here.")
        invite, token = await self.invites.create_reset(self.user(asker), account.user)
        return invitation(asker, invite, token)

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


def _username(asker: Asker, text: str | None) -> str | None:
    return None if text is None else typed_username(text, asker.domain.name)


def _expiry(text: str | None) -> timedelta | None:
    return DEFAULT_EXPIRY if text is None else duration_or_never(text)


def _uses_text(text: str) -> str:
    _uses(text)
    return text


def _uses(text: str) -> int | None:
    """A number from 1 on; None is unlimited."""
    if text == _UNLIMITED:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_USES_DIGITS and int(text)):
        raise ValueError(text)
    return int(text)
