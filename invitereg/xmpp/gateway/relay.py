"""Relay a client's stream to the upstream server that keeps the accounts of its domain.

Up to the hand-over each element of the client's is looked at; from the first one on that is
not about registration, bytes go both ways as they come. What the server says is read
meanwhile, until a login has succeeded: so long the stream is a stranger's.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol as TransportProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StreamError
from zope.interface import implementer

from invitereg.model.names import prepare_domain, spelled_like
from invitereg.model.namespaces import NS_SASL, NS_SASL2
from invitereg.xmpp.c2s.flow import SECONDS
from invitereg.xmpp.c2s.register import registration_features
from invitereg.xmpp.c2s.sasl import MAX_FAILURES
from invitereg.xmpp.c2s.stream import ClientStream, Relay
from invitereg.xmpp.gateway.check import UpstreamCheck
from invitereg.xmpp.gateway.failures import Blame, UpstreamFailure
from invitereg.xmpp.gateway.features import announces_registration, offered_features
from invitereg.xmpp.gateway.headers import HeaderSpelling
from invitereg.xmpp.gateway.toplevel import TopLevelElement, TopLevelReader
from invitereg.xmpp.gateway.upstream import OpenedStream, ServerStream
from invitereg.xmpp.stanzas import Phase


def hang_up(stream: TransportProtocol) -> None:
    """Close the connection of a protocol, which hears nothing more of it but its end.

    ejabberd ignores the end of TLS alone; so TCP's own follows, after all that is sent.
    What still comes is read, and thrown away: to close with it unread would be a reset, and
    the other side would lose what it has not read yet (RFC 9293 §3.6.1).
    """
    transport: Any = stream.transport
    if ISSLTransport.providedBy(transport):
        transport.loseConnection()
    # Past the TLS layer, as Twisted's fails at an answer that comes after half of a close.
    transport.protocol = _DiscardingProtocol(getattr(transport, "protocol", stream))
    transport.loseWriteConnection()


class _DiscardingProtocol(TransportProtocol):
    """Waits for the end of a connection, which the TLS layer must hear of to end its own."""

    def __init__(self, before: TransportProtocol) -> None:
        self._before = before

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol that was there before; called by the reactor."""
        self._before.connectionLost(reason)


_LOGIN_NAMESPACES = (NS_SASL, NS_SASL2)
# Bytes that a server may send to a client that does not log in yet.
_MAX_HELD = 64 * 1024
# What a client is told whose header a server does not answer, but only closes or hangs.
_NO_CONDITION = "remote-connection-failed"


class Login(Enum):
    """The state of a login."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    REFUSED = "it has failed too often"


class LoginWatch:
    """Reads a server's stream, from its header up to the success of a login."""

    def __init__(self, header: bytes) -> None:
        self._reader: TopLevelReader | None = TopLevelReader()
        self._failures = 0
        self.read(header)

    @property
    def between(self) -> bool:
        """Whether the server has just completed an element, so that we may say something."""
        return self._reader is not None and self._reader.between

    def read(self, data: bytes) -> Login:
        """Take the next bytes; not to be called after a success or an error.

        Raises:
            StreamError: they are no XMPP. No more can be read.
        """
        for element in self._elements(data):
            if element.uri in _LOGIN_NAMESPACES:
                if element.name == "success":
                    return Login.SUCCEEDED
                self._failures += element.name == "failure"
        return Login.REFUSED if self._failures >= MAX_FAILURES else Login.PENDING

    def _elements(self, data: bytes) -> Iterator[TopLevelElement]:
        reader, self._reader = self._reader, None
        if reader is not None:
            yield from reader.read(data)
            self._reader = reader


class HeaderRefused(Exception):
    """The server, which is as it should be, does not take the client's header.

    Attributes:
        condition: the stream error that the client gets.
    """

    def __init__(self, condition: str) -> None:
        super().__init__(condition)
        self.condition = condition


class _RelayEvents(Relay, Protocol):
    """The events on the two sides of a relay, as inputs of its table of states."""

    def opened(self, server: ServerStream, opened: OpenedStream, /) -> None:
        """Note that there is a stream to the server."""

    def from_server(self, data: bytes) -> None:
        """Take bytes of the server."""

    def logged_in(self) -> None:
        """Note that the server has let the client in."""

    def server_lost(self) -> None:
        """Note that the stream to the server has ended."""


class Relayed:
    """The client and the server between which a relay passes bytes.

    Attributes:
        client: the client's side.
        server: the server's side, while there is one.
        opening: fires when a stream to the server is open, while one is being opened.
        held: bytes of the server that the client is not to get yet.
        login: follows the client's login, from the hand-over on.
    """

    def __init__(self, client: ClientStream, check: UpstreamCheck) -> None:
        self.client = client
        self.check = check
        self.reactor = client.factory.door.reactor
        self.server: ServerStream | None = None
        self.opening: Deferred[OpenedStream] | None = None
        self.held = b""
        self.login: LoginWatch | None = None
        host = check.upstream.domain
        asked = spelled_like(prepare_domain(host), client.spelling)
        self.to_server = HeaderSpelling("to", host if asked != host else None)
        self.to_client = HeaderSpelling("from", asked if asked != host else None)
        self.header = self.server_header = b""

    def write(self, data: bytes) -> None:
        """Write bytes of the server's to the client."""
        self.client.transport.write(self.to_client.respell(data))

    def send(self, data: bytes) -> None:
        """Write bytes of the client's to the server, if there is one still."""
        if self.server is not None:
            self.server.transport.write(self.to_server.respell(data))

    def release(self, *, handed_over: bool) -> None:
        """Close the stream to the server once it has got everything."""
        if self.opening is not None:
            self.opening.cancel()
        server, self.server = self.server, None
        if server is None:
            return
        server.received = _ignore
        drained = self.reactor.callLater(SECONDS["drain"], server.transport.abortConnection)
        server.lost = lambda: drained.cancel() if drained.active() else None
        if handed_over:
            server.transport.unregisterProducer()
            server.transport.resumeProducing()
        hang_up(server)


_builder = TypeMachineBuilder(_RelayEvents, Relayed)
_away = _builder.state("there is no stream to the server")
_waiting = _builder.state("the server waits for the client's login")
_login = _builder.state("bytes go both ways, and a login is waited for")
_relaying = _builder.state("bytes go both ways")
_over = _builder.state("over")


@_away.upon(_RelayEvents.open).loop()
def _open(events: _RelayEvents, relayed: Relayed, header: bytes) -> Deferred[None]:
    relayed.header = relayed.to_server.respell(header)
    return Deferred.fromCoroutine(_try(relayed, _open_first(events, relayed)))


@_away.upon(_RelayEvents.hand_over).loop()
def _reopen(events: _RelayEvents, relayed: Relayed, _index: int) -> None:
    # The client has been told of the first stream, which holds for this one.
    relayed.client.hold(Deferred.fromCoroutine(_try(relayed, _connect(events, relayed))))


@_away.upon(_RelayEvents.opened).to(_waiting)
def _wait(
    events: _RelayEvents, relayed: Relayed, server: ServerStream, opened: OpenedStream
) -> None:
    relayed.server = server
    relayed.server_header, relayed.held = opened.header, opened.rest
    server.received, server.lost = events.from_server, events.server_lost


@_waiting.upon(_RelayEvents.from_server).loop()
def _hold(_events: _RelayEvents, relayed: Relayed, data: bytes) -> None:
    # A client is told nothing that it has not asked for before it logs in.
    relayed.held += data
    if len(relayed.held) > _MAX_HELD and relayed.server is not None:
        relayed.server.transport.abortConnection()


@_waiting.upon(_RelayEvents.server_lost).to(_away)
def _wait_no_longer(_events: _RelayEvents, relayed: Relayed) -> None:
    # Servers wait for a login for a minute or two, while a person types into a form.
    relayed.server = None


@_waiting.upon(_RelayEvents.hand_over).to(_login)
def _hand_over(events: _RelayEvents, relayed: Relayed, index: int) -> None:
    assert relayed.server is not None  # noqa: S101 - the state says so
    data = relayed.client.detach(index, relayed.send)
    client, server = relayed.client.transport, relayed.server.transport
    for transport in (client, server):
        if ITCPTransport.providedBy(transport):
            # The server can no longer find out by TCP that the client is gone.
            transport.setTcpKeepAlive(True)
    # Who cannot take more stops the other one.
    client.unregisterProducer()
    client.registerProducer(_BackPressure(server), True)
    server.registerProducer(_BackPressure(client), True)
    relayed.login = LoginWatch(relayed.server_header)
    held, relayed.held = relayed.held, b""
    if not held or _pass_on(events, relayed, held):
        relayed.send(data)


@_login.upon(_RelayEvents.from_server).loop()
def _read(events: _RelayEvents, relayed: Relayed, data: bytes) -> None:
    _pass_on(events, relayed, data)


@_login.upon(_RelayEvents.logged_in).to(_relaying)
def _look_no_longer(_events: _RelayEvents, relayed: Relayed) -> None:
    # From now on the server's own limits hold.
    assert relayed.server is not None  # noqa: S101 - it has just said so
    relayed.login = None
    relayed.to_server.logged_in()
    relayed.to_client.logged_in()
    active = relayed.to_client.active
    relayed.server.received = relayed.write if active else relayed.client.transport.write
    relayed.check.readable()
    relayed.client.logged_in()


@_login.upon(_RelayEvents.end).loop()
@_relaying.upon(_RelayEvents.end).loop()
def _end(_events: _RelayEvents, relayed: Relayed, condition: str, text: str | None) -> None:
    client = relayed.client
    if relayed.login is not None and relayed.login.between:
        client.send(StreamError(condition, text).getElement())
        client.sendFooter()
    client.leave("close")


@_login.upon(_RelayEvents.server_lost).to(_over)
@_relaying.upon(_RelayEvents.server_lost).to(_over)
def _drain(_events: _RelayEvents, relayed: Relayed) -> None:
    relayed.server = None
    relayed.client.leave("drain")


@_away.upon(_RelayEvents.disconnected).to(_over)
@_waiting.upon(_RelayEvents.disconnected).to(_over)
def _leave(_events: _RelayEvents, relayed: Relayed) -> None:
    relayed.release(handed_over=False)


@_login.upon(_RelayEvents.disconnected).to(_over)
@_relaying.upon(_RelayEvents.disconnected).to(_over)
def _leave_the_server(_events: _RelayEvents, relayed: Relayed) -> None:
    relayed.release(handed_over=True)


@_over.upon(_RelayEvents.opened).loop()
def _too_late(
    _events: _RelayEvents, relayed: Relayed, server: ServerStream, _opened: OpenedStream
) -> None:
    relayed.server = server
    relayed.release(handed_over=False)


_over.upon(_RelayEvents.from_server).loop().returns(None)
_over.upon(_RelayEvents.logged_in).loop().returns(None)
_over.upon(_RelayEvents.hand_over).loop().returns(None)
_over.upon(_RelayEvents.end).loop().returns(None)
_over.upon(_RelayEvents.server_lost).loop().returns(None)
_over.upon(_RelayEvents.disconnected).loop().returns(None)
_machine = _builder.build()


def stream_maker(checks: Mapping[str, UpstreamCheck]) -> Callable[[Phase], ClientStream]:
    """Return a maker of streams that are relayed where a domain has an upstream server."""

    def relay_of(client: ClientStream) -> Relay | None:
        check = checks.get(client.domain.name)
        return None if check is None else _machine(Relayed(client, check))

    return partial(ClientStream, relay_of=relay_of) if checks else ClientStream


def _pass_on(events: _RelayEvents, relayed: Relayed, data: bytes) -> bool:
    """Pass on what the server says before a login; return whether the client may go on."""
    relayed.write(data)
    if relayed.login is None or relayed.client.closing:
        return False
    try:
        login = relayed.login.read(data)
    except StreamError as error:
        relayed.check.unreadable(error.condition)
        relayed.client.end(error.condition)
        return False
    if login is Login.REFUSED:
        relayed.client.end("policy-violation", "Too many failed logins.")
    elif login is Login.SUCCEEDED:
        events.logged_in()
    return login is not Login.REFUSED


# --- the way to the server


async def _try(relayed: Relayed, step: Awaitable[object]) -> None:
    """Take a step to the server; if it fails, tell the log or the client whose fault it is."""
    client, check = relayed.client, relayed.check
    try:
        await step
        check.reached()
    except HeaderRefused as refused:
        client.end(refused.condition)
    except UpstreamFailure as failure:
        # Frames that it has passed refer to it: it would keep them, and all that they have.
        failure.__traceback__ = None
        if not client.closing:  # Else it was the client that has left.
            check.failed(failure)
            text = "The server is not available. Try again later."
            client.end("remote-connection-failed", text)


async def _open_first(events: _RelayEvents, relayed: Relayed) -> None:
    """Send the client's header to the server, and its header and features to the client."""
    client = relayed.client
    # Before connecting, which ends by looking whether the client is still there.
    registers = await client.factory.registers(client.domain)
    opened = await _connect(events, relayed)
    own = registration_features(registers=registers)
    features = offered_features(opened.features, own)
    relayed.write(opened.header)
    client.transport.write(features)
    client.header_relayed()


async def _connect(events: _RelayEvents, relayed: Relayed) -> OpenedStream:
    """Open a stream to the server with the client's header.

    Raises:
        UpstreamFailure: there is no stream to the server.
        HeaderRefused: it is the client's fault.
    """
    client, check = relayed.client, relayed.check
    await check.require_usable()
    _require_client(events, relayed)
    way = (client.transport.getPeer(), client.transport.getHost())
    server = ServerStream(check.upstream, relayed.header, relayed.reactor, way)
    relayed.opening = server.connect(relayed.reactor)
    try:
        opened = await relayed.opening
    except UpstreamFailure as failure:
        failure.__traceback__ = None
        _require_client(events, relayed)
        await _judge(check, failure)
        raise
    finally:
        relayed.opening = None
    events.opened(server, opened)
    _require_client(events, relayed)
    if announces_registration(opened.features):
        # It may have been told meanwhile to register people.
        try:
            await check.registration_announced()
        except UpstreamFailure:
            events.disconnected()
            raise
        _require_client(events, relayed)
    return opened


def _require_client(events: _RelayEvents, relayed: Relayed) -> None:
    """Raise UpstreamFailure if the client has left meanwhile."""
    if relayed.client.closing:
        events.disconnected()
        raise UpstreamFailure("nobody waits for it any more")


async def _judge(check: UpstreamCheck, failure: UpstreamFailure) -> None:
    """Raise the failure as the client's or the server's, if need be after an own attempt.

    Raises:
        UpstreamFailure: it is the server's: it does not take ours, either.
        HeaderRefused: it is the client's.
    """
    if failure.blame is Blame.UNCLEAR:
        check.invalidate()
        await check.require_usable()
    if failure.blame is not Blame.SERVER:
        raise HeaderRefused(failure.condition or _NO_CONDITION) from None


@implementer(IPushProducer)
class _BackPressure:
    """Lets one transport pause the other while it cannot take more (back-pressure)."""

    def __init__(self, transport: Any) -> None:
        self.pauseProducing = transport.pauseProducing
        self.resumeProducing = transport.resumeProducing

    def stopProducing(self) -> None:
        """Do nothing: the end of one connection comes to the other by its protocol.

        A transport would close itself at once here, without what it still has to send.
        """


def _ignore(_data: bytes) -> None:
    """Drop data for a client that is gone."""
