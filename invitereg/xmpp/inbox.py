"""What a client has sent, taken one stanza after the other."""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure


class Inbox:
    """Hands over what has arrived, and stops the transport while something must wait.

    So answers come in order, and a client that sends faster than it is answered fills its own
    buffers and not ours.

    Attributes:
        held: whether something is being worked out; its length is how much waits.
    """

    _log = Logger()

    def __init__(
        self, take: Callable[[Any], None], busy: Callable[[], bool], end: Callable[[str], None]
    ) -> None:
        """``take`` gets the next element, None being the end of the stream.

        While ``busy`` says so nothing is taken; `go_on` is to be called when it no longer
        does. ``end`` is called with a stream error when what held the stream has failed.
        """
        self._take = take
        self._busy = busy
        self._end = end
        self._elements: deque[Any] = deque()
        self.held = False
        self._pumping = False
        self._paused = False
        self._closed = False
        self.transport: Any = None

    def put(self, element: Any) -> None:
        """Add what has arrived."""
        self._elements.append(element)
        if self._waiting and not self._paused:
            self._paused = True
            self.transport.pauseProducing()
        self._pump()

    def __len__(self) -> int:
        return len(self._elements)

    def clear(self) -> None:
        """Throw away what has not been taken."""
        self._elements.clear()

    def close(self) -> None:
        """Take nothing any more, and keep nobody in memory by calling back."""
        self._closed = True
        self.clear()
        self._take, self._busy, self._end = _ignore, _never, _ignore

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
        """Take what waits, if nothing is in its way any more."""
        if not self._closed and not self._waiting:
            self.resume()
            self._pump()

    def _release(self, result: Any) -> None:
        if isinstance(result, Failure):
            self._log.failure("a stream's handler failed", failure=result)
            self._end("internal-server-error")
        self.held = False
        self.go_on()

    @property
    def _waiting(self) -> bool:
        return self.held or self._busy()

    def _pump(self) -> None:
        if self._pumping:  # An answer that is ready at once comes back to here: never nest.
            return
        self._pumping = True
        while self._elements and not self._waiting and not self._closed:
            self._take(self._elements.popleft())
        self._pumping = False


def _ignore(_element: Any) -> None:
    """Nobody takes it any more."""


def _never() -> bool:
    return False
