"""Whether a client reads what it is sent; who does not must not make us keep it all."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from invitereg.xmpp.deadlines import Deadlines

# Bytes that may wait for a client beyond what its transport takes (64 KiB). The biggest stanza
# has a quarter of that.
MAX_UNREAD = 1024 * 1024


@implementer(IPushProducer)
class UnreadAnswers:
    """Told by a transport when too much waits in it, and when that has been read.

    Attributes:
        too_many: nothing more should be answered now.
    """

    # What others send comes all the same. It is counted while the transport takes no more, as
    # no transport tells how much waits in it; with TLS there are several buffers in a row.

    def __init__(self, read: Callable[[], None], deadlines: Deadlines) -> None:
        """``read`` is called when answering may go on.

        Of ``deadlines``, "unread" runs meanwhile.
        """
        self.too_many = False
        self._bytes = 0
        self._read = read
        self._deadlines = deadlines

    @property
    def far_too_many(self) -> bool:
        """Whether more waits than may be kept."""
        return self._bytes > MAX_UNREAD

    def written(self, size: int) -> None:
        """Count what has been written to the transport."""
        if self.too_many:
            self._bytes += size

    def watch(self, transport: Any) -> None:
        """Begin anew with a transport, or with one that has changed to TLS."""
        self._forget()
        transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Called by the transport."""
        self.too_many = True
        self._deadlines.start("unread")

    def resumeProducing(self) -> None:
        """Called by the transport."""
        self._forget()
        self._read()

    def _forget(self) -> None:
        self.too_many = False
        self._bytes = 0
        self._deadlines.cancel("unread")

    def stopProducing(self) -> None:
        """Called by the transport at its end, of which the stream hears by itself."""
