"""What a session can find out about the server."""

from invitereg._version import __version__
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import DOMAIN

NS_INFO = "http://jabber.org/protocol/disco#info"
NS_ITEMS = "http://jabber.org/protocol/disco#items"


def query(ns, to=f" to='{DOMAIN}'", node=""):
    """A get with an empty query."""
    node = node and f" node='{node}'"
    return f"<iq type='get' id='1'{to}><query xmlns='{ns}'{node}/></iq>"


class DiscoTests(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.client = self.listener.logged_in()

    def identities(self, reply):
        return [(i["category"], i["type"], i.getAttribute("name"))
                for i in reply.query.elements(NS_INFO, "identity")]  # fmt: skip

    def test_server(self):
        """The server is an IM server with a name, and says what it can do."""
        reply = self.client.ask(query(NS_INFO))
        self.assertResult(reply)
        self.assertEqual(self.identities(reply), [("server", "im", "Example Chat")])
        features = {f["var"] for f in reply.query.elements(NS_INFO, "feature")}
        self.assertGreaterEqual(
            features, {NS_INFO, NS_ITEMS, "urn:xmpp:ping", "jabber:iq:version"}
        )
        self.assertFalse(reply.query.hasAttribute("node"))

    def test_account(self):
        """One's own account is a registered one, addressed or not."""
        for to in (f" to='juliet@{DOMAIN}'", ""):
            reply = self.client.ask(query(NS_INFO, to))
            self.assertEqual(self.identities(reply), [("account", "registered", None)])

    def test_other_account(self):
        """Others' accounts are nobody's business."""
        self.listener.add_account("romeo")
        for name in ("romeo", "nobody"):
            reply = self.client.ask(query(NS_INFO, f" to='{name}@{DOMAIN}'"))
            self.assertError(reply, "cancel", "service-unavailable")

    def test_unknown_node(self):
        """There is nothing at a node that does not exist."""
        reply = self.client.ask(query(NS_INFO, node="x"))
        self.assertError(reply, "cancel", "item-not-found")

    def test_items(self):
        """There are no items, and the node is repeated."""
        for node in ("", "x"):
            reply = self.client.ask(query(NS_ITEMS, node=node))
            self.assertResult(reply)
            self.assertEqual(list(reply.query.elements()), [])
            self.assertEqual(reply.query.getAttribute("node", ""), node)

    def test_version(self):
        """The server tells its name and version."""
        reply = self.client.ask(query("jabber:iq:version"))
        values = {child.name: str(child) for child in reply.query.elements()}
        self.assertEqual(values["name"], "invitereg")
        self.assertEqual(values["version"], __version__)
