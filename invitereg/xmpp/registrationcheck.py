"""Asks a server for its registration form before login (XEP-0077 §3.1)."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish

from invitereg.xmpp.header import client_header
from invitereg.xmpp.parser import BoundedElementStream
from invitereg.xmpp.register import NS_REGISTER
from invitereg.xmpp.upstream import SECONDS, Opened, ServerStream
from invitereg.xmpp.upstreamhints import UpstreamFailure
from invitereg.xmpp.upstreamkeys import Upstream

_REMEDY = (
    "it registers accounts by itself, which would be a way around every rule. "
    "Prosody: set allow_registration = false, and remove invites_register and register_ibr "
    "from modules_enabled. ejabberd: remove mod_register from modules. Then restart it"
)
_REQUEST = f"<iq type='get' id='r'><query xmlns='{NS_REGISTER}'/></iq>".encode()


async def check_registration(upstream: Upstream, reactor: Any) -> domish.Element:
    """Be sure that a server registers nobody by itself.

    Returns:
        its stream features.

    Raises:
        UpstreamFailure: it has a form for everybody, or it cannot be asked.
    """
    header = client_header(upstream.domain)
    stream = ServerStream(upstream, header, reactor)
    opened: Opened = await stream.connect(reactor)
    answer: Deferred[str] = Deferred()
    answer.addTimeout(SECONDS, reactor, lambda _result, _seconds: "timeout")
    reader = _AnswerReader(opened, answer.callback)
    stream.received, stream.lost = reader.read, reader.lost
    stream.transport.write(_REQUEST)
    kind = await answer
    stream.received, stream.lost = reader.ignore, reader.lost
    stream.transport.abortConnection()
    if kind == "timeout":
        raise UpstreamFailure(f"it has not answered a request within {SECONDS:.0f} seconds")
    if kind == "result":
        raise UpstreamFailure(_REMEDY)
    return opened.features


class _AnswerReader:
    """Reads a server's stream up to its answer."""

    def __init__(self, opened: Opened, fire: Callable[[str], None]) -> None:
        self._fire: Callable[[str], None] | None = fire
        self._parser = BoundedElementStream(64 * 1024, 32)
        self._parser.DocumentStartEvent = lambda _root: None
        self._parser.ElementEvent = self._on_element
        self._parser.DocumentEndEvent = self.lost
        self.read(opened.header + opened.rest)

    def read(self, data: bytes) -> None:
        """Take the next bytes."""
        try:
            self._parser.parse(data)
        except StreamError:
            self.lost()

    def ignore(self, _data: bytes) -> None:
        """Take no more."""

    def lost(self) -> None:
        """No answer is as good as a refusal: then nobody can register there, either."""
        self._answer("lost")

    def _on_element(self, element: domish.Element) -> None:
        kind = element.getAttribute("type") if element.name == "iq" else element.name
        self._answer(kind or "")

    def _answer(self, kind: str) -> None:
        fire, self._fire = self._fire, None
        if fire is not None:
            self._parser.silence()
            fire(kind)
