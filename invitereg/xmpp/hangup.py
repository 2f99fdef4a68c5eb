"""Ends a connection so that the other side gets all that was sent, and notices the end."""

from typing import Any

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure


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
    transport.protocol = _Deaf(stream)
    transport.loseWriteConnection()


class _Deaf(Protocol):
    """Waits for the end of a connection."""

    def __init__(self, stream: Protocol) -> None:
        self._stream = stream

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol that it was; called by the reactor."""
        self._stream.connectionLost(reason)
