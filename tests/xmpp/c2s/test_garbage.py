"""A connection that has ended leaves nothing behind that waits for the garbage collector."""

import gc
import weakref

from twisted.internet.defer import Deferred

from invitereg.xmpp.stanzas import Phase
from tests.contracts.store_case import DOMAIN
from tests.xmpp.door import DoorTestCase
from tests.xmpp.gateway.door import (
    CHECK_HEADER,
    FEATURES,
    LOGIN,
    SERVER_HEADER,
    GatewayTestCase,
)
from tests.xmpp.messages import GET, NS_SASL, plain, preauth, registration

ROSTER = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"
SUCCESS = f"<success xmlns='{NS_SASL}'/>"


class ReleaseMixin:
    """What tests share during which the collector collects nothing."""

    def setUp(self):
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def assertReleased(self, client):
        """Its stream is gone as soon as the reactor has no connection of it any more."""
        stream = weakref.ref(client.stream)
        client.lose()
        client.transport.producer = client.stream = None
        self.assertIsNone(stream())

    def assertNothingOfOurs(self):
        """What the collector finds is of the tests and of Twisted alone."""
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        kinds = {type(each) for each in gc.garbage}
        gc.garbage.clear()
        ours = {kind.__name__ for kind in kinds if kind.__module__.startswith("invitereg.")}
        self.assertEqual(ours, set())


class StreamTests(ReleaseMixin, DoorTestCase):
    def test_each_phase(self):
        """However far a stream has come, its end is the end of all its parts."""
        self.assertReleased(self.listener.connect(Phase.CLEAR))
        self.assertReleased(self.listener.connect())
        client = self.listener.opened(Phase.CLEAR)
        client.secure()
        self.assertReleased(client)
        self.listener.add_account()
        client = self.listener.opened()
        client.log_in()
        self.assertReleased(client)
        client = self.listener.logged_in()
        client.send(ROSTER, "<presence/>", "<message to='romeo@example.com'/>", "<iq")
        self.assertReleased(client)

    def test_each_end(self):
        """So it is however it ends."""
        for last in ("</stream:stream>", "<!-- -->", "<x/>", "<<", GET + GET[:30], LOGIN):
            client = self.listener.opened()
            client.send(last)
            self.assertReleased(client)
        for close in ("abort", "end"):
            client = self.listener.opened()
            getattr(client.stream, close)(*["system-shutdown"] * (close == "end"))
            self.assertReleased(client)
        client = self.listener.opened()
        self.listener.clock.advance(3600)
        self.assertReleased(client)

    def test_registration(self):
        """A registration that somebody came for is over with the stream."""
        self.listener.add_invite()
        client = self.listener.opened()
        for text in (preauth(), GET, registration(), plain(password="wrong")):
            client.ask(text)
        self.assertReleased(client)

    def test_session_that_was_replaced(self):
        """A session whose resource somebody else has taken is released, too."""
        first, second = [self.listener.logged_in() for _ in range(2)]
        self.assertReleased(first)
        self.assertReleased(second)

    def test_late_answer(self):
        """Work that takes longer than its stream ends without a trace."""
        pending = Deferred()
        self.listener.accounts[DOMAIN].check_password = lambda *_arguments: pending
        client = self.listener.opened()
        client.send(plain())
        stream = weakref.ref(client.stream)
        client.lose()
        client.transport.producer = client.stream = None
        pending.callback(None)
        self.assertIsNone(stream())

    def test_garbage(self):
        """Sessions leave next to nothing to collect."""
        self.listener.add_account()
        self.assertReleased(self.listener.logged_in())
        gc.collect()
        for _ in range(20):
            self.assertReleased(self.listener.logged_in())
        self.assertNothingOfOurs()


class GatewayTests(ReleaseMixin, GatewayTestCase):
    def assertReleasedBoth(self, client, server, server_first=False):
        """The streams of both sides are gone as soon as both connections are."""
        stream = weakref.ref(server._protocol)
        if server_first:
            server.close()
        self.assertReleased(client)
        if not server_first:
            server.close()
        self.listener.clock.advance(100)
        server.transport.producer = server.transport.protocol = server._protocol = None
        self.assertIsNone(stream())

    def test_each_step(self):
        """Whenever they end, and whichever ends first, nothing is left of them."""
        for server_first in (False, True):
            client = self.listener.connect()
            client.send(CHECK_HEADER, LOGIN)
            server = self.listener.accept()
            server.say(SERVER_HEADER)
            self.assertReleasedBoth(client, server)
            self.assertReleasedBoth(*self.listener.through(), server_first)
            client, server = self.listener.through()
            client.send(GET, LOGIN)
            self.assertReleasedBoth(client, server, server_first)
            client, server = self.listener.through()
            client.send(LOGIN)
            server.say(SUCCESS)
            client.send(CHECK_HEADER)
            self.assertReleasedBoth(client, server, server_first)

    def test_opened_again(self):
        """Nor of a stream that the server has ended meanwhile, and of the one after it."""
        client, server = self.listener.through()
        server.close()
        client.send(LOGIN)
        again = self.listener.accept()
        again.say(SERVER_HEADER, FEATURES)
        self.assertReleasedBoth(client, again)

    def test_failures(self):
        """Nor where the server cannot be used."""
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        self.listener.accept().close()
        self.listener.refuse()
        self.assertReleased(client)
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        self.listener.refuse()
        self.assertReleased(client)

    def test_garbage(self):
        """Sessions at the upstream server leave next to nothing to collect."""
        gc.collect()
        for _ in range(20):
            client, server = self.listener.through()
            client.send(LOGIN)
            server.say(SUCCESS)
            self.assertReleasedBoth(client, server)
        self.assertNothingOfOurs()
