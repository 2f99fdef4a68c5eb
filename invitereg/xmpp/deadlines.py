"""How long a stream may take for what."""

from collections.abc import Callable
from typing import Any

# A person is typing between the form and its submission: that is a matter of minutes.
SECONDS = {
    "tls": 30.0,
    "header": 60.0,
    "idle": 10 * 60.0,
    "login": 30 * 60.0,
    "silence": 5 * 60.0,
    "answer": 60.0,
    "unread": 120.0,
    "behind": 15.0,
    "overfull": 0.0,
    "close": 5.0,
    "drain": 60.0,
}
# What has passed these is dropped: nobody would hear anything.
WITHOUT_A_WORD = frozenset({"close", "drain"})
# What has passed these did not read what it was sent.
UNREAD = frozenset({"unread", "behind", "overfull"})


class Deadlines:
    """Named time-outs of one stream.

    tls: from the connection to the end of the TLS handshake. header: from the connection, TLS
    or the login to the stream header, which no person types. idle: without a byte, before
    login. login: from the connection to the bound resource, or to a success of the server
    behind, whatever is sent. silence: without a byte, in a session. answer: from the ping that
    follows it to the next byte. unread: from one piece that a client has read to the next, if
    something waits for it. behind: likewise, if so much waits that others cannot add to it.
    overfull: until a stream is dropped for which more waits than may be kept. close: from our
    closing of the stream to the peer's. drain: likewise, where a server's last bytes are still
    to be read.
    """

    def __init__(self, clock: Any, passed: Callable[[str], None]) -> None:
        self._clock = clock
        self._passed = passed
        self._calls: dict[str, Any] = {}

    def start(self, name: str) -> None:
        """Call back with ``name`` when its time, from now on, is over."""
        self.cancel(name)
        self._calls[name] = self._clock.callLater(SECONDS[name], self._over, name)

    def running(self, name: str) -> bool:
        """Whether it has been started, and neither passed nor been cancelled."""
        return name in self._calls

    def postpone(self, name: str) -> None:
        """Start it again from now, if it is running."""
        if name in self._calls:
            self._calls[name].reset(SECONDS[name])

    def heard(self) -> None:
        """Begin anew with what waits for a sign of life."""
        self.postpone("idle")
        self.postpone("silence")
        if self.running("answer"):
            self.cancel("answer")
            self.start("silence")

    def cancel(self, name: str) -> None:
        """Do not call back for ``name``."""
        call = self._calls.pop(name, None)
        if call is not None:
            call.cancel()

    def cancel_all(self) -> None:
        """Do not call back at all."""
        for name in list(self._calls):
            self.cancel(name)

    def close(self) -> None:
        """Do not call back at all, ever again."""
        self.cancel_all()
        self._passed = _ignore

    def _over(self, name: str) -> None:
        del self._calls[name]
        self._passed(name)


def _ignore(_name: str) -> None:
    """Nobody is there any more."""
