"""The decision who may register: pure, over frozen values; the first rule that refuses wins.

`decide` reads no clock, no store and no network: what it must know is in `Facts`. The rules of
a chosen username and of a password hold elsewhere, too: `refuse_username`, `refuse_password`.
Who may invite is decided likewise, in `invitereg.policy.inviting`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from invitereg.errors import (
    AddressRefused,
    FieldMissing,
    InvalidInvite,
    InviteRequired,
    PasswordRule,
    Refused,
    RegistrationClosed,
    Throttled,
    UnacceptableField,
    UnacceptableUsername,
    UsernameReserved,
    UsernameTaken,
    WeakPassword,
)
from invitereg.model.fields import fits_xml
from invitereg.model.invites import Kind
from invitereg.model.lookalikes import has_unseen, is_listed, looks_listed
from invitereg.model.names import (
    localpart_or_none,
    prepare_password,
    unusable_password,
    wrong_username,
)
from invitereg.policy.counters import guess_counters, registration_counters, seconds_to_wait
from invitereg.policy.decision import Decision, judge
from invitereg.policy.inviting import PROSODY, refuse_admins_name
from invitereg.policy.patterns import matches
from invitereg.policy.values import Facts, Policy, Request, within
from invitereg.translations import N_


@dataclass(frozen=True)
class Case:
    """A request with all that a rule may judge it by."""

    policy: Policy
    request: Request
    facts: Facts

    @property
    def is_reset(self) -> bool:
        """Whether an existing account's password is to be set, not an account made."""
        return self.facts.invite is not None and self.facts.invite.kind is Kind.RESET

    @property
    def is_for_contacts_only(self) -> bool:
        """Whether the invite lets nobody register."""
        return self.facts.invite is not None and self.facts.invite.kind is Kind.CONTACT

    @property
    def name_is_fixed(self) -> bool:
        """Whether the invite says which username it is for."""
        return self.facts.invite is not None and self.facts.invite.username is not None

    @cached_property
    def localpart(self) -> str | None:
        """Return the requested username, prepared; None if there is none or it is invalid."""
        return localpart_or_none(self.request.username)

    @cached_property
    def prepared_password(self) -> str | None:
        """Return the password after SASLprep; None if there is none or it is invalid."""
        if self.request.password is None:
            return None
        try:
            return prepare_password(self.request.password)
        except ValueError:
            return None


Rule = Callable[[Case], Refused | None]


def _closed(case: Case) -> Refused | None:
    contacting = case.request.viewing and case.is_for_contacts_only
    # One that is over is answered as one that never was: so nobody learns which there were.
    allowed = (case.is_reset or contacting) and not any(rule(case) for rule in _OVER)
    return None if case.policy.allow_registration or allowed else RegistrationClosed()


def _blocklisted(case: Case) -> Refused | None:
    return (
        AddressRefused() if within(case.request.address, case.policy.limits.blocklist) else None
    )


def _not_allowlisted(case: Case) -> Refused | None:
    limits = case.policy.limits
    if not limits.allowlist_only or case.request.address is None:
        return None
    return None if limits.allowlisted(case.request.address) else AddressRefused()


def _too_many_guesses(case: Case) -> Refused | None:
    # A token that exists is no guess: a guesser must not shut out guests of the same network.
    unknown = case.request.has_token and case.facts.invite is None
    if not unknown or case.policy.limits.allowlisted(case.request.address):
        return None
    counters = guess_counters(case.policy, case.request.address, case.request.scripted)
    seconds = seconds_to_wait(counters, case.facts.guesses, case.facts.now)
    return None if seconds is None else Throttled(seconds)


def _invite_required(case: Case) -> Refused | None:
    if case.request.has_token or not case.policy.registration_invite_only:
        return None
    return InviteRequired()


def _invite_unknown(case: Case) -> Refused | None:
    return InvalidInvite() if case.request.has_token and case.facts.invite is None else None


def _invite_expired(case: Case) -> Refused | None:
    invite = case.facts.invite
    if invite is None or case.request.preauthorised or not invite.expired(case.facts.now):
        return None
    return InvalidInvite()


def _invite_revoked(case: Case) -> Refused | None:
    invite = case.facts.invite
    return InvalidInvite() if invite is not None and invite.revoked_at is not None else None


def _invite_used_up(case: Case) -> Refused | None:
    invite = case.facts.invite
    return InvalidInvite() if invite is not None and invite.used_up else None


def _invite_for_contacts_only(case: Case) -> Refused | None:
    allowed = case.request.viewing or not case.is_for_contacts_only
    return None if allowed else InvalidInvite()


def _invite_wrong_username(case: Case) -> Refused | None:
    invite, localpart = case.facts.invite, case.localpart
    if invite is None or invite.username is None or localpart is None:
        return None
    return (
        None
        if localpart == invite.username
        else UsernameReserved(fixed_username=invite.username)
    )


def _throttled(case: Case) -> Refused | None:
    if case.request.viewing:
        return None
    counters = registration_counters(case.policy, case.request.address, case.facts.invite)
    seconds = seconds_to_wait(counters, case.facts.registrations, case.facts.now)
    return None if seconds is None else counters[0].refusal(seconds)


def _field_missing(case: Case) -> Refused | None:
    request = case.request
    for name, value in (("username", request.username), ("password", request.password)):
        if value == "":
            return FieldMissing(name)
    if request.username is None or request.password is None or case.is_reset:
        return None
    missing = (
        name
        for name, required in case.policy.fields.items()
        if required and not request.fields.get(name, "").strip()
    )
    first = next(missing, None)
    return None if first is None else FieldMissing(first)


def _field_unacceptable(case: Case) -> Refused | None:
    fields = () if case.is_reset else case.policy.fields
    wrong = (name for name in fields if not fits_xml(case.request.fields.get(name, "")))
    first = next(wrong, None)
    return None if first is None else UnacceptableField(first)


def _username_invalid(case: Case) -> Refused | None:
    username = case.request.username
    return None if username is None else wrong_username(username, case.request.domain)


def _username_length(case: Case) -> Refused | None:
    localpart, rules = case.localpart, case.policy.usernames
    if localpart is None or case.name_is_fixed:
        return None
    if rules.min_length <= len(localpart) <= rules.max_length:
        return None
    text = N_("The username must have %(least)s to %(most)s characters.")
    return UnacceptableUsername(text, least=rules.min_length, most=rules.max_length)


def _username_pattern(case: Case) -> Refused | None:
    localpart, pattern = case.localpart, case.policy.usernames.pattern
    if localpart is None or not pattern or case.name_is_fixed:
        return None
    if matches(pattern, localpart):
        return None
    if "ip" in pattern.lower():
        text = N_("The username does not match this server's pattern")
        return UnacceptableUsername(text, pattern=pattern)
    text = N_("The username does not match this server's pattern: %(shown)s")
    return UnacceptableUsername(text, pattern=pattern, shown=pattern)


def _username_reserved(case: Case) -> Refused | None:
    if case.name_is_fixed or case.localpart is None:
        return None
    reserved = case.policy.usernames.reserved
    return UsernameReserved() if is_listed(case.localpart, reserved) else None


def _username_look_alike(case: Case) -> Refused | None:
    localpart, policy = case.localpart, case.policy
    if case.name_is_fixed or localpart is None:
        return None
    if has_unseen(localpart):
        return UsernameReserved()
    if not policy.usernames.refuse_look_alikes:
        return None
    kept = (policy.usernames.reserved, policy.admins - {localpart})
    return UsernameReserved() if any(looks_listed(localpart, names) for names in kept) else None


def _username_of_admin(case: Case) -> Refused | None:
    invite = case.facts.invite
    # It may have been made before its name became an admin's.
    others = invite is not None and refuse_admins_name(case.policy, invite, invite.source)
    if case.is_reset:
        # Links that Prosody's operator has sent go on working.
        taken_over = invite is not None and invite.source == PROSODY
        return InvalidInvite() if others and not taken_over else None
    if case.localpart not in case.policy.admins:
        return None
    return None if case.name_is_fixed and not others else UsernameReserved()


def _username_of_invite(case: Case) -> Refused | None:
    reserved_for, invite = case.facts.reserved_for, case.facts.invite
    if reserved_for is None or case.is_reset:
        return None
    own = invite is not None and invite.id == reserved_for
    return None if own else UsernameReserved()


def _username_of_deleted_account(case: Case) -> Refused | None:
    return UsernameReserved() if case.facts.deleted and not case.is_reset else None


def _username_taken(case: Case) -> Refused | None:
    return UsernameTaken() if case.facts.account_exists and not case.is_reset else None


def _password_length(case: Case) -> Refused | None:
    password, minimum = case.request.password, case.policy.passwords.min_length
    if password is None:
        return None
    if case.prepared_password is None:
        refusal = unusable_password(password)
        if refusal.rule is PasswordRule.TOO_LONG:
            return refusal
    short = len(case.prepared_password or password) < minimum
    return WeakPassword(rule=PasswordRule.TOO_SHORT, number=minimum) if short else None


def _password_invalid(case: Case) -> Refused | None:
    if case.request.password is None or case.prepared_password is not None:
        return None
    return unusable_password(case.request.password)


def _password_equals_username(case: Case) -> Refused | None:
    password = case.prepared_password
    if password is None or case.request.username is None:
        return None
    names = {case.request.username.casefold(), case.localpart}
    return WeakPassword(rule=PasswordRule.USERNAME) if password.casefold() in names else None


def _password_common(case: Case) -> Refused | None:
    password = case.prepared_password
    if password is None or password.lower() not in case.policy.passwords.common:
        return None
    return WeakPassword(rule=PasswordRule.COMMON)


_OVER: tuple[Rule, ...] = (_invite_expired, _invite_revoked, _invite_used_up)
RULES: tuple[tuple[str, Rule], ...] = (
    ("closed", _closed),
    ("blocklisted", _blocklisted),
    ("not-allowlisted", _not_allowlisted),
    ("too-many-guesses", _too_many_guesses),
    ("invite-required", _invite_required),
    ("invite-unknown", _invite_unknown),
    ("invite-expired", _invite_expired),
    ("invite-revoked", _invite_revoked),
    ("invite-used-up", _invite_used_up),
    ("invite-for-contacts-only", _invite_for_contacts_only),
    ("invite-wrong-username", _invite_wrong_username),
    ("throttled", _throttled),
    ("field-missing", _field_missing),
    ("field-unacceptable", _field_unacceptable),
    ("username-invalid", _username_invalid),
    ("username-length", _username_length),
    ("username-pattern", _username_pattern),
    ("username-reserved", _username_reserved),
    ("username-look-alike", _username_look_alike),
    ("username-of-admin", _username_of_admin),
    ("username-of-invite", _username_of_invite),
    ("username-of-deleted-account", _username_of_deleted_account),
    ("username-taken", _username_taken),
    ("password-length", _password_length),
    ("password-invalid", _password_invalid),
    ("password-equals-username", _password_equals_username),
    ("password-common", _password_common),
)
_CHOICE = ("username-length", "username-pattern", "username-reserved", "username-look-alike")
_USERNAME_RULES = tuple(rule for rule in RULES if rule[0] in _CHOICE)
_PASSWORD_RULES = tuple(rule for rule in RULES if rule[0].startswith("password-"))


def refuse_username(policy: Policy, request: Request, facts: Facts) -> Refused | None:
    """Return why the request's username cannot be chosen; None if it can.

    By the rules that bind a newcomer who chooses: a user who fixes a name on an invite gives
    away no more than that. Whether somebody has the name is not asked.
    """
    return judge(_USERNAME_RULES, Case(policy, request, facts)).refusal


def refuse_password(policy: Policy, request: Request, facts: Facts) -> Refused | None:
    """Return why the request's password may not be that of its username; None if it may.

    By the rules of a registration that are about passwords, and by no other: an account that
    is there may change its password when nobody may register.
    """
    return judge(_PASSWORD_RULES, Case(policy, request, facts)).refusal


def decide(policy: Policy, request: Request, facts: Facts) -> Decision:
    """Decide whether ``request`` may go on, by the data that it has so far.

    A request without username or password is judged by the rules that need neither: so the
    same function answers a preauth, a form and a submission.
    """
    return judge(RULES, Case(policy, request, facts))


def accepts_token(decision: Decision) -> bool:
    """Return whether a decision has nothing against the token, whatever else is refused."""
    return "throttled" in decision.passed or decision.rule == "invite-wrong-username"
