"""A client's XML stream, as the server sees it (RFC 6120 §4).

The stream handles one stanza at a time: while one is worked on, nothing after it is handled. So
responses are sent in order, and what a client sends ahead of STARTTLS or the end of SASL is
dropped, instead of being taken for something that was sent securely.
"""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport, ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StanzaError, StreamError
from twisted.words.protocols.jabber.xmlstream import (
    NS_STREAMS,
    STREAM_AUTHD_EVENT,
    ListenAuthenticator,
    XmlStream,
)
from twisted.words.xish import domish
from twisted.words.xish.utility import EventDispatcher
from zope.interface import implementer

from invitereg.embedded.sessions import Session
from invitereg.model.namespaces import NS_CLIENT, NS_SASL, NS_TLS
from invitereg.policy.values import Address, Domain, parse_address
from invitereg.runtime.workqueue import on_behalf_of
from invitereg.usecases.registrar import Grant
from invitereg.xmpp.c2s.flow import UNREAD, WITHOUT_A_WORD, Deadlines, Inbox, Item, Outbox
from invitereg.xmpp.c2s.header import check_header, write_header
from invitereg.xmpp.parser import BoundedElementStream, RecordingElementStream
from invitereg.xmpp.registration import is_about_registration
from invitereg.xmpp.stanzas import (
    ACCEPTED,
    STANZA_LIMITS,
    Phase,
    is_request,
    may_send_as,
    ping,
    serialized,
)


def peer_address(transport: ITransport) -> Address | None:
    """Return the client's address; None where there is none, as on a UNIX socket."""
    return parse_address(getattr(transport.getPeer(), "host", None) or "")


class Relay(Protocol):
    """Relays one client's stream to the server that keeps the accounts of its domain.

    The stream asks for a relay when the client's header has come over TLS. Up to the first
    element that is not about registration it stays the client's partner; from that one on,
    which it hands over, it only passes on what comes.
    """

    def open(self, header: bytes) -> Deferred[None]:
        """Answer the client's stream header, which came as these bytes; never fails."""

    def hand_over(self, index: int, /) -> None:
        """Call `ClientStream.detach` with this index, if there is a stream to go to.

        If there is none, hold the client's stream until there is, and be asked again.
        """

    def end(self, condition: str, text: str | None) -> None:
        """End a detached stream with a stream error, if there can be one, and close it."""

    def disconnected(self) -> None:
        """Let go of the other server: the client is gone."""


@implementer(IHandshakeListener)
class ClientStream(XmlStream):
    """One connection of a client; `factory` is the `C2SFactory` that made it.

    Attributes:
        phase: how far the stream has come.
        address: the client's address; None where there is none, as on a UNIX socket.
        grant: what the client's token grants, on this stream.
        username: the account's localpart, from the phase AUTHENTICATED on.
        credentials_set_at: when the password was set that opened this stream.
        session: the session at the embedded domain, from the phase BOUND on.
        outbox: what waits to be sent to the client.
    """

    namespace = NS_CLIENT
    initiating = False
    stream: Any
    transport: Any
    sid: str = ""  # type: ignore[assignment]

    def __init__(
        self,
        phase: Phase,
        relay_of: "Callable[[ClientStream], Relay | None] | None" = None,
    ) -> None:
        """Begin in ``phase``; ``relay_of`` finds a relay for the domain of a stream."""
        super().__init__(ListenAuthenticator())
        self.authenticator.xmlstream = None  # It does nothing here.
        self.phase = phase
        self.address: Address | None = None
        self._domain: str | None = None
        self.spelling = ""
        self.grant: Grant | None = None
        self.username: str | None = None
        self.credentials_set_at: datetime | None = None
        self.session: Session | None = None
        self.closing = False
        self._inbox = Inbox(self._parse, self._take, lambda: self.outbox.paused, self.end)
        self._heard = False
        self._relay_of = relay_of
        self._relay: Relay | None = None
        self._receiver: Callable[[bytes], None] = self._inbox.arrived

    @property
    def domain(self) -> Domain:
        """The domain that the client asked for; before it has, the first one that is served."""
        domains: Mapping[str, Domain] = self.factory.door.domains
        return domains[self._domain or next(iter(domains))]

    # --- bytes

    def _initializeStream(self) -> None:
        if self.stream is not None:
            self.stream.silence()
        self._inbox.clear()
        records = self._relay_of is not None and self.phase is Phase.SECURED
        parser = RecordingElementStream if records else BoundedElementStream
        self.stream = parser(*STANZA_LIMITS[self.phase])
        self.stream.DocumentStartEvent = self._on_header
        self.stream.ElementEvent = self._put
        self.stream.DocumentEndEvent = lambda: self._put(None)

    def _put(self, arrived: domish.Element | StreamError | None) -> None:
        """Add what has arrived to the inbox, with its index in the stream."""
        self._inbox.put((self.stream.started, arrived))

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            # Our header would wait for 40 ms until the tickets of TLS are acknowledged.
            self.transport.setTcpNoDelay(True)
        self.address = peer_address(self.transport)
        self._deadlines = Deadlines(self.factory.door.reactor, self._timed_out)
        for name in ("tls", "header", "idle", "login"):
            self._deadlines.start(name)
        self.outbox = Outbox(self._inbox.go_on, self._deadlines, self.factory.door.unread)
        self.outbox.connect(self.transport)
        self._inbox.connect(
            self.transport, self.factory.door.budgets, self.factory.door.reactor
        )
        self._inbox.budget_owner = self.factory.network(self.address)
        super().connectionMade()

    def handshakeCompleted(self) -> None:
        self._deadlines.cancel("tls")

    def dataReceived(self, data: bytes) -> None:
        if self.phase is not Phase.CLEAR:
            # Not every transport reports the end of its handshake.
            self._deadlines.cancel("tls")
        if not self._heard:
            self._heard = True
            self._learn_address()
        if self.closing:
            return
        self._deadlines.heard()
        self._receiver(data)

    def _parse(self, data: bytes) -> None:
        parser = self.stream
        try:
            parser.parse(data)
        except StreamError as error:
            # A parser that was replaced meanwhile has nothing to say any more.
            if parser is self.stream:
                self._malformed(error)
        if self._relay is not None and self.stream is not None and not self._inbox.busy:
            self.stream.forget()

    def _malformed(self, error: StreamError) -> None:
        if self._relay is not None and len(self._inbox):
            # After an element that is to be handed over, the upstream server judges.
            self.stream.silence()
            self._put(error)
        else:
            self.end(error.condition, error.text)

    def _learn_address(self) -> None:
        """Read the address again: the first bytes may have been a PROXY protocol header."""
        address = peer_address(self.transport)
        if address != self.address:
            self.address, self._inbox.budget_owner = address, self.factory.network(address)
            self.factory.readdressed(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop()
        self.outbox.close()
        super().connectionLost(reason)
        self._deadlines.close()
        # Observers refer to us: they would keep us until the garbage collector runs.
        EventDispatcher.__init__(self)
        if self.session is not None:
            self.session.disconnected()
        if self._relay is not None:
            self._relay.disconnected()
            self._relay, self._receiver = None, self._inbox.arrived

    # --- one stanza after the other

    def hold(self, working: Deferred[None]) -> None:
        """Handle no other stanza until ``working`` has fired; it must not fail."""
        self._inbox.hold(working)

    def _take(self, item: Item) -> None:
        index, arrived = item
        with on_behalf_of(self.factory.client(self.address)):
            if isinstance(arrived, StreamError):
                self.end(arrived.condition, arrived.text)
            elif self._relay is not None and not (arrived and is_about_registration(arrived)):
                self._relay.hand_over(index)
                if self.stream is not None and not self.closing:
                    self._inbox.put_back(item)
            elif arrived is None:  # the end
                self._close()
            else:
                self._receive(arrived)

    def _receive(self, element: domish.Element) -> None:
        name = (element.uri, element.name)
        method = ACCEPTED[self.phase].get(name)
        if name == (NS_STREAMS, "error"):
            self._close()
        elif method is not None:
            element.handled = False  # type: ignore[attr-defined]
            getattr(self, method)(element)
        else:
            bound = self.phase is Phase.BOUND
            self.end("unsupported-stanza-type" if bound else "not-authorized")

    def _dispatch(self, element: domish.Element) -> None:
        if element.name != "iq" or is_request(element):
            self.dispatch(element)
        if not element.handled:
            self.end("not-authorized")

    def _dispatch_bound(self, element: domish.Element) -> None:
        assert self.session is not None  # noqa: S101 - the phase says so
        if not may_send_as(element, self.session.jid):
            self.end("invalid-from")
            return
        element["from"] = self.session.address
        bounced = self.factory.door.router.take(element, self)
        if bounced is not None:
            self.send(bounced)

    # --- before TLS

    def _start_tls(self, _element: domish.Element) -> None:
        self.send(domish.Element((NS_TLS, "proceed")))
        self.phase = Phase.SECURED
        self._deadlines.start("header")
        self.reset()
        self.outbox.disconnect()
        self.transport.startTLS(self.factory.door.tls.preferring(self.domain.name))
        self.outbox.connect(self.transport)

    def _refuse_clear_auth(self, _element: domish.Element) -> None:
        failure = domish.Element((NS_SASL, "failure"))
        failure.addElement("encryption-required")
        self.send(failure)

    def _refuse_clear_iq(self, iq: domish.Element) -> None:
        if is_request(iq):
            iq.children.clear()  # An error repeats nothing of the request.
            text = "Use STARTTLS first."
            self.send(StanzaError("policy-violation", "modify", text, "en").toResponse(iq))
        else:
            self.end("not-authorized")

    # --- stream headers

    def _on_header(self, root: domish.Element) -> None:
        try:
            domain = check_header(root, self.factory.door.domains).name
            if self._domain not in (None, domain):
                raise StreamError("host-unknown", "Another domain was asked for before.")
        except StreamError as error:
            self.end(error.condition, error.text)
            return
        self._domain, self.spelling = domain, root["to"]
        self._deadlines.cancel("header")
        with on_behalf_of(self.factory.client(self.address)):
            self._answer_header()

    def _answer_header(self) -> None:
        if self._relay_of is not None and self.phase is Phase.SECURED:
            self._relay = self._relay_of(self)
            if self._relay is not None:
                header = self.stream.since(0)[: self.stream.tag_end()]
                self.hold(self._relay.open(header))
                return
            self.stream.stop_recording()
        self.hold(Deferred.fromCoroutine(self.factory.greet(self)))

    def sendHeader(self) -> None:
        """Open our direction of the stream (RFC 6120 §4.7)."""
        self.sid = secrets.token_hex(8)
        self._headerSent = True
        self.send(write_header(self.domain.name, self.sid, self.spelling))

    # --- for a relay

    def header_relayed(self) -> None:
        """Note that the other server's header has been sent in place of ours."""
        self._headerSent = True
        # That server's own id is in its header. With this one the log names our failures.
        self.sid = secrets.token_hex(8)

    def detach(self, index: int, receiver: Callable[[bytes], None]) -> bytes:
        """Parse nothing any more; return the bytes from ``index`` on that have come.

        From now on ``receiver`` gets what comes. The relay writes to the transport by itself,
        and is told if the stream is to end.
        """
        data: bytes = self.stream.since(index) + self._inbox.unparsed
        self.stream.silence()
        self._inbox.clear()
        # A parser is half of what a stream takes, and it is not needed any more.
        self.stream = None
        self._receiver = receiver
        # Before the server may stop the client again, for which there is already too much.
        self._inbox.resume()
        return data

    def logged_in(self) -> None:
        """Limit the client no longer, as the other server knows it."""
        self._deadlines.cancel_all()
        self.factory.door.streams.bound(self)

    def leave(self, deadline: str) -> None:
        """Close a detached stream; ``deadline`` is for what is still to be read."""
        if self.closing:
            return
        self._stop()
        self.transport.unregisterProducer()
        self.transport.resumeProducing()
        self.transport.loseConnection()
        self._deadlines.start(deadline)

    # --- login

    def authenticated(self, username: str, credentials_set_at: datetime) -> None:
        """Expect the client's new stream header; what it sent before is dropped."""
        self.username, self.credentials_set_at = username, credentials_set_at
        self._inbox.budget_owner = f"{username}@{self.domain.name}"
        self.phase = Phase.AUTHENTICATED
        self._deadlines.cancel("idle")
        self._deadlines.start("header")
        self.reset()

    def bound(self, session: Session) -> None:
        """Accept stanzas: the stream has become a session."""
        self.session = session
        self.phase = Phase.BOUND
        self.stream.max_bytes, self.stream.max_depth = STANZA_LIMITS[self.phase]
        self._deadlines.cancel("login")
        self._deadlines.start("silence")
        self.factory.door.streams.bound(self)
        self.dispatch(self, STREAM_AUTHD_EVENT)

    # --- the end

    def send(self, obj: domish.Element | str | bytes) -> None:
        """Write an element or text, unless the stream has ended."""
        if not self.closing:
            self.outbox.write(serialized(obj))

    def end(self, condition: str, text: str | None = None) -> None:
        """End the stream with a stream error (RFC 6120 §4.9); harmless if it has ended."""
        if self.closing:
            return
        if self._relay is not None and self.stream is None:
            self._relay.end(condition, text)
            return
        if self._deadlines.running("tls") and self.phase is not Phase.CLEAR:
            # Nothing can be said while the handshake is under way.
            self.abort()
            return
        self._close(StreamError(condition, text).getElement())

    def abort(self) -> None:
        """Drop the connection at once, without a stream error."""
        self._stop()
        self.outbox.close()
        self.transport.abortConnection()

    def _close(self, error: domish.Element | None = None) -> None:
        if not self._headerSent:
            self.sendHeader()
        if error is not None:
            self.send(error)
        self.sendFooter()
        # A peer that closes its side must be heard, as TLS waits for it; but not for long.
        self._deadlines.start("close")
        self._stop()
        self._inbox.resume()
        self.outbox.disconnect()
        self.transport.loseConnection()

    def _stop(self) -> None:
        """Handle nothing any more, and leave the embedded domain."""
        self.closing = True
        if self.stream is not None:
            self.stream.silence()
        self._inbox.close()
        if self.session is not None:
            self.factory.door.embedded.presence.leave(self.session)

    def _timed_out(self, name: str) -> None:
        if name in WITHOUT_A_WORD or (name == "tls" and self.phase is not Phase.CLEAR):
            self.abort()
        elif name in UNREAD:
            self.factory.not_read(self)
            self.abort()
        elif name == "silence" and self.session is not None:
            self.send(ping(self.session.address, self.domain.name))
            self._deadlines.start("answer")
        else:
            self.end("connection-timeout")
