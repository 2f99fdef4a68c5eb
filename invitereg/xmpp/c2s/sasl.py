"""SASL for clients (RFC 6120 §6): SCRAM (RFC 5802, RFC 7677) and PLAIN (RFC 4616)."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scramp import ScramException, ScramMechanism
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.xish import domish
from wokkel.subprotocols import XMPPHandler

from invitereg.embedded.addresses import is_same_jid
from invitereg.errors import InvalidUsername, Refused
from invitereg.interfaces.accounts import ILogins
from invitereg.model.accounts import PLAIN
from invitereg.model.names import is_too_long, prepare_localpart
from invitereg.model.namespaces import NS_SASL
from invitereg.runtime.logs import RefusalLog
from invitereg.usecases.throttles import LoginThrottle
from invitereg.xmpp.c2s.stream import ClientStream
from invitereg.xmpp.stanzas import mark_handled

log = Logger("invitereg.xmpp.sasl.SaslHandler")

MAX_FAILURES = 5
# A name and a nonce. scramp prepares the name itself, however long it is: that takes long.
MAX_SCRAM_BYTES = 2048


class SaslFailure(Exception):
    """A login failed with a condition of RFC 6120 §6.5."""

    def __init__(self, condition: str, text: str | None = None) -> None:
        self.condition = condition
        self.text = text
        super().__init__(condition)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The server's challenge: the client must respond."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Success:
    """The login has succeeded."""

    username: str
    credentials_set_at: datetime
    data: bytes = b""


class SaslExchange:
    """One attempt to log in by one mechanism, at the domain of a stream."""

    def __init__(self, stream: ClientStream, logins: ILogins, throttle: LoginThrottle) -> None:
        self.stream = stream
        self.logins = logins
        self.throttle = throttle
        self.domain = stream.domain.name

    async def respond(self, data: bytes) -> Challenge | Success:
        """Process the client's next message; raises `SaslFailure`."""
        raise NotImplementedError

    async def attempt(
        self, username: str, verify: Callable[[], Awaitable[Success | None]]
    ) -> Success:
        """Run ``verify`` if the throttle allows an attempt; see `LoginThrottle.attempt`."""
        address = self.stream.address
        success = await self.throttle.attempt(self.domain, address, username, verify)
        if success is None:
            raise SaslFailure("not-authorized")
        return success


class PlainExchange(SaslExchange):
    """PLAIN: one message with name and password."""

    async def respond(self, data: bytes) -> Challenge | Success:
        """Check name and password; an empty message asks for them (RFC 6120 §6.4.2)."""
        if not data:
            return Challenge(b"")
        try:
            authzid, authcid, password = data.decode().split("\0")
        except ValueError:
            raise SaslFailure("malformed-request") from None
        username = _localpart(authcid)
        if authzid and not is_same_jid(authzid, f"{username}@{self.domain}"):
            raise SaslFailure("invalid-authzid")
        return await self.attempt(username, lambda: self._verify(username, password))

    async def _verify(self, username: str, password: str) -> Success | None:
        set_at = await self.logins.check_password(username, password)
        return None if set_at is None else Success(username, set_at)


class ScramExchange(SaslExchange):
    """SCRAM without channel binding: two messages, checked by scramp."""

    def __init__(
        self, stream: ClientStream, logins: ILogins, throttle: LoginThrottle, mechanism: str
    ) -> None:
        super().__init__(stream, logins, throttle)
        self._mechanism = ScramMechanism(mechanism)
        self._server: Any = None
        self._username = ""
        self._set_at: datetime | None = None

    async def respond(self, data: bytes) -> Challenge | Success:
        """Process the client's first message, then its final one."""
        if len(data) > MAX_SCRAM_BYTES:
            raise SaslFailure("malformed-request")
        try:
            text = data.decode()
            if self._server is not None:
                return await self.attempt(self._username, lambda: self._verify(text))
            return await self._begin(text) if text else Challenge(b"")
        except UnicodeDecodeError:
            raise SaslFailure("malformed-request") from None
        except ScramException as error:
            authzid = "authzid" in str(error)
            raise SaslFailure("invalid-authzid" if authzid else "malformed-request") from None

    async def _begin(self, message: str) -> Challenge:
        self._username = _localpart(self._name_in(message))
        keys, self._set_at = await self.logins.get_scram_keys(
            self._username, self._mechanism.name
        )
        known = (keys.salt, keys.stored_key, keys.server_key, keys.iterations)
        self._server = self._mechanism.make_server(lambda _name: known)
        self._server.set_client_first(message)
        return Challenge(self._server.get_server_first().encode())

    def _name_in(self, message: str) -> str:
        """Return the username in the client's first message.

        scramp asks for an account's keys while it parses that message, and ours must be fetched
        first: so it parses the message once for the name, and again with the keys.
        """
        parts = (part[2:] for part in message.split(",") if part.startswith("n="))
        if any(is_too_long(part) for part in parts):
            raise SaslFailure("not-authorized")
        names: list[str] = []

        def note(name: str) -> tuple[bytes, bytes, bytes, int]:
            names.append(name)
            return bytes(16), b"", b"", 4096

        self._mechanism.make_server(note).set_client_first(message)
        return names[0]

    async def _verify(self, message: str) -> Success | None:
        try:
            self._server.set_client_final(message)
        except ScramException as error:
            if error.server_error is not None and error.server_error.value == "invalid-proof":
                return None
            raise
        if self._set_at is None:
            return None
        return Success(self._username, self._set_at, self._server.get_server_final().encode())


class SaslHandler(XMPPHandler):
    """Run exchanges until one succeeds, or too many have failed."""

    xmlstream: ClientStream

    def __init__(
        self,
        logins: Mapping[str, ILogins],
        throttle: LoginThrottle,
        failed_logins: RefusalLog,
    ) -> None:
        super().__init__()
        self._logins = logins
        self._throttle = throttle
        self._failed_logins = failed_logins
        self._exchange: SaslExchange | None = None
        self._failures = 0

    def connectionMade(self) -> None:
        for name in ("auth", "response", "abort"):
            self.xmlstream.addObserver(f"/{name}[@xmlns='{NS_SASL}']", self._take)

    def _begin(self, mechanism: str) -> SaslExchange | None:
        logins = self._logins[self.xmlstream.domain.name]
        if mechanism not in logins.mechanisms:
            return None
        login = self.xmlstream, logins, self._throttle
        return PlainExchange(*login) if mechanism == PLAIN else ScramExchange(*login, mechanism)

    def _take(self, element: domish.Element) -> None:
        mark_handled(element)
        if element.name == "auth":
            if self._exchange is not None:
                # Given up without a word: it counts, or there would be no end of starting anew.
                self._failures += 1
            self._exchange = self._begin(element.getAttribute("mechanism") or "")
        if element.name == "abort":
            self._fail(SaslFailure("aborted"))
        elif self._exchange is None:
            known = element.name != "auth"
            self._fail(SaslFailure("malformed-request" if known else "invalid-mechanism"))
        else:
            self.xmlstream.hold(Deferred.fromCoroutine(self._step(self._exchange, element)))

    async def _step(self, exchange: SaslExchange, element: domish.Element) -> None:
        sid = self.xmlstream.sid
        try:
            outcome = await exchange.respond(_decode(str(element)))
        except SaslFailure as failure:
            self._fail(failure)
        except Refused as refusal:
            self._fail(SaslFailure("temporary-auth-failure", refusal.text))
        except Exception:
            log.failure("a login failed (error {id})", id=sid)
            self._fail(SaslFailure("temporary-auth-failure"))
        else:
            self._go_on(outcome)

    def _go_on(self, outcome: Challenge | Success) -> None:
        stream = self.xmlstream
        if stream is None or stream.closing:
            return
        if isinstance(outcome, Challenge):
            self._say("challenge", outcome.data)
            self._end_if_failed_too_often()
            return
        self._exchange = None
        self._say("success", outcome.data)
        stream.authenticated(outcome.username, outcome.credentials_set_at)

    def _say(self, name: str, data: bytes) -> None:
        element = domish.Element((NS_SASL, name))
        if data:
            element.addContent(base64.b64encode(data).decode())
        self.xmlstream.send(element)

    def _fail(self, failure: SaslFailure) -> None:
        stream, self._exchange = self.xmlstream, None
        if stream is None or stream.closing:
            return
        element = domish.Element((NS_SASL, "failure"))
        element.addElement(failure.condition)
        if failure.text:
            element.addElement("text", content=failure.text)
        stream.send(element)
        self._failures += 1
        self._failed_logins.info(
            "login failed at {domain} from {address}: {rule}",
            domain=stream.domain.name,
            address=stream.address,
            rule=failure.condition,
        )
        self._end_if_failed_too_often()

    def _end_if_failed_too_often(self) -> None:
        if self._failures >= MAX_FAILURES:
            self.xmlstream.end("policy-violation", "Too many failed logins.")


def stream_feature(mechanisms: Sequence[str]) -> domish.Element:
    """Return the feature with the mechanisms, the strongest first (RFC 6120 §6.3.3)."""
    feature = domish.Element((NS_SASL, "mechanisms"))
    for mechanism in mechanisms:
        feature.addElement("mechanism", content=mechanism)
    return feature


def _decode(text: str) -> bytes:
    """Decode an element's base64; ``=`` stands for empty data (RFC 6120 §6.4.2)."""
    if text == "=":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SaslFailure("incorrect-encoding") from None


def _localpart(name: str) -> str:
    try:
        return prepare_localpart(name)
    except InvalidUsername:
        raise SaslFailure("not-authorized") from None
