"""By whose right an invite is made, seen or changed: its kind and its name are judged, too."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from invitereg.errors import MayNotReset, Refused, RegistrationClosed, UsernameReserved
from invitereg.model.invites import Invite, Kind
from invitereg.policy.values import Domain, Policy
from invitereg.translations import N_

COMMAND_LINE = "cli"
"""The source of what the operator makes."""
PROSODY = "prosody"
"""The source of what the operator takes over from Prosody, if nobody is named there."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The right of somebody who makes or changes invites.

    Attributes:
        source: who it is, as an invite records it (`Invite.source`).
        resets: whether it extends to links that set a new password.
    """

    source: str
    resets: bool


FORMER_ADMIN = (
    "{jid} is no admin any more; the invites and resets that they made stay open until you "
    "say: invitereg invite revoke --source adhoc:{jid}"
)
"""The line of the log about somebody whom the operator has taken off the admins."""

OPERATOR = Authority(COMMAND_LINE, resets=True)
"""The right of whoever may use the command line."""


def former_admins(before: Mapping[str, Domain], after: Mapping[str, Domain]) -> Iterator[str]:
    """Yield the addresses of those who were admins of a domain, and are not any more."""
    for name, domain in after.items():
        if name in before:
            for username in sorted(before[name].policy.admins - domain.policy.admins):
                yield f"{username}@{name}"


def refuse_handling(invite: Invite, by: Authority) -> Refused | None:
    """Return why ``by`` may neither see nor end an invite; None if they may."""
    return MayNotReset() if invite.kind is Kind.RESET and not by.resets else None


def refuse_opening(policy: Policy, invite: Invite, by: Authority) -> Refused | None:
    """Return why ``by`` may not make, renew or edit an invite; None if they may.

    Whoever gives it a token, or a longer life, can let somebody in by it.
    """
    return refuse_handling(invite, by) or refuse_admins_name(policy, invite, by.source)


def refuse_link(policy: Policy, invite: Invite, by: Authority) -> Refused | None:
    """Return why ``by`` may make no link for an invite; None if they may.

    While registration is closed, a link to register would open nothing. The operator, who is
    told, may prepare some for later; who reads the answers of a program, nobody knows.
    """
    closed = not policy.allow_registration and by.source != COMMAND_LINE
    if closed and invite.kind.registers:
        return RegistrationClosed()
    return refuse_opening(policy, invite, by)


def refuse_admins_name(policy: Policy, invite: Invite, source: str) -> Refused | None:
    """Return a refusal if an invite is for an admin, by the policy as it is now.

    An admin's name and password are the operator's to give away, on the command line. Whose
    name it is may have changed since the invite was made.
    """
    if source == COMMAND_LINE or invite.username not in policy.admins:
        return None
    return UsernameReserved(text=_ADMINS)


_ADMINS = N_(
    "That is the name of an admin: invitations and password resets for it are made and changed "
    "by the operator only, on the command line."
)
