"""The data flow of one client's stream: its time-outs, its input, and its output."""

import time
from collections import deque
from collections.abc import Callable, Hashable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish
from zope.interface import implementer

from invitereg.runtime.fairness import TimeBudgets
from invitereg.runtime.logs import FaultLog

_inbox_log = Logger("invitereg.xmpp.inbox.Inbox")
_unread_log = Logger("invitereg.xmpp.outbox.UnreadLedger")

# Seconds. Between the form and its submission a person types, which takes minutes.
SECONDS = {
    "tls": 30.0,
    "header": 60.0,
    "idle": 10 * 60.0,
    "login": 30 * 60.0,
    "silence": 5 * 60.0,
    "answer": 60.0,
    "unread": 120.0,
    "lagging": 15.0,
    "overfull": 0.0,
    "close": 5.0,
    "drain": 60.0,
}
# After these the connection is dropped without a stream error: nobody would read it.
WITHOUT_A_WORD = frozenset({"close", "drain"})
# After these the client has not read what it was sent.
UNREAD = frozenset({"unread", "lagging", "overfull"})


class Deadlines:
    """The named time-outs of one stream.

    - tls: from the connection to the end of the TLS handshake.
    - header: from the connection, TLS or the login to the stream header, which no person types.
    - idle: without a byte, before login.
    - login: from the connection to the bound resource, or to a success of the upstream server,
      whatever is sent.
    - silence: without a byte, in a session.
    - answer: from the ping that follows a silence to the next byte.
    - unread: from one piece that a client has read to the next, if something waits for it.
    - lagging: the same, if so much waits that others cannot add to it.
    - overfull: until a stream is dropped for which more waits than may be kept.
    - close: from our closing of the stream to the peer's.
    - drain: the same, where the last bytes of an upstream server are still to be read.
    """

    def __init__(self, clock: IReactorTime, passed: Callable[[str], None]) -> None:
        self._clock = clock
        self._passed: Callable[[str], None] = passed
        self._calls: dict[str, IDelayedCall] = {}

    def start(self, name: str) -> None:
        """Start a time-out from now, or start it again."""
        self.cancel(name)
        self._calls[name] = self._clock.callLater(SECONDS[name], self._over, name)

    def running(self, name: str) -> bool:
        """Return whether a time-out was started, and has neither passed nor been cancelled."""
        return name in self._calls

    def postpone(self, name: str) -> None:
        """Start a time-out again from now, if it is running."""
        if name in self._calls:
            self._calls[name].reset(SECONDS[name])

    def heard(self) -> None:
        """Restart the time-outs that wait for any byte."""
        self.postpone("idle")
        self.postpone("silence")
        if self.running("answer"):
            self.cancel("answer")
            self.start("silence")

    def cancel(self, name: str) -> None:
        """Cancel a time-out; harmless if it is not running."""
        call = self._calls.pop(name, None)
        if call is not None:
            call.cancel()

    def cancel_all(self) -> None:
        for name in list(self._calls):
            self.cancel(name)

    def close(self) -> None:
        """Cancel all time-outs, and never call back again."""
        self.cancel_all()
        self._passed = _ignore

    def _over(self, name: str) -> None:
        del self._calls[name]
        self._passed(name)


def _ignore(*_arguments: object) -> None:
    """Do nothing, in place of a callback of a stream that is gone."""


Item = tuple[int, domish.Element | StreamError | None]
"""An index in the stream, and what was parsed there: a stanza, an error, or None at the end."""

READ_PIECE = 8 * 1024
"""Bytes that are parsed at once; dense XML of that size takes tens of milliseconds."""


class Inbox:
    """Parse and hand over what a client sends, and stop its transport where it must wait.

    So responses are sent in order, and a client that sends faster than it is answered, or uses
    more than its share of the time, fills its own buffers and not ours.

    Attributes:
        held: whether a stanza is being worked on; ``len`` says how many wait.
        unparsed: the bytes that have arrived and are not parsed yet.
        transport: the one that is stopped and started.
        budget_owner: the account or network whose share of the time is used.
    """

    def __init__(
        self,
        parse: Callable[[bytes], None],
        take: Callable[[Item], None],
        busy: Callable[[], bool],
        end: Callable[[str], None],
    ) -> None:
        """Prepare for input.

        Args:
            parse: parses the next bytes, and calls `put`.
            take: handles the next element; None is the end of the stream.
            busy: while it returns True nothing is handed over; call `go_on` when it no longer
                does.
            end: ends the stream with this condition, after a handler has failed.
        """
        self._parse = parse
        self._take = take
        self._busy = busy
        self._end = end
        self.unparsed = b""
        self._elements: deque[Item] = deque()
        self.held = False
        self._parsing = self._pumping = False
        self._paused = False
        self._closed = False
        self._rest: IDelayedCall | None = None
        self.transport: IPushProducer
        self.budget_owner: Hashable = None

    def connect(
        self, transport: IPushProducer, budgets: TimeBudgets, reactor: IReactorTime
    ) -> None:
        """Read from a transport; ``budgets`` give its client a share of the time."""
        self.transport = transport
        self._budgets = budgets
        self._reactor = reactor

    def arrived(self, data: bytes) -> None:
        """Parse what has arrived, as far as the client's share of the time allows."""
        self.unparsed += data
        self._parse_on()
        self._read_on()

    def put(self, element: Item) -> None:
        """Add an element that was parsed; None is the end of the stream."""
        self._elements.append(element)
        if self._waiting:
            self._pause()
        self._pump()

    def put_back(self, element: Item) -> None:
        """Let an element that was taken be taken again, before all others."""
        self._elements.appendleft(element)

    def __len__(self) -> int:
        return len(self._elements)

    @property
    def busy(self) -> bool:
        """Whether something is being worked out, or waits to be taken."""
        return self.held or len(self) > 0

    def clear(self) -> None:
        """Drop what was not handed over yet."""
        self.unparsed = b""
        self._elements.clear()

    def close(self) -> None:
        """Hand over nothing any more, and release the callbacks."""
        self._closed = True
        self.clear()
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._parse, self._take, self._busy, self._end = _ignore, _ignore, _never, _ignore

    def resume(self) -> None:
        """Let the transport read again, if it was stopped."""
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()

    def hold(self, working: Deferred[None]) -> None:
        """Hand over nothing until ``working`` has fired; it must not fail."""
        self.held = True
        working.addBoth(self._release)

    def go_on(self) -> None:
        """Hand over what waits, then read on, unless something holds the stream."""
        self._pump()
        self._parse_on()
        self._read_on()

    def _release(self, result: Failure | None) -> None:
        if isinstance(result, Failure):
            _inbox_log.failure("a stream's handler failed", failure=result)
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
        """Let the transport read again when everything that it has read was handed over."""
        left = self._parsing or self.unparsed or self._elements
        if not (left or self._closed or self._waiting):
            self.resume()

    def _parse_on(self) -> None:
        """Parse piece by piece, until the client has used its share of the time."""
        if self._parsing:  # Its answers come back to here: a parser is not to be nested.
            return
        self._parsing = True
        while self.unparsed and self._is_in_turn():
            piece, self.unparsed = self.unparsed[:READ_PIECE], self.unparsed[READ_PIECE:]
            with self._budgets.spending(self.budget_owner):
                self._parse(piece)
        self._parsing = False

    def _pump(self) -> None:
        if self._pumping:  # An answer that is ready at once comes back to here: never nest.
            return
        self._pumping = True
        while self._elements and not self._closed and not self._waiting and self._is_in_turn():
            with self._budgets.spending(self.budget_owner):
                self._take(self._elements.popleft())
        self._pumping = False

    def _is_in_turn(self) -> bool:
        """Return whether the client has time left; if not, schedule when it goes on."""
        if self._rest is None:
            seconds = self._budgets.seconds_to_wait(self.budget_owner)
            if not seconds:
                return True
            self._rest = self._reactor.callLater(seconds, self._rested)
            self._pause()
        return False

    def _rested(self) -> None:
        self._rest = None
        self.go_on()


def _never() -> bool:
    return False


WRITTEN_PIECE = 64 * 1024
"""Bytes that a transport is given at once; a client that has read them is alive."""

MAX_WAITING = 2 * 1024 * 1024
"""Bytes that may wait before others cannot add to them; the longest stanza has 1.5 MiB."""

MAX_UNREAD = 2 * MAX_WAITING
"""Bytes that may wait for one client; only presence and changes of the roster get that far.

Of the service's own answers, one may be longer: it is written when nothing else waits.
"""

MAX_UNREAD_TOGETHER = 128 * 1024 * 1024
"""Bytes that may wait for all clients of the process."""


class UnreadLedger:
    """Sum up what waits for all clients; when it is too much, drop the client with most."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._sizes: dict[Outbox, int] = {}
        self._total = 0
        self._faults = FaultLog(_unread_log, "Unread", seconds)

    def __len__(self) -> int:
        return len(self._sizes)

    def note(self, outbox: "Outbox", size: int) -> None:
        """Record that ``size`` bytes wait for a client now."""
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
    """Write to a transport as much as it takes, and keep the rest in order.

    The writer decides how much is written at once, not the client. So a client is judged by the
    time that it takes to read a piece: the deadline "unread" runs meanwhile, and the shorter
    "lagging" where much waits. Past `MAX_UNREAD` nothing is kept any more, and the deadline
    "overfull" drops the connection.

    Attributes:
        paused: whether the transport takes no more now, so that nothing should be answered.
    """

    def __init__(
        self, read: Callable[[], None], deadlines: Deadlines, ledger: UnreadLedger
    ) -> None:
        """``read`` is called when the client has read everything."""
        self.paused = False
        self._read = read
        self._deadlines = deadlines
        self._ledger = ledger
        self._given_up = False
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._taken: list[Deferred[None]] = []
        self._transport: IConsumer | None = None

    @property
    def lagging(self) -> bool:
        """Whether so much waits that others may not add to it."""
        return self._given_up or self._size > MAX_WAITING

    def connect(self, transport: IConsumer) -> None:
        """Write to a transport, or to the same one after it has changed to TLS."""
        self._transport = transport
        self._go_on()
        transport.registerProducer(self, True)

    def disconnect(self) -> None:
        """Write everything that waits to the transport, even if it asks to wait."""
        if self._transport is not None:
            self._transport.unregisterProducer()
        self._go_on()

    def close(self) -> None:
        """Drop what waits, and release the callback."""
        self._forget()
        self._go_on()
        self._deadlines.cancel("overfull")
        self._transport = None
        self._read = _ignore

    def write(self, data: bytes) -> None:
        """Write data after all that waits; drop the client if that is too much."""
        if self._given_up:
            return
        if self._size and self._size + len(data) > MAX_UNREAD:
            self.give_up()
            return
        for start in range(0, len(data), WRITTEN_PIECE):
            self._pieces.append(data[start : start + WRITTEN_PIECE])
        self._size += len(data)
        self._pass_on()
        self._watch()

    def give_up(self) -> None:
        """Drop what waits, take nothing more, and have the connection dropped."""
        self._given_up = True
        self._forget()
        # Not at once: who sends to many would have all of them end within each other.
        self._deadlines.start("overfull")

    def when_drained(self) -> Deferred[None]:
        """Fire when nothing waits any more, or the client is gone."""
        if not self.paused:
            return succeed(None)
        taken: Deferred[None] = Deferred()
        self._taken.append(taken)
        return taken

    def pauseProducing(self) -> None:
        self.paused = True
        self._deadlines.start("unread")

    def resumeProducing(self) -> None:
        """Go on writing: the client has read something, which is a sign of life."""
        self._deadlines.heard()
        self._go_on()
        if not self.paused:
            self._read()

    def stopProducing(self) -> None:
        """Do nothing: the stream is told by itself that the connection is lost."""

    def _go_on(self) -> None:
        self.paused = False
        for name in UNREAD - {"overfull"}:
            self._deadlines.cancel(name)
        self._pass_on()
        self._watch()
        while self._taken and not self.paused:
            self._taken.pop().callback(None)

    def _watch(self) -> None:
        if self.lagging and not self._deadlines.running("lagging"):
            self._deadlines.start("lagging")
        self._ledger.note(self, self._size)

    def _forget(self) -> None:
        self._pieces.clear()
        self._size = 0
        self._ledger.note(self, 0)

    def _pass_on(self) -> None:
        while self._transport is not None and self._pieces and not self.paused:
            piece = self._pieces.popleft()
            self._size -= len(piece)
            self._transport.write(piece)
