"""A client's stream where a domain may have a server behind it."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish

from invitereg.xmpp.c2s.stream import ClientStream
from invitereg.xmpp.gateway.check import UpstreamCheck
from invitereg.xmpp.gateway.failures import UpstreamFailure
from invitereg.xmpp.gateway.headers import RawBytes
from invitereg.xmpp.gateway.relay import Gateway, HeaderRefused, is_about_registration
from invitereg.xmpp.stanzas import Phase


class GatewayStream(ClientStream):
    """Answers what is about registration, and gives all else to the server behind.

    Without a server behind its domain it is a `ClientStream` like any other.
    """

    def __init__(self, checks: Mapping[str, UpstreamCheck], phase: Phase) -> None:
        """``checks`` tell by domain whether its upstream server may be used."""
        self._checks = checks
        self._raw: RawBytes | None = None
        self._gateway: Gateway | None = None
        self._reopening = False
        super().__init__(phase)

    def _initializeStream(self) -> None:
        super()._initializeStream()
        self._raw = RawBytes() if self.phase is Phase.SECURED else None
        self.stream.ElementEvent = self._put
        self.stream.DocumentEndEvent = lambda: self._put(None)

    @property
    def _handed_over(self) -> bool:
        return self._gateway is not None and self._gateway.handed_over

    @property
    def _busy(self) -> bool:
        return self._inbox.held or len(self._inbox) > 0

    # --- bytes

    def dataReceived(self, data: bytes) -> None:
        """Parse what arrived, or pass it on; called by the reactor."""
        if self._gateway is not None and self._gateway.handed_over:
            if not self.closing:
                self._deadlines.heard()
                self._gateway.from_client(data)
            return
        if self._raw is not None:
            self._raw.append(data)
        super().dataReceived(data)
        if self._raw is not None and self._gateway is not None and not self._busy:
            self._raw.forget(self.stream.boundary)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Close the server's side, too; called by the reactor."""
        super().connectionLost(reason)
        if self._gateway is not None:
            self._gateway.client_lost()
            self._gateway = None

    # --- the stream to the server

    def _answer_header(self) -> None:
        behind = self._checks.get(self.domain.name)
        if behind is None or self._raw is None:
            self._raw = None
            super()._answer_header()
            return
        end = self._raw.start_tag_end(self.stream.parser.CurrentByteIndex)
        self._gateway = Gateway(self, behind, self._raw.since(0)[:end], self._spelling)
        self.hold(Deferred.fromCoroutine(self._try(behind, self._open(self._gateway))))

    async def _open(self, gateway: Gateway) -> None:
        await gateway.open()
        self._headerSent = True
        # The server's own id is in its header. With this one the log names our failures.
        self.sid = secrets.token_hex(8)

    async def _try(self, behind: UpstreamCheck, step: Awaitable[None]) -> None:
        try:
            await step
            behind.reached()
        except HeaderRefused as refused:
            self.end(refused.condition)
        except UpstreamFailure as failure:
            failure.__traceback__ = None  # as in Gateway
            if self.closing:  # It was the client that has left.
                return
            behind.failed(failure)
            text = "The server is not available. Try again later."
            self.end("remote-connection-failed", text)

    def server_lost(self) -> None:
        """Close, once the client has read what the server has sent; called by the gateway."""
        if not self.closing:
            self._leave("drain")

    # --- elements

    def _put(self, arrived: Any) -> None:
        """Add what has arrived to the inbox, with its place among the bytes."""
        self._inbox.put((self.stream.started, arrived))

    def _malformed(self, error: StreamError) -> None:
        if self._handed_over:
            return
        if len(self._inbox) or self._reopening:
            # Behind an element that is to be handed over it is not for us to judge.
            self.stream.silence()
            self._put(error)
        else:
            super()._malformed(error)

    def _take(self, element: Any) -> None:
        place, arrived = element
        if isinstance(arrived, StreamError):
            super()._malformed(arrived)
        elif self._gateway is None or self._raw is None or _is_ours(arrived):
            super()._take(arrived)
        elif self._gateway.connected:
            self._hand_over(self._gateway, self._raw.since(place))
        else:
            behind = self._checks[self.domain.name]
            self._reopening = True
            again = self._reopen(self._gateway, self._raw, place)
            self.hold(Deferred.fromCoroutine(self._try(behind, again)))

    async def _reopen(self, gateway: Gateway, raw: RawBytes, place: int) -> None:
        await gateway.reopen()
        self._hand_over(gateway, raw.since(place))

    def _hand_over(self, gateway: Gateway, data: bytes) -> None:
        self.stream.silence()
        self._inbox.clear()
        # A parser is half of what a stream takes, and it is not needed any more.
        self._raw = self.stream = None
        # Before the server may stop the client again, for which there is already too much.
        self._inbox.resume()
        gateway.hand_over(data)

    def logged_in(self) -> None:
        """Limit the client no longer, as the server knows it; called by the gateway."""
        self._deadlines.cancel_all()
        self.factory.logged_in(self)

    # --- the end

    def end(self, condition: str, text: str | None = None) -> None:
        """End the stream; within what the server says, nothing can be said."""
        if self._gateway is None or not self._gateway.handed_over:
            super().end(condition, text)
        elif not self.closing:
            if self._gateway.may_speak:
                self.send(StreamError(condition, text).getElement())
                self.sendFooter()
            self._leave("close")

    def _leave(self, deadline: str) -> None:
        """Close without a word of ours; ``deadline`` is for what is still to be read."""
        self._stop()
        self.transport.unregisterProducer()
        self.transport.resumeProducing()
        self.transport.loseConnection()
        self._deadlines.start(deadline)


def stream_maker(checks: Mapping[str, UpstreamCheck]) -> Callable[[Phase], ClientStream]:
    """Return what makes streams: plain ones, where no domain has an upstream server."""
    return partial(GatewayStream, checks) if checks else ClientStream


def _is_ours(arrived: domish.Element | None) -> bool:
    return arrived is not None and is_about_registration(arrived)
