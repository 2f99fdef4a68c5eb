"""Ends a connection so that the other side gets all that was sent, and nothing is left here."""

from typing import Any

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.words.xish.utility import EventDispatcher


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


def let_go(stream: Any) -> None:
    """Forget who observes a client's stream that is over.

    They refer to it, too, and what is gone must not wait for the garbage collector.
    """
    EventDispatcher.__init__(stream)
    if stream.session is not None:
        stream.session.disconnected()


class _Deaf(Protocol):
    """Waits for the end of a connection, which the TLS layer must hear of to end its own."""

    def __init__(self, before: Protocol) -> None:
        self._before = before

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol that was there before; called by the reactor."""
        self._before.connectionLost(reason)
