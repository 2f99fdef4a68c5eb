"""People whose rosters are in a real store, and who read what becomes of them."""

from twisted.internet.defer import Deferred

from invitereg.model.invites import Kind
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import DOMAIN, TOKEN

JULIET, ROMEO, NURSE = (f"{name}@{DOMAIN}" for name in ("juliet", "romeo", "nurse"))
NS_ROSTER = "jabber:iq:roster"
GET_ROSTER = f"<iq type='get' id='roster'><query xmlns='{NS_ROSTER}'/></iq>"
GRANTED = [
    f"push {JULIET} from",
    f"push {JULIET} from ask",
    f"subscribed from {JULIET}",
    f"push {JULIET} both",
    f"here {JULIET}/r",
]


def roster_set(items, attributes=""):
    """A roster set with these items, as XML."""
    return (
        f"<iq type='set' id='set'{attributes}><query xmlns='{NS_ROSTER}'>{items}</query></iq>"
    )


def presence(kind, to, content=""):
    """A subscription stanza, as a client sends it."""
    return f"<presence type='{kind}' to='{to}'>{content}</presence>"


def subscribe(to, token=TOKEN):
    """A request by invitation."""
    preauth = f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>"
    return presence("subscribe", to, preauth)


def told(stanza):
    """What a client is told by a stanza, in a few words."""
    if stanza.name == "iq" and stanza["type"] == "set":
        (item,) = stanza.query.elements()
        more = [name for name in ("ask", "approved") if item.hasAttribute(name)]
        return " ".join(["push", item["jid"], item["subscription"], *more])
    kind = stanza.getAttribute("type", "here" if stanza.name == "presence" else "")
    if kind in ("here", "unavailable"):
        return f"{kind} {stanza['from']}"
    if stanza.name == "presence" and kind != "error":
        return f"{kind} from {stanza['from']}"
    return f"{stanza.name} {kind}"


def items(reply):
    """The items of a roster: JID to subscription, and what else is said of it."""
    found = {}
    for item in reply.query.elements():
        groups = [str(group) for group in item.elements()]
        more = {
            name: value
            for name, value in item.attributes.items()
            if name not in ("jid", "subscription")
        }
        found[item["jid"]] = (item["subscription"], *sorted(more.items()), *groups)
    return found


class RosterTestCase(DoorTestCase):
    """Tests with people who log in, ask for their rosters and send presence."""

    def setUp(self):
        self.listener = self.make_listener()
        for name in ("juliet", "romeo", "nurse"):
            self.listener.add_account(name)
        self.look_for_changes()

    def make_listener(self):
        """The door to connect to."""
        return Listener()

    def session(self, jid, texts=(GET_ROSTER, "<presence/>"), **where):
        """A client of ``jid``, as in juliet@example.com/balcony, that has sent these."""
        account, _, resource = jid.partition("/")
        client = self.listener.logged_in(account.partition("@")[0], resource or "r", **where)
        client.send(*texts)
        client.receive()
        return client

    def say(self, client, *texts):
        """Send, and return what the client is told thereupon."""
        client.send(*texts)
        return self.heard(client)

    def heard(self, client):
        """What a client has been told since it was last asked."""
        return [told(stanza) for stanza in client.receive()]

    def roster(self, jid):
        """What an account gets when it asks for its roster."""
        client = self.session(f"{jid}/asks", texts=())
        reply = client.ask(GET_ROSTER)
        client.send("</stream:stream>")
        return items(reply)

    def befriend(self, one, other):
        """Let two become mutual contacts, by stanzas of sessions of their own."""
        clients = [self.session(f"{jid}/befriends", texts=()) for jid in (one, other)]
        for client, to in zip(clients, (other, one), strict=True):
            client.send(presence("subscribed", to))
        for client, to in zip(clients, (other, one), strict=True):
            client.send(presence("subscribe", to))
        for client in clients:
            client.send("</stream:stream>")

    def invite(self, kind=Kind.CONTACT, token=TOKEN, **changes):
        """An invite of romeo's."""
        return self.listener.add_invite(token, kind=kind, inviter="romeo", **changes)

    def uses(self, invite):
        """How often an invite has been used."""
        return self.listener.invite(invite).uses

    def look_for_changes(self):
        """What the service does every second."""
        contacts = self.listener.embedded.contacts
        self.successResultOf(Deferred.fromCoroutine(contacts.carry_out_changes()))

    def assertMutual(self, one, other):
        """They are contacts of each other, and nobody has asked anybody."""
        self.assertEqual(self.roster(one)[other][0], "both")
        self.assertEqual(self.roster(other)[one][0], "both")
