"""What the commands about invites have in common: who asks, and how an invite is told."""

from collections.abc import Callable
from datetime import UTC, datetime

from invitereg.model.fields import shown
from invitereg.model.invites import Invite
from invitereg.policy.inviting import Rights
from invitereg.policy.texts import app_uri, page_url
from invitereg.userinvites import User, UserInvites
from invitereg.xmpp.adhoc import Asker, Outcome
from invitereg.xmpp.forms import Result, Told

NS_INVITATION = "urn:xmpp:invite#invitation"


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
