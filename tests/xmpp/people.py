"""Several people who are connected at once."""

from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import DOMAIN
from tests.xmpp.rosterstore import Book

JULIET, ROMEO, NURSE = (f"{name}@{DOMAIN}" for name in ("juliet", "romeo", "nurse"))


def told(client):
    """What presence a client was told of: sender, type and the text of <show/>, sorted."""
    return sorted(
        (stanza["from"], stanza.getAttribute("type", ""), str(stanza.show or ""))
        for stanza in client.receive()
    )


def bodies(client):
    """The texts of the messages that have come to a client."""
    received = client.receive()
    assert all(stanza.name == "message" for stanza in received), received
    return [str(stanza.body) for stanza in received]


class PeopleTestCase(DoorTestCase):
    """Tests with people who log in when they are named, and whose rosters are in `book`."""

    def setUp(self):
        self.listener = Listener(wrap_store=self.wrap)

    def wrap(self, store):
        """What the door sees of the store."""
        self.book = Book(store)
        return self.book

    def session(self, name, presence="<presence/>", forget=True):
        """A client of ``name``, as in juliet@example.com/balcony, that has sent presence."""
        account, _, resource = name.partition("/")
        client = self.listener.logged_in(account.partition("@")[0], resource or "r")
        if presence:
            client.send(presence)
        if forget:
            client.receive()
        return client

    def assertUnavailable(self, reply):
        """It says that nobody is there."""
        self.assertError(reply, "cancel", "service-unavailable")

    def assertAllSilent(self, *clients):
        """Nothing has come to any of them."""
        for client in clients:
            self.assertSilent(client)
