"""A client's stream where a domain may have a server behind it."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish

from invitereg.xmpp.gateway import Gateway, is_about_registration
from invitereg.xmpp.phases import Phase
from invitereg.xmpp.rawbytes import RawBytes
from invitereg.xmpp.stream import ClientStream
from invitereg.xmpp.upstreams import Behind


class GatewayStream(ClientStream):
    """Answers what is about registration, and gives all else to the server behind.

    Without a server behind its domain it is a `ClientStream` like any other.
    """

    def __init__(self, phase: Phase) -> None:
        self._raw: RawBytes | None = None
        self._gateway: Gateway | None = None
        super().__init__(phase)

    def _initializeStream(self) -> None:
        super()._initializeStream()
        self._raw = RawBytes() if self.phase is Phase.SECURED else None
        self.stream.ElementEvent = self._put
        self.stream.DocumentEndEvent = lambda: self._put(None)

    # --- bytes

    def dataReceived(self, data: bytes) -> None:
        """Parse what arrived, or pass it on; called by the reactor."""
        if self._gateway is not None and self._gateway.handed_over:
            self._gateway.from_client(data)
            return
        if self._raw is not None:
            self._raw.append(data)
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Close the server's side, too; called by the reactor."""
        if self._gateway is not None:
            self._gateway.client_lost()
        super().connectionLost(reason)

    # --- the stream to the server

    def _answer_header(self) -> None:
        behind: Behind | None = self.factory.behind(self.domain.name)
        if behind is None or self.phase is not Phase.SECURED:
            super()._answer_header()
            return
        assert self._raw is not None  # noqa: S101 - the phase says so
        header = self._raw.since(0)[: self._raw.start_tag_end(self._tag_start())]
        self._gateway = Gateway(self, behind.upstream, self.factory.reactor)
        self.hold(Deferred.fromCoroutine(self._open(behind, self._gateway, header)))

    def _tag_start(self) -> int:
        place: int = self.stream.parser.CurrentByteIndex
        return place

    async def _open(self, behind: Behind, gateway: Gateway, header: bytes) -> None:
        problem = await behind.problem() or await gateway.open(header)
        if problem is None:
            self._headerSent = True
            behind.reached()
        elif not self.closing:
            behind.failed(problem)
            self._gateway = None
            text = "The server is not available. Try again later."
            self.end("remote-connection-failed", text)

    def server_lost(self) -> None:
        """Close, once the client has read what the server has sent; called by the gateway."""
        if self.closing:
            return
        self._leave()
        self._deadlines.start("drain")

    # --- elements

    def _put(self, arrived: Any) -> None:
        """Add what has arrived to the inbox, with its place among the bytes."""
        self._inbox.put((self.stream.started, arrived))

    def _malformed(self, error: StreamError) -> None:
        # Behind an element that is to be handed over, it is not for us to judge.
        if self._gateway is None or not self._inbox:
            super()._malformed(error)
        else:
            self.stream.silence()
            self._put(error)

    def _take(self, placed: Any) -> None:
        place, arrived = placed
        if isinstance(arrived, StreamError):
            super()._malformed(arrived)
        elif self._gateway is None or self._raw is None:
            super()._take(arrived)
        elif isinstance(arrived, domish.Element) and is_about_registration(arrived):
            self._raw.forget(place)
            super()._take(arrived)
        else:
            self._hand_over(self._gateway, self._raw.since(place))

    def _hand_over(self, gateway: Gateway, data: bytes) -> None:
        self.stream.silence()
        self._inbox.clear()
        self._raw = None
        # From here on the server's own limits hold.
        self._deadlines.cancel_all()
        self.factory.handed_over(self)
        self._inbox.resume()
        gateway.hand_over(data)

    # --- the end

    def end(self, condition: str, text: str | None = None) -> None:
        """End the stream; within what the server says, nothing can be said."""
        if self._gateway is not None and self._gateway.handed_over:
            if not self.closing:
                self._leave()
                self._deadlines.start("close")
            return
        super().end(condition, text)

    def _leave(self) -> None:
        self.closing = True
        self.stream.silence()
        self._inbox.close()
        self.transport.unregisterProducer()
        self.transport.loseConnection()
