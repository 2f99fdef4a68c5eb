"""Ask an upstream server by ourselves, on a stream of our own."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish

from invitereg.runtime import IReactor
from invitereg.xmpp.c2s.header import client_header
from invitereg.xmpp.gateway.failures import UpstreamFailure
from invitereg.xmpp.gateway.settings import Upstream
from invitereg.xmpp.gateway.upstream import SECONDS, OpenedStream, ServerStream
from invitereg.xmpp.parser import BoundedElementStream

_MAX_BYTES, _MAX_DEPTH = 64 * 1024, 32


class Dialogue:
    """A stream to the server on which we ask by ourselves, one question at a time.

    Attributes:
        features: the server's stream features.
        ended: why nothing comes any more, for a log; "" while something may.
    """

    def __init__(self, stream: ServerStream, opened: OpenedStream, reactor: IReactor) -> None:
        """Read the stream after its features; `open_dialogue` makes a dialogue."""
        self.features = opened.features
        self._stream = stream
        self._reactor = reactor
        self.ended = ""
        self._fire: Callable[[domish.Element | None], None] | None = None
        self._parser = BoundedElementStream(_MAX_BYTES, _MAX_DEPTH)
        self._parser.DocumentStartEvent = _ignore
        self._parser.ElementEvent = self._answer
        self._parser.DocumentEndEvent = self._lost
        stream.received, stream.lost = self._read, self._lost
        self._read(opened.header + opened.rest)

    async def ask(self, question: bytes) -> domish.Element | None:
        """Send one element; return the next that comes, or None if the stream has ended.

        Raises:
            UpstreamFailure: nothing comes within `SECONDS`.
        """
        if self.ended:
            return None
        answer: Deferred[domish.Element | None] = Deferred()
        self._fire = answer.callback
        answer.addTimeout(SECONDS, self._reactor, _unanswered)
        self._stream.transport.write(question)
        return await answer

    def close(self) -> None:
        """Drop the connection."""
        self._parser.silence()
        self._stream.received, self._stream.lost = _ignore, _ignore
        self._stream.transport.abortConnection()

    def _read(self, data: bytes) -> None:
        try:
            self._parser.parse(data)
        except StreamError as error:
            self._end(f"it sends no XMPP ({error.condition})")

    def _lost(self) -> None:
        self._end("it has ended the stream")

    def _end(self, why: str) -> None:
        self.ended = self.ended or why
        self._parser.silence()
        self._answer(None)

    def _answer(self, element: domish.Element | None) -> None:
        fire, self._fire = self._fire, None
        if fire is not None:
            fire(element)


async def open_dialogue(upstream: Upstream, reactor: IReactor) -> Dialogue:
    """Open a stream to a server, with a header of our own.

    Raises:
        UpstreamFailure: the server cannot be reached, or does not open a stream.
    """
    stream = ServerStream(upstream, client_header(upstream.domain), reactor)
    return Dialogue(stream, await stream.connect(reactor), reactor)


def _unanswered(_result: Any, _seconds: float) -> None:
    raise UpstreamFailure(f"it has not answered a request within {SECONDS:.0f} seconds")


def _ignore(*_arguments: Any) -> None:
    """Ignore what comes after the dialogue has ended."""
