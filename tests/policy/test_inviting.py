"""Who may invite: each rule, in its order, and what follows of them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.errors import (
    InvalidRequest,
    MayNotInvite,
    NotFound,
    Refused,
    RegistrationClosed,
    Throttled,
    TooManyOpenInvites,
)
from invitereg.policy.inviting import (
    INVITE_RULES,
    Inviter,
    InviteRequest,
    Rights,
    decide_invite,
    decide_renewal,
    default_expiry,
    rights_of,
)
from invitereg.policy.values import InviteRules, Limit, Policy, Tally, UserInviteLimits
from invitereg.testing import START

DAY = timedelta(days=1)
CONTACT, REGISTRATION = InviteRequest(contact=True), InviteRequest(registration=True)
BOTH = InviteRequest(contact=True, registration=True)
JULIET = Inviter(username="juliet", now=START, created_at=START - DAY)
ROMEO = replace(JULIET, username="romeo")


def policy(users: dict[str, Any] | None = None, closed: bool = False, **rules: Any) -> Policy:
    """Everybody may invite, and romeo is an admin, but for what is said."""
    invites = InviteRules(
        **({"allow_user_invites": True} | rules), users=UserInviteLimits(**(users or {}))
    )
    admins = frozenset({"romeo"})
    return Policy(allow_registration=not closed, admins=admins, invites=invites)


class RuleTests(SynchronousTestCase):
    def assertRefused(
        self,
        rule: str,
        error: type[Refused],
        policy: Policy,
        request: InviteRequest,
        inviter: Inviter = JULIET,
    ) -> Refused:
        """The rule refuses, and says so by that error."""
        decision = decide_invite(policy, request, inviter)
        self.assertEqual(decision.rule, rule)
        self.assertIs(type(decision.refusal), error)
        assert decision.refusal is not None
        return decision.refusal

    def assertAllowed(
        self, policy: Policy, request: InviteRequest, inviter: Inviter = JULIET
    ) -> None:
        decision = decide_invite(policy, request, inviter)
        self.assertEqual((decision.rule, decision.refusal), ("allowed", None))

    def test_all_pass(self) -> None:
        """Who may is told all the rules that were asked."""
        decision = decide_invite(policy(), BOTH, JULIET)
        self.assertEqual(
            decision.passed, tuple(rule for rule in INVITE_RULES if rule != "admin")
        )

    def test_unknown(self) -> None:
        """Who has no account invites nobody, not even by an admin's name."""
        for inviter in (JULIET, ROMEO):
            nobody = replace(inviter, exists=False)
            self.assertRefused("inviter-unknown", NotFound, policy(), CONTACT, nobody)
            self.assertEqual(rights_of(policy(), nobody), Rights())

    def test_closed(self) -> None:
        """Where nobody registers, nobody is invited to; contacts are."""
        for inviter in (JULIET, ROMEO):
            for request in (REGISTRATION, BOTH):
                self.assertRefused(
                    "closed", RegistrationClosed, policy(closed=True), request, inviter
                )
            self.assertAllowed(policy(closed=True), CONTACT, inviter)

    def test_admin(self) -> None:
        """An admin is asked no further, whatever there is against it."""
        nothing = policy(
            {"max_open": 1, "max_expiry": DAY, "min_account_age": 9 * DAY},
            allow_user_invites=False,
            allow_contact_invites=False,
            deny_user_invites_by_roles=frozenset({"x"}),
        )
        busy = replace(
            ROMEO, open_invites=99, made=Tally(count=99, oldest=START), roles=frozenset({"x"})
        )
        request = replace(BOTH, uses=None, expiry=None, grants=True)
        decision = decide_invite(nothing, request, busy)
        self.assertIsNone(decision.refusal)
        self.assertEqual(decision.passed, ("inviter-unknown", "closed", "admin"))
        rights = Rights(admin=True, registration=True, contact=True, has_open=True)
        self.assertEqual(rights_of(nothing, busy), rights)

    def test_registration(self) -> None:
        """Users invite to register where all may, or one of their roles may."""
        team = frozenset({"team"})
        closed = policy(allow_user_invites=False)
        by_role = policy(allow_user_invites=False, allow_user_invites_by_roles=team)
        for request in (REGISTRATION, BOTH):
            self.assertRefused("registration-invites", MayNotInvite, closed, request)
            self.assertRefused("registration-invites", MayNotInvite, by_role, request)
            self.assertAllowed(by_role, request, replace(JULIET, roles=team | {"other"}))
        self.assertAllowed(closed, CONTACT)

    def test_denied(self) -> None:
        """A role that is denied counts more than any that is allowed."""
        allowed, denied = frozenset({"team"}), frozenset({"guest"})
        rules = policy(allow_user_invites_by_roles=allowed, deny_user_invites_by_roles=denied)
        guest = replace(JULIET, roles=allowed | denied)
        for request in (REGISTRATION, BOTH):
            self.assertRefused("role-denied", MayNotInvite, rules, request, guest)
        self.assertAllowed(rules, CONTACT, guest)
        self.assertAllowed(rules, BOTH)

    def test_contacts(self) -> None:
        """Without contact invites, users invite at most to register."""
        rules = policy(allow_contact_invites=False)
        for request in (CONTACT, BOTH):
            self.assertRefused("contact-invites", MayNotInvite, rules, request)
        self.assertAllowed(rules, REGISTRATION)

    def test_grants(self) -> None:
        """Users give no roles."""
        request = replace(BOTH, grants=True)
        self.assertRefused("grants", MayNotInvite, policy(), request)

    def test_age(self) -> None:
        """An account must be old enough; one of another server is."""
        rules = policy({"min_account_age": DAY})
        self.assertAllowed(rules, CONTACT)
        self.assertAllowed(rules, CONTACT, replace(JULIET, created_at=None))
        young = replace(JULIET, created_at=START - DAY + timedelta(seconds=1))
        self.assertRefused("account-too-young", MayNotInvite, rules, CONTACT, young)

    def test_expiry(self) -> None:
        """An invite is good for no longer than users may; for ever only where all may."""
        rules = policy({"max_expiry": DAY})
        self.assertAllowed(rules, replace(BOTH, expiry=DAY))
        for expiry in (DAY + timedelta(seconds=1), None):
            request = replace(BOTH, expiry=expiry)
            self.assertRefused("expiry-too-long", InvalidRequest, rules, request)
        self.assertAllowed(policy({"max_expiry": None}), replace(BOTH, expiry=None))

    def test_uses(self) -> None:
        """An invite has no more uses than users may give it."""
        rules = policy({"max_uses": 2})
        self.assertAllowed(rules, replace(BOTH, uses=2))
        for uses in (3, None):
            request = replace(BOTH, uses=uses)
            refusal = self.assertRefused("uses-too-many", InvalidRequest, rules, request)
            self.assertIn("2 uses", refusal.text)
        self.assertAllowed(policy({"max_uses": None}), replace(BOTH, uses=None))

    def test_open(self) -> None:
        """Nobody has more open invites than they may."""
        rules = policy({"max_open": 2})
        self.assertAllowed(rules, BOTH, replace(JULIET, open_invites=1))
        busy = replace(JULIET, open_invites=2)
        self.assertRefused("too-many-open", TooManyOpenInvites, rules, BOTH, busy)
        self.assertAllowed(policy({"max_open": None}), BOTH, replace(JULIET, open_invites=999))

    def test_made(self) -> None:
        """Nobody makes more in a period than they may; the error says how long to wait."""
        rules = policy({"made": Limit(max=2, period=DAY)})
        self.assertAllowed(rules, BOTH, replace(JULIET, made=Tally(count=1, oldest=START)))
        made = Tally(count=2, oldest=START - DAY / 4)
        refusal = self.assertRefused(
            "too-many-made", Throttled, rules, BOTH, replace(JULIET, made=made)
        )
        assert isinstance(refusal, Throttled)
        self.assertEqual(refusal.retry_after, (DAY * 3 / 4).total_seconds())

    def test_renewal(self) -> None:
        """A link is renewed whatever was made, but not without the right to make it."""
        rules = policy({"max_open": 1, "max_expiry": DAY}, deny_user_invites_by_roles={"out"})
        busy = replace(JULIET, open_invites=1)
        request = replace(BOTH, expiry=9 * DAY)
        self.assertIsNone(decide_renewal(rules, request, busy).refusal)
        out = replace(busy, roles=frozenset({"out"}))
        self.assertEqual(decide_renewal(rules, request, out).rule, "role-denied")

    def test_rights(self) -> None:
        """What may be done is told apart, whatever has been made."""
        only_contacts = policy({"max_open": 1}, allow_user_invites=False)
        busy = replace(JULIET, open_invites=1)
        self.assertEqual(rights_of(only_contacts, busy), Rights(contact=True, has_open=True))
        self.assertEqual(rights_of(policy(allow_contact_invites=False), JULIET),
                         Rights(registration=True))  # fmt: skip
        neither = policy(allow_user_invites=False, allow_contact_invites=False)
        self.assertEqual(rights_of(neither, JULIET), Rights())
        self.assertFalse(rights_of(neither, JULIET).any)

    def test_default_expiry(self) -> None:
        """Where nobody says how long, a user's invite is good as long as it may be at most."""
        for default, longest, theirs in (
            (7 * DAY, 30 * DAY, 7 * DAY),
            (None, 30 * DAY, 30 * DAY),
            (60 * DAY, 30 * DAY, 30 * DAY),
            (None, None, None),
        ):
            rules = policy({"max_expiry": longest}, expiry=default)
            self.assertEqual(default_expiry(rules, "juliet"), theirs)
            self.assertEqual(default_expiry(rules, "romeo"), default)
            self.assertEqual(default_expiry(rules, None), default)


roles = st.frozensets(st.sampled_from(["a", "b", "c"]))
policies = st.builds(
    policy,
    users=st.fixed_dictionaries(
        {"max_open": st.none() | st.integers(1, 3), "max_uses": st.none() | st.integers(1, 3)}
    ),
    closed=st.booleans(),
    allow_user_invites=st.booleans(),
    allow_contact_invites=st.booleans(),
    allow_user_invites_by_roles=roles,
    deny_user_invites_by_roles=roles,
)
inviters = st.builds(
    Inviter,
    username=st.sampled_from(["romeo", "juliet"]),
    now=st.just(START),
    exists=st.booleans(),
    roles=roles,
    open_invites=st.integers(0, 4),
)
wishes = st.builds(
    InviteRequest,
    registration=st.booleans(),
    contact=st.booleans(),
    uses=st.none() | st.integers(1, 4),
    grants=st.booleans(),
)


class PropertyTests(SynchronousTestCase):
    @given(policies, wishes, inviters)
    def test_rights_agree(
        self, rules: Policy, request: InviteRequest, inviter: Inviter
    ) -> None:
        """Whoever makes an invite had the right to, whatever the rules are."""
        if decide_invite(rules, request, inviter).refusal is None:
            rights = rights_of(rules, inviter)
            self.assertTrue(rights.registration or not request.registration)
            self.assertTrue(rights.contact or not request.contact)
            self.assertTrue(rights.admin or not request.grants)

    @given(policies, wishes, inviters)
    def test_denied_never_registers(
        self, rules: Policy, request: InviteRequest, inviter: Inviter
    ) -> None:
        """No combination lets a user whose role is denied invite to register."""
        denied = inviter.roles & rules.invites.deny_user_invites_by_roles
        if denied and inviter.username != "romeo":
            self.assertFalse(rights_of(rules, inviter).registration)
