"""Keep a connection to a server as its external component (XEP-0114).

https://xmpp.org/extensions/xep-0114.html

The server may also announce privileges: what its component may do for its users (XEP-0356).

https://xmpp.org/extensions/xep-0356.html
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.component import componentFactory
from twisted.words.protocols.jabber.error import StanzaError, exceptionFromStanza
from twisted.words.protocols.jabber.xmlstream import STREAM_ERROR_EVENT, XmlStream
from twisted.words.xish import domish
from twisted.words.xish.utility import EventDispatcher
from wokkel.subprotocols import StreamManager

from invitereg.embedded.addresses import is_same_jid
from invitereg.interfaces.server import OutcomeUnknown, ServerUnreachable
from invitereg.model.namespaces import NS_PRIVILEGE
from invitereg.policy.values import Network
from invitereg.runtime import IReactor
from invitereg.runtime.logs import FaultLog, named, quoted
from invitereg.runtime.trustedendpoint import trusted_client
from invitereg.xmpp.component.admission import Admission
from invitereg.xmpp.parser import SkippingElementStream
from invitereg.xmpp.stanzas import UNREADABLE, ping

_log = Logger("invitereg.xmpp.componentstream.ComponentStream")


class QuietClientService(ClientService):
    """Twisted's service without its own log lines, which name objects by their addresses."""

    _log = Logger(observer=LogPublisher())  # which has no observers


SILENCE_SECONDS = 60.0
"""After so long without a byte the other end is pinged."""
ANSWER_SECONDS = 5.0
"""How long the other end may take to send any byte after that."""


class KeepAlive:
    """Find out that the other end of a connection is gone, although nothing has said so.

    A line that is dead, or a program that hangs, closes no connection: TCP would wait for
    hours.
    """

    def __init__(
        self, clock: IReactorTime, ask: Callable[[], None], dead: Callable[[], None]
    ) -> None:
        """``ask`` makes the other end send something; ``dead`` is called if it does not."""
        self._clock = clock
        self._ask = ask
        self._dead = dead
        self._heard_at = clock.seconds()
        self._timer = clock.callLater(SILENCE_SECONDS, self._doubt)
        self._doubted = False

    def heard(self) -> None:
        """Record that something has arrived."""
        self._heard_at = self._clock.seconds()
        if self._doubted:
            self._doubted = False
            self._timer.cancel()
            self._timer = self._clock.callLater(SILENCE_SECONDS, self._doubt)
        else:
            self._timer.reset(SILENCE_SECONDS)

    def unanswered(self, seconds: float) -> None:
        """Ask, if nothing has arrived since a request that was sent ``seconds`` ago."""
        if not self._doubted and self._heard_at <= self._clock.seconds() - seconds:
            self._timer.cancel()
            self._doubt()

    def stop(self) -> None:
        if self._timer.active():
            self._timer.cancel()

    def _doubt(self) -> None:
        self._doubted = True
        self._timer = self._clock.callLater(ANSWER_SECONDS, self._dead)
        self._ask()


KNOWN = {
    "roster": {"none", "get", "set", "both"},
    "message": {"none", "outgoing"},
    "presence": {"none", "managed_entity", "roster"},
}
"""The kinds of access, by what they are to; others are ignored (XEP-0356 §4 to §6)."""


@dataclass(frozen=True, slots=True)
class Privileges:
    """The privileges that the server of one domain has announced (XEP-0356).

    Attributes:
        domain: the domain of the server.
        granted: the kind of access, by what it is to; see `KNOWN`.
        namespace: the version in which they were announced; "" before that.
    """

    domain: str
    granted: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""

    def announced(self, message: domish.Element) -> "Privileges":
        """Return the privileges after a message, which counts only from the domain itself."""
        if message.getAttribute("from") != self.domain:
            return self
        for child in message.elements():
            if child.name == "privilege" and child.uri in NS_PRIVILEGE:
                return Privileges(self.domain, _known_in(child), child.uri)
        return self

    def of(self, domain: str, access: str) -> str:
        """Return the kind of access to something at a domain; ``none`` without a privilege."""
        return self.granted.get(access, "none") if domain == self.domain else "none"


def _known_in(privilege: domish.Element) -> dict[str, str]:
    return {
        perm["access"]: perm["type"]
        for perm in privilege.elements(privilege.uri, "perm")
        if perm.getAttribute("type") in KNOWN.get(perm.getAttribute("access") or "", ())
    }


HANDSHAKE_SECONDS = 10.0
_LOOK_SECONDS = 0.1
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0
_FACTOR = 1.5
_HINTS = {
    "not-authorized": "the secret is another than the server's",
    "host-unknown": "the server knows no component of that name",
    "conflict": "the server has such a connection already: another invitereg's?",
}
_NOT_OF_COMPONENTS = UNREADABLE | {"unsupported-stanza-type"}

_SILENT = "answers nothing: connecting again"
_TOO_SLOW = "did not finish the handshake: is it another port?"
_NOBODY_LISTENS = (
    "is the server running, and does it listen there for components "
    "(Prosody: component_ports; ejabberd: a listener with ejabberd_service)?"
)


class ComponentStream(StreamManager):
    """Send and receive the stanzas of a component; its handlers are wokkel's.

    Nothing waits for a connection: what cannot be sent at once is dropped.

    Attributes:
        jid: the component's address.
        host: the domain that it is for, as its server spells it.
        ready: whether the handshake is done, so that stanzas can be sent.
        privileges: what the server has announced on this connection (XEP-0356).
    """

    def __init__(
        self,
        reactor: IReactor,
        endpoint: str,
        jid: str,
        secret: str,
        host: str,
        trusted: tuple[Network, ...] = (),
    ) -> None:
        """Prepare, without connecting.

        Args:
            reactor: connects, and tells the time.
            endpoint: a Twisted client endpoint, as ``tcp:127.0.0.1:5347``.
            jid: the component's address.
            secret: shared with the server.
            host: the domain that it is for, as its server spells it.
            trusted: networks in which a server may be reached in clear text.
        """
        factory = componentFactory(jid, secret)
        factory.protocol = _ComponentXmlStream
        factory.noisy = False
        super().__init__(factory, reactor)
        self.jid, self.host = jid, host
        self.privileges = Privileges(host)
        self._admission = Admission(host, reactor.seconds, self.send)
        self.faults = FaultLog(_log, f"component {jid}", reactor.seconds)
        self._cause = "not connected yet"
        self._endpoint = endpoint
        self._attempts = 0
        self._handshake: IDelayedCall | None = None
        self._keep_alive: KeepAlive | None = None
        # By the id of the request: who waits, and for whose answer.
        self._asked: dict[str, tuple[str, Deferred[domish.Element]]] = {}
        self._service = QuietClientService(
            trusted_client(reactor, endpoint, trusted),
            factory,
            retryPolicy=self._pause,
            clock=reactor,
            prepareConnection=None,
        )

    @property
    def ready(self) -> bool:
        return bool(self._initialized)

    def start(self) -> None:
        """Connect, and connect again whenever the connection is lost."""
        self._service.startService()
        self._watch_attempt()

    async def when_ready(self, seconds: float) -> None:
        """Wait until stanzas can be sent; raise ServerUnreachable after ``seconds``."""
        end = self._reactor.seconds() + seconds
        while not self.ready:
            if self._reactor.seconds() >= end:
                raise ServerUnreachable(self._cause)
            await deferLater(self._reactor, _LOOK_SECONDS)

    def stop(self) -> Deferred[None]:
        """Close the connection for good."""
        if not self._service.running:
            return succeed(None)
        stopped: Deferred[None] = self._service.stopService()
        return stopped

    def ask(self, iq: domish.Element, seconds: float) -> Deferred[domish.Element]:
        """Send a request, and return its result.

        The response must come from the address that the request was sent to.

        Raises:
            StanzaError: the response was an error.
            ServerUnreachable: the request was not sent, as there is no connection.
            OutcomeUnknown: no response in time, or the connection was lost meanwhile.
        """
        if not self.ready or self.xmlstream is None:
            return fail(ServerUnreachable(f"no component connection: {self._cause}"))
        # Not to be guessed, as nothing else tells a true answer from a forged one.
        iq["id"] = secrets.token_hex(8)
        iq["from"] = self.jid
        asked: Deferred[domish.Element] = Deferred()
        self._asked[iq["id"]] = iq["to"], asked
        asked.addTimeout(seconds, self._reactor, partial(self._give_up, iq["id"]))
        self.xmlstream.send(iq)
        return asked

    def _give_up(self, stanza_id: str, _cancelled: object, seconds: float) -> NoReturn:
        del self._asked[stanza_id]
        if self._keep_alive is not None:
            self._keep_alive.unanswered(seconds)
        raise OutcomeUnknown(f"no answer within {seconds:.1f} seconds")

    def send(self, obj: domish.Element) -> None:
        """Send a stanza, or drop it where there is no connection."""
        if self.ready and self.xmlstream is not None:
            self.xmlstream.send(obj)

    def _connected(self, xs: "_ComponentXmlStream") -> None:
        """Start the handshake's time-out on a new connection."""
        super()._connected(xs)
        xs.addObserver(STREAM_ERROR_EVENT, self._on_stream_error)
        self._handshake = self._reactor.callLater(HANDSHAKE_SECONDS, self._drop, xs, _TOO_SLOW)
        if hasattr(xs.transport, "setTcpKeepAlive"):
            xs.transport.setTcpKeepAlive(True)

    def _authd(self, xs: "_ComponentXmlStream") -> None:
        self._end_handshake()
        self._attempts = 0
        self.privileges = Privileges(self.privileges.domain)
        xs.stream.ElementEvent = lambda element: self._received(xs, element)
        xs.stream.is_expected = lambda attributes: attributes.get("id") in self._asked
        self._keep_alive = KeepAlive(
            self._reactor, self._ping, partial(self._drop, xs, _SILENT)
        )
        xs.rawDataInFn = lambda _data: self._heard()
        super()._authd(xs)
        self.faults.worked()
        _log.info("component {jid} connected to {to}", jid=self.jid, to=self._endpoint)

    def _heard(self) -> None:
        if self._keep_alive is not None:
            self._keep_alive.heard()

    def _ping(self) -> None:
        """Ping ourselves: every server routes that, and answers it if we do not."""
        self.send(ping(self.jid, self.jid))

    def _received(self, xs: "_ComponentXmlStream", element: domish.Element) -> None:
        """Handle a stanza from the server; handlers see what is admitted, and no presence."""
        match element.name, element.getAttribute("type"):
            case "iq", "result" | "error":
                self._onIQResponse(element)
            case "iq" | "message", _:
                self.privileges = self.privileges.announced(element)
                if self._admission.admits(element):
                    xs.dispatch(element)
            case name, _ if name != "presence":
                xs.dispatch(element)

    def _onIQResponse(self, iq: domish.Element) -> None:
        stanza_id = iq.getAttribute("id") or ""
        whom, asked = self._asked.get(stanza_id, ("", None))
        if asked is None or not is_same_jid(iq.getAttribute("from") or whom, whom):
            return
        del self._asked[stanza_id]
        iq.handled = True  # type: ignore[attr-defined]  # read by wokkel
        if iq["type"] == "error":
            asked.errback(_error_in(iq))
        else:
            asked.callback(iq)

    def _disconnected(self, reason: Failure) -> None:
        was_ready = self.ready
        self._end_handshake()
        if self._keep_alive is not None:
            self._keep_alive.stop()
            self._keep_alive = None
        super()._disconnected(reason)
        if not self._service.running:
            self._cause = "it is stopped"
        elif was_ready:
            self._failed(f"the connection to {self._endpoint} was lost")
        elif self._cause.startswith("not connected"):
            self._failed(f"{self._endpoint} closed the connection during the handshake")
        asked, self._asked = self._asked, {}
        for _whom, waiting in asked.values():
            waiting.errback(OutcomeUnknown("the connection was lost before the answer"))

    def _on_stream_error(self, failure: Failure) -> None:
        condition = getattr(failure.value, "condition", "") or "undefined-condition"
        text = getattr(failure.value, "text", None)
        hint = _HINTS.get(condition, "see the server's log")
        if condition in _NOT_OF_COMPONENTS and not self.ready:
            hint = "is this its port for components?"
        said = f"{named(condition)} ({quoted(text)})" if text else named(condition)
        self._failed(f"{self._endpoint} refused {self.jid}: {said}: {hint}")

    def _drop(self, xs: "_ComponentXmlStream", why: str) -> None:
        self._failed(f"{self._endpoint} {why}")
        xs.transport.abortConnection()

    def _end_handshake(self) -> None:
        if self._handshake is not None and self._handshake.active():
            self._handshake.cancel()

    def _failed(self, cause: str) -> None:
        self._cause = cause
        self.faults.failed(cause)

    def _pause(self, _failed_attempts: int) -> float:
        """Return the seconds until the next attempt; Twisted resets its own count too early."""
        self._reactor.callLater(0, self._watch_attempt)
        pause = min(FIRST_PAUSE * _FACTOR**self._attempts, LONGEST_PAUSE)
        if not self._attempts:
            _log.info(
                "component {jid} tries {endpoint} again, every few seconds",
                jid=self.jid,
                endpoint=self._endpoint,
            )
        self._attempts = min(self._attempts + 1, 10)
        return float(pause)

    def _watch_attempt(self) -> None:
        """Log why the next attempt fails, if it does."""
        if self._service.running:
            connected = self._service.whenConnected(failAfterFailures=1)
            connected.addCallbacks(lambda _protocol: None, self._on_attempt_failed)

    def _on_attempt_failed(self, failure: Failure) -> None:
        if failure.check(ConnectError, DNSLookupError):
            text = failure.getErrorMessage().rstrip(".")
            hint = f": {_NOBODY_LISTENS}" if failure.check(Refused) else ""
            self._failed(f"cannot connect to {self._endpoint}: {text}{hint}")


class _ComponentXmlStream(XmlStream):
    """Parse with our own parser: Twisted's may hold a complete stanza back."""

    transport: ITCPTransport
    stream: SkippingElementStream

    def _initializeStream(self) -> None:
        self.stream = SkippingElementStream()
        self.stream.DocumentStartEvent = self.onDocumentStart
        self.stream.ElementEvent = self.onElement
        self.stream.DocumentEndEvent = self.onDocumentEnd

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Release what refers to us, so that it does not wait for the garbage collector."""
        parser = self.stream
        super().connectionLost(reason)
        parser.DocumentStartEvent = parser.ElementEvent = parser.DocumentEndEvent = None
        EventDispatcher.__init__(self)
        self.authenticator.xmlstream = None
        self.initializers: list[object] = []


def _error_in(iq: domish.Element) -> StanzaError:
    try:
        error: StanzaError = exceptionFromStanza(iq)
    except Exception:  # Twisted's own reader stumbles over a code that is none
        return StanzaError("undefined-condition")
    return error
