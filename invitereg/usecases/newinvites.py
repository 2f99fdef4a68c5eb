"""The description of a new invite, or of changes to one, and what makes no sense in it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from invitereg.errors import InvalidRequest
from invitereg.interfaces.queries import InviteChanges
from invitereg.model.fields import fits_xml
from invitereg.model.invites import Invite, Kind
from invitereg.policy.inviting import COMMAND_LINE, is_admin
from invitereg.policy.registering import refuse_username
from invitereg.policy.values import Facts, Policy, Request

DEFAULT_EXPIRY = timedelta.max

Expiry = timedelta | datetime | None
"""When an invite expires: so long after it is made, at a moment, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvite:
    """The description of an invite that is to be made.

    Attributes:
        contact: become mutual contacts with the inviter.
        registration: whether it lets register at all; without, it only makes contacts.
        expiry: `DEFAULT_EXPIRY` is what the policy says.
        uses: how often it may be redeemed; None is unlimited.
        per_network: how often from one network; see `Invite.per_network_allowed`.
        requestor: localpart of the user who asks for it, as whom it is made; None is the
            operator.
    """

    domain: str
    source: str
    inviter: str | None = None
    contact: bool = False
    registration: bool = True
    username: str | None = None
    expiry: Expiry = DEFAULT_EXPIRY
    uses: int | None = 1
    per_network: int | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    note: str = ""
    requestor: str | None = None

    @property
    def kind(self) -> Kind:
        if not self.registration:
            return Kind.CONTACT
        return Kind.ACCOUNT_AND_CONTACT if self.contact else Kind.ACCOUNT


def check_new_invite(new: NewInvite) -> None:
    """Raise InvalidRequest if what is asked for makes no sense; the text says why."""
    if new.requestor not in (None, new.inviter):
        raise InvalidRequest("Whoever asks for an invite is its inviter.")
    if new.uses is not None and new.uses < 1:
        raise InvalidRequest("An invite needs at least one use.")
    require_per_network(new.per_network, new.uses)
    if new.username and new.uses != 1:
        raise InvalidRequest("An invite for one username can have one use only.")
    if (new.contact or not new.registration) and not new.inviter:
        raise InvalidRequest("A contact invite needs an inviter to be a contact of.")
    if new.username and not new.registration:
        raise InvalidRequest("An invite that registers nobody cannot fix a username.")
    for text in (new.note, *new.groups):
        require_text(text)


def require_per_network(per_network: int | None, uses: int | None) -> None:
    """Raise InvalidRequest if an invite of so many uses can have no such limit of its own."""
    if per_network is None:
        return
    if per_network < 1:
        raise InvalidRequest("From each network, an invite needs at least one use.")
    if uses == 1:
        raise InvalidRequest(
            "A number for each network is for an invite with several uses: one with a single "
            "use is never refused by it."
        )


def require_free_choice(policy: Policy, new: NewInvite, now: datetime) -> None:
    """Raise a refusal if a user, or a key, fixes a name that no newcomer could choose.

    The operator and the admins fix any.
    """
    free = (
        new.source == COMMAND_LINE if new.requestor is None else is_admin(policy, new.requestor)
    )
    if new.username is None or free:
        return
    request = Request(domain=new.domain, username=new.username)
    refusal = refuse_username(policy, request, Facts(now=now))
    if refusal is not None:
        raise refusal


def expiry_moment(now: datetime, expiry: Expiry) -> datetime | None:
    """Return when an invite expires that is made, or changed, at ``now``.

    Raises:
        InvalidRequest: that has passed, or no time is that far away.
    """
    try:
        end = now + expiry if isinstance(expiry, timedelta) else expiry
    except OverflowError:
        raise InvalidRequest("An invite cannot expire that far away.") from None
    if end is not None and end <= now:
        raise InvalidRequest("An invite must be valid for some time.")
    return end


def require_changes(invite: Invite, changes: InviteChanges) -> None:
    """Raise InvalidRequest if an invite cannot be changed so; the text says why."""
    values = changes.values
    uses = values.get("uses_allowed", invite.uses_allowed)
    if isinstance(uses, int) and uses < 1:
        raise InvalidRequest("An invite needs at least one use.")
    per_network = values.get("per_network_allowed")
    if isinstance(per_network, int):
        require_per_network(per_network, uses if isinstance(uses, int) else None)
    require_text(str(values.get("note") or ""))


def require_text(text: str) -> None:
    """Raise InvalidRequest if ``text`` has characters that no stanza can carry."""
    if not fits_xml(text):
        raise InvalidRequest("A note or a group has characters that cannot be used.")
