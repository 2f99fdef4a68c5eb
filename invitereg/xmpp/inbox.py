"""What a client has sent, taken one stanza after the other, while it is the client's turn."""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from invitereg.fairness import TimeBudgets

_log = Logger("invitereg.xmpp.inbox.Inbox")

PIECE = 8 * 1024
"""Bytes that are parsed at once: what is dense takes tens of milliseconds."""


class Inbox:
    """Hands over what has arrived, and stops the transport while something must wait.

    So answers come in order, and a client that sends faster than it is answered, or more than
    its share of the time is enough for, fills its own buffers and not ours.

    Attributes:
        held: whether something is being worked out; its length is how much waits.
        transport: is told when to stop and to go on.
        whose: the account or network whose time is used.
    """

    def __init__(
        self,
        parse: Callable[[bytes], None],
        take: Callable[[Any], None],
        busy: Callable[[], bool],
        end: Callable[[str], None],
    ) -> None:
        """Prepare for what arrives.

        Args:
            parse: gets the next bytes, and calls `put`.
            take: gets the next element, None being the end of the stream.
            busy: while it says so nothing is taken; `go_on` is to be called when it no longer
                does.
            end: called with a stream error when what held the stream has failed.
        """
        self._parse = parse
        self._take = take
        self._busy = busy
        self._end = end
        self._bytes = b""
        self._elements: deque[Any] = deque()
        self.held = False
        self._parsing = self._pumping = False
        self._paused = False
        self._closed = False
        self._rest: IDelayedCall | None = None
        self.transport: Any = None
        self.whose: Hashable = None

    def connect(self, transport: Any, budgets: TimeBudgets, reactor: IReactorTime) -> None:
        """Begin with a transport, whose client has a share of the time by ``budgets``."""
        self.transport = transport
        self._budgets = budgets
        self._reactor = reactor

    def arrived(self, data: bytes) -> None:
        """Parse what has arrived, as far as it is the client's turn."""
        self._bytes += data
        self._parse_on()
        self._read_on()

    def put(self, element: Any) -> None:
        """Add what has been parsed."""
        self._elements.append(element)
        if self._waiting:
            self._pause()
        self._pump()

    def __len__(self) -> int:
        return len(self._elements)

    def clear(self) -> None:
        """Throw away what has not been taken."""
        self._bytes = b""
        self._elements.clear()

    def close(self) -> None:
        """Take nothing any more, and keep nobody in memory by calling back."""
        self._closed = True
        self.clear()
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._parse, self._take, self._busy, self._end = _ignore, _ignore, _never, _ignore

    def resume(self) -> None:
        """Let the transport read on, if it was stopped."""
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()

    def hold(self, working: "Deferred[Any]") -> None:
        """Take nothing further until ``working`` has fired; it must not fail."""
        self.held = True
        working.addBoth(self._release)

    def go_on(self) -> None:
        """Take what waits, and then read on, if nothing is in its way any more."""
        self._pump()
        self._parse_on()
        self._read_on()

    def _release(self, result: Any) -> None:
        if isinstance(result, Failure):
            _log.failure("a stream's handler failed", failure=result)
            self._end("internal-server-error")
        self.held = False
        self.go_on()

    @property
    def _waiting(self) -> bool:
        return self.held or self._rest is not None or self._busy()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def _read_on(self) -> None:
        """Let the transport read on when nothing is left of what it has read."""
        left = self._parsing or self._bytes or self._elements
        if not (left or self._closed or self._waiting):
            self.resume()

    def _parse_on(self) -> None:
        """Parse what there is, a piece at a time, until the client has used up its share."""
        if self._parsing:  # Its answers come back to here: a parser is not to be nested.
            return
        self._parsing = True
        while self._bytes and self._is_in_turn():
            piece, self._bytes = self._bytes[:PIECE], self._bytes[PIECE:]
            with self._budgets.spending(self.whose):
                self._parse(piece)
        self._parsing = False

    def _pump(self) -> None:
        if self._pumping:  # An answer that is ready at once comes back to here: never nest.
            return
        self._pumping = True
        while self._elements and not self._closed and not self._waiting and self._is_in_turn():
            with self._budgets.spending(self.whose):
                self._take(self._elements.popleft())
        self._pumping = False

    def _is_in_turn(self) -> bool:
        """Whether the client may go on now; if not, it will when it has waited."""
        if self._rest is None:
            seconds = self._budgets.seconds_to_wait(self.whose)
            if not seconds:
                return True
            self._rest = self._reactor.callLater(seconds, self._rested)
            self._pause()
        return False

    def _rested(self) -> None:
        self._rest = None
        self.go_on()


def _ignore(_thing: Any) -> None:
    """Nobody takes it any more."""


def _never() -> bool:
    return False
