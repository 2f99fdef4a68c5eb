"""What clients need to log in: the contract's point 18."""

from scramp import ScramClient

from invitereg.model.accounts import SCRAM_SHA_1, SCRAM_SHA_256
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import PASSWORD, auth, children, plain
from tests.xmpp.scram import scram_login

BOTH = (SCRAM_SHA_256, SCRAM_SHA_1)


class MechanismTests(DoorTestCase):
    def offered(self, listener):
        return [str(m) for m in listener.connect().open().mechanisms.elements()]

    def test_point_18_offer(self):
        """SCRAM-SHA-256 comes first, PLAIN last; SCRAM-SHA-1 where keys for it are stored."""
        self.assertEqual(self.offered(self.listener), [SCRAM_SHA_256, "PLAIN"])
        both = Listener(stored=BOTH)
        self.assertEqual(self.offered(both), [*BOTH, "PLAIN"])

    def test_point_18_not_in_clear(self):
        """Before TLS nothing is offered, and a try is refused without a look at it."""
        client = self.listener.connect(Phase.CLEAR)
        self.assertNotIn("mechanisms", children(client.open()))
        self.listener.add_account()
        self.assertFails(client.ask(plain()), "encryption-required")
        self.assertEqual(self.listener.work.runs, 0)
        client.secure()
        client.log_in()

    def test_point_18_monal(self):
        """Monal's SASL is PLAIN in one message."""
        self.listener.add_account()
        answer = self.listener.opened().ask(plain())
        self.assertEqual((answer.name, children(answer), str(answer)), ("success", [], ""))

    def test_point_18_scram_sha_256(self):
        """SCRAM-SHA-256, as Martin does it, proves the server to the client too."""
        self.listener.add_account()
        answer = scram_login(self.listener.opened(), SCRAM_SHA_256)
        self.assertEqual(answer.name, "success")

    def test_point_18_scram_sha_1(self):
        """SCRAM-SHA-1, Dino's, works where its keys are stored."""
        listener = Listener(stored=BOTH)
        listener.add_account(stored=BOTH)
        self.assertEqual(scram_login(listener.opened(), SCRAM_SHA_1).name, "success")

    def test_point_18_scram_sha_1_without_keys(self):
        """An account from before looks like a wrong password to SCRAM-SHA-1; PLAIN works."""
        listener = Listener(stored=BOTH)
        listener.add_account(stored=(SCRAM_SHA_256,))
        client = listener.opened()
        self.assertFails(scram_login(client, SCRAM_SHA_1), "not-authorized")
        client.log_in()

    def test_point_18_scram_sha_1_not_offered(self):
        """A mechanism that is not offered is not spoken."""
        first = ScramClient([SCRAM_SHA_1], "juliet", PASSWORD).get_client_first()
        reply = self.listener.opened().ask(auth(SCRAM_SHA_1, first.encode()))
        self.assertFails(reply, "invalid-mechanism")
