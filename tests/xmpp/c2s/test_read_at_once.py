"""Nothing that is ready to be read waits in the kernel: 40 ms are many for a login."""

import socket

from twisted.internet.interfaces import ITCPTransport
from zope.interface import alsoProvides

from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import Listener, ScriptedClient, ServerSide
from tests.xmpp.gateway import door as gatewaydoor
from tests.xmpp.gateway.door import CHECK_HEADER, GatewayTestCase, Wire


def over_tcp(transport):
    """Let a transport in memory have the options of a socket."""
    alsoProvides(transport, ITCPTransport)
    handle = socket.socket()
    transport.getHandle = lambda: handle
    transport.setTcpNoDelay = lambda on: handle.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, on
    )
    return transport


class PromptTests(GatewayTestCase):
    def option(self, transport, name):
        """An option of a transport's socket."""
        return transport.getHandle().getsockopt(socket.IPPROTO_TCP, name)

    def test_to_the_client(self):
        """Our header does not wait until the client has acknowledged the tickets of TLS."""
        transport = over_tcp(ServerSide("192.0.2.1"))
        self.addCleanup(transport.getHandle().close)
        ScriptedClient(Listener().factories[Phase.SECURED].buildProtocol(None), transport)
        self.assertTrue(self.option(transport, socket.TCP_NODELAY))

    def test_from_the_server(self):
        """Nor does the server's, for our acknowledgement; which we ask for after our header."""
        self.patch(gatewaydoor, "Wire", lambda peer: over_tcp(Wire(peer)))
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        server = self.listener.accept()
        handle = server.transport.getHandle()
        self.addCleanup(handle.close)
        self.assertTrue(self.option(server.transport, socket.TCP_NODELAY))
        # As what is sent does.
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        self.assertFalse(self.option(server.transport, socket.TCP_QUICKACK))
        self.listener.clock.advance(0)
        self.assertTrue(self.option(server.transport, socket.TCP_QUICKACK))

    def test_gone_meanwhile(self):
        """A connection that is closed by then does no harm."""
        self.patch(gatewaydoor, "Wire", lambda peer: over_tcp(Wire(peer)))
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        server = self.listener.accept()
        server.transport.getHandle().close()
        server.close()
        client.lose()
        self.listener.clock.advance(0)
        self.assertEqual(self.flushLoggedErrors(), [])
