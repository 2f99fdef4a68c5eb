"""Whether a client reads what it is sent; who does not must not make us keep it all."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class UnreadAnswers:
    """Told by a transport when too much waits in it, and when that has been read.

    Attributes:
        too_many: nothing more should be answered now.
    """

    def __init__(self, read: Callable[[], None]) -> None:
        """``read`` is called when answering may go on."""
        self.too_many = False
        self._read = read

    def watch(self, transport: Any) -> None:
        """Begin anew with a transport, or with one that has changed to TLS."""
        self.too_many = False
        transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Called by the transport."""
        self.too_many = True

    def resumeProducing(self) -> None:
        """Called by the transport."""
        self.too_many = False
        self._read()

    def stopProducing(self) -> None:
        """Called by the transport at its end, of which the stream hears by itself."""
