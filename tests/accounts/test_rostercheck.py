"""Whether contacts can be made over a component: what was set is read back."""

from twisted.internet.defer import fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish
from wokkel.generic import parseXml

from invitereg.accounts.privilegecheck import RETRY_SECONDS
from invitereg.accounts.xmppserver import XMPPServer
from invitereg.interfaces.server import MissingPrivilege, OutcomeUnknown, ServerUnreachable
from invitereg.xmpp.component.connection import Privileges

DOMAIN = "example.com"
COMMANDS = "http://jabber.org/protocol/commands"
INFO = "http://jabber.org/protocol/disco#info"
ROSTER = "jabber:iq:roster"
FORM = (
    f"<iq type='result'><command xmlns='{COMMANDS}' status='executing' sessionid='1'>"
    "<x xmlns='jabber:x:data' type='form'><field var='accountjids'/></x></command></iq>"
)
DONE = (
    f"<iq type='result'><command xmlns='{COMMANDS}' status='completed'>"
    "<x xmlns='jabber:x:data' type='result'/></command></iq>"
)


class Peer:
    """A server with rosters, which keeps of what is set what it likes.

    Attributes:
        kept: the subscription that an item has in the end; None for what was asked.
        refusal: the condition with which it refuses to set a roster, if any.
        deaf: the commands that it does not answer.
        mute: the commands that it executes without an answer.
        forbidden: the commands that it does not let us give.
        accounts: those that are there.
        asked: how many requests came.
        addressed: to which hosts, or accounts of which.
    """

    jid = f"invites.{DOMAIN}"

    def __init__(self, kept=None, refusal=None, host=DOMAIN):
        self.kept, self.refusal, self.host = kept, refusal, host
        self.addressed = set()
        self.deaf, self.mute, self.forbidden = set(), set(), set()
        self.accounts = set()
        self.rosters = {}
        self.asked = 0
        self.connect()

    def connect(self):
        """Grant the rosters, as on a new connection."""
        self.connected = True
        self.privileges = Privileges(self.host, {"roster": "both"}, "urn:xmpp:privilege:2")

    def disconnect(self):
        """Be away, with all that was granted."""
        self.connected, self.privileges = False, Privileges(self.host)

    def ask(self, iq, _seconds):
        self.asked += 1
        self.addressed.add(iq["to"].rpartition("@")[2])
        if not self.connected:
            return fail(ServerUnreachable("no component connection: it was refused"))
        payload = next(iq.elements())
        if payload.uri == INFO:
            return fail(StanzaError("item-not-found"))
        if payload.uri == ROSTER:
            return self._roster(iq, payload)
        command = payload["node"].partition("#")[2]
        if command in self.deaf:
            return fail(OutcomeUnknown("no answer within 4.0 seconds"))
        if command in self.forbidden:
            return fail(StanzaError("forbidden"))
        if payload["action"] == "complete":
            return self._command(command, payload)
        return succeed(parseXml(FORM.encode()))

    def _command(self, command, payload):
        jid = next(
            str(field.value)
            for field in payload.x.elements("jabber:x:data", "field")
            if field["var"] == "accountjids"
        )
        self.addressed.add(jid.rpartition("@")[2])
        if command == "add-user":
            self.accounts.add(jid)
        if command == "delete-user":
            self.accounts.discard(jid)
            self.rosters.pop(jid, None)
        if command in self.mute:
            return fail(OutcomeUnknown("no answer within 4.0 seconds"))
        return succeed(parseXml(DONE.encode()))

    def _roster(self, iq, query):
        assert iq["to"] in self.accounts, "no real account"
        if iq["type"] == "set":
            if self.refusal:
                return fail(StanzaError(self.refusal))
            item = next(query.elements())
            self.rosters[iq["to"]] = item["jid"], self.kept or item["subscription"]
            return succeed(domish.Element((None, "iq")))
        answer = domish.Element((None, "iq"))
        roster = answer.addElement((ROSTER, "query"))
        if iq["to"] in self.rosters:
            jid, subscription = self.rosters[iq["to"]]
            item = roster.addElement((ROSTER, "item"))
            item["jid"], item["subscription"] = jid, subscription
        return succeed(answer)


class RosterCheckTests(SynchronousTestCase):
    def make(self, **settings):
        self.peer, self.clock = Peer(**settings), Clock()
        self.server = XMPPServer(self.peer.host, self.peer, self.clock)

    def problem(self):
        return self.successResultOf(self.server.contacts_problem())

    def test_held(self):
        """What holds is found out once for each connection, and leaves nothing behind."""
        self.make()
        self.assertIsNone(self.problem())
        asked = self.peer.asked
        self.clock.advance(10 * RETRY_SECONDS)
        self.assertIsNone(self.problem())
        self.assertEqual(self.peer.asked, asked)
        self.assertEqual((self.peer.accounts, self.peer.rosters), (set(), {}))
        self.peer.kept = "none"
        self.peer.connect()
        self.assertIn("subscription=none", self.problem())

    def test_spelling(self):
        """A server, its accounts and their contacts are named as it spells its domain."""
        host = "xn--mnchen-3ya.example"
        self.make(host=host)
        self.peer.deaf = {"delete-user"}
        self.failureResultOf(self.server.contacts_problem(), ServerUnreachable)
        self.assertEqual(self.server.domain, "m\u00fcnchen.example")
        self.assertEqual(self.peer.addressed, {host})
        ((contact, _subscription),) = self.peer.rosters.values()
        self.assertTrue(contact.endswith(f"@{host}"), contact)
        self.successResultOf(self.server.create("juliet", "pass word"))
        self.assertIn(f"juliet@{host}", self.peer.accounts)

    def test_not_held(self):
        """A server that answers `result` and sets less makes no contacts, whatever it sets."""
        for kept in ("none", "to", "from", "remove"):
            self.make(kept=kept)
            problem = self.problem()
            self.assertIn(f"subscription={kept}", problem)
            self.assertIn("backend: ejabberd", problem)
            self.assertEqual(self.peer.accounts, set())

    def test_refused(self):
        """One that refuses to set them is told apart from one that is not allowed to."""
        for condition, said in (
            ("internal-server-error", "23.01"),
            ("forbidden", "privileged_entities"),
            ("feature-not-implemented", "feature-not-implemented"),
        ):
            self.make(refusal=condition)
            self.assertIn(said, self.problem())
            self.assertEqual(self.peer.accounts, set())

    def test_no_connection(self):
        """While there is no connection, that is said, and not that nothing is granted."""
        self.make()
        self.peer.disconnect()
        fault = self.failureResultOf(self.server.contacts_problem(), ServerUnreachable)
        self.assertIn("no component connection", fault.value.text)
        self.peer.connect()
        self.assertIsNone(self.problem())

    def test_not_granted(self):
        """Where it is there and grants no rosters, that is said, and nothing is tried."""
        self.make()
        self.peer.privileges = Privileges(DOMAIN)
        self.assertIn("privileged_entities", self.problem())
        self.assertEqual(self.peer.accounts, set())

    def test_tried_again(self):
        """Where it did not hold, it is tried again after a while, and not for each invite."""
        self.make(kept="none")
        first = self.problem()
        asked = self.peer.asked
        self.assertEqual([self.problem() for _ in range(20)], [first] * 20)
        self.assertEqual(self.peer.asked, asked)
        self.peer.kept = None
        self.clock.advance(RETRY_SECONDS)
        self.assertIsNone(self.problem())

    def test_left_over(self):
        """A trial account that could not be removed is named, for its operator."""
        self.make()
        self.peer.deaf = {"delete-user"}
        fault = self.failureResultOf(self.server.contacts_problem(), ServerUnreachable)
        (left,) = self.peer.accounts
        self.assertIn(left.partition("@")[0], fault.value.text)

    def test_left_over_once(self):
        """Who asks again and again does not fill such a server with accounts."""
        self.make()
        self.peer.deaf = {"delete-user"}
        for _ in range(20):
            self.failureResultOf(self.server.contacts_problem(), ServerUnreachable)
        self.assertEqual(len(self.peer.accounts), 1)

    def test_made_without_an_answer(self):
        """A trial account that was made without an answer is removed, too."""
        self.make()
        self.peer.mute = {"add-user"}
        self.failureResultOf(self.server.contacts_problem(), ServerUnreachable)
        self.assertEqual(self.peer.accounts, set())

    def test_may_make_none(self):
        """Where no account may be made, that is said, and not that one is left."""
        self.make()
        self.peer.forbidden = {"add-user", "delete-user"}
        fault = self.failureResultOf(self.server.contacts_problem(), MissingPrivilege)
        self.assertNotIn("may be left", fault.value.text)

    def test_not_tried(self):
        """What could not be tried is tried by the next who asks."""
        self.make()
        self.peer.deaf = {"add-user"}
        self.failureResultOf(self.server.contacts_problem(), ServerUnreachable)
        self.peer.deaf = set()
        self.assertIsNone(self.problem())

    def test_contacts_read_back(self):
        """So are the contacts of real members: what is not kept was not made."""
        self.make(kept="none")
        self.peer.accounts |= {f"{name}@{DOMAIN}" for name in ("juliet", "romeo")}
        making = self.server.make_contacts("juliet", "romeo")
        fault = self.failureResultOf(making, MissingPrivilege)
        self.assertIn("subscription=none", fault.value.text)
        self.make()
        self.peer.accounts |= {f"{name}@{DOMAIN}" for name in ("juliet", "romeo")}
        self.successResultOf(self.server.make_contacts("juliet", "romeo"))
        self.assertEqual(
            self.peer.rosters,
            {
                f"juliet@{DOMAIN}": (f"romeo@{DOMAIN}", "both"),
                f"romeo@{DOMAIN}": (f"juliet@{DOMAIN}", "both"),
            },
        )
