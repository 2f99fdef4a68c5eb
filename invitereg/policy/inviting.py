"""Decisions about invites: who may make them, how many, and who may see and change them.

Who may invite is the same kind of decision as who may register. The operator is not judged,
only users: those who ask by their account. By whose right an invite is made, seen or changed
is judged of all: by its kind and its name, too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from invitereg.errors import (
    InvalidRequest,
    MayNotInvite,
    MayNotReset,
    NotFound,
    Refused,
    RegistrationClosed,
    Throttled,
    TooManyOpenInvites,
    UsernameReserved,
)
from invitereg.model.invites import Invite, Kind
from invitereg.policy.counters import user_invites_counter
from invitereg.policy.decision import Decision, judge
from invitereg.policy.values import Domain, Policy, Tally
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


_NONE = Tally()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inviter:
    """A user who wants to invite, and what is known about them.

    Attributes:
        exists: whether there is such an account.
        roles: of the account.
        created_at: when it was made; None where another server made it: then it is no new one.
        open_invites: how many invites made by them are pending.
        made: what `user_invites_counter` counts.
    """

    username: str
    now: datetime
    exists: bool = True
    roles: frozenset[str] = frozenset()
    created_at: datetime | None = None
    open_invites: int = 0
    made: Tally = _NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteRequest:
    """The kind of invite that is asked for.

    Attributes:
        registration: it lets somebody register.
        contact: it makes inviter and invitee contacts.
        expiry: from now; None is never.
        uses: how often it may be redeemed; None is unlimited.
        grants: it gives roles or groups to those who come.
    """

    registration: bool = False
    contact: bool = False
    expiry: timedelta | None = timedelta()
    uses: int | None = 1
    grants: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The rights of an account about invites, their number aside.

    Attributes:
        admin: everything, and with everybody's invites.
        registration: invite people to register.
        contact: invite people to become contacts.
        has_open: change what they have made, which is still open.
    """

    admin: bool = False
    registration: bool = False
    contact: bool = False
    has_open: bool = False

    @property
    def any(self) -> bool:
        return self.registration or self.contact


@dataclass(frozen=True, slots=True)
class _InviteCase:
    policy: Policy
    request: InviteRequest
    inviter: Inviter


_Rule = Callable[[_InviteCase], Refused | None]


def _inviter_unknown(case: _InviteCase) -> Refused | None:
    if case.inviter.exists:
        return None
    return NotFound(f"There is no account {case.inviter.username} that could invite.")


def _closed(case: _InviteCase) -> Refused | None:
    closed = case.request.registration and not case.policy.allow_registration
    return RegistrationClosed() if closed else None


def _role_denied(case: _InviteCase) -> Refused | None:
    denied = case.inviter.roles & case.policy.invites.deny_user_invites_by_roles
    return MayNotInvite() if case.request.registration and denied else None


def _registration_invites(case: _InviteCase) -> Refused | None:
    rules = case.policy.invites
    allowed = rules.allow_user_invites or case.inviter.roles & rules.allow_user_invites_by_roles
    return None if allowed or not case.request.registration else MayNotInvite()


def _contact_invites(case: _InviteCase) -> Refused | None:
    if not case.request.contact or case.policy.invites.allow_contact_invites:
        return None
    return MayNotInvite(N_("You may not invite contacts on this server."))


def _grants(case: _InviteCase) -> Refused | None:
    if not case.request.grants:
        return None
    return MayNotInvite(N_("Only an admin can give roles or groups by an invitation."))


def _account_too_young(case: _InviteCase) -> Refused | None:
    created_at, age = case.inviter.created_at, case.policy.invites.users.min_account_age
    if created_at is None or case.inviter.now - created_at >= age:
        return None
    text = N_("Your account is too new to invite others. Please try again later.")
    return MayNotInvite(text)


def _expiry_too_long(case: _InviteCase) -> Refused | None:
    expiry, longest = case.request.expiry, case.policy.invites.users.max_expiry
    if longest is None or (expiry is not None and expiry <= longest):
        return None
    return InvalidRequest(N_("The invitation would be valid for too long."))


def _uses_too_many(case: _InviteCase) -> Refused | None:
    uses, most = case.request.uses, case.policy.invites.users.max_uses
    if most is None or (uses is not None and uses <= most):
        return None
    if most == 1:
        return InvalidRequest(N_("An invitation can have one use at most."))
    return InvalidRequest(N_("An invitation can have %(most)s uses at most."), most=most)


def _too_many_open(case: _InviteCase) -> Refused | None:
    most = case.policy.invites.users.max_open
    if most is None or case.inviter.open_invites < most:
        return None
    return TooManyOpenInvites(most)


def _too_many_made(case: _InviteCase) -> Refused | None:
    counter = user_invites_counter(case.policy, case.inviter.username)
    if case.inviter.made.count < counter.limit.max:
        return None
    return Throttled(counter.retry_after(case.inviter.made, case.inviter.now))


_FOR_ADMINS: tuple[tuple[str, _Rule], ...] = (
    ("inviter-unknown", _inviter_unknown),
    ("closed", _closed),
    ("admin", lambda _case: None),  # and is asked no further
)
_WHO: tuple[tuple[str, _Rule], ...] = (
    ("inviter-unknown", _inviter_unknown),
    ("closed", _closed),
    ("role-denied", _role_denied),
    ("registration-invites", _registration_invites),
    ("contact-invites", _contact_invites),
    ("grants", _grants),
    ("account-too-young", _account_too_young),
)
_HOW_MUCH: tuple[tuple[str, _Rule], ...] = (
    ("expiry-too-long", _expiry_too_long),
    ("uses-too-many", _uses_too_many),
    ("too-many-open", _too_many_open),
    ("too-many-made", _too_many_made),
)
INVITE_RULES = tuple(dict.fromkeys(name for name, _ in (*_FOR_ADMINS, *_WHO, *_HOW_MUCH)))
"""The names of all rules about inviting."""


def is_admin(policy: Policy, username: str) -> bool:
    """Whether the account of that name is an admin's."""
    return username in policy.admins


def decide_invite(policy: Policy, request: InviteRequest, inviter: Inviter) -> Decision:
    """Decide whether ``inviter`` may make the invite that they request."""
    rules = (*_WHO, *_HOW_MUCH)
    if is_admin(policy, inviter.username):
        rules = _FOR_ADMINS
    return judge(rules, _InviteCase(policy, request, inviter))


def decide_renewal(policy: Policy, request: InviteRequest, inviter: Inviter) -> Decision:
    """Decide whether ``inviter`` may renew an invite that was made as ``request`` says.

    The rules are those for making it, without the limits: a renewed invite is no further one.
    """
    rules = _FOR_ADMINS if is_admin(policy, inviter.username) else _WHO
    return judge(rules, _InviteCase(policy, request, inviter))


def rights_of(policy: Policy, inviter: Inviter) -> Rights:
    """Return the rights of ``inviter``."""

    def may(request: InviteRequest) -> bool:
        return decide_renewal(policy, request, inviter).refusal is None

    return Rights(
        admin=inviter.exists and is_admin(policy, inviter.username),
        registration=may(InviteRequest(registration=True)),
        contact=may(InviteRequest(contact=True)),
        has_open=inviter.open_invites > 0,
    )


def default_expiry(policy: Policy, username: str | None) -> timedelta | None:
    """Return how long an invite is valid by default; without ``username``, the operator's."""
    expiry, longest = policy.invites.expiry, policy.invites.users.max_expiry
    if username is None or is_admin(policy, username) or longest is None:
        return expiry
    return longest if expiry is None else min(expiry, longest)
