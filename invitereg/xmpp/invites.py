"""Making invites by ad-hoc commands (XEP-0401).

https://xmpp.org/extensions/xep-0401.html
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from invitereg.config import duration_or_never, role_name
from invitereg.embedded.addresses import parse_jid
from invitereg.errors import NotFound
from invitereg.issuer import DEFAULT_EXPIRY
from invitereg.model.names import typed_username
from invitereg.translations import N_
from invitereg.userinvites import UserInvites
from invitereg.xmpp.adhoc import AdHocCommands, Asker, Outcome, Stage
from invitereg.xmpp.commandsessions import CommandSessions
from invitereg.xmpp.forms import Answers, Field, Form
from invitereg.xmpp.invitation import InviteCommand, invitation
from invitereg.xmpp.ownedinvites import ListInvites, RenewInvite, RevokeInvite

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
        Invite(invites),
        CreateAccount(invites),
        ResetPassword(invites),
        ListInvites(invites),
        RenewInvite(invites),
        RevokeInvite(invites),
    )
    return AdHocCommands(commands, CommandSessions(seconds), _ALIASES)


class Invite(InviteCommand):
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
