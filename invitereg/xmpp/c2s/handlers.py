"""Base classes of what handles the requests on a client's stream."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.xmlstream import XMPPHandlerCollection
from twisted.words.xish import domish
from wokkel.subprotocols import XMPPHandler

from invitereg.errors import Refused, Unavailable
from invitereg.xmpp.c2s.stream import ClientStream
from invitereg.xmpp.stanzas import (
    Phase,
    asked_languages,
    error_reply,
    mark_handled,
    require_id,
    result_reply,
    stanza_error,
)

Answer = Coroutine[Any, Any, domish.Element | None]
"""Returns the payload of the result."""
Work = Callable[[domish.Element], Answer]


class StreamHandlers(XMPPHandlerCollection):
    """The handlers of one stream, which live as long as it does."""

    def __init__(self, stream: ClientStream) -> None:
        super().__init__()
        self.stream = stream

    def attach(self, *handlers: XMPPHandler) -> None:
        """Add handlers and connect them to the stream."""
        for handler in handlers:
            handler.setHandlerParent(self)
            handler.makeConnection(self.stream)

    def initialized(self, _stream: ClientStream) -> None:
        """Tell every handler that the stream has become a session."""
        for handler in list(self.handlers):
            handler.connectionInitialized()

    def lost(self, reason: Failure) -> None:
        """Tell every handler that the stream is gone."""
        for handler in list(self.handlers):
            handler.connectionLost(reason)
        # They refer to us, too.
        self.handlers.clear()

    def send(self, obj: domish.Element | str | bytes) -> None:
        self.stream.send(obj)


class RequestHandler(XMPPHandler):
    """Answer IQ requests, each before the stream handles the next stanza.

    Unlike wokkel's `IQHandlerMixin` it holds the stream meanwhile, maps refusals to stanza
    errors, and repeats nothing of a request in an error, unless `echo` says so.

    Attributes:
        origin: the namespace of its lines in the log.
    """

    xmlstream: ClientStream
    origin: str

    def observe(self, path: str, phase: Phase, work: Work) -> None:
        """Answer the requests at an XPath by what ``work`` returns, in this phase only."""
        self.xmlstream.addObserver(path, partial(self._on_request, phase, work))

    def _on_request(self, phase: Phase, work: Work, iq: domish.Element) -> None:
        if self.xmlstream.phase is phase and not iq.handled:
            self.answer(iq, work(iq))

    def answer(self, iq: domish.Element, working: Answer) -> None:
        """Reply with the payload that ``working`` returns, or with the error that it raises."""
        mark_handled(iq)
        try:
            require_id(iq)
        except StanzaError as error:
            working.close()
            self._refuse(self.xmlstream, iq, error)
            return
        self.xmlstream.hold(Deferred.fromCoroutine(self._answer(iq, working)))

    def echo(self, _iq: domish.Element) -> list[domish.Element]:
        """Return the elements that an error repeats of the request; none by default."""
        return []

    def answered(self) -> None:
        """Act after a reply was sent; does nothing by default."""

    async def _answer(self, iq: domish.Element, working: Answer) -> None:
        stream = self.xmlstream
        try:
            stream.send(result_reply(iq, await working))
        except Refused as refusal:
            self._refuse(stream, iq, refusal_error(stream, iq, refusal))
        except StanzaError as error:
            self._refuse(stream, iq, error)
        except Exception:
            unavailable = Unavailable(stream.sid)
            log = Logger(self.origin)
            log.failure("a request failed (error {id})", id=unavailable.error_id)
            self._refuse(stream, iq, refusal_error(stream, iq, unavailable))
        if not stream.closing:
            self.answered()

    def _refuse(self, stream: ClientStream, iq: domish.Element, error: StanzaError) -> None:
        stream.send(error_reply(iq, error, self.echo(iq)))


def refusal_error(
    stream: ClientStream, stanza: domish.Element, refusal: Refused
) -> StanzaError:
    """Return the stanza error for a refusal, in the language of a stanza or of its stream."""
    parser = stream.stream  # None once the stream has ended
    return stanza_error(refusal, asked_languages(stanza, parser.language if parser else ""))
