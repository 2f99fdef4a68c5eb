"""Who may register, and what the others are told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.errors import (
    AddressRefused,
    FieldMissing,
    InvalidInvite,
    InvalidUsername,
    InviteRequired,
    Refused,
    RegistrationClosed,
    Throttled,
    TooManyGuests,
    UnacceptableField,
    UnacceptablePassword,
    UnacceptableUsername,
    UsernameReserved,
    UsernameTaken,
    WeakPassword,
)
from invitereg.model.invites import Invite, Kind
from invitereg.policy import registering
from invitereg.policy.counters import (
    account_counter,
    counter_limits,
    guess_counters,
    login_counters,
    registration_counters,
    seconds_to_wait,
    stale_counters,
)
from invitereg.policy.decision import Decision
from invitereg.policy.patterns import InvalidPattern, check_pattern
from invitereg.policy.registering import RULES, decide, refuse_username
from invitereg.policy.values import (
    Facts,
    Limit,
    Limits,
    PasswordRules,
    Policy,
    Request,
    Tally,
    UsernameRules,
    parse_address,
    within,
)

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADDRESS = ip_address("192.0.2.1")
NETWORK = (ip_network("192.0.2.0/24"),)
MANY = (Tally(count=10**6, oldest=NOW),)
GUEST = Invite(
    id="guest",
    domain="example.com",
    kind=Kind.ACCOUNT,
    source="api:key",
    created_at=NOW - HOUR,
    expires_at=NOW + HOUR,
)
SHARED = replace(GUEST, id="shared", uses_allowed=None)
RESET = replace(GUEST, id="reset", kind=Kind.RESET, source="cli", username="romeo")
DEFAULT = Policy()
OPEN = Policy(registration_invite_only=False)
ASKED = Request(
    domain="example.com",
    address=ADDRESS,
    has_token=True,
    username="romeo",
    password="wherefore art thou",
)
WITHOUT_TOKEN = replace(ASKED, has_token=False)
PREAUTH = replace(ASKED, username=None, password=None)
KNOWN = Facts(now=NOW, invite=GUEST)
NO_INVITE = Facts(now=NOW)


def limits(policy: Policy = DEFAULT, **changes: object) -> Policy:
    return replace(policy, limits=replace(policy.limits, **changes))


def asked(**changes: object) -> Request:
    return replace(ASKED, **changes)


def known(**changes: object) -> Facts:
    return replace(KNOWN, **changes)


class RuleTestCase(SynchronousTestCase):
    """Asks for one rule; its tests fail if the rule is taken away or another one decides."""

    rule = ""
    error: type[Refused] = Refused

    def assertRefused(
        self,
        policy: Policy = DEFAULT,
        request: Request = ASKED,
        facts: Facts = KNOWN,
        error: type[Refused] | None = None,
    ) -> Refused:
        decision = decide(policy, request, facts)
        self.assertEqual(decision.rule, self.rule)
        self.assertIs(type(decision.refusal), error or self.error)
        assert decision.refusal is not None
        return decision.refusal

    def assertPasses(
        self, policy: Policy = DEFAULT, request: Request = ASKED, facts: Facts = KNOWN
    ) -> None:
        """The rule itself was asked and let it pass, whatever a later one says."""
        self.assertIn(self.rule, decide(policy, request, facts).passed)


class ClosedTests(RuleTestCase):
    rule = "closed"
    error = RegistrationClosed
    policy = Policy(allow_registration=False)

    def test_closed(self) -> None:
        """A closed server takes no account, with or without an invite."""
        self.assertRefused(self.policy)
        self.assertRefused(self.policy, WITHOUT_TOKEN, NO_INVITE)
        self.assertRefused(replace(OPEN, allow_registration=False), WITHOUT_TOKEN, NO_INVITE)

    def test_open(self) -> None:
        """An open one does."""
        self.assertPasses()

    def test_reset(self) -> None:
        """A password reset works on a closed server."""
        decision = decide(self.policy, ASKED, Facts(now=NOW, invite=RESET, account_exists=True))
        self.assertEqual(decision.rule, "allowed")


class BlocklistedTests(RuleTestCase):
    rule = "blocklisted"
    error = AddressRefused
    policy = limits(blocklist=NETWORK)

    def test_inside(self) -> None:
        """Somebody from a blocked network is refused, even with an invite or a reset."""
        self.assertRefused(self.policy)
        self.assertRefused(self.policy, facts=known(invite=RESET))
        self.assertRefused(self.policy, asked(address=ip_address("192.0.2.255")))

    def test_outside(self) -> None:
        """The network next to it is not."""
        self.assertPasses(self.policy, asked(address=ip_address("192.0.3.0")))
        self.assertPasses(self.policy, asked(address=ip_address("2001:db8::1")))

    def test_ipv6(self) -> None:
        """IPv6 networks are blocked likewise."""
        policy = limits(blocklist=(ip_network("2001:db8::/32"),))
        self.assertRefused(policy, asked(address=ip_address("2001:db8:ffff::1")))
        self.assertPasses(policy, asked(address=ip_address("2001:db9::1")))

    def test_mapped(self) -> None:
        """A blocked IPv4 client does not get in through a socket for both families."""
        self.assertRefused(self.policy, asked(address=parse_address("::ffff:192.0.2.1")))

    def test_allowlist_does_not_help(self) -> None:
        """An address on both lists is refused."""
        self.assertRefused(limits(self.policy, allowlist=NETWORK))

    def test_operator(self) -> None:
        """The operator, who has no address, is on no list."""
        everybody = (ip_network("0.0.0.0/0"), ip_network("::/0"))
        self.assertPasses(limits(blocklist=everybody), asked(address=None))


class NotAllowlistedTests(RuleTestCase):
    rule = "not-allowlisted"
    error = AddressRefused
    policy = limits(allowlist=NETWORK, allowlist_only=True)

    def test_elsewhere(self) -> None:
        """Where only listed networks may register, all others are refused."""
        self.assertRefused(self.policy, asked(address=ip_address("198.51.100.1")))
        self.assertRefused(limits(allowlist_only=True))

    def test_listed(self) -> None:
        """Listed ones are not, and without `allowlist_only` nobody is."""
        self.assertPasses(self.policy)
        self.assertPasses(self.policy, asked(address=parse_address("::ffff:192.0.2.1")))
        self.assertPasses(limits(allowlist=NETWORK), asked(address=ip_address("198.51.100.1")))

    def test_operator(self) -> None:
        """The operator may always."""
        self.assertPasses(self.policy, asked(address=None))


class TooManyGuessesTests(RuleTestCase):
    rule = "too-many-guesses"
    error = Throttled
    nine, ten = ((Tally(count=n, oldest=NOW - timedelta(minutes=4)),) for n in (9, 10))

    def test_boundary(self) -> None:
        """After ten wrong tokens the next is refused, until the first is old enough."""
        self.assertPasses(facts=replace(NO_INVITE, guesses=self.nine))
        refusal = self.assertRefused(facts=replace(NO_INVITE, guesses=self.ten))
        self.assertEqual(refusal.retry_after, 360)

    def test_without_token(self) -> None:
        """Who sends no token does not guess."""
        self.assertPasses(OPEN, WITHOUT_TOKEN, replace(NO_INVITE, guesses=MANY))

    def test_exists(self) -> None:
        """A token that exists is no guess, whatever it is for and however many were."""
        for invite in (GUEST, RESET, replace(GUEST, expires_at=NOW), WORST_INVITE):
            self.assertPasses(facts=known(invite=invite, guesses=MANY))

    def test_scripts(self) -> None:
        """What scripts on web pages try has a counter of its own."""
        names = {guess_counters(Policy(), ADDRESS, by)[0].name for by in (False, True)}
        self.assertEqual(len(names), 2)
        self.assertLessEqual(names, set(counter_limits(Policy())))

    def test_allowlist(self) -> None:
        """The office's network is not throttled."""
        self.assertPasses(limits(allowlist=NETWORK), facts=replace(NO_INVITE, guesses=MANY))

    def test_local_socket(self) -> None:
        """Through a socket without addresses nobody is kept out for what others guess there."""
        self.assertPasses(request=asked(address=None), facts=replace(NO_INVITE, guesses=MANY))
        for counters in (guess_counters, stale_counters):
            self.assertEqual(counters(Policy(), None), ())
        self.assertEqual(login_counters(Policy(), None, "juliet"), ())
        self.assertEqual(registration_counters(Policy(), None, None), ())


class InviteRequiredTests(RuleTestCase):
    rule = "invite-required"
    error = InviteRequired

    def test_by_invitation(self) -> None:
        """A server by invitation says so to who has no token."""
        self.assertRefused(Policy(), WITHOUT_TOKEN, NO_INVITE)

    def test_open(self) -> None:
        """An open server asks for none, and one with a token is let on."""
        self.assertPasses(OPEN, WITHOUT_TOKEN, NO_INVITE)
        self.assertPasses()

    def test_allowlist_does_not_help(self) -> None:
        """The office needs invitations too."""
        self.assertRefused(limits(allowlist=NETWORK), WITHOUT_TOKEN, NO_INVITE)


class InviteUnknownTests(RuleTestCase):
    rule = "invite-unknown"
    error = InvalidInvite

    def test_unknown(self) -> None:
        """A token that nobody made opens nothing, not even an open server's form."""
        self.assertRefused(facts=NO_INVITE)
        self.assertRefused(OPEN, facts=NO_INVITE)

    def test_known(self) -> None:
        """A known one, or none where none is needed, is fine."""
        self.assertPasses()
        self.assertPasses(OPEN, WITHOUT_TOKEN, NO_INVITE)


class InviteExpiredTests(RuleTestCase):
    rule = "invite-expired"
    error = InvalidInvite

    def test_boundary(self) -> None:
        """An invite is refused from the moment of its expiry on."""
        self.assertRefused(facts=known(now=GUEST.expires_at))
        self.assertPasses(facts=known(now=GUEST.expires_at - timedelta(microseconds=1)))
        self.assertPasses(facts=known(invite=replace(GUEST, expires_at=None)))

    def test_preauthorised(self) -> None:
        """Who showed it in time may finish the form after it has expired."""
        late = known(now=NOW + 2 * HOUR)
        self.assertEqual(decide(Policy(), asked(preauthorised=True), late).rule, "allowed")

    def test_reset(self) -> None:
        """Resets expire too."""
        self.assertRefused(facts=known(invite=replace(RESET, expires_at=NOW)))


class InviteRevokedTests(RuleTestCase):
    rule = "invite-revoked"
    error = InvalidInvite
    revoked = known(invite=replace(GUEST, revoked_at=NOW - HOUR))

    def test_revoked(self) -> None:
        """A revoked invite opens nothing, even if it was valid when it was shown."""
        self.assertRefused(facts=self.revoked)
        self.assertRefused(request=asked(preauthorised=True), facts=self.revoked)

    def test_not_revoked(self) -> None:
        """One that was not revoked does."""
        self.assertPasses()


class InviteUsedUpTests(RuleTestCase):
    rule = "invite-used-up"
    error = InvalidInvite

    def test_used_up(self) -> None:
        """A used invite opens nothing, even if it was valid when it was shown."""
        used = known(invite=replace(GUEST, uses=1))
        self.assertRefused(facts=used)
        self.assertRefused(request=asked(preauthorised=True), facts=used)
        self.assertRefused(facts=known(invite=replace(RESET, uses=1)))

    def test_boundary(self) -> None:
        """One for three lets the third in and not the fourth; an unlimited one has no end."""
        three = replace(GUEST, uses_allowed=3)
        self.assertPasses(facts=known(invite=replace(three, uses=2)))
        self.assertRefused(facts=known(invite=replace(three, uses=3)))
        self.assertPasses(facts=known(invite=replace(SHARED, uses=10**6)))


class InviteForContactsOnlyTests(RuleTestCase):
    rule = "invite-for-contacts-only"
    error = InvalidInvite

    def test_contact(self) -> None:
        """A contact invite makes no account, not even on an open server."""
        contact = known(invite=replace(GUEST, kind=Kind.CONTACT, inviter="romeo"))
        self.assertRefused(facts=contact)
        self.assertRefused(OPEN, facts=contact)

    def test_others(self) -> None:
        """The other kinds may be redeemed."""
        for kind in (Kind.ACCOUNT, Kind.ACCOUNT_AND_CONTACT, Kind.RESET):
            self.assertPasses(facts=known(invite=replace(GUEST, kind=kind, username="romeo")))


class InviteWrongUsernameTests(RuleTestCase):
    rule = "invite-wrong-username"
    error = UsernameReserved
    fixed = known(invite=replace(GUEST, username="juliet"))

    def test_other_name(self) -> None:
        """An invite for one name says which one to take."""
        refusal = self.assertRefused(facts=self.fixed)
        self.assertEqual(refusal.fixed_username, "juliet")
        self.assertIn("juliet", refusal.text)

    def test_reset(self) -> None:
        """A reset for one account does not set another's password."""
        self.assertRefused(request=asked(username="juliet"), facts=known(invite=RESET))

    def test_right_name(self) -> None:
        """The right name may be typed in any spelling, and need not be known yet."""
        for name in ("juliet", "JULIET", "ｊuliet", None):
            self.assertPasses(request=asked(username=name), facts=self.fixed)
        self.assertPasses()


class ThrottledTests(RuleTestCase):
    rule = "throttled"
    error = Throttled

    def test_open_registration(self) -> None:
        """The sixth account within an hour from one network has to wait."""
        four, five = ((Tally(count=n, oldest=NOW - 0.25 * HOUR),) for n in (4, 5))
        self.assertPasses(OPEN, WITHOUT_TOKEN, replace(NO_INVITE, registrations=four))
        full = replace(NO_INVITE, registrations=five)
        self.assertEqual(self.assertRefused(OPEN, WITHOUT_TOKEN, full).retry_after, 45 * 60)

    def test_shared_invite(self) -> None:
        """An invite with several uses lets thirty an hour in from one network."""
        for invite in (SHARED, replace(SHARED, uses_allowed=2)):
            less, full = ((Tally(count=n, oldest=NOW),) for n in (29, 30))
            self.assertPasses(facts=known(invite=invite, registrations=less))
            self.assertRefused(
                facts=known(invite=invite, registrations=full), error=TooManyGuests
            )

    def test_invite_of_an_event(self) -> None:
        """An invite may say itself how many an hour it lets in from one network."""
        for allowed in (1, 29, 50):
            invite = replace(SHARED, per_network_allowed=allowed)
            less, full = (Tally(count=allowed - n, oldest=NOW - 0.25 * HOUR) for n in (1, 0))
            self.assertPasses(facts=known(invite=invite, registrations=(less,)))
            guests = known(invite=invite, registrations=(full,))
            refusal = self.assertRefused(facts=guests, error=TooManyGuests)
            assert isinstance(refusal, TooManyGuests)
            self.assertEqual(refusal.retry_after, 45 * 60)

    def test_single_use(self) -> None:
        """Guests with invites of their own all get in behind one address, and resets too."""
        self.assertPasses(facts=known(registrations=MANY))
        self.assertPasses(facts=known(invite=RESET, registrations=MANY))
        shared_reset = replace(RESET, uses_allowed=None)
        self.assertPasses(facts=known(invite=shared_reset, registrations=MANY))

    def test_allowlist(self) -> None:
        """The office's network is not throttled, with a shared invite or without."""
        policy, full = limits(OPEN, allowlist=NETWORK), known(invite=SHARED, registrations=MANY)
        self.assertPasses(policy, facts=full)
        self.assertPasses(policy, WITHOUT_TOKEN, replace(full, invite=None))

    def test_operator(self) -> None:
        """The operator is not throttled."""
        request = replace(WITHOUT_TOKEN, address=None)
        self.assertPasses(OPEN, request, replace(NO_INVITE, registrations=MANY))

    def test_before_the_form(self) -> None:
        """Who has to wait learns it before filling in a form."""
        full = replace(NO_INVITE, registrations=MANY)
        self.assertRefused(OPEN, replace(PREAUTH, has_token=False), full)


class FieldMissingTests(RuleTestCase):
    rule = "field-missing"
    error = FieldMissing

    def test_username_and_password(self) -> None:
        """A submission without a name or a password says which is missing."""
        for name in ("username", "password"):
            self.assertEqual(self.assertRefused(request=asked(**{name: ""})).field, name)

    def test_not_asked_yet(self) -> None:
        """What was not asked for yet is not missing: a name alone can be judged (`explain`)."""
        policy = Policy(fields={"email": True})
        for name in ("username", "password"):
            decision = decide(policy, asked(**{name: None}), KNOWN)
            self.assertEqual(decision.rule, "allowed")

    def test_required(self) -> None:
        """A required field that is missing or blank is named; an optional one may be."""
        policy = Policy(fields={"nick": False, "email": True})
        for fields in ({}, {"email": ""}, {"email": " \n"}, {"nick": "r"}):
            refusal = self.assertRefused(policy, asked(fields=fields))
            self.assertEqual(refusal.field, "email")
        self.assertPasses(policy, asked(fields={"email": "romeo@example.net"}))

    def test_preauth(self) -> None:
        """Nobody asks for fields before the form is shown."""
        self.assertPasses(Policy(fields={"email": True}), PREAUTH)

    def test_reset(self) -> None:
        """A reset asks for a name and a password only."""
        policy, facts = Policy(fields={"email": True}), known(invite=RESET)
        self.assertPasses(policy, facts=facts)
        self.assertRefused(policy, asked(password=""), facts)


class FieldUnacceptableTests(RuleTestCase):
    rule = "field-unacceptable"
    error = UnacceptableField

    def test_characters(self) -> None:
        """What XML has no place for is refused in the fields that are asked for."""
        policy = Policy(fields={"nick": False, "email": True})
        for wrong in ("\x00", "a\x1bb", "\ud800", "\udfff", "\ufffe", "\uffff"):
            refusal = self.assertRefused(policy, asked(fields={"email": "x", "nick": wrong}))
            self.assertEqual(refusal.field, "nick")
        self.assertPasses(policy, asked(fields={"email": "x", "other": "\x00"}))
        for right in ("a\tb\r\n", "\ud7ff\ue000\ufffd\U00010000\U0010ffff", "\x7f"):
            self.assertPasses(policy, asked(fields={"email": right}))

    def test_reset(self) -> None:
        """A reset keeps no fields."""
        policy = Policy(fields={"email": True})
        self.assertPasses(policy, asked(fields={"email": "\x00"}), known(invite=RESET))


class UsernameInvalidTests(RuleTestCase):
    rule = "username-invalid"
    error = InvalidUsername

    def test_invalid(self) -> None:
        """A name that is no localpart is refused, with an invite for one name too."""
        for name in ("a@b", "a b", "a/b", "\u00ad", "a" * 1024, "\ud800", " "):
            self.assertRefused(request=asked(username=name))
            self.assertRefused(request=asked(username=name), facts=known(invite=RESET))

    def test_valid(self) -> None:
        """Other names, and none before the form, are fine."""
        self.assertPasses()
        self.assertPasses(request=asked(username="a" * 1023))
        self.assertPasses(request=PREAUTH)


class UsernameLengthTests(RuleTestCase):
    rule = "username-length"
    error = UnacceptableUsername
    policy = Policy(usernames=UsernameRules(min_length=3, max_length=5))

    def test_boundaries(self) -> None:
        """A name outside the operator's lengths is refused with both numbers."""
        for name in ("ab", "abcdef"):
            refusal = self.assertRefused(self.policy, asked(username=name))
            self.assertEqual(refusal.text, "The username must have 3 to 5 characters.")
        for name in ("abc", "abcde"):
            self.assertPasses(self.policy, asked(username=name))

    def test_after_preparation(self) -> None:
        """Characters are counted as the name will be, not bytes, nor as it was typed."""
        self.assertPasses(self.policy, asked(username="ñññññ"))
        self.assertPasses(self.policy, asked(username="a\u00adb\u00adc\u00add\u00ade"))
        self.assertRefused(self.policy, asked(username="ßßß"))

    def test_defaults(self) -> None:
        """By default a name has 1 to 64 characters."""
        self.assertPasses(request=asked(username="a"))
        self.assertPasses(request=asked(username="a" * 64))
        self.assertRefused(request=asked(username="a" * 65))

    def test_fixed(self) -> None:
        """A name that an invite fixes may have any length."""
        facts = known(invite=replace(GUEST, username="ab"))
        self.assertPasses(self.policy, asked(username="ab"), facts)


class UsernamePatternTests(RuleTestCase):
    rule = "username-pattern"
    error = UnacceptableUsername
    policy = Policy(usernames=UsernameRules(pattern="[a-z]+"))

    def test_all_of_it(self) -> None:
        """All of a name must match the operator's pattern, which the refusal shows."""
        for name in ("romeo1", "1romeo", "ro.meo"):
            refusal = self.assertRefused(self.policy, asked(username=name))
            self.assertIn("[a-z]+", refusal.text)

    def test_prepared(self) -> None:
        """The prepared name is matched; without a pattern any name goes."""
        self.assertPasses(self.policy, asked(username="ROMEO"))
        self.assertPasses(request=asked(username="ro.meo"))

    def test_after_length(self) -> None:
        """A name that is too long is not matched, at registration and on an invite."""
        calls: list[str] = []
        self.patch(registering, "matches", lambda pattern, name: bool(calls.append(name)))
        for name in ("x" * 65, "é" * 500, "xy"):
            request = asked(username=name)
            decide(self.policy, request, KNOWN)
            refuse_username(self.policy, request, KNOWN)
        self.assertEqual(calls, ["xy", "xy"])

    def test_fixed(self) -> None:
        """A name that an invite fixes need not match."""
        facts = known(invite=replace(GUEST, username="romeo1"))
        self.assertPasses(self.policy, asked(username="romeo1"), facts)


class UsernameReservedTests(RuleTestCase):
    rule = "username-reserved"
    error = UsernameReserved

    def test_reserved(self) -> None:
        """The operator's reserved names are refused in every spelling."""
        for name in ("admin", "Administrator", "POSTMASTER", "abuse", "ｒoot"):
            self.assertIsNone(self.assertRefused(request=asked(username=name)).fixed_username)

    def test_others(self) -> None:
        """Names that only contain one, and none before the form, are free."""
        self.assertPasses(request=asked(username="admins"))
        self.assertPasses(request=PREAUTH)

    def test_any_characters(self) -> None:
        """A * in a reserved name stands for any characters, or none."""
        policy = Policy(
            usernames=UsernameRules(reserved=frozenset({"bot-*", "*staff*", "a*b*c"}))
        )
        for name in ("bot-", "BOT-1", "staff", "my.staff.1", "abc", "a*b*c", "axbyc", "aabbcc"):
            self.assertRefused(policy, asked(username=name))
        for name in ("bot", "robot-1", "stafff"[1:], "ab", "ac", "abcd", "acb", "romeo"):
            self.assertPasses(policy, asked(username=name))

    def test_fixed(self) -> None:
        """An invite for a reserved name gives it away."""
        facts = known(invite=replace(GUEST, username="abuse"))
        self.assertPasses(request=asked(username="abuse"), facts=facts)


class UsernameLookAlikeTests(RuleTestCase):
    rule = "username-look-alike"
    error = UsernameReserved
    policy = Policy(admins=frozenset({"romeo"}))

    def test_other_scripts(self) -> None:
        """What looks like a reserved name or an admin's, by other letters, is refused."""
        for name in (
            "аdmin",
            "Аdmin",
            "admın",
            "adrnin",
            "r00t",
            "ro\u03bft",
            "inf0",
            "ｉnf\u0585",
        ):
            self.assertRefused(request=asked(username=name))
            self.assertPasses(
                Policy(usernames=UsernameRules(reserved=frozenset())), asked(username=name)
            )
        self.assertRefused(self.policy, asked(username="r\u03bfmeo"))
        self.assertPasses(request=asked(username="r\u03bfmeo"))

    def test_unseen(self) -> None:
        """What has a character that is not seen is refused, whatever else is allowed."""
        policy = Policy(usernames=UsernameRules(reserved=frozenset(), refuse_look_alikes=False))
        for unseen in "\u3164\u115f\u1160\uffa0\u2800\u17b4\u17b5\U0001d159":
            for name in (f"juliet{unseen}", f"ju{unseen}liet", f"{unseen}juliet", unseen):
                self.assertRefused(policy, asked(username=name))

    def test_allowed(self) -> None:
        """Where the operator allows it, names may look like others, and not be them."""
        policy = replace(self.policy, usernames=UsernameRules(refuse_look_alikes=False))
        for name in ("аdmin", "r\u03bfmeo"):
            self.assertPasses(policy, asked(username=name))

    def test_with_any_characters(self) -> None:
        """What looks like a reserved name with a * in it is refused."""
        policy = Policy(usernames=UsernameRules(reserved=frozenset({"*admin*"})))
        for name in ("sysаdmin", "adrnin2", "x-admın-y"):
            self.assertRefused(policy, asked(username=name))

    def test_fixed(self) -> None:
        """An invite for such a name gives it away."""
        for name in ("аdmin", "r\u03bfmeo", "juliet\u2800"):
            facts = known(invite=replace(GUEST, username=name))
            self.assertPasses(self.policy, asked(username=name), facts)

    def test_the_admin(self) -> None:
        """An admin's own name does not only look like it."""
        decision = decide(self.policy, ASKED, KNOWN)
        self.assertEqual(decision.rule, "username-of-admin")


class UsernameOfAdminTests(RuleTestCase):
    rule = "username-of-admin"
    error = UsernameReserved
    policy = Policy(admins=frozenset({"romeo"}))

    def test_without_permission(self) -> None:
        """Nobody becomes admin by taking the admin's name, on an open server neither."""
        self.assertRefused(self.policy)
        self.assertRefused(self.policy, asked(username="ROMEO"))
        policy = replace(self.policy, registration_invite_only=False)
        self.assertRefused(policy, WITHOUT_TOKEN, NO_INVITE)

    def test_generic_cli_invite(self) -> None:
        """The operator's own invite without a username does not give it away."""
        self.assertRefused(self.policy, facts=known(invite=replace(GUEST, source="cli")))

    def test_not_by_users(self) -> None:
        """An invite for that name gives it away only if it was made on the command line."""
        for source in ("adhoc:romeo@example.com", "web:romeo@example.com", "api:cli", "cli2"):
            made = replace(GUEST, username="romeo", source=source)
            self.assertRefused(self.policy, facts=known(invite=made))
        self.assertPasses(
            self.policy, facts=known(invite=replace(GUEST, username="romeo", source="cli"))
        )

    def test_others(self) -> None:
        """Other names, and resets that the operator made, are not concerned."""
        self.assertPasses(self.policy, asked(username="juliet"))
        for source in ("cli", "prosody"):
            self.assertPasses(self.policy, facts=known(invite=replace(RESET, source=source)))
        other = replace(RESET, username="juliet", source="api:key")
        self.assertPasses(self.policy, asked(username="juliet"), known(invite=other))

    def test_reset(self) -> None:
        """A link that sets an admin's password opens only if an operator made it."""
        for source in (
            "adhoc:romeo@example.com",
            "web:romeo@example.com",
            "api:key",
            "cli2",
        ):
            for request in (ASKED, PREAUTH):
                made = known(invite=replace(RESET, source=source))
                decision = decide(self.policy, request, made)
                self.assertEqual(decision.rule, self.rule)
                self.assertIsInstance(decision.refusal, InvalidInvite)


class UsernameOfInviteTests(RuleTestCase):
    rule = "username-of-invite"
    error = UsernameReserved

    def test_other_invite(self) -> None:
        """A name that is kept for a guest is refused to all others, and not told to them."""
        refusal = self.assertRefused(facts=known(reserved_for="other"))
        self.assertEqual(refusal.text, UsernameReserved().text)
        self.assertRefused(OPEN, WITHOUT_TOKEN, replace(NO_INVITE, reserved_for="guest"))

    def test_own_invite(self) -> None:
        """The guest gets it."""
        fixed = replace(GUEST, username="romeo")
        self.assertPasses(facts=known(invite=fixed, reserved_for="guest"))
        self.assertPasses()

    def test_reset(self) -> None:
        """The password of an account can be reset even while its name is kept for a guest."""
        facts = known(invite=RESET, reserved_for="other", account_exists=True)
        self.assertEqual(decide(Policy(), ASKED, facts).rule, "allowed")


class UsernameOfDeletedAccountTests(RuleTestCase):
    rule = "username-of-deleted-account"
    error = UsernameReserved

    def test_deleted(self) -> None:
        """Nobody takes over the name of a deleted account, and thereby its contacts."""
        self.assertRefused(facts=known(deleted=True))
        fixed = replace(GUEST, username="romeo")
        self.assertRefused(facts=known(invite=fixed, deleted=True))

    def test_others(self) -> None:
        """Other names, and resets, are not concerned."""
        self.assertPasses()
        self.assertPasses(facts=known(invite=RESET, deleted=True))


class UsernameTakenTests(RuleTestCase):
    rule = "username-taken"
    error = UsernameTaken

    def test_taken(self) -> None:
        """A taken name is refused, even where the invite is for it."""
        self.assertRefused(facts=known(account_exists=True))
        fixed = replace(GUEST, username="romeo")
        self.assertRefused(facts=known(invite=fixed, account_exists=True))

    def test_others(self) -> None:
        """A free name is fine, and a reset is for an account that exists."""
        self.assertPasses()
        self.assertPasses(facts=known(invite=RESET, account_exists=True))


class PasswordLengthTests(RuleTestCase):
    rule = "password-length"
    error = WeakPassword

    def test_short(self) -> None:
        """A password of seven characters is too weak, one of eight is not; resets too."""
        refusal = self.assertRefused(request=asked(password="s3cret!"))
        self.assertEqual(refusal.text, "The password is too weak")
        self.assertPasses(request=asked(password="s3cret!!"))
        self.assertRefused(request=asked(password="s3cret!"), facts=known(invite=RESET))

    def test_characters(self) -> None:
        """The least length is the operator's and counts characters, not bytes."""
        policy = Policy(passwords=PasswordRules(min_length=4))
        self.assertRefused(policy, asked(password="ñañ"))
        self.assertPasses(policy, asked(password="ñaña"))

    def test_long(self) -> None:
        """A password of more than 1,023 bytes is refused, but not as weak."""
        self.assertPasses(request=asked(password="x" * 1023))
        self.assertRefused(request=asked(password="x" * 1024), error=UnacceptablePassword)
        self.assertRefused(request=asked(password="ñ" * 512), error=UnacceptablePassword)

    def test_preauth(self) -> None:
        """Nobody asks for a password before the form is shown."""
        self.assertPasses(request=PREAUTH)


class PasswordInvalidTests(RuleTestCase):
    rule = "password-invalid"
    error = UnacceptablePassword
    invalid = ("secret\x00password", "secret\ud800password", "א password", "\u00ad" * 8)

    def test_invalid(self) -> None:
        """A password that no client could log in with is refused."""
        for password in self.invalid:
            self.assertRefused(request=asked(password=password))

    def test_weak_once_prepared(self) -> None:
        """A common password is refused with invisible characters in it, too."""
        common = Policy(
            registration_invite_only=False,
            passwords=PasswordRules(common=frozenset({"password"})),
        )
        request = Request(domain="example.com", username="juliet", password="pass\u00adword")
        self.assertEqual(decide(common, request, Facts(now=NOW)).rule, "password-common")

    def test_valid(self) -> None:
        """Spaces and other letters than Latin ones are fine."""
        for password in ("wherefore art thou", "contraseña", "пароль пароль", "\u00a0" * 8):
            self.assertPasses(request=asked(password=password))
        self.assertPasses(request=PREAUTH)


class PasswordEqualsUsernameTests(RuleTestCase):
    rule = "password-equals-username"
    error = WeakPassword

    def test_equal(self) -> None:
        """The username in any case, as typed or as prepared, is too weak a password."""
        pairs = {"montague": "MontaguE", "Montague": "montague", "ＭONTAGUE": "montague"}
        pairs["mon\u00adtague"] = "mon\u00adtague"
        for username, password in pairs.items():
            self.assertRefused(request=asked(username=username, password=password))

    def test_different(self) -> None:
        """A password that only contains it is not refused for that."""
        self.assertPasses(request=asked(username="montague", password="montague1"))
        self.assertPasses(request=PREAUTH)


class PasswordCommonTests(RuleTestCase):
    rule = "password-common"
    error = WeakPassword
    policy = Policy(passwords=PasswordRules(common=frozenset({"password1"})))

    def test_common(self) -> None:
        """A password from the list of common ones is refused in any case, for resets too."""
        for password in ("password1", "PassWord1"):
            self.assertRefused(self.policy, asked(password=password))
        self.assertRefused(self.policy, asked(password="password1"), known(invite=RESET))

    def test_others(self) -> None:
        """Others are not, and without the list none is."""
        self.assertPasses(self.policy)
        self.assertPasses(request=asked(password="password1"))
        self.assertPasses(self.policy, PREAUTH)


WORST_POLICY = Policy(
    allow_registration=False,
    fields={"email": True},
    admins=frozenset({"adm"}),
    usernames=UsernameRules(min_length=4, pattern="[0-9]+", reserved=frozenset({"adm"})),
    passwords=PasswordRules(common=frozenset({"secret"})),
    limits=Limits(blocklist=NETWORK, allowlist_only=True),
)
WORST_REQUEST = asked(username="adm", password="\ud800")
WORST_INVITE = replace(
    SHARED,
    kind=Kind.CONTACT,
    uses_allowed=2,
    uses=2,
    expires_at=NOW,
    revoked_at=NOW,
    username="guest",
)
WORST_FACTS = Facts(
    now=NOW,
    guesses=MANY,
    registrations=MANY,
    account_exists=True,
    reserved_for="other",
    deleted=True,
)
State = tuple[Policy, Request, Facts]


def change_policy(**changes: object) -> Callable[[State], State]:
    return lambda state: (replace(state[0], **changes), *state[1:])


def change_limits(**changes: object) -> Callable[[State], State]:
    return lambda state: (limits(state[0], **changes), *state[1:])


def change_usernames(**changes: object) -> Callable[[State], State]:
    return lambda s: (replace(s[0], usernames=replace(s[0].usernames, **changes)), *s[1:])


def change_passwords(**changes: object) -> Callable[[State], State]:
    return lambda s: (replace(s[0], passwords=replace(s[0].passwords, **changes)), *s[1:])


def change_request(**changes: object) -> Callable[[State], State]:
    return lambda state: (state[0], replace(state[1], **changes), state[2])


def change_facts(**changes: object) -> Callable[[State], State]:
    return lambda state: (*state[:2], replace(state[2], **changes))


def change_invite(**changes: object) -> Callable[[State], State]:
    return lambda s: (*s[:2], replace(s[2], invite=replace(s[2].invite, **changes)))


def forget_guesses(state: State) -> State:
    return change_request(has_token=False)(change_facts(guesses=())(state))


def give_fields(state: State) -> State:
    return change_request(fields={"email": "\x00"}, username="a@b")(state)


LIFTED: tuple[tuple[str, Callable[[State], State]], ...] = (
    ("closed", change_policy(allow_registration=True)),
    ("blocklisted", change_limits(blocklist=())),
    ("not-allowlisted", change_limits(allowlist_only=False)),
    ("too-many-guesses", forget_guesses),
    ("invite-required", change_request(has_token=True)),
    ("invite-unknown", change_facts(invite=WORST_INVITE)),
    ("invite-expired", change_invite(expires_at=None)),
    ("invite-revoked", change_invite(revoked_at=None)),
    ("invite-used-up", change_invite(uses=1)),
    ("invite-for-contacts-only", change_invite(kind=Kind.ACCOUNT)),
    ("invite-wrong-username", change_invite(username=None)),
    ("throttled", change_facts(registrations=())),
    ("field-missing", give_fields),
    ("field-unacceptable", change_request(fields={"email": "x"})),
    ("username-invalid", change_request(username="adm")),
    ("username-length", change_usernames(min_length=1)),
    ("username-pattern", change_usernames(pattern="")),
    ("username-reserved", change_usernames(reserved=frozenset({"adrn"}))),
    ("username-look-alike", change_usernames(refuse_look_alikes=False)),
    ("username-of-admin", change_policy(admins=frozenset())),
    ("username-of-invite", change_facts(reserved_for=None)),
    ("username-of-deleted-account", change_facts(deleted=False)),
    ("username-taken", change_facts(account_exists=False)),
    ("password-length", change_passwords(min_length=0)),
    ("password-invalid", change_request(username="secret", password="secret")),
    ("password-equals-username", change_request(username="adm")),
    ("password-common", change_passwords(common=frozenset())),
)


class OrderTests(SynchronousTestCase):
    def test_each_in_turn(self) -> None:
        """Who breaks every rule is told the first, and with it mended the next, to the end."""
        state: State = (WORST_POLICY, WORST_REQUEST, WORST_FACTS)
        met = []
        for name, lift in LIFTED:
            decision = decide(*state)
            self.assertEqual(decision.rule, name)
            self.assertEqual(decision.passed, tuple(met))
            met.append(name)
            state = lift(state)
        decision = decide(*state)
        self.assertEqual((decision.rule, decision.refusal), ("allowed", None))
        self.assertEqual(decision.passed, tuple(met))

    def test_none_forgotten(self) -> None:
        """Every rule has its turn here and a test case of its own."""
        names = [name for name, _ in RULES]
        self.assertEqual(names, [name for name, _ in LIFTED])
        self.assertEqual(set(names), {case.rule for case in RuleTestCase.__subclasses__()})


class AddressTests(SynchronousTestCase):
    def test_parsed(self) -> None:
        """An address is the same however a socket or a proxy writes it."""
        for text, address in {
            "192.0.2.1": "192.0.2.1",
            "::ffff:192.0.2.1": "192.0.2.1",
            "::FFFF:c000:201": "192.0.2.1",
            "::ffff:192.0.2.1%eth0": "192.0.2.1",
            "2001:DB8:0::1": "2001:db8::1",
            "fe80::1%eth0": "fe80::1",
        }.items():
            self.assertEqual(parse_address(text), ip_address(address))

    def test_none(self) -> None:
        """What is no address, such as a UNIX socket's path, is none."""
        for text in (
            "",
            "/run/invitereg.sock",
            "unknown",
            "192.0.2.1:80",
            "[::1]",
            "1",
            "1.2.3",
        ):
            self.assertIsNone(parse_address(text))
        for text in ("192.0.2.01", "192.0.2.0/24", "192.0.2.1 ", "fe80::1%", "\ud800"):
            self.assertIsNone(parse_address(text))

    @given(st.ip_addresses())
    def test_every_address(self, address: object) -> None:
        """Every address is read back, and IPv4 ones are the same when mapped into IPv6."""
        read = parse_address(str(address))
        self.assertEqual(read, getattr(address, "ipv4_mapped", None) or address)
        if read is not None and read.version == 4:
            self.assertEqual(parse_address(f"::ffff:{read}"), read)

    def test_within(self) -> None:
        """No address is in no network, and each family only in its own."""
        everywhere = (ip_network("0.0.0.0/0"),)
        self.assertTrue(within(ADDRESS, everywhere))
        self.assertFalse(within(ip_address("::1"), everywhere))
        self.assertFalse(within(None, everywhere))


class NetworkTests(SynchronousTestCase):
    def network(self, text: str, **changes: int) -> str:
        return replace(Limits(), **changes).network(parse_address(text))

    def test_ipv4(self) -> None:
        """Each IPv4 address is counted by itself."""
        self.assertEqual(self.network("192.0.2.1"), "192.0.2.1/32")
        self.assertEqual(self.network("::ffff:192.0.2.1"), "192.0.2.1/32")

    def test_ipv6(self) -> None:
        """A household's IPv6 addresses are counted together, as one /64."""
        self.assertEqual(self.network("2001:db8::1"), "2001:db8::/64")
        self.assertEqual(self.network("2001:db8::ffff:0:0:1"), "2001:db8::/64")
        self.assertEqual(self.network("2001:db8:0:1::1"), "2001:db8:0:1::/64")
        self.assertEqual(self.network("fe80::1%eth0"), "fe80::/64")

    def test_prefixes(self) -> None:
        """An operator may count larger networks."""
        self.assertEqual(self.network("192.0.2.1", ipv4_prefix=24), "192.0.2.0/24")
        self.assertEqual(self.network("::ffff:192.0.2.1", ipv4_prefix=24), "192.0.2.0/24")
        self.assertEqual(self.network("2001:db8:1:2::1", ipv6_prefix=48), "2001:db8:1::/48")


class CounterTests(SynchronousTestCase):
    policy = Policy()

    def test_registrations(self) -> None:
        """Registrations without an invite are counted by network."""
        (counter,) = registration_counters(self.policy, ADDRESS, None)
        self.assertEqual((counter.name, counter.key), ("registration", "192.0.2.1/32"))

    def test_shared_invites(self) -> None:
        """Two shared invites, or two networks, do not use up each other's share."""
        other = parse_address("192.0.2.2")
        made = (("shared", ADDRESS), ("other", ADDRESS), ("shared", other))
        counters = [
            counter
            for name, address in made
            for counter in registration_counters(self.policy, address, replace(SHARED, id=name))
        ]
        self.assertEqual({counter.name for counter in counters}, {"shared_invite"})
        self.assertEqual(len({counter.key for counter in counters}), 3)

    def test_not_counted(self) -> None:
        """Invites with one use, resets, listed networks and the operator take no share."""
        listed = limits(allowlist=NETWORK)
        for policy, address, invite in (
            (self.policy, ADDRESS, GUEST),
            (self.policy, ADDRESS, RESET),
            (self.policy, None, SHARED),
            (self.policy, None, None),
            (listed, ADDRESS, SHARED),
            (listed, ADDRESS, None),
        ):
            self.assertEqual(registration_counters(policy, address, invite), ())

    def test_logins(self) -> None:
        """Failed logins count for the account and network, and tenfold for the network."""
        single, many = login_counters(self.policy, ADDRESS, "romeo")
        self.assertEqual((single.limit.max, many.limit.max), (10, 100))
        self.assertNotEqual(single.key, login_counters(self.policy, ADDRESS, "juliet")[0].key)
        self.assertEqual(many, login_counters(self.policy, ADDRESS, "juliet")[1])
        self.assertEqual(login_counters(limits(allowlist=NETWORK), ADDRESS, "romeo"), ())

    def test_account(self) -> None:
        """An account is held to ten times as many, and for ten minutes at most."""
        for period, counted in ((1, 1), (10, 10), (60, 10)):
            logins = Limit(max=7, period=timedelta(minutes=period))
            counter = account_counter(limits(logins=logins), "romeo")
            expected = Limit(max=70, period=timedelta(minutes=counted))
            self.assertEqual((counter.key, counter.limit), ("romeo", expected))

    def test_nested(self) -> None:
        """A subscriber with many IPv6 networks gains little by using all of them."""
        home = parse_address("2001:db8:1:203::1")
        keys = {"2001:db8:1:203::/64": 1, "2001:db8:1:200::/56": 2, "2001:db8:1::/48": 4}
        login = login_counters(self.policy, home, "romeo")
        for most, prefix, counters in (
            (10, "", guess_counters(self.policy, home)),
            (5, "", registration_counters(self.policy, home, None)),
            (30, "shared ", registration_counters(self.policy, home, SHARED)),
            (10, "romeo ", login[:3]),
            (100, "", login[3:]),
        ):
            found = {each.key.removeprefix(prefix): each.limit.max / most for each in counters}
            self.assertEqual(found, keys)

    def test_wait(self) -> None:
        """Who has to wait for several counters waits for the one that takes longest."""
        counters = guess_counters(self.policy, parse_address("2001:db8::1"))
        ages = (timedelta(minutes=4), timedelta(minutes=2), timedelta(minutes=1))
        tallies = [
            Tally(count=count, oldest=NOW - age)
            for count, age in zip((10, 20, 39), ages, strict=True)
        ]
        self.assertEqual(seconds_to_wait(counters, tallies, NOW), 480)
        self.assertIsNone(seconds_to_wait(counters[2:], tallies[2:], NOW))
        self.assertIsNone(seconds_to_wait(counters, [], NOW))

    def test_names_differ(self) -> None:
        """No counter is mistaken for another one."""
        counters = [
            *guess_counters(self.policy, ADDRESS),
            *registration_counters(self.policy, ADDRESS, None),
            *registration_counters(self.policy, ADDRESS, SHARED),
            *login_counters(self.policy, ADDRESS, "romeo"),
        ]
        self.assertEqual(len({counter.name for counter in counters}), 5)

    def test_retry_after(self) -> None:
        """Who has to wait is told how long, at least a second, until the oldest is over."""
        (counter,) = guess_counters(self.policy, ADDRESS)
        self.assertEqual(counter.since(NOW), NOW - timedelta(minutes=10))
        for minutes, seconds in ((0, 600), (9, 60), (10, 1), (11, 1)):
            tally = Tally(count=10, oldest=NOW - timedelta(minutes=minutes))
            self.assertEqual(counter.retry_after(tally, NOW), seconds)
        self.assertEqual(counter.retry_after(Tally(count=10), NOW), 600)


REGISTER_FIELDS = (  # XEP-0077 §14.1
    *("username", "nick", "password", "name", "first", "last", "email", "address", "city"),
    *("state", "zip", "phone", "url", "date", "misc", "text", "key"),
)


def is_pattern(text: str) -> bool:
    try:
        check_pattern(text)
    except InvalidPattern:
        return False
    return True


class TextTests(SynchronousTestCase):
    """Texts that become ``not-acceptable``: "ip" in one means a blocked address to Kaidan."""

    def test_fields(self) -> None:
        """A missing field is named, "zip" by other words, in the text; never with "ip"."""
        for name in REGISTER_FIELDS:
            refusal = FieldMissing(name)
            self.assertNotIn("ip", refusal.text.lower())
            self.assertEqual(refusal.field, name)
            self.assertIn("postal code" if name == "zip" else name, refusal.text)
            self.assertNotIn("ip", UnacceptableField(name).text.lower())

    @given(st.text() | st.sampled_from(["Zip", "ZIP code", "tip", "iP", "description"]))
    def test_any_field(self, name: str) -> None:
        """Nor do fields of an operator's own bring it in."""
        for error in (FieldMissing, UnacceptableField):
            self.assertNotIn("ip", error(name).text.lower())

    @settings(suppress_health_check=[HealthCheck.filter_too_much])
    @given(
        st.text(st.sampled_from("iIpP|[]a-z.*0 ")).filter(is_pattern)
        | st.text(max_size=8).filter(is_pattern)
    )
    def test_any_pattern(self, pattern: str) -> None:
        """Nor does any pattern."""
        policy = Policy(usernames=UsernameRules(pattern=pattern))
        refusal = decide(policy, asked(username="~"), KNOWN).refusal
        if refusal is not None:
            self.assertIs(type(refusal), UnacceptableUsername)
            self.assertNotIn("ip", refusal.text.lower())

    def test_pattern_with_it(self) -> None:
        """A pattern with these letters is not shown, in whatever case they are."""
        for pattern in ("ship-.*", "SHIP", "Ip", "iP[0-9]+"):
            policy = Policy(usernames=UsernameRules(pattern=pattern))
            refusal = decide(policy, ASKED, KNOWN).refusal
            self.assertIsInstance(refusal, UnacceptableUsername)
            self.assertNotIn("ip", refusal.text.lower())

    def test_lengths_and_passwords(self) -> None:
        """Nor do the texts about lengths and passwords."""
        requests = [asked(username="x" * 65), asked(password="short")]
        requests += [
            asked(password=text) for text in ("x" * 1024, *PasswordInvalidTests.invalid)
        ]
        for request in requests:
            refusal = decide(Policy(), request, KNOWN).refusal
            self.assertIsInstance(refusal, (UnacceptableUsername, UnacceptablePassword))
            self.assertNotIn("ip", refusal.text.lower())

    def test_weak(self) -> None:
        """Clients recognise a weak password by exactly this text."""
        self.assertEqual(WeakPassword().text, "The password is too weak")
        self.assertEqual(str(WeakPassword()), "The password is too weak")


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
NAMES = st.sampled_from(["romeo", "ROMEO", "admin", "a@b", "", "guest", "password"]) | ANY_TEXT
TIMES = st.datetimes(
    datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)
) | st.sampled_from([NOW, NOW - HOUR, NOW + HOUR])
ADDRESSES = st.none() | st.ip_addresses() | st.just(ADDRESS)
NETWORKS = st.lists(
    st.builds(
        lambda address, prefix: ip_network((address, prefix), strict=False),
        st.ip_addresses() | st.just(ADDRESS),
        st.integers(0, 32),
    ),
    max_size=3,
).map(tuple)
LIMITS = st.builds(
    Limit, max=st.integers(0, 3), period=st.timedeltas(timedelta(), timedelta(days=365))
)
POLICIES = st.builds(
    Policy,
    allow_registration=st.sampled_from([True, True, False]),
    registration_invite_only=st.booleans(),
    fields=st.dictionaries(st.sampled_from(["email", "zip"]), st.booleans()),
    admins=st.frozensets(NAMES, max_size=2),
    usernames=st.builds(
        UsernameRules,
        min_length=st.integers(0, 3),
        max_length=st.integers(3, 30),
        pattern=st.sampled_from(["", "", "[a-z]+", "ip"]),
        reserved=st.frozensets(NAMES, max_size=2),
    ),
    passwords=st.builds(
        PasswordRules, min_length=st.integers(0, 8), common=st.frozensets(NAMES, max_size=2)
    ),
    limits=st.builds(
        Limits,
        registration=LIMITS,
        token_guesses=LIMITS,
        shared_invite=LIMITS,
        ipv4_prefix=st.integers(0, 32),
        ipv6_prefix=st.integers(0, 128),
        allowlist=NETWORKS,
        allowlist_only=st.booleans(),
        blocklist=st.just(()) | NETWORKS,
    ),
)
REQUESTS = st.builds(
    Request,
    domain=st.just("example.com"),
    address=ADDRESSES,
    has_token=st.booleans(),
    username=st.none() | NAMES,
    password=st.none() | NAMES,
    fields=st.dictionaries(st.sampled_from(["email", "zip"]) | ANY_TEXT, ANY_TEXT, max_size=3),
    preauthorised=st.booleans(),
)
INVITES = st.builds(
    Invite,
    id=st.sampled_from(["guest", "other"]),
    domain=st.just("example.com"),
    kind=st.sampled_from(Kind),
    source=st.sampled_from(["cli", "api:key", "adhoc:romeo@example.com"]),
    created_at=TIMES,
    expires_at=st.none() | TIMES,
    revoked_at=st.none() | TIMES,
    username=st.none() | NAMES,
    uses_allowed=st.none() | st.integers(1, 3),
    uses=st.integers(0, 3),
)
TALLIES = st.lists(
    st.builds(Tally, count=st.integers(0, 4), oldest=st.none() | TIMES), max_size=4
).map(tuple)
FACTS = st.builds(
    Facts,
    now=TIMES,
    invite=st.none() | st.just(GUEST) | INVITES,
    guesses=TALLIES,
    registrations=TALLIES,
    account_exists=st.booleans(),
    reserved_for=st.sampled_from([None, "guest", "other"]),
    deleted=st.booleans(),
)


def told(decision: Decision) -> tuple[object, ...]:
    """All that can be seen of a decision; two exceptions are never equal by themselves."""
    refusal = decision.refusal
    return (decision.rule, decision.passed, type(refusal), getattr(refusal, "__dict__", None))


class PropertyTests(SynchronousTestCase):
    """What holds whatever is asked and whatever is known."""

    @given(POLICIES, REQUESTS, FACTS)
    def test_decides(self, policy: Policy, request: Request, facts: Facts) -> None:
        """Every request gets an answer that names the rule and those passed before it."""
        decision = decide(policy, request, facts)
        names = (*(name for name, _ in RULES), "allowed")
        self.assertIn(decision.rule, names)
        self.assertEqual(decision.passed, names[: names.index(decision.rule)])
        self.assertEqual(decision.refusal is None, decision.rule == "allowed")
        if isinstance(decision.refusal, Throttled):
            self.assertGreaterEqual(decision.refusal.retry_after, 1)

    @given(POLICIES, REQUESTS, FACTS)
    def test_pure(self, policy: Policy, request: Request, facts: Facts) -> None:
        """The same question gets the same answer."""
        first, second = decide(policy, request, facts), decide(policy, request, facts)
        self.assertEqual(told(first), told(second))

    @given(POLICIES, REQUESTS, FACTS)
    def test_allowlist_only_helps(self, policy: Policy, request: Request, facts: Facts) -> None:
        """Listing a network never locks out anybody, and lifts no rule but its own three."""
        address = request.address or ADDRESS
        listed = limits(policy, allowlist=(*policy.limits.allowlist, ip_network(address)))
        before, after = decide(policy, request, facts), decide(listed, request, facts)
        self.assertGreaterEqual(len(after.passed), len(before.passed))
        if before.rule not in {"not-allowlisted", "too-many-guesses", "throttled"}:
            self.assertEqual(told(after), told(before))

    @given(REQUESTS, st.text())
    def test_repr(self, request: Request, suffix: str) -> None:
        """A request that ends up in a log or a traceback shows no password."""
        shown = repr(replace(request, password="SECRET" + suffix))
        self.assertNotIn("SECRET", shown)
