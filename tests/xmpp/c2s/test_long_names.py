"""Names that are too long cost next to nothing, wherever a client writes them."""

import base64

import scramp.core
from twisted.words.protocols.jabber import jid

from invitereg.accounts.scram import SCRAM_SHA_256
from invitereg.model import names
from invitereg.model.namespaces import NS_SASL
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import BIND, header, plain, registration

EXPANDING = "\ufdfa"  # NFKC makes 18 characters of it
LONG = (EXPANDING * 2035, EXPANDING * 341, "é" * 1000, "a" * 1024)
# What preparation may read for one request: one name of ours, and what we answer with.
FEW = 100


class LongNameTests(DoorTestCase):
    def setUp(self):
        self.listener = Listener()
        self.listener.add_account()
        self.read = 0
        for name in ("nodeprep", "nameprep", "resourceprep"):
            profile = getattr(names, name)
            self.patch(profile, "prepare", self.counting(profile.prepare))
        for module in (names, scramp.core):
            self.patch(module, "saslprep", self.counting(module.saslprep))

    def counting(self, prepare):
        def counted(text):
            self.read += len(text)
            return prepare(text)

        return counted

    def assertCheap(self, do):
        """Nothing that is long is prepared while it is done."""
        for text in LONG:
            before = self.read
            with self.subTest(text=text[:2]):
                do(text)
                self.assertLess(self.read - before, FEW)

    def test_header(self):
        """A stream header for a long domain, which anybody may send at no cost."""

        def do(text):
            client = self.listener.connect()
            client.send(header(to=text))
            self.assertEnded(client, "host-unknown")

        self.assertCheap(do)

    def test_header_as_configured(self):
        """A header that names the domain as it is configured needs no preparation at all."""
        self.read = 0
        self.listener.opened()
        self.assertEqual(self.read, 0)

    def test_header_of_medium_length(self):
        """A header for another domain costs no more than the domain's own name is long."""
        before = self.read
        for text in ("ä" * 500, "ä." * 300, "x" * 1023, EXPANDING * 50):
            self.listener.connect().send(header(to=text))
        self.assertEqual(self.read, before)

    def test_registration(self):
        """The username of a registration."""
        self.listener = Listener(policy={"registration_invite_only": False})

        def do(text):
            client = self.listener.opened()
            reply = client.ask(registration(text))
            self.assertError(reply, "modify", "jid-malformed")

        self.assertCheap(do)

    def test_password_of_a_registration(self):
        """The password of a registration."""
        self.listener = Listener(policy={"registration_invite_only": False})

        def do(text):
            client = self.listener.opened()
            reply = client.ask(registration("romeo", text))
            self.assertEqual(reply["type"], "error")

        self.assertCheap(do)

    def test_plain(self):
        """Name and password of a login by PLAIN."""

        def do(text):
            for name, password in ((text, "x"), ("juliet", text)):
                answer = self.listener.opened().ask(plain(name, password))
                self.assertFails(answer, "not-authorized")

        self.assertCheap(do)

    def test_scram(self):
        """The name of a login by SCRAM."""

        def do(text):
            message = base64.b64encode(f"n,,n={text},r=nonce".encode()).decode()
            answer = self.listener.opened().ask(
                f"<auth xmlns='{NS_SASL}' mechanism='{SCRAM_SHA_256}'>{message}</auth>"
            )
            self.assertEqual(answer.name, "failure")

        self.assertCheap(do)

    def test_resource(self):
        """The resource of a session."""

        def do(text):
            client = self.listener.opened()
            client.log_in()
            self.assertError(client.ask(BIND.format(text)), "modify", "bad-request")

        self.assertCheap(do)

    def test_own_names(self):
        """What is prepared already is not prepared again, for a session and for requests."""
        profiles = (jid.nodeprep, jid.nameprep, jid.resourceprep)
        for profile in profiles:
            self.patch(profile, "prepare", self.counting(profile.prepare))
        client = self.listener.logged_in()
        client.ask("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.read = 0
        for _ in range(20):
            client.ask("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(self.read, 0)

    def test_stanzas(self):
        """The addresses of stanzas, and of contacts."""
        client = self.listener.logged_in()

        def do(text):
            for address in (f"{text}@example.com", text, f"romeo@example.com/{text}"):
                client.send(f"<iq type='get' id='1' to='{address}'><x xmlns='urn:x'/></iq>")
                client.send(
                    "<iq type='set' id='2'><query xmlns='jabber:iq:roster'>"
                    f"<item jid='{address}'/></query></iq>"
                )

        self.assertCheap(do)
        self.assertFalse(client.closed)
