"""What becomes of those who come with a token, or without."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

from twisted.logger import globalLogPublisher

from invitereg.errors import (
    FieldMissing,
    InvalidInvite,
    InvalidUsername,
    InviteRequired,
    NotFound,
    RegistrationClosed,
    Throttled,
    TooManyGuests,
    UnacceptablePassword,
    UsernameReserved,
    UsernameTaken,
    WeakPassword,
)
from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Limit, Limits, Policy
from invitereg.runtime.meter import Meter
from invitereg.usecases.registrar import Registrar
from tests.spying import note_calls
from tests.usecases.case import DOMAIN, HOME, PASSWORD, UseCase


class RedeemTests(UseCase):
    """Registering by invitation."""

    policy = Policy(admins=frozenset({"romeo"}), limits=Limits(roster=1))

    def test_once(self) -> None:
        """An invite makes an account with what it says, and no second one."""
        invite, token = self.invite(roles=("member",), groups=("Verona",))
        grant = self.preauthorise(token)
        username = self.done(
            self.registrar.redeem(self.submission("Juliet", grant=grant))
        ).username
        account = self.successResultOf(self.store.get_account(DOMAIN, username))
        self.assertEqual((account.username, account.roles), ("juliet", ("member",)))
        self.assertEqual(account.groups, ("Verona",))
        self.assertTrue(self.password_of("juliet", PASSWORD))
        again = self.submission("nurse", grant=grant)
        self.refused(InvalidInvite, self.registrar.redeem(again))
        (use,) = self.successResultOf(self.store.list_uses(DOMAIN, invite.id))
        self.assertEqual(
            (use.username, use.door, use.address, use.at),
            ("juliet", "c2s", str(HOME), self.now()),
        )

    def test_default_roles(self) -> None:
        """Who has an invite gets its roles, and none of those for people without one."""
        roles = ("guest", "team:new")
        policy = replace(self.policy, registration_invite_only=False, default_roles=roles)
        self.registrar.domains[DOMAIN] = replace(self.registrar.domains[DOMAIN], policy=policy)
        for asked in ({}, {"roles": ("member",)}):
            grant = self.preauthorise(self.invite(**asked)[1])
            name = f"invited{len(asked)}"
            self.done(self.registrar.redeem(self.submission(name, grant=grant)))
        for door in ("c2s", "web", "api", "component"):
            self.done(self.registrar.redeem(self.submission(f"by-{door}", door=door)))
        self.account("made")
        making = self.registrar.create_account(DOMAIN, "lead", PASSWORD, ("team:lead",))
        self.done(making)
        accounts = self.successResultOf(self.store.list_accounts(DOMAIN))
        self.assertEqual(
            {account.username: account.roles for account in accounts},
            {
                "invited0": (),
                "invited1": ("member",),
                **{f"by-{door}": roles for door in ("c2s", "web", "api", "component")},
                "made": roles,
                "lead": ("team:lead",),
            },
        )

    def test_contacts(self) -> None:
        """An invite to be contacts makes them, within the limit of the inviter's domain."""
        self.account("nurse")
        _, token = self.invite(inviter="nurse", contact=True, uses=None)
        _, alone = self.invite(inviter="nurse")
        for username, given in (("juliet", token), ("mercutio", token), ("paris", alone)):
            grant = self.preauthorise(given)
            self.done(self.registrar.redeem(self.submission(username, grant=grant)))
        roster = self.successResultOf(self.store.get_roster(DOMAIN, "nurse"))
        mutual = {jid: str(item.subscription) for jid, item in roster.items()}
        self.assertEqual(mutual, {f"juliet@{DOMAIN}": "both"})

    def test_preauthorised_before_it_expired(self) -> None:
        """Whoever was let in in time may finish; who comes later may not (XEP-0445 §4)."""
        _, token = self.invite()
        grant = self.preauthorise(token)
        self.clock.advance(timedelta(days=8).total_seconds())
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, HOME, token))
        self.done(self.registrar.redeem(self.submission(grant=grant)))

    def test_revoked_in_between(self) -> None:
        """An invite that is revoked between preauth and registration is void."""
        invite, token = self.invite()
        grant = self.preauthorise(token)
        self.done(self.issuer.revoke(DOMAIN, invite.id, OPERATOR))
        self.refused(InvalidInvite, self.registrar.redeem(self.submission(grant=grant)))
        self.assertEqual(self.usernames(), [])

    def test_renewed_in_between(self) -> None:
        """A link that was renewed is dead, also for who presented it before."""
        invite, token = self.invite()
        grant = self.preauthorise(token)
        _, other = self.done(self.issuer.renew(DOMAIN, invite.id, OPERATOR))
        self.refused(InvalidInvite, self.registrar.redeem(self.submission(grant=grant)))
        heir = self.submission(grant=self.preauthorise(other))
        self.done(self.registrar.redeem(heir))

    def test_refusal_costs_nothing(self) -> None:
        """A taken name or a weak password leaves the invite as it was."""
        self.account("juliet")
        _, token = self.invite()
        grant = self.preauthorise(token)
        self.refused(UsernameTaken, self.registrar.redeem(self.submission(grant=grant)))
        weak = self.submission("nurse", password="short", grant=grant)
        self.refused(WeakPassword, self.registrar.redeem(weak))
        self.assertEqual(self.preauthorise(token), grant)
        self.done(self.registrar.redeem(self.submission("nurse", grant=grant)))

    def test_reserved_for_another(self) -> None:
        """A name on an invite is for its invitee alone, who may take no other."""
        _, theirs = self.invite(username="juliet")
        _, token = self.invite()
        stranger = self.submission(grant=self.preauthorise(token))
        self.refused(UsernameReserved, self.registrar.redeem(stranger))
        grant = self.preauthorise(theirs)
        other = self.submission("nurse", grant=grant)
        self.assertEqual(
            self.refused(UsernameReserved, self.registrar.redeem(other)).fixed_username,
            "juliet",
        )
        self.done(self.registrar.redeem(self.submission(grant=grant)))

    def test_takeover_of_an_admin(self) -> None:
        """A guest cannot become the admin by registering the name of one."""
        _, token = self.invite()
        guest = self.submission("Romeo", grant=self.preauthorise(token))
        self.refused(UsernameReserved, self.registrar.redeem(guest))
        _, token = self.invite(username="romeo")
        admin = self.submission("romeo", grant=self.preauthorise(token))
        self.done(self.registrar.redeem(admin))

    def test_without_invite(self) -> None:
        """By invitation only means just that."""
        self.refused(InviteRequired, self.registrar.redeem(self.submission()))

    def test_token_and_form_together(self) -> None:
        """A form is sent with its token: that is looked at first, and guessed no oftener."""
        _, token = self.invite(username="juliet")
        stranger = self.submission("nurse", token=token)
        self.refused(UsernameReserved, self.registrar.redeem(stranger))
        for missing in ("", None):
            nameless = self.submission(username=missing, token=token)
            self.refused(FieldMissing, self.registrar.redeem(nameless))
        self.done(self.registrar.redeem(self.submission(token=token)))
        self.refused(InvalidInvite, self.registrar.redeem(self.submission(token=token)))
        guess = self.submission("nurse", token="wrong")
        for _ in range(10):
            self.refused(InvalidInvite, self.registrar.redeem(guess))
        self.refused(Throttled, self.registrar.redeem(guess))
        self.refused(Throttled, self.registrar.preauthorise(DOMAIN, HOME, "wrong"))
        _, late = self.invite(expiry=timedelta(hours=1))
        self.clock.advance(3600)
        self.refused(InvalidInvite, self.registrar.redeem(self.submission("nurse", token=late)))

    def test_refused_forms_are_counted(self) -> None:
        """A form with a good token counts as refused, one with an unknown token as a guess."""
        outcomes: list[str] = []

        class Noting(Meter):
            def registered(self, door: str, outcome: str) -> None:
                outcomes.append(f"{door} {outcome}")

        domains, accounts = self.registrar.domains, {DOMAIN: self.accounts}
        registrar = Registrar(domains, self.store, accounts, self.now, meter=Noting())
        hits = note_calls(self, self.store, "hit")
        _, token = self.invite(username="juliet")
        guess = self.submission("nurse", door="web", token="wrong")
        self.refused(InvalidInvite, registrar.redeem(guess))
        self.assertEqual((outcomes, hits), ([], ["hit"]))
        for username, error in (("nurse", UsernameReserved), ("", FieldMissing)):
            form = self.submission(username, door="web", token=token)
            self.refused(error, registrar.redeem(form))
        self.assertEqual((outcomes, hits), (["web refused"] * 2, ["hit"]))

    def test_reset_without_a_name(self) -> None:
        """A reset's form asks for no name, and its password must not be the account's name."""
        self.account("juliet.capulet")
        _, token = self.done(self.issuer.create_reset(DOMAIN, "juliet.capulet", OPERATOR))
        for password, error in (("juliet.capulet", WeakPassword), ("", FieldMissing)):
            form = self.submission(username=None, password=password, token=token)
            self.refused(error, self.registrar.redeem(form))
        form = self.submission(username=None, password="another one", token=token)
        self.assertEqual(self.done(self.registrar.redeem(form)).username, "juliet.capulet")
        self.assertTrue(self.password_of("juliet.capulet", "another one"))

    def test_guesses(self) -> None:
        """Guessing tokens is soon over for a network, and hurts no other."""
        wrong = "x" * 24
        for _ in range(10):
            self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, HOME, wrong))
        error = self.refused(Throttled, self.registrar.preauthorise(DOMAIN, HOME, wrong))
        self.assertEqual(error.retry_after, 600)
        there = ip_address("192.0.2.2")
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, there, wrong))
        self.clock.advance(600)
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, HOME, wrong))

    def test_guest_of_a_guesser(self) -> None:
        """Who has an invite gets in, however much somebody guesses in the same network."""
        for number in range(30):
            working = self.registrar.preauthorise(DOMAIN, HOME, f"{number}")
            self.refused(InvalidInvite if number < 10 else Throttled, working)
        for uses in (1, 3, None):
            _, token = self.invite(uses=uses)
            self.done(self.registrar.preview(DOMAIN, HOME, token))
            name = f"guest{uses}"
            grant = self.preauthorise(token)
            self.done(self.registrar.redeem(self.submission(name, grant=grant)))

    def test_over_while_somebody_guesses(self) -> None:
        """Past the limit, a token that is over is answered as an unknown one is."""
        over, token = self.invite()
        self.done(self.issuer.revoke(DOMAIN, over.id, OPERATOR))
        for _ in range(10):
            self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, HOME, "wrong"))
        told = {
            str(vars(self.refused(Throttled, self.registrar.preauthorise(DOMAIN, HOME, one))))
            for one in (token, "wrong")
        }
        self.assertEqual(len(told), 1, told)

    def test_scripts_are_counted_apart(self) -> None:
        """Guesses by a script on a web page leave people and apps of the network their own."""

        def by_script(token: str) -> Any:
            return self.registrar.preview(DOMAIN, HOME, token, scripted=True)

        for _ in range(10):
            self.refused(InvalidInvite, by_script("wrong"))
        self.refused(Throttled, by_script("wrong"))
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, HOME, "wrong"))
        _, token = self.invite()
        self.done(by_script(token))

    def test_what_is_over_is_no_guess(self) -> None:
        """A used link opened again and again throttles nobody."""
        invite, token = self.invite()
        self.done(self.issuer.revoke(DOMAIN, invite.id, OPERATOR))
        for _ in range(20):
            self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, HOME, token))

    def test_secrets_stay_out_of_the_log(self) -> None:
        """The log names the invite, the account and the address; no token, no password."""
        events: list[dict[str, object]] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        invite, token = self.invite()
        grant = self.preauthorise(token)
        self.refused(
            WeakPassword, self.registrar.redeem(self.submission(password="zq!", grant=grant))
        )
        self.done(self.registrar.redeem(self.submission(grant=grant)))
        written = str(events)
        for expected in (invite.id, "juliet", str(HOME), "password-length"):
            self.assertIn(expected, written)
        for secret in (token, PASSWORD, "zq!"):
            self.assertNotIn(secret, written)


class RedeemOnSQLTests(RedeemTests):
    """The same on SQLite."""

    make_store = UseCase.make_sql_store


class ThrottleTests(UseCase):
    """Limits on registrations."""

    policy = Policy(
        registration_invite_only=False,
        limits=Limits(
            registration=Limit(max=2, period=timedelta(hours=1)),
            shared_invite=Limit(max=1, period=timedelta(hours=1)),
        ),
    )

    def test_open_registration(self) -> None:
        """So many accounts in an hour from one network; failures do not count."""
        self.done(self.registrar.redeem(self.submission("a1")))
        self.refused(UsernameTaken, self.registrar.redeem(self.submission("a1")))
        self.clock.advance(60)
        self.done(self.registrar.redeem(self.submission("a2")))
        error = self.refused(Throttled, self.registrar.redeem(self.submission("a3")))
        self.assertEqual(error.retry_after, 3540)
        self.clock.advance(3540)
        self.done(self.registrar.redeem(self.submission("a3")))

    def test_guests_behind_one_address(self) -> None:
        """Everybody with an invite of their own gets in, however many come at once."""
        for number in range(4):
            _, token = self.invite()
            guest = self.submission(f"g{number}", grant=self.preauthorise(token))
            self.done(self.registrar.redeem(guest))

    def test_shared_invite(self) -> None:
        """An invite with several uses is limited by itself, network by network."""
        _, token = self.invite(uses=None)
        grant = self.preauthorise(token)
        self.done(self.registrar.redeem(self.submission("s1", grant=grant)))
        second = self.submission("s2", grant=grant)
        self.refused(TooManyGuests, self.registrar.redeem(second))
        elsewhere = replace(second, address=ip_address("192.0.2.2"))
        self.done(self.registrar.redeem(elsewhere))

    def test_one_look_for_a_known_token(self) -> None:
        """Who has shown a token is counted by its invite alone, and in the first look-up."""
        for number in range(2):
            self.done(self.registrar.redeem(self.submission(f"a{number}")))
        _, token = self.invite(uses=None)
        grant = self.preauthorise(token)
        calls = note_calls(self, self.store, "look_up", "redeem")
        self.done(self.registrar.redeem(self.submission("s1", grant=grant)))
        second = self.submission("s2", grant=grant)
        self.refused(TooManyGuests, self.registrar.redeem(second))
        self.assertEqual(calls, ["look_up", "redeem", "look_up"])

    def test_invite_of_an_event(self) -> None:
        """An invite lets in as many from one network as it says itself, also at a race."""
        _, token = self.invite(uses=None, per_network=2)
        grants = [self.preauthorise(token) for _ in range(3)]
        for number, grant in enumerate(grants[:2]):
            self.done(self.registrar.redeem(self.submission(f"s{number}", grant=grant)))
        third = self.submission("s3", grant=grants[2])
        self.refused(TooManyGuests, self.registrar.redeem(third))


class ThrottleOnSQLTests(ThrottleTests):
    """The same on SQLite."""

    make_store = UseCase.make_sql_store


class AccountTests(UseCase):
    """What the operator does with accounts, and resets."""

    def test_operator_makes_any_account(self) -> None:
        """The operator is bound by no rule but that names and passwords must be valid."""
        for username in ("admin", "romeo", "x" * 500):
            self.account(username)
        create = self.registrar.create_account
        self.refused(UsernameTaken, create(DOMAIN, "Admin", PASSWORD))
        self.refused(InvalidUsername, create(DOMAIN, "a b", PASSWORD))
        self.done(create(DOMAIN, "weak", "x"))
        for password in ("", "x" * 1024, "a\x00b"):
            self.refused(UnacceptablePassword, create(DOMAIN, "nurse", password))

    def test_deleted_name(self) -> None:
        """A deleted account's name is not for the next who comes, but for the operator."""
        self.account("juliet")
        self.done(self.registrar.delete_account(DOMAIN, "Juliet"))
        self.refused(NotFound, self.registrar.delete_account(DOMAIN, "juliet"))
        _, token = self.invite()
        stranger = self.submission(grant=self.preauthorise(token))
        self.refused(UsernameReserved, self.registrar.redeem(stranger))
        self.account("juliet")

    def test_deleted_name_for_a_while(self) -> None:
        """Where the operator says so, such a name becomes free when its time is over."""
        self.registrar.keep_names = timedelta(days=1)
        self.account("juliet")
        self.done(self.registrar.delete_account(DOMAIN, "juliet"))
        for hours, purged in ((23, 0), (2, 1)):
            self.clock.advance(hours * 3600)
            now = self.registrar._now()
            self.assertEqual(
                self.successResultOf(self.store.purge_names(DOMAIN, now, 9)), purged
            )
        _, token = self.invite()
        self.done(self.registrar.redeem(self.submission(grant=self.preauthorise(token))))

    def test_reset(self) -> None:
        """A reset sets the password of its account, once, and ends its sessions."""
        self.account("juliet")
        _, token = self.done(self.issuer.create_reset(DOMAIN, "juliet", OPERATOR))
        grant = self.preauthorise(token)
        wrong = self.submission("nurse", password="another one", grant=grant)
        self.refused(UsernameReserved, self.registrar.redeem(wrong))
        right = self.submission("juliet", password="another one", grant=grant)
        self.clock.advance(1)
        self.done(self.registrar.redeem(right))
        self.assertTrue(self.password_of("juliet", "another one"))
        self.assertFalse(self.password_of("juliet", PASSWORD))
        (end,) = self.successResultOf(self.store.session_ends(0))
        self.assertEqual((end.username, end.at), ("juliet", self.now()))
        self.refused(InvalidInvite, self.registrar.redeem(right))

    def test_reset_of_deleted_account(self) -> None:
        """A reset does not bring a deleted account back."""
        self.account("juliet")
        _, token = self.done(self.issuer.create_reset(DOMAIN, "juliet", OPERATOR))
        grant = self.preauthorise(token)
        self.done(self.registrar.delete_account(DOMAIN, "juliet"))
        reset = self.submission("juliet", grant=grant)
        self.refused(InvalidInvite, self.registrar.redeem(reset))
        self.assertEqual(self.usernames(), [])


class AccountOnSQLTests(AccountTests):
    """The same on SQLite."""

    make_store = UseCase.make_sql_store


class PreviewTests(UseCase):
    """Looking at what a token is for."""

    policy = Policy(limits=Limits(shared_invite=Limit(max=1, period=timedelta(hours=1))))

    def preview(self, token: str) -> Any:
        return self.registrar.preview(DOMAIN, HOME, token)

    def test_contacts(self) -> None:
        """An invite that makes contacts can be looked at, and lets nobody register."""
        self.account("romeo")
        invite, token = self.invite(inviter="romeo", contact=True, registration=False)
        self.assertEqual(self.done(self.preview(token)).invite, invite)
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, HOME, token))

    def test_full_house(self) -> None:
        """As many as may have registered from here; it can be looked at all the same."""
        invite, token = self.invite(uses=3)
        grant = self.preauthorise(token)
        self.done(self.registrar.redeem(self.submission(grant=grant)))
        self.refused(TooManyGuests, self.registrar.preauthorise(DOMAIN, HOME, token))
        calls = note_calls(self, self.store, "look_up")
        self.assertEqual(self.done(self.preview(token)).invite.id, invite.id)
        self.assertEqual(calls, ["look_up"])

    def test_closed(self) -> None:
        """Where no accounts are made, only contacts and resets are of use."""
        self.account("romeo")
        closed = replace(self.policy, allow_registration=False)
        _invite, token = self.invite()
        _invite, contact = self.invite(inviter="romeo", contact=True, registration=False)
        _invite, reset = self.done(self.issuer.create_reset(DOMAIN, "romeo", OPERATOR))
        domain = self.registrar.domains[DOMAIN]
        self.registrar.domains = {DOMAIN: replace(domain, policy=closed)}
        self.refused(RegistrationClosed, self.preview(token))
        self.done(self.preview(contact))
        self.done(self.preview(reset))

    def test_same_work(self) -> None:
        """Whichever way a token is not valid, the store is asked for the same."""
        revoked, revoked_token = self.invite(uses=None)
        self.done(self.issuer.revoke(DOMAIN, revoked.id, OPERATOR))
        _used, used_token = self.invite()
        self.done(self.registrar.redeem(self.submission(grant=self.preauthorise(used_token))))
        _expired, expired_token = self.invite(uses=5, expiry=timedelta(seconds=1))
        self.clock.advance(1)
        seen = set()
        for token in ("unknown", revoked_token, used_token, expired_token):
            for look in (self.preview, self.preauthorised):
                calls = note_calls(self, self.store, "look_up", "hit")
                self.refused(InvalidInvite, look(token))
                seen.add(tuple(calls))
        self.assertEqual(seen, {("look_up", "hit")})

    def preauthorised(self, token: str) -> Any:
        return self.registrar.preauthorise(DOMAIN, HOME, token)

    def test_admit(self) -> None:
        """Without a token, the registrar says whether one is needed."""
        self.refused(InviteRequired, self.registrar.admit(DOMAIN, HOME))
        everybody = replace(self.policy, registration_invite_only=False)
        domain = self.registrar.domains[DOMAIN]
        self.registrar.domains = {DOMAIN: replace(domain, policy=everybody)}
        self.done(self.registrar.admit(DOMAIN, HOME))
