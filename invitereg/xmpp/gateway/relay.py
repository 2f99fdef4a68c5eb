"""Opens a client's stream at the server behind, and hands it over once it is not about us.

Up to the hand-over each element of the client's is looked at; from the first one on that is
not about registration, bytes go both ways as they come. What the server says is read
meanwhile, until a login has succeeded: so long the stream is a stranger's.
"""

from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish
from zope.interface import implementer

from invitereg.model.names import prepare_domain, spelled_like
from invitereg.model.namespaces import NS_CLIENT, NS_PREAUTH, NS_REGISTER, NS_SASL, NS_SASL2
from invitereg.xmpp.c2s.flow import SECONDS
from invitereg.xmpp.c2s.register import registration_features
from invitereg.xmpp.c2s.sasl import MAX_FAILURES
from invitereg.xmpp.gateway.check import UpstreamCheck
from invitereg.xmpp.gateway.failures import Blame, UpstreamFailure
from invitereg.xmpp.gateway.features import announces_registration, offered_features
from invitereg.xmpp.gateway.headers import HeaderSpelling
from invitereg.xmpp.gateway.toplevel import TopLevelReader
from invitereg.xmpp.gateway.upstream import OpenedStream, ServerStream
from invitereg.xmpp.stanzas import is_request


def hang_up(stream: Any) -> None:
    """Close the connection of a protocol, which hears nothing more of it but its end.

    The end of TLS alone leaves ejabberd cold; so TCP's own follows, behind all that is sent.
    What still comes is read, and thrown away: to close with it unread would be a reset, and
    the other side would lose what it has not read yet (RFC 9293 §3.6.1).
    """
    transport = stream.transport
    if ISSLTransport.providedBy(transport):
        transport.loseConnection()
    # Past the TLS layer, as Twisted's fails at an answer that comes after half of a close.
    transport.protocol = _Deaf(getattr(transport, "protocol", stream))
    transport.loseWriteConnection()


class _Deaf(Protocol):
    """Waits for the end of a connection, which the TLS layer must hear of to end its own."""

    def __init__(self, before: Protocol) -> None:
        self._before = before

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol that was there before; called by the reactor."""
        self._before.connectionLost(reason)


_LOGIN_NAMESPACES = (NS_SASL, NS_SASL2)
_OURS = {(NS_PREAUTH, "preauth"), (NS_REGISTER, "query")}
# Bytes that a server may send to a client that does not log in yet.
_MAX_HELD = 64 * 1024
# What a client is told whose header a server does not answer, but only closes or hangs.
_NO_CONDITION = "remote-connection-failed"


def is_about_registration(element: domish.Element) -> bool:
    """Whether an element before login is a request for us: preauth, or XEP-0077."""
    if (element.uri, element.name) != (NS_CLIENT, "iq") or not is_request(element):
        return False
    (payload,) = element.elements()
    return (payload.uri, payload.name) in _OURS


class Login(Enum):
    """How far a login has come."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    REFUSED = "it has failed too often"


class LoginWatch:
    """Reads one stream of a server, from its header up to the success of a login."""

    def __init__(self, header: bytes) -> None:
        """Begin with the stream ``header`` of the server."""
        self._reader = TopLevelReader()
        self._failures = 0
        self.read(header)

    @property
    def between(self) -> bool:
        """Whether the server has just completed an element, so that we may say something."""
        return self._reader.between

    def read(self, data: bytes) -> Login:
        """Take the next bytes; not to be called after a success.

        Raises:
            StreamError: they are no XMPP. No more can be read.
        """
        for element in self._reader.read(data):
            if element.uri in _LOGIN_NAMESPACES:
                if element.name == "success":
                    return Login.SUCCEEDED
                self._failures += element.name == "failure"
        return Login.REFUSED if self._failures >= MAX_FAILURES else Login.PENDING


class HeaderRefused(Exception):
    """The server, which is as it should be, does not take the client's header.

    Attributes:
        condition: the stream error that the client gets.
    """

    def __init__(self, condition: str) -> None:
        super().__init__(condition)
        self.condition = condition


class Gateway:
    """The other side of one client's stream.

    Attributes:
        handed_over: whether bytes go through as they come.
    """

    def __init__(self, client: Any, check: UpstreamCheck, header: bytes, spelling: str) -> None:
        """Prepare for ``client``, a `GatewayStream`, which has sent a ``header``.

        ``spelling`` is how that spells the domain.
        """
        self.handed_over = False
        self._client = client
        self._check = check
        host = check.upstream.domain
        asked = spelled_like(prepare_domain(host), spelling)
        self._to_server = HeaderSpelling("to", host if asked != host else None)
        self._to_client = HeaderSpelling("from", asked if asked != host else None)
        self._header = self._to_server.respell(header)
        self._reactor = client.factory.reactor
        self._server: ServerStream | None = None
        self._opening: Deferred[OpenedStream] | None = None
        self._held = bytearray()
        self._server_header = b""
        self._login: LoginWatch | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a stream to the server."""
        return self._server is not None

    @property
    def may_speak(self) -> bool:
        """Whether something of ours may come next, after what the server has said."""
        return self._login is not None and self._login.between

    async def open(self) -> None:
        """Send the client's header to the server, and its header and features to the client.

        Raises:
            UpstreamFailure: there is no stream to the server.
            HeaderRefused: it is the client's fault.
        """
        # Before connecting, which ends by looking whether the client is still there.
        registers = await self._client.factory.registers(self._client.domain)
        opened = await self._connect()
        own = registration_features(registers=registers)
        features = offered_features(opened.features, own)
        self._say(opened.header)
        self._client.transport.write(features)

    async def reopen(self) -> None:
        """Open it again where the server has not waited for a client that takes its time.

        Servers wait for a login for a minute or two, while a person types into a form. What
        the client was told of the first stream holds for this one.

        Raises:
            UpstreamFailure: there is no stream to the server.
            HeaderRefused: it is the client's fault.
        """
        await self._connect()

    async def _connect(self) -> OpenedStream:
        check, transport = self._check, self._client.transport
        await check.require_usable()
        self._go_on()
        way = (transport.getPeer(), transport.getHost())
        server = ServerStream(check.upstream, self._header, self._reactor, way)
        self._opening = server.connect(self._reactor)
        try:
            opened = await self._opening
        except UpstreamFailure as failure:
            # Frames that it has passed refer to it: it would keep them, and all that they have.
            failure.__traceback__ = None
            self._go_on()
            await self._judge(failure)
            raise
        finally:
            self._opening = None
        self._server = server
        self._server_header = opened.header
        self._held[:] = opened.rest
        server.received, server.lost = self._hold, self._server_lost
        self._go_on()
        if announces_registration(opened.features):
            await self._doubt()
        return opened

    async def _judge(self, failure: UpstreamFailure) -> None:
        """Find out whose fault a failure is, if need be with a header of our own.

        Raises:
            UpstreamFailure: it is the server's: it does not take ours, either.
            HeaderRefused: it is the client's.
        """
        if failure.blame is Blame.UNCLEAR:
            self._check.invalidate()
            await self._check.require_usable()
        if failure.blame is not Blame.SERVER:
            raise HeaderRefused(failure.condition or _NO_CONDITION) from None

    async def _doubt(self) -> None:
        """Ask the server again, which may have been told meanwhile to register people."""
        try:
            await self._check.registration_announced()
        except UpstreamFailure:
            self.client_lost()
            raise
        self._go_on()

    def _go_on(self) -> None:
        """Go no further for a client that has left meanwhile."""
        if self._client.closing:
            self.client_lost()
            raise UpstreamFailure("nobody waits for it any more")

    def _hold(self, data: bytes) -> None:
        # A client is told nothing that it has not asked for before it logs in.
        self._held += data
        if len(self._held) > _MAX_HELD and self._server is not None:
            self._server.transport.abortConnection()

    def hand_over(self, data: bytes) -> None:
        """Send ``data``, and from now on everything, to the server, which is connected."""
        assert self._server is not None  # noqa: S101 - the caller has seen to it
        self.handed_over = True
        client, server = self._client.transport, self._server
        for transport in (client, server.transport):
            if ITCPTransport.providedBy(transport):
                # The server can no longer find out by TCP that the client is gone.
                transport.setTcpKeepAlive(True)
        # Who cannot take more stops the other one.
        client.unregisterProducer()
        client.registerProducer(_Source(server.transport), True)
        server.transport.registerProducer(_Source(client), True)
        self._login = LoginWatch(self._server_header)
        server.received = self._before_login
        if self._held:
            self._before_login(bytes(self._held))
            self._held.clear()
        if not self._client.closing:
            self.from_client(data)

    def _before_login(self, data: bytes) -> None:
        """Pass on what the server says, and see what that means."""
        self._say(data)
        if self._login is None or self._client.closing:
            return
        try:
            login = self._login.read(data)
        except StreamError as error:
            self._login = None
            self._check.unreadable(error.condition)
            self._client.end(error.condition)
            return
        if login is Login.REFUSED:
            self._client.end("policy-violation", "Too many failed logins.")
        elif login is Login.SUCCEEDED:
            self._logged_in()

    def _say(self, data: bytes) -> None:
        self._client.transport.write(self._to_client.respell(data))

    def _logged_in(self) -> None:
        """From now on look at nothing, and let the server's own limits hold."""
        assert self._server is not None  # noqa: S101 - it has just said so
        self._login = None
        self._to_server.logged_in()
        self._to_client.logged_in()
        active = self._to_client.active
        self._server.received = self._say if active else self._client.transport.write
        self._check.readable()
        self._client.logged_in()

    def from_client(self, data: bytes) -> None:
        """Pass on what the client has sent after the hand-over."""
        if self._server is not None:
            self._server.transport.write(self._to_server.respell(data))

    def client_lost(self) -> None:
        """Close the stream to the server once it has got everything."""
        if self._opening is not None:
            self._opening.cancel()
        server, self._server = self._server, None
        if server is None:
            return
        server.received = _ignore
        drained = self._reactor.callLater(SECONDS["drain"], server.transport.abortConnection)
        server.lost = lambda: drained.cancel() if drained.active() else None
        if self.handed_over:
            server.transport.unregisterProducer()
            server.transport.resumeProducing()
        hang_up(server)

    def _server_lost(self) -> None:
        self._server = None
        if self.handed_over:
            self._client.server_lost()


@implementer(IPushProducer)
class _Source:
    """What comes from a transport, for the other one to stop while it cannot take more."""

    def __init__(self, transport: Any) -> None:
        self.pauseProducing = transport.pauseProducing
        self.resumeProducing = transport.resumeProducing

    def stopProducing(self) -> None:
        """Do nothing: the end of one connection comes to the other by its protocol.

        A transport would close itself at once here, without what it still has to send.
        """


def _ignore(_data: bytes) -> None:
    """Nobody is there any more."""
