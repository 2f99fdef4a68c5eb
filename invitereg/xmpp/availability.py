"""Which sessions are there to read messages: they say so themselves (RFC 6121 §4.2, §4.7.2.3).

https://www.rfc-editor.org/rfc/rfc6121#section-4.2
"""

from collections.abc import Callable

from twisted.words.xish import domish
from wokkel.subprotocols import XMPPHandler

from invitereg.xmpp.phases import Phase
from invitereg.xmpp.stream import ClientStream

_PRIORITIES = range(-128, 128)


class AvailabilityHandler(XMPPHandler):
    """Remembers a session's priority, and says when somebody is there to read."""

    xmlstream: ClientStream

    def __init__(self, arrived: Callable[[str, str], None]) -> None:
        super().__init__()
        self._arrived = arrived

    def connectionMade(self) -> None:
        """Listen."""
        self.xmlstream.addObserver("/presence", self._on_presence)

    def _on_presence(self, presence: domish.Element) -> None:
        stream = self.xmlstream
        if stream.phase is not Phase.BOUND or presence.hasAttribute("to"):
            return
        kind = presence.getAttribute("type")
        if kind == "unavailable":
            stream.priority = None
        elif kind is None:
            was_there = _reads(stream.priority)
            stream.priority = _priority(presence)
            if _reads(stream.priority) and not was_there:
                self._arrived(stream.domain.name, stream.username or "")


def _reads(priority: int | None) -> bool:
    return priority is not None and priority >= 0


def _priority(presence: domish.Element) -> int:
    """The priority of a presence; 0 where it says none, or nothing of use."""
    try:
        priority = int(str(presence.priority or 0))
    except ValueError:
        return 0
    return priority if priority in _PRIORITIES else 0
