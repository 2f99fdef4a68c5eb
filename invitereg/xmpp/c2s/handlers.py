"""Base classes of what handles the requests on a client's stream."""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.xmlstream import (
    XMPPHandlerCollection,
    toResponse,
)
from twisted.words.xish import domish
from wokkel.subprotocols import XMPPHandler

from invitereg import errors
from invitereg.errors import Refused, Unavailable
from invitereg.xmpp.c2s.stream import ClientStream
from invitereg.xmpp.stanzas import asked_languages, mark_handled, require_id, stanza_error


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

    def answer(
        self, iq: domish.Element, working: Coroutine[Any, Any, domish.Element | None]
    ) -> None:
        """Reply with the payload that ``working`` returns, or with the error that it raises."""
        mark_handled(iq)
        try:
            require_id(iq)
        except StanzaError as error:
            working.close()
            self.xmlstream.send(self._error(iq, error))
            return
        self.xmlstream.hold(Deferred.fromCoroutine(self._answer(iq, working)))

    def echo(self, _iq: domish.Element) -> list[domish.Element]:
        """Return the elements that an error repeats of the request; none by default."""
        return []

    def answered(self) -> None:
        """Act after a reply was sent; does nothing by default."""

    async def _answer(
        self, iq: domish.Element, working: Coroutine[Any, Any, domish.Element | None]
    ) -> None:
        stream = self.xmlstream
        try:
            payload = await working
        except Refused as refusal:
            stream.send(self._error(iq, refusal_error(stream, iq, refusal)))
        except StanzaError as error:
            stream.send(self._error(iq, error))
        except Exception:
            unavailable = Unavailable(stream.sid)
            log = Logger(self.origin)
            log.failure("a request failed (error {id})", id=unavailable.error_id)
            stream.send(self._error(iq, refusal_error(stream, iq, unavailable)))
        else:
            response = toResponse(iq, "result")
            if payload is not None:
                response.addChild(payload)
            stream.send(response)
        if not stream.closing:
            self.answered()

    def _error(self, iq: domish.Element, error: StanzaError) -> domish.Element:
        response: domish.Element = toResponse(iq, "error")
        for element in self.echo(iq):
            response.addChild(element)
        response.addChild(error.getElement())
        return response


def refusal_error(
    stream: ClientStream, stanza: domish.Element, refusal: errors.Refused
) -> StanzaError:
    """Return the stanza error for a refusal, in the language of a stanza or of its stream."""
    parser = stream.stream  # None once the stream has ended
    return stanza_error(refusal, asked_languages(stanza, parser.language if parser else ""))
