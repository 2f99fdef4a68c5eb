"""Whether the server behind a domain may be used: it must leave registration to us.

Where it registers by itself, every rule of ours could be walked around through the stream that
is handed over; so it is asked, before the first client and after every failure.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.protocols.jabber.xmlstream import NS_STREAMS
from twisted.words.xish import domish

from invitereg.xmpp.parser import BoundedElementStream
from invitereg.xmpp.phases import NS_CLIENT
from invitereg.xmpp.proxyheader import proxy_header
from invitereg.xmpp.register import NS_REGISTER
from invitereg.xmpp.upstream import SECONDS, Opened, ServerStream, Upstream, UpstreamFailure

_REMEDY = (
    "the server registers accounts by itself, which would be a way around every rule: turn "
    "that off. Prosody: remove register, register_ibr and invites_register from "
    "modules_enabled, or set allow_registration = false. ejabberd: remove mod_register, or set "
    "its access: none"
)


class Behind:
    """The server behind one domain, as far as is known.

    Attributes:
        upstream: how it is reached.
    """

    _log = Logger()

    def __init__(self, upstream: Upstream, reactor: Any) -> None:
        self.upstream = upstream
        self._reactor = reactor
        self._checked = False
        self._checking: list[Deferred[None]] | None = None
        self._said: str | None = None

    async def problem(self) -> str | None:
        """Why it must not or cannot be used, or None; asks it if that is not known."""
        try:
            await self._check_once()
        except UpstreamFailure as failure:
            return str(failure)
        return None

    def reached(self) -> None:
        """Note that a client has got through to it."""
        if self._said is not None:
            self._said = None
            self._log.info("the server of {domain} is there again", domain=self.upstream.domain)

    def failed(self, problem: str) -> None:
        """Note that a client has not got through; said once, until something changes."""
        self._checked = False
        if problem != self._said:
            self._said = problem
            self._log.error(
                "the server of {domain} at {connect} is not used: {problem}",
                domain=self.upstream.domain,
                connect=self.upstream.connect,
                problem=problem,
            )

    async def _check_once(self) -> None:
        """Ask, once for all who wait; raises UpstreamFailure."""
        if self._checked:
            return
        if self._checking is not None:
            waiting: Deferred[None] = Deferred()
            self._checking.append(waiting)
            await waiting
            return
        self._checking = []
        outcome: UpstreamFailure | None = None
        try:
            await check_registration(self.upstream, self._reactor)
            self._checked = True
        except UpstreamFailure as failure:
            outcome = failure
        waiters, self._checking = self._checking, None
        for one in waiters:
            one.callback(None) if outcome is None else one.errback(outcome)
        if outcome is not None:
            raise outcome


async def check_registration(upstream: Upstream, reactor: Any) -> None:
    """Ask a server for its registration form before login (XEP-0077 §3.1).

    Raises:
        UpstreamFailure: it gives one, or it cannot be asked.
    """
    header = (
        f"<?xml version='1.0'?><stream:stream to='{upstream.domain}' version='1.0' "
        f"xmlns='{NS_CLIENT}' xmlns:stream='{NS_STREAMS}'>"
    )
    before = proxy_header(upstream.proxy_protocol, None, None)
    stream = ServerStream(upstream, before, header.encode(), reactor)
    opened: Opened = await stream.connect(reactor)
    answer: Deferred[str] = Deferred()
    answer.addTimeout(SECONDS, reactor, lambda _result, _seconds: "timeout")
    reader = _AnswerReader(opened, answer)
    stream.received, stream.lost = reader.read, reader.lost
    request = (
        f"<iq type='get' id='r' to='{upstream.domain}'><query xmlns='{NS_REGISTER}'/></iq>"
    )
    stream.transport.write(request.encode())
    kind = await answer
    stream.lost = _ignore
    stream.transport.abortConnection()
    if kind == "timeout":
        raise UpstreamFailure(f"it has not answered a request within {SECONDS:.0f} seconds")
    if kind == "result":
        raise UpstreamFailure(_REMEDY)


def _ignore() -> None:
    """Nobody waits any more."""


class _AnswerReader:
    """Reads a server's stream up to the first iq."""

    def __init__(self, opened: Opened, answer: "Deferred[str]") -> None:
        self._fire: Callable[[str], None] | None = answer.callback
        self._parser = BoundedElementStream(64 * 1024, 32)
        self._parser.DocumentStartEvent = lambda _root: None
        self._parser.ElementEvent = self._on_element
        self._parser.DocumentEndEvent = self.lost
        self.read(opened.header + opened.rest)

    def read(self, data: bytes) -> None:
        try:
            self._parser.parse(data)
        except StreamError:
            self.lost()

    def lost(self) -> None:
        """No answer is as good as a refusal: then nobody can register there, either."""
        self._answer("lost")

    def _on_element(self, element: domish.Element) -> None:
        if element.name == "iq":
            self._answer(element.getAttribute("type") or "")
        else:
            self._answer(element.name)

    def _answer(self, kind: str) -> None:
        fire, self._fire = self._fire, None
        if fire is not None:
            fire(kind)
