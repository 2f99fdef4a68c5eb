"""Whether a client reads what it is sent; who does not must not make us keep it all."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from invitereg.xmpp.deadlines import Deadlines

MAX_BYTES = 1024 * 1024
"""What others may send to a client that reads nothing, beyond what the transport takes."""


@implementer(IPushProducer)
class UnreadAnswers:
    """Told by a transport when too much waits in it, and when that has been read.

    Attributes:
        too_many: nothing more should be answered now.
    """

    def __init__(
        self, read: Callable[[], None], give_up: Callable[[], None], deadlines: Deadlines
    ) -> None:
        """``read`` is called when answering may go on, ``give_up`` when it is hopeless.

        Of ``deadlines``, "unread" runs meanwhile.
        """
        self.too_many = False
        self._read = read
        self._give_up = give_up
        self._deadlines = deadlines
        self._bytes = 0

    def watch(self, stream: Any) -> None:
        """Begin anew with a stream's transport, or with one that has changed to TLS."""
        self._forget()
        stream.rawDataOutFn = self._count
        stream.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Called by the transport."""
        self.too_many = True
        self._deadlines.start("unread")

    def resumeProducing(self) -> None:
        """Called by the transport."""
        self._forget()
        self._read()

    def _count(self, data: bytes) -> None:
        if self.too_many:
            self._bytes += len(data)
            if self._bytes > MAX_BYTES:
                self._give_up()

    def _forget(self) -> None:
        self.too_many = False
        self._bytes = 0
        self._deadlines.cancel("unread")

    def stopProducing(self) -> None:
        """Called by the transport at its end, of which the stream hears by itself."""
