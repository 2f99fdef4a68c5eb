"""What becomes of invites that were made, as ad-hoc commands: one's own, or for admins all."""

from collections.abc import Sequence

from invitereg.model.fields import shown
from invitereg.model.invites import Invite, Kind, Status
from invitereg.translations import N_
from invitereg.xmpp.adhoc import Asker, Outcome, Stage
from invitereg.xmpp.forms import Answers, Field, Form, Result
from invitereg.xmpp.invitation import InviteCommand, date_time, described, invitation

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
