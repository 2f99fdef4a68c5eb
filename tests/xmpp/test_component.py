"""What people can do through the component, and who may."""

from twisted.words.xish import domish
from wokkel.generic import parseXml
from wokkel.test.helpers import XmlStreamStub

from invitereg.xmpp.component import PER_ADDRESS, REMEMBERED_SECONDS, ComponentDoor
from invitereg.xmpp.preauth import NS_PREAUTH
from invitereg.xmpp.register import NS_REGISTER
from tests.usecases import DOMAIN, PASSWORD, UseCase

COMPONENT = f"invites.{DOMAIN}"
ROMEO = f"romeo@{DOMAIN}/orchard"


class ComponentDoorTests(UseCase):
    """The component's door without a server: what comes in, and what goes out."""

    def setUp(self):
        super().setUp()
        self.open()

    def open(self, *register_from):
        self.stub = XmlStreamStub()
        self.door = ComponentDoor(
            lambda: self.registrar.domains[DOMAIN],
            self.registrar,
            None,
            register_from,
            self.clock.seconds,
        )
        self.door.makeConnection(self.stub.xmlstream)
        self.door.connectionInitialized()
        self.door.send = self.stub.xmlstream.send

    def ask(self, kind, payload, sender=ROMEO):
        """The answer to a request: its type, or the condition of the error."""
        iq = domish.Element((None, "iq"))
        iq.attributes.update({"type": kind, "id": "1", "from": sender, "to": COMPONENT})
        iq.addChild(parseXml(payload.encode()))
        before = len(self.stub.output)
        self.stub.send(iq)
        [answer] = self.stub.output[before:]
        self.answer = answer
        self.assertEqual((answer["to"], answer["id"]), (sender, "1"))
        return (
            answer["type"]
            if answer["type"] == "result"
            else answer.error.firstChildElement().name
        )

    def preauth(self, token, sender=ROMEO):
        return self.ask("set", f"<preauth xmlns='{NS_PREAUTH}' token='{token}'/>", sender)

    def register(self, username, sender=ROMEO):
        fields = f"<username>{username}</username><password>{PASSWORD}</password>"
        return self.ask("set", f"<query xmlns='{NS_REGISTER}'>{fields}</query>", sender)

    def form(self, sender=ROMEO):
        return self.ask("get", f"<query xmlns='{NS_REGISTER}'/>", sender)

    def test_registers(self):
        """With a token a user of the domain registers somebody, once."""
        _invite, token = self.invite(username="juliet")
        self.assertEqual(self.register("juliet"), "forbidden")
        self.assertEqual(self.preauth(token), "result")
        self.assertEqual(self.form(), "result")
        self.assertIn("juliet", self.answer.toXml())
        self.assertEqual(self.register("juliet"), "result")
        self.assertEqual(self.usernames(), ["juliet"])
        self.assertEqual(self.register("nurse"), "forbidden")
        [use] = self.successResultOf(self.store.list_uses(DOMAIN))
        self.assertEqual((use.door, use.address), ("component", None))

    def test_doubled(self):
        """What is said twice is not done."""
        _invite, token = self.invite()
        self.preauth(token)
        self.assertEqual(self.register("juliet</username><username>romeo"), "bad-request")
        self.assertEqual(self.usernames(), [])

    def test_token_is_one_sessions(self):
        """A token holds for who sent it, from there, for ten minutes."""
        _invite, token = self.invite()
        self.preauth(token)
        self.assertEqual(self.register("juliet", f"romeo@{DOMAIN}/street"), "forbidden")
        self.clock.advance(REMEMBERED_SECONDS)
        self.assertEqual(self.register("juliet"), "forbidden")
        self.assertEqual(self.usernames(), [])

    def test_strangers(self):
        """Users of other servers register only where the operator says so."""
        _invite, token = self.invite()
        stranger = "tybalt@example.net/x"
        self.assertEqual(self.preauth(token, stranger), "forbidden")
        self.assertEqual(self.form(stranger), "forbidden")
        for allowed in ("example.net", "*"):
            self.open(allowed)
            self.assertEqual(self.preauth(token, stranger), "result")

    def test_throttled(self):
        """Who asks too much waits a minute; others do not."""
        for _ in range(PER_ADDRESS):
            self.assertEqual(
                self.preauth("wrong" * 4), self.answer.error.firstChildElement().name
            )
        self.assertEqual(self.form(), "resource-constraint")
        self.assertEqual(self.form(f"juliet@{DOMAIN}/x"), "result")
        self.clock.advance(60)
        self.assertEqual(self.form(), "result")

    def test_no_password_in_errors(self):
        """What is refused is not repeated."""
        self.register("juliet")
        self.assertNotIn(PASSWORD, self.answer.toXml())
