"""A door with an upstream server: both ends of both connections in memory."""

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.error import TimeoutError as Unanswered
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from invitereg.xmpp.gateway.check import UpstreamCheck
from invitereg.xmpp.gateway.relay import stream_maker
from invitereg.xmpp.gateway.settings import Upstream
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import DOMAIN, NS_SASL, NS_STREAMS, plain

# Quotes, spaces and order as no program of ours would write them.
SERVER_HEADER = (
    "<?xml version='1.0'?>\n<stream:stream  version='1.0' id=\"a>b\" xml:lang='en'\n"
    f"xmlns:stream='{NS_STREAMS}' from='{DOMAIN}' xmlns='jabber:client'>"
)
MECHANISMS = f"<mechanisms xmlns='{NS_SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
FEATURES = f"<stream:features>{MECHANISMS}</stream:features>"
REFUSED = (
    "<iq type='error' id='r'><error type='cancel'>"
    "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
)
FORM = "<iq type='result' id='r'><query xmlns='jabber:iq:register'><username/></query></iq>"
CHECK_HEADER = (
    f"<?xml version='1.0'?><stream:stream to=\"{DOMAIN}\" version='1.0' "
    f"xmlns='jabber:client' xmlns:stream='{NS_STREAMS}'>"
)
CHECK = "<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>"
LOGIN = plain()


class Wire(StringTransport):
    """One end of a connection, which tells what is done to it.

    Attributes:
        aborted: whether it was dropped.
        secured: how many bytes went in clear text, once TLS has begun.
    """

    def __init__(self, peer):
        super().__init__(peerAddress=peer, hostAddress=IPv4Address("TCP", "127.0.0.1", 5222))
        self.aborted = False
        self.secured = None

    def startTLS(self, _options):
        self.secured = len(self.value())

    def abortConnection(self):
        self.aborted = self.disconnecting = True

    def loseWriteConnection(self):
        self.disconnecting = True


class ServerEnd:
    """A connection as the upstream server sees it.

    Attributes:
        transport: of the gateway's side.
    """

    def __init__(self, protocol):
        self._protocol = protocol
        self.transport = Wire(IPv4Address("TCP", "127.0.0.1", 15222))
        protocol.makeConnection(self.transport)

    @property
    def received(self):
        """All that has come; with TLS, what has come through it."""
        return self.transport.value()[self.transport.secured or 0 :].decode()

    def say(self, *texts):
        """Send segments, one after the other."""
        for text in texts:
            self._protocol.dataReceived(text.encode() if isinstance(text, str) else text)

    def shake_hands(self):
        """Finish the handshake of TLS."""
        self._protocol.handshakeCompleted()

    def close(self):
        """Close the connection."""
        self._protocol.connectionLost(Failure(ConnectionDone()))


class GatewayListener(Listener):
    """A door whose one domain has an upstream server."""

    reactor = MemoryReactorClock

    def __init__(self, upstream=None, **options):
        super().__init__(**options)
        before, self.clock = self.clock, self.reactor()
        # What was made with the one clock goes on with the other.
        before.seconds = self.clock.seconds
        keys = {"connect": "tcp:127.0.0.1:15222", "tls": "none"} | (upstream or {})
        self.upstream_check = UpstreamCheck(Upstream(domain=DOMAIN, **keys), self.clock)
        self.checks = {DOMAIN: self.upstream_check}
        self.door.reactor, self.door.make_stream = self.clock, stream_maker(self.checks)
        self.factories = {phase: self.door.listener(phase) for phase in Phase}

    @property
    def waiting(self):
        """How many connections to the server are asked for."""
        return len(self.clock.tcpClients)

    def accept(self):
        """The server accepts a connection."""
        _host, _port, factory, *_rest = self.clock.tcpClients.pop(0)
        return ServerEnd(factory.buildProtocol(None))

    def refuse(self):
        """The server does not."""
        _host, _port, factory, *_rest = self.clock.tcpClients.pop(0)
        factory.clientConnectionFailed(None, Failure(Unanswered()))

    def check(self, answer=REFUSED, features=FEATURES):
        """The server is asked whether it registers people, and answers."""
        server = self.accept()
        server.say(SERVER_HEADER, features)
        server.say(answer)
        return server

    def checked(self):
        """Let the server be asked, and found fit."""
        self.upstream_check.start()
        self.check().close()

    def through(self, first=None, **where):
        """A client and the upstream server, with their streams open."""
        client = self.connect(**where)
        client.send(first or CHECK_HEADER)
        server = self.accept()
        server.say(SERVER_HEADER, FEATURES)
        client.receive()
        return client, server


class GatewayTestCase(DoorTestCase):
    """Tests of a door with an upstream server, which was found fit."""

    upstream = None

    def setUp(self):
        self.listener = GatewayListener(self.upstream)
        self.listener.checked()


class AnsweringReactor(MemoryReactorClock):
    """A reactor on whose other side a server accepts, and answers with its features.

    Attributes:
        servers: its ends of the connections, in order.
    """

    def __init__(self):
        super().__init__()
        self.servers = []

    def connectTCP(self, *args, **options):
        """See Twisted."""
        connector = super().connectTCP(*args, **options)
        _host, _port, factory, *_rest = self.tcpClients.pop(0)
        server = ServerEnd(factory.buildProtocol(None))
        self.servers.append(server)
        server.say(SERVER_HEADER, FEATURES)
        return connector


class AnsweringListener(GatewayListener):
    """A door whose upstream server is quick, and never does anything unexpected."""

    reactor = AnsweringReactor

    def __init__(self, **options):
        super().__init__(**options)
        self.upstream_check.start()
        self.clock.servers[0].say(REFUSED)
