"""What is on its way to a client, which may be slow to read it, or not read at all."""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from invitereg.xmpp.deadlines import UNREAD, Deadlines

PIECE = 64 * 1024
"""The most bytes that a transport is given at once: so much read is a sign of life."""

MAX_WAITING = 2 * 1024 * 1024
"""Bytes that may wait before others cannot send more: the longest stanza has 1.5 MiB."""

MAX_UNREAD = 8 * MAX_WAITING
"""Bytes that may wait altogether. Presence and changes of the roster alone get that far."""


@implementer(IPushProducer)
class Outbox:
    """Gives a transport what it takes, and keeps the rest in order until the client reads.

    How much is written at once is the writer's doing and not the client's. So a client is
    judged by the time that it takes to read a piece: of the deadlines, "unread" runs meanwhile,
    and the shorter "behind" where much waits.

    Attributes:
        paused: the transport takes no more now, so nothing more should be answered.
    """

    _log = Logger()

    def __init__(
        self, read: Callable[[], None], drop: Callable[[], None], deadlines: Deadlines
    ) -> None:
        """``read`` is called when all has been taken; ``drop`` is to end the connection."""
        self.paused = False
        self._read = read
        self._drop = drop
        self._deadlines = deadlines
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._taken: list[Deferred[None]] = []
        self._transport: Any = None

    @property
    def behind(self) -> bool:
        """Whether more waits than others may add to."""
        return self._size > MAX_WAITING

    def connect(self, transport: Any) -> None:
        """Begin anew with a transport, or with one that has changed to TLS."""
        self._transport = transport
        self._go_on()
        transport.registerProducer(self, True)

    def disconnect(self) -> None:
        """Give the transport all that is left, whether it takes that or not."""
        self._transport.unregisterProducer()
        self._go_on()

    def close(self) -> None:
        """Keep nothing, as nobody reads it, and nobody in memory by calling back."""
        self._pieces.clear()
        self._size = 0
        self._go_on()
        self._transport = None
        self._read = self._drop = _ignore

    def write(self, data: bytes) -> None:
        """Write after all that waits; drop the connection if that is too much."""
        for start in range(0, len(data), PIECE):
            self._pieces.append(data[start : start + PIECE])
        self._size += len(data)
        self._pass_on()
        self._watch()

    def drop(self) -> None:
        """End the connection, as its client does not read."""
        self._log.info("closed a stream whose client does not read what it is sent")
        self._drop()

    def when_taken(self) -> Deferred[None]:
        """Fire when nothing waits any more, or when it no longer matters."""
        if not self.paused:
            return succeed(None)
        taken: Deferred[None] = Deferred()
        self._taken.append(taken)
        return taken

    def pauseProducing(self) -> None:
        """Called by the transport."""
        self.paused = True
        self._deadlines.start("unread")

    def resumeProducing(self) -> None:
        """Called by the transport, which is a sign of life of the client."""
        self._deadlines.heard()
        self._go_on()
        if not self.paused:
            self._read()

    def stopProducing(self) -> None:
        """Called by the transport at its end, of which the stream hears by itself."""

    def _go_on(self) -> None:
        self.paused = False
        for name in UNREAD:
            self._deadlines.cancel(name)
        self._pass_on()
        self._watch()
        while self._taken and not self.paused:
            self._taken.pop().callback(None)

    def _watch(self) -> None:
        if self.behind and not self._deadlines.running("behind"):
            self._deadlines.start("behind")
        if self._size > MAX_UNREAD and not self._deadlines.running("overfull"):
            # Not at once: who sends to many would have all of them end within each other.
            self._deadlines.start("overfull")

    def _pass_on(self) -> None:
        while self._pieces and not self.paused:
            piece = self._pieces.popleft()
            self._size -= len(piece)
            self._transport.write(piece)


def _ignore() -> None:
    """Nobody is there any more."""
