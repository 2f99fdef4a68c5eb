"""What is on its way to a client, which may be slow to read it, or not read at all."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from invitereg.logs import FaultLog
from invitereg.xmpp.deadlines import UNREAD, Deadlines

_log = Logger("invitereg.xmpp.outbox.UnreadLedger")

PIECE = 64 * 1024
"""The most bytes that a transport is given at once: so much read is a sign of life."""

MAX_WAITING = 2 * 1024 * 1024
"""Bytes that may wait before others cannot send more: the longest stanza has 1.5 MiB."""

MAX_UNREAD = 2 * MAX_WAITING
"""Bytes that may wait for one client; only presence and changes of the roster get that far.

Of the service's own answers, one may be longer: it is written when nothing else waits.
"""

MAX_UNREAD_TOGETHER = 128 * 1024 * 1024
"""Bytes that may wait for all clients of the process."""


class UnreadLedger:
    """Knows how much waits for each client, and drops the one with most when it is too much."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        """``seconds`` is a clock that never jumps."""
        self._sizes: dict[Outbox, int] = {}
        self._total = 0
        self._faults = FaultLog(_log, "Unread", seconds)

    def __len__(self) -> int:
        """Return how many clients something waits for."""
        return len(self._sizes)

    def note(self, outbox: "Outbox", size: int) -> None:
        """Note that so many bytes wait for a client now."""
        self._total += size - self._sizes.pop(outbox, 0)
        if size:
            self._sizes[outbox] = size
        if self._total > MAX_UNREAD_TOGETHER:
            self._faults.failed(
                f"more than {MAX_UNREAD_TOGETHER >> 20} MiB wait for clients that do not read: "
                "those with most are dropped"
            )
            # Looked for only now: each search ends a stream.
            max(self._sizes, key=self._sizes.__getitem__).give_up()
        elif 2 * self._total < MAX_UNREAD_TOGETHER:
            self._faults.worked()


@implementer(IPushProducer)
class Outbox:
    """Gives a transport what it takes, and keeps the rest in order until the client reads.

    How much is written at once is the writer's doing and not the client's. So a client is
    judged by the time that it takes to read a piece: of the deadlines, "unread" runs meanwhile,
    and the shorter "behind" where much waits. Past `MAX_UNREAD` nothing is kept any more, and
    the connection is dropped by the deadline "overfull".

    Attributes:
        paused: the transport takes no more now, so nothing more should be answered.
    """

    def __init__(
        self, read: Callable[[], None], deadlines: Deadlines, ledger: UnreadLedger
    ) -> None:
        """``read`` is called when all has been taken."""
        self.paused = False
        self._read = read
        self._deadlines = deadlines
        self._ledger = ledger
        self._given_up = False
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._taken: list[Deferred[None]] = []
        self._transport: Any = None

    @property
    def behind(self) -> bool:
        """Whether more waits than others may add to."""
        return self._given_up or self._size > MAX_WAITING

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
        self._forget()
        self._go_on()
        self._deadlines.cancel("overfull")
        self._transport = None
        self._read = _ignore

    def write(self, data: bytes) -> None:
        """Write after all that waits; give up if that is too much."""
        if self._given_up:
            return
        if self._size and self._size + len(data) > MAX_UNREAD:
            self.give_up()
            return
        for start in range(0, len(data), PIECE):
            self._pieces.append(data[start : start + PIECE])
        self._size += len(data)
        self._pass_on()
        self._watch()

    def give_up(self) -> None:
        """Keep nothing of what waits, take nothing more, and have the connection dropped."""
        self._given_up = True
        self._forget()
        # Not at once: who sends to many would have all of them end within each other.
        self._deadlines.start("overfull")

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
        for name in UNREAD - {"overfull"}:
            self._deadlines.cancel(name)
        self._pass_on()
        self._watch()
        while self._taken and not self.paused:
            self._taken.pop().callback(None)

    def _watch(self) -> None:
        if self.behind and not self._deadlines.running("behind"):
            self._deadlines.start("behind")
        self._ledger.note(self, self._size)

    def _forget(self) -> None:
        self._pieces.clear()
        self._size = 0
        self._ledger.note(self, 0)

    def _pass_on(self) -> None:
        while self._pieces and not self.paused:
            piece = self._pieces.popleft()
            self._size -= len(piece)
            self._transport.write(piece)


def _ignore() -> None:
    """Nobody is there any more."""
