"""Logging in: what is accepted, what is refused, and what a stranger can tell."""

import base64

from scramp import ScramClient
from twisted.internet.defer import fail

from invitereg.errors import Overloaded
from invitereg.model.accounts import SCRAM_SHA_256
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import DOMAIN, GET, NS_SASL, PASSWORD, auth, children, plain, response
from tests.xmpp.scram import scram_login, text_of

ABORT = f"<abort xmlns='{NS_SASL}'/>"
FIRST = b"n,,n=juliet,r=fyko+d2lbbFgONRv9qkxdawL"


class LoginTestCase(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.listener.add_account()
        self.client = self.listener.opened()

    def login_fails(self, condition, *texts):
        """A fresh stream gets this failure, and can still log in."""
        client = self.listener.opened()
        self.assertFails(client.ask(*texts), condition)
        client.log_in()


class PlainTests(LoginTestCase):
    def test_initial_response(self):
        """Everything in one message."""
        self.assertEqual(self.client.ask(plain()).name, "success")

    def test_without_initial_response(self):
        """Or after an empty challenge."""
        for start in (auth("PLAIN"), auth("PLAIN", "=")):
            client = self.listener.opened()
            challenge = client.ask(start)
            self.assertEqual((challenge.name, str(challenge)), ("challenge", ""))
            answer = client.ask(response(f"\0juliet\0{PASSWORD}".encode()))
            self.assertEqual(answer.name, "success")

    def test_wrong(self):
        """A wrong password, an unknown account, an empty password, no name at all."""
        for username, password in (
            ("juliet", "wrong"),
            ("romeo", PASSWORD),
            ("juliet", ""),
            ("juliet", "\u0007"),
            ("", PASSWORD),
            ("a@b", PASSWORD),
            ("a" * 1100, PASSWORD),
        ):
            self.login_fails("not-authorized", plain(username, password))

    def test_spelling(self):
        """Names are prepared: JULIET is juliet."""
        self.assertEqual(self.client.ask(plain("JULIET")).name, "success")
        self.assertEqual(self.client.stream.username, "juliet")

    def test_authzid(self):
        """One may act as oneself, and as nobody else."""
        own = plain(authzid=f"juliet@{DOMAIN}")
        self.assertEqual(self.client.ask(own).name, "success")
        for authzid in (f"romeo@{DOMAIN}", "juliet", f"juliet@{DOMAIN}/x", "juliet@other"):
            self.login_fails("invalid-authzid", plain(authzid=authzid))

    def test_malformed(self):
        """What is no PLAIN message is said to be none."""
        for data in (b"x", b"\0juliet", b"\0a\0b\0c", b"\xff\0\xff\0\xff"):
            self.login_fails("malformed-request", auth("PLAIN", data))

    def test_encoding(self):
        """What is no base64 is said to be none."""
        for text in ("!", "a", "====", "AGp1bGll\ndA", " =", "\u00e4"):
            self.login_fails("incorrect-encoding", auth("PLAIN", text))

    def test_same_work_for_unknown_accounts(self):
        """A stranger cannot tell by the time it takes who exists."""
        counts = []
        for username in ("juliet", "nobody"):
            before = self.listener.work.runs
            self.listener.opened().ask(plain(username, "wrong"))
            counts.append(self.listener.work.runs - before)
        self.assertEqual(counts, [1, 1])


class ScramTests(LoginTestCase):
    def test_without_initial_response(self):
        """SCRAM may begin with an empty challenge."""
        self.assertEqual(scram_login(self.client, SCRAM_SHA_256, initial=False).name, "success")

    def test_wrong(self):
        """A wrong password and an unknown account look the same."""
        for username, password in (("juliet", "wrong"), ("nobody", PASSWORD)):
            client = self.listener.opened()
            answer = scram_login(client, SCRAM_SHA_256, username, password)
            self.assertFails(answer, "not-authorized")
            self.assertEqual(children(answer), ["not-authorized"])
            client.log_in()

    def server_first(self, username):
        first = ScramClient([SCRAM_SHA_256], username, "x").get_client_first()
        challenge = text_of(self.listener.opened().ask(auth(SCRAM_SHA_256, first.encode())))
        return dict(part.split("=", 1) for part in challenge.split(","))

    def test_unknown_accounts_have_a_salt(self):
        """The same one each time, another for each name; iterations as for real ones."""
        real = self.server_first("juliet")
        once, again = self.server_first("nobody"), self.server_first("nobody")
        self.assertEqual(once["s"], again["s"])
        self.assertNotEqual(once["s"], self.server_first("noone")["s"])
        self.assertEqual(once["i"], real["i"])
        self.assertEqual(*(len(base64.b64decode(x["s"])) for x in (once, real)))

    def test_nothing_is_hashed(self):
        """SCRAM costs the server no hashing, whoever asks."""
        before = self.listener.work.runs
        for username in ("juliet", "nobody"):
            scram_login(self.listener.opened(), SCRAM_SHA_256, username, "wrong")
        self.assertEqual(self.listener.work.runs, before)

    def test_authzid(self):
        """SCRAM's library knows no authzid; one is refused by name."""
        first = f"n,a=romeo@{DOMAIN}," + FIRST.decode()[3:]
        self.login_fails("invalid-authzid", auth(SCRAM_SHA_256, first.encode()))

    def test_malformed_first(self):
        """What is no first message is said to be none, or names nobody."""
        cases = (
            b"x", b"n,,", b"n,,n=juliet", b"n,,r=x", b"p=tls-unique,,n=juliet,r=x",
            b"n,,m=x,n=juliet,r=x", b"\xff", b"z,,n=juliet,r=x", b"n,,n=,r=x",
            b"n,,n=jul=iet,r=x", b"n,,n=a@b,r=x", b",,,,", b"n,,n,r",
        )  # fmt: skip
        for data in cases:
            client = self.listener.opened()
            answer = client.ask(auth(SCRAM_SHA_256, data))
            self.assertEqual(answer.name, "failure", data)
            expected = {"malformed-request", "not-authorized"}
            self.assertIn(children(answer)[0], expected, data)
            client.log_in()

    def test_malformed_final(self):
        """Nor is anything but a final message taken for one."""
        for data in (b"", b"x", b"c=biws", b"c=biws,r=x,p=", b"c=!,r=x,p=AAAA", b"\xff"):
            client = self.listener.opened()
            self.assertEqual(client.ask(auth(SCRAM_SHA_256, FIRST)).name, "challenge")
            answer = client.ask(response(data))
            self.assertEqual(answer.name, "failure", data)
            client.log_in()

    def test_wrong_nonce(self):
        """A final message for another exchange is no proof."""
        first = self.listener.opened()
        scram = ScramClient([SCRAM_SHA_256], "juliet", PASSWORD)
        start = auth(SCRAM_SHA_256, scram.get_client_first().encode())
        scram.set_server_first(text_of(first.ask(start)))
        final = response(scram.get_client_final().encode())
        self.client.ask(start)
        answer = self.client.ask(final)
        self.assertEqual(answer.name, "failure")


class ExchangeTests(LoginTestCase):
    def test_unknown_mechanism(self):
        """What was not offered is refused."""
        for mechanism in ("DIGEST-MD5", "ANONYMOUS", "SCRAM-SHA-1", "plain", "", "x" * 99):
            self.login_fails("invalid-mechanism", auth(mechanism, b"x"))

    def test_abort(self):
        """A client may give up, and start anew."""
        self.client.ask(auth(SCRAM_SHA_256, FIRST))
        self.assertFails(self.client.ask(ABORT), "aborted")
        self.assertFails(self.client.ask(response(b"x")), "malformed-request")
        self.client.log_in()

    def test_response_without_auth(self):
        """A response to nothing is refused."""
        self.login_fails("malformed-request", response(b"x"))

    def test_auth_during_auth(self):
        """A new start ends the one before."""
        self.client.ask(auth(SCRAM_SHA_256, FIRST))
        self.client.log_in()

    def test_five_failures(self):
        """The fifth failure is told, and ends the stream."""
        for _ in range(4):
            self.assertFails(self.client.ask(plain(password="wrong")), "not-authorized")
        self.client.send(plain(password="wrong"))
        failure, error = self.client.receive()
        self.assertFails(failure, "not-authorized")
        self.assertEqual(error.firstChildElement().name, "policy-violation")
        self.assertTrue(self.client.closed)

    def test_failures_of_any_kind(self):
        """Aborting and nonsense count as well."""
        self.client.send(ABORT, auth("X"), response(b"x"), auth("PLAIN", "!"), plain("x", "y"))
        self.assertEqual([e.name for e in self.client.receive()], ["failure"] * 5 + ["error"])

    def test_before_tls(self):
        """In clear nothing is tried, whatever the mechanism."""
        client = self.listener.opened(Phase.CLEAR)
        for mechanism in ("PLAIN", SCRAM_SHA_256, "X"):
            self.assertFails(client.ask(auth(mechanism, b"\0a\0b")), "encryption-required")
        for text in (response(b"x"), ABORT):
            client = self.listener.opened(Phase.CLEAR)
            client.send(text)
            self.assertEnded(client, "not-authorized")

    def test_twice(self):
        """After login there is no login."""
        self.client.log_in()
        self.client.send(plain())
        self.assertEnded(self.client, "not-authorized")
        session = self.listener.logged_in()
        session.send(plain())
        self.assertEnded(session, "unsupported-stanza-type")

    def test_registration_after_login(self):
        """Nobody registers another account between login and binding."""
        self.listener.add_invite()
        self.client.ask("<iq type='set' id='1'><preauth xmlns='urn:xmpp:pars:0' token="
                        "'K7dJq2mZx9RtYw4LbN8vHc3P'/></iq>")  # fmt: skip
        self.client.log_in()
        self.client.send(GET)
        self.assertEnded(self.client, "not-authorized")

    def test_overloaded(self):
        """Too much work waits: the login may be tried again."""
        run = self.listener.work.run
        self.listener.work.run = lambda *_: fail(Overloaded(1.0))
        self.assertFails(self.client.ask(plain()), "temporary-auth-failure")
        self.listener.work.run = run
        self.client.log_in()

    def test_defect(self):
        """A defect of ours is logged, and no fault of the password's."""
        self.listener.work.run = lambda *_: fail(ZeroDivisionError())
        self.assertFails(self.client.ask(plain()), "temporary-auth-failure")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
