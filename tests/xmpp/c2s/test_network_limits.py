"""How much of what a network may do."""

from datetime import timedelta
from ipaddress import ip_network

from invitereg.model.accounts import SCRAM_SHA_256
from invitereg.policy.values import Limit
from invitereg.runtime.workqueue import current_client
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import PASSWORD, error_of, plain, preauth, registration
from tests.xmpp.scram import scram_login

HERE = "192.0.2.1"
THERE = "198.51.100.7"
HOUR = timedelta(hours=1)
MINUTES = timedelta(minutes=10)


class StreamTests(DoorTestCase):
    def setUp(self):
        self.listener = Listener(streams=(3, 5))

    def test_per_network(self):
        """One stream too many from a network is turned away; other networks are not."""
        streams = [self.listener.opened() for _ in range(3)]
        refused = self.listener.connect()
        refused.finish_handshake()
        self.assertTrue(refused.closed)
        self.listener.opened(address=THERE)
        streams.pop().lose()
        refused.lose()
        self.listener.opened()

    def test_turned_away_with_a_word(self):
        """In clear the client is told why."""
        phase = next(iter(self.listener.factories))
        for _ in range(3):
            self.listener.opened(phase)
        self.assertEnded(self.listener.connect(phase), "resource-constraint")

    def test_ipv6(self):
        """Of IPv6, a /64 is one network."""
        self.listener = Listener(streams=(3, 50))
        for number in range(3):
            self.listener.opened(address=f"2001:db8::{number}")
        self.assertTrue(self.listener.connect(address="2001:db8::dead:beef").closed)
        self.listener.opened(address="2001:db8:0:1::1")

    def test_altogether(self):
        """There is a limit for all networks together too."""
        for number in range(5):
            self.listener.opened(address=f"192.{number}.2.1")
        self.assertTrue(self.listener.connect(address=THERE).closed)

    def test_subscriber(self):
        """Who has a whole IPv6 /48 opens four times as many as one network."""
        self.listener = Listener(streams=(10, 5000))
        for number in range(200):
            self.listener.connect(address=f"2001:db8:1:{number << 4:x}::1")
        self.assertEqual(sum(not each.closing for each in self.listener.door.streams.open), 40)
        self.listener.opened(address="2001:db8:2::1")

    def test_provider(self):
        """No provider's customers together keep others out: half of all is for these."""
        for addresses in (
            [f"198.51.{number}.1" for number in range(200)],
            [f"2001:db8:{number:x}::1" for number in range(200)],
        ):
            self.listener = Listener(streams=(10, 100))
            for address in addresses:
                self.listener.connect(address=address)
            for number in range(50):
                self.listener.opened(address=f"192.0.2.{number}")
            self.assertTrue(self.listener.connect(address="203.0.113.1").closed)

    def test_allowlist(self):
        """The office's network is not counted."""
        office = {"allowlist": (ip_network("192.0.2.0/24"),)}
        self.listener = Listener(limits=office, streams=(3, 10))
        for _ in range(10):
            self.listener.opened()
        for number in range(5):
            self.listener.opened(address=f"198.51.100.{number}")

    def test_given_back_on_close(self):
        """A stream that has gone makes room, however it went."""
        for _ in range(10):
            client = self.listener.opened()
            client.send("</stream:stream>")
            client.lose()
            refused = self.listener.opened()
            refused.send("<x/>")
            refused.lose()

    def test_given_back_on_login(self):
        """Sessions do not count."""
        self.listener.add_account()
        for number in range(10):
            self.listener.logged_in(resource=str(number))
        self.assertEqual(len(self.listener.door.streams.open), 10)

    def test_logged_in_without_a_session(self):
        """Who has logged in, and binds no resource, still counts."""
        self.listener.add_account()
        for _ in range(3):
            self.listener.opened().log_in()
        self.assertTrue(self.listener.connect().closed)


class GuessTests(DoorTestCase):
    def test_five_wrong_tokens(self):
        """The fifth wrong token is answered, and ends the stream."""
        client = self.listener.opened()
        for _ in range(4):
            self.assertError(client.ask(preauth("wrong")), "cancel", "item-not-found")
        client.send(preauth("wrong"))
        answer, error = client.receive()
        self.assertError(answer, "cancel", "item-not-found")
        self.assertEqual(error.firstChildElement().name, "policy-violation")
        self.assertTrue(client.closed)

    def test_right_ones_do_not_matter(self):
        """Good tokens in between neither count nor forgive."""
        self.listener.add_invite()
        client = self.listener.opened()
        for _ in range(4):
            client.ask(preauth("wrong"))
            self.assertResult(client.ask(preauth()))
        client.send(preauth("wrong"))
        self.assertEqual(len(client.receive()), 2)

    def test_missing_token(self):
        """A preauth without a token is no guess, only wrong."""
        client = self.listener.opened()
        for _ in range(10):
            self.assertError(client.ask(preauth("")), "modify", "bad-request")

    def guess(self, count, address=HERE):
        """Try unknown tokens, each on a stream of its own; returns the conditions."""
        clients = [self.listener.opened(address=address) for _ in range(count)]
        return [error_of(client.ask(preauth("wrong")))[:2] for client in clients]

    def test_per_network(self):
        """After ten unknown tokens a network waits, unless it has a good one; others do not."""
        self.listener.add_invite()
        self.assertEqual(set(self.guess(10)), {("cancel", "item-not-found")})
        self.assertEqual(self.guess(2), [("wait", "resource-constraint")] * 2)
        self.listener.preauthorised()
        self.listener.preauthorised(address=THERE)
        self.assertEqual(self.guess(1, THERE), [("cancel", "item-not-found")])
        self.listener.wait(minutes=10, seconds=1)
        self.assertEqual(self.guess(1), [("cancel", "item-not-found")])

    def test_local_socket(self):
        """Through a socket without addresses nobody waits for what others guess there."""
        self.listener.add_invite()
        self.assertEqual(set(self.guess(25, None)), {("cancel", "item-not-found")})
        self.listener.preauthorised(address=None)

    def test_whose_work(self):
        """The work that a client causes counts as that of its network, if it has an address."""
        clients, look_up = [], self.listener.store.look_up

        def note(query):
            clients.append(current_client())
            return look_up(query)

        self.patch(self.listener.store, "look_up", note)
        for address in (HERE, THERE, None):
            self.listener.opened(address=address).ask(preauth("wrong"))
        self.assertEqual([one.door for one in clients], ["c2s"] * 3)
        networks = [[share.network for share in one.shares] for one in clients]
        self.assertEqual(networks, [[f"{HERE}/32"], [f"{THERE}/32"], []])

    def test_known_tokens_are_no_guesses(self):
        """Trying an expired token again and again keeps nobody out."""
        self.listener.add_invite("expired", expires_at=self.listener.now())
        for _ in range(20):
            self.listener.opened().ask(preauth("expired"))
        self.listener.add_invite()
        self.listener.preauthorised()


class RegistrationTests(DoorTestCase):
    def register(self, number, address=HERE, *, token=False):
        """Register one more user; returns the reply."""
        client = self.listener.opened(address=address)
        if token:
            client.ask(preauth())
        return client.ask(registration(f"user{number}"))

    def test_open_registration(self):
        """Five accounts an hour from one network; refusals do not count."""
        self.listener = Listener(policy={"registration_invite_only": False})
        for number in range(5):
            self.assertResult(self.register(number))
            self.assertEqual(self.register(number)["type"], "error")
        self.assertError(self.register(6), "wait", "resource-constraint")
        self.assertResult(self.register(7, THERE))
        self.listener.wait(hours=1, seconds=1)
        self.assertResult(self.register(8))

    def test_shared_invite(self):
        """An invite with many uses is limited for each network that uses it."""
        shared = {"shared_invite": Limit(max=3, period=HOUR)}
        self.listener = Listener(limits=shared)
        self.listener.add_invite(uses_allowed=None)
        for number in range(3):
            self.assertResult(self.register(number, token=True))
        client = self.listener.opened()
        self.assertError(client.ask(preauth()), "wait", "resource-constraint")
        self.assertResult(self.register(4, THERE, token=True))

    def test_single_invites(self):
        """Guests with an invite each get in from behind one address."""
        for number in range(20):
            self.listener.add_invite(f"token{number}")
            client = self.listener.opened()
            client.ask(preauth(f"token{number}"))
            self.assertResult(client.ask(registration(f"user{number}")))


class LoginTests(DoorTestCase):
    def setUp(self):
        logins = {"logins": Limit(max=3, period=MINUTES)}
        self.listener = Listener(limits=logins)
        self.listener.add_account()

    def attempt(self, username="juliet", password="wrong", address=HERE):
        """Try to log in on a stream of its own; returns the answer."""
        return self.listener.opened(address=address).ask(plain(username, password))

    def test_per_account_and_network(self):
        """After so many failures even the right password waits, and nothing is hashed."""
        for _ in range(3):
            self.assertFails(self.attempt(), "not-authorized")
        before = self.listener.work.runs
        answer = self.attempt(password="correct horse battery")
        self.assertFails(answer, "temporary-auth-failure")
        self.assertIn("Wait", str(answer.text))
        self.assertEqual(self.listener.work.runs, before)
        self.listener.opened(address=THERE).log_in()
        self.listener.wait(minutes=10, seconds=1)
        self.listener.opened().log_in()

    def test_local_socket(self):
        """Failures through a socket without addresses keep nobody out, there or elsewhere."""
        for _ in range(35):
            self.assertFails(self.attempt(address=None), "not-authorized")
        for address in (None, HERE):
            self.listener.opened(address=address).log_in()

    def test_elsewhere_and_a_local_socket(self):
        """Failures elsewhere keep nobody out who comes through a socket without addresses."""
        for number in range(40):
            self.attempt(address=f"192.0.{number}.1")
        self.assertFails(self.attempt(address=THERE), "temporary-auth-failure")
        self.listener.opened(address=None).log_in()

    def test_scram(self):
        """SCRAM counts together with PLAIN."""
        for _ in range(3):
            answer = scram_login(self.listener.opened(), SCRAM_SHA_256, password="wrong")
            self.assertFails(answer, "not-authorized")
        answer = scram_login(self.listener.opened(), SCRAM_SHA_256)
        self.assertFails(answer, "temporary-auth-failure")
        self.assertFails(self.attempt(), "temporary-auth-failure")

    def test_per_network(self):
        """Ten times as many failures are let through for all names from one network."""
        for number in range(30):
            self.assertFails(self.attempt(f"user{number}"), "not-authorized")
        before = self.listener.work.runs
        self.assertFails(self.attempt("romeo"), "temporary-auth-failure")
        self.assertFails(self.attempt("juliet"), "temporary-auth-failure")
        self.assertEqual(self.listener.work.runs, before)

    def guess(self, address):
        """Try wrong passwords for juliet, each from another address; returns how many."""
        judged = 0
        while "not-authorized" in self.attempt(address=address(judged)).toXml():
            judged += 1
            assert judged < 1000, "there is no limit"
        return judged

    def test_subscriber(self):
        """Who has a whole IPv6 /48 is let through four times as often as one network."""
        self.assertEqual(self.guess(lambda n: f"2001:db8:1:{n << 8:x}::1"), 12)
        self.listener.opened().log_in()

    def test_many_networks(self):
        """From all networks together an account's password is guessed ten times as often."""
        self.listener.opened().log_in()
        before = self.listener.work.runs
        self.assertEqual(self.guess(lambda n: f"10.{n}.0.1"), 30)
        self.assertEqual(self.listener.work.runs, before + 30)

    def test_owner_is_not_locked_out(self):
        """Meanwhile, who has used the account in a network goes on there, by each mechanism."""
        self.listener.opened(address="192.0.2.7").log_in()
        self.listener.opened(address="2001:db8:1:2::1").log_in()
        self.guess(lambda n: f"10.{n}.0.1")
        for address in ("192.0.2.7", "192.0.2.200", "2001:db8:1:ffff::1"):
            self.listener.opened(address=address).log_in()
            answer = scram_login(self.listener.opened(address=address), SCRAM_SHA_256)
            self.assertEqual(answer.name, "success")
        for address in ("192.0.3.7", "2001:db8:2::1"):
            answer = self.attempt(password=PASSWORD, address=address)
            self.assertFails(answer, "temporary-auth-failure")

    def test_ten_minutes(self):
        """Other networks wait for ten minutes at most, however long failures count."""
        logins = Limit(max=3, period=timedelta(days=1))
        self.listener = Listener(limits={"logins": logins})
        self.listener.add_account()
        self.guess(lambda n: f"10.{n}.0.1")
        self.assertFails(self.attempt(password=PASSWORD), "temporary-auth-failure")
        self.listener.wait(minutes=10, seconds=1)
        self.listener.opened().log_in()

    def test_success_does_not_count(self):
        """Whoever has the password may log in as often as they like."""
        for _ in range(20):
            self.listener.opened().log_in()
        for _ in range(3):
            self.assertFails(self.attempt(), "not-authorized")

    def test_allowlist(self):
        """The office's network is not throttled."""
        limits = {
            "logins": Limit(max=3, period=MINUTES),
            "allowlist": (ip_network("192.0.2.0/24"),),
        }
        self.listener = Listener(limits=limits)
        for _ in range(20):
            self.assertFails(self.attempt(), "not-authorized")
