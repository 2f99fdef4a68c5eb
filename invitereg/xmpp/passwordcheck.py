"""Whether a password is right, found out by a login at the server that keeps it (RFC 6120 §6).

Nothing is kept of it: each check is a login of its own, which ends before a resource is bound.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol
from xml.sax.saxutils import quoteattr

from scramp import ScramClient, ScramException
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish

from invitereg.interfaces.server import ServerUnreachable
from invitereg.logs import named, quoted
from invitereg.model.accounts import PLAIN, SCRAM_MECHANISMS
from invitereg.xmpp.gatewayfeatures import mechanisms
from invitereg.xmpp.parser import BoundedElementStream

NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SECONDS = 10.0
"""How long a check takes at most, from its beginning."""
MOST_WAITING = 10
"""How many elements of an answer are kept that nothing waits for; more are passed over."""
AT_ONCE = 50
"""How many are under way at most: whoever comes then cannot be told."""
_ITERATIONS = re.compile(r",i=([0-9]{1,10})(?![0-9])")
_MAX_ITERATIONS = 1_000_000
_MAX_BYTES, _MAX_DEPTH = 64 * 1024, 16
# What a server says of a password that is wrong, or of an account that may not log in
# (RFC 6120 §6.5); anything else is about the server.
_WRONG = {"not-authorized", "account-disabled", "credentials-expired"}


class ServerStream(Protocol):
    """A stream to the server, which is secured where it has to be, up to its features.

    ``connect`` begins it; its Deferred has ``header`` and ``rest``, what came before and after
    the element ``features``. From then on, ``received`` is called with what comes, and ``lost``
    when the connection is gone.
    """

    transport: Any
    received: Callable[[bytes], None]
    lost: Callable[[], None]

    def connect(self, reactor: Any) -> Deferred[Any]:
        """Begin; the Deferred may be cancelled to give up."""


class PasswordCheck:
    """Checks passwords at the server of one domain."""

    def __init__(
        self,
        domain: str,
        open_stream: Callable[[bytes], ServerStream],
        reactor: Any,
        work: Any,
        *,
        secured: bool,
    ) -> None:
        """Connect to nothing yet.

        Args:
            domain: the server's, and that of the accounts.
            open_stream: makes a stream that sends the header that it is given.
            reactor: what connects, and tells the time.
            work: its ``run(function, *args)`` hashes, which takes long, in a thread.
            secured: whether the streams are, so that a password may be sent as it is.
        """
        self._domain = domain
        self._open_stream = open_stream
        self._reactor = reactor
        self._work = work
        self._secured = secured
        self._under_way = 0

    def check(self, username: str, password: str) -> Deferred[bool]:
        """Whether it is the password of that localpart, in time.

        Raises:
            ServerUnreachable: the server has said neither yes nor no; the text says why.
        """
        return Deferred.fromCoroutine(self._check(username, password))

    async def _check(self, username: str, password: str) -> bool:
        if self._under_way >= AT_ONCE:
            raise self._unknown("too many are under way")
        self._under_way += 1
        stream = self._open_stream(self._header())
        try:
            login = Deferred.fromCoroutine(self._log_in(stream, username, password))
            return await login.addTimeout(SECONDS, self._reactor)
        except defer.TimeoutError:
            raise self._unknown(f"no answer within {SECONDS:.0f} seconds") from None
        except ScramException as error:  # has in it what the server has said
            raise self._unknown(quoted(str(error))) from None
        except Exception as error:  # whatever the server did: it has not said yes or no
            raise self._unknown(str(error) or type(error).__name__) from None
        finally:
            self._under_way -= 1
            if stream.transport is not None:
                stream.transport.abortConnection()

    def _unknown(self, why: str) -> ServerUnreachable:
        return ServerUnreachable(f"passwords at {self._domain} cannot be checked: {why}")

    def _header(self) -> bytes:
        return (
            f"<?xml version='1.0'?><stream:stream to={quoteattr(self._domain)} version='1.0' "
            "xml:lang='en' xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams'>"
        ).encode()

    async def _log_in(self, stream: ServerStream, username: str, password: str) -> bool:
        opened = await stream.connect(self._reactor)
        offered = set(mechanisms(opened.features))
        answers = _Answers(stream, opened.header, opened.rest)
        for mechanism in SCRAM_MECHANISMS:
            if mechanism in offered:
                return await self._scram(answers, mechanism, username, password)
        if PLAIN in offered and self._secured:
            answers.send("auth", f"\0{username}\0{password}".encode(), PLAIN)
            return _verdict(await answers.next())
        raise Unusable(f"it offers no login that could be used here: {_listed(offered)}")

    async def _scram(
        self, answers: "_Answers", mechanism: str, username: str, password: str
    ) -> bool:
        try:
            client = ScramClient([mechanism], username, password)
            first = client.get_client_first()
        except ScramException:
            return False  # SASLprep forbids it: nobody can have it
        answers.send("auth", first.encode(), mechanism)
        answer = await answers.next()
        if answer.name != "challenge":
            if _failed(answer):  # as some do for a name that they do not know
                return False
            raise Unusable(f"it answers {named(answer.name)} before it knows anything")
        challenge = _data(answer).decode()
        iterations = _ITERATIONS.search(challenge)
        if iterations is None or int(iterations[1]) > _MAX_ITERATIONS:
            raise Unusable("it wants no number of iterations, or too many")
        client.set_server_first(challenge)
        final = await self._work.run(client.get_client_final)
        answers.send("response", final.encode())
        answer = await answers.next()
        if answer.name == "challenge":  # RFC 5802 §5: additional data may come by itself
            client.set_server_final(_data(answer).decode())
            answers.send("response", b"")
            return _verdict(await answers.next())
        if answer.name == "success":
            client.set_server_final(_data(answer).decode())
        return _verdict(answer)


class Unusable(Exception):
    """The server does not do what is needed; the text says what it does."""


class _Answers:
    """What the server sends after its features, element by element."""

    def __init__(self, stream: ServerStream, header: bytes, rest: bytes) -> None:
        self._stream = stream
        self._waiting: list[domish.Element] = []
        self._next: Deferred[domish.Element] | None = None
        self._parser = BoundedElementStream(_MAX_BYTES, _MAX_DEPTH)
        self._parser.DocumentStartEvent = lambda _root: None
        self._parser.ElementEvent = self._on_element
        self._parser.DocumentEndEvent = self._over
        stream.received, stream.lost = self._parse, self._over
        self._parse(header)
        self._parse(rest)

    def send(self, name: str, data: bytes, mechanism: str = "") -> None:
        """Send an element of SASL."""
        which = f" mechanism='{mechanism}'" if mechanism else ""
        text = base64.b64encode(data).decode() or ("=" if mechanism else "")
        self._stream.transport.write(
            f"<{name} xmlns='{NS_SASL}'{which}>{text}</{name}>".encode()
        )

    def next(self) -> Deferred[domish.Element]:
        """The next element of SASL.

        Raises:
            Unusable: there comes none.
        """
        waiting: Deferred[domish.Element] = Deferred()
        self._next = waiting
        if self._waiting:
            self._next = None
            waiting.callback(self._waiting.pop(0))
        return waiting

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.parse(data)
        except StreamError as error:
            self._fail(f"it sends no XMPP ({error.condition})")

    def _on_element(self, element: domish.Element) -> None:
        if element.uri != NS_SASL:
            self._fail(f"it sends {named(element.name)} in a login")
        elif self._next is not None:
            waiting, self._next = self._next, None
            waiting.callback(element)
        elif len(self._waiting) < MOST_WAITING:
            self._waiting.append(element)

    def _over(self) -> None:
        self._fail("it has ended the stream in a login")

    def _fail(self, text: str) -> None:
        waiting, self._next = self._next, None
        if waiting is not None:
            waiting.errback(Unusable(text))


def _data(element: domish.Element) -> bytes:
    """What an element of SASL has in it; raises Unusable."""
    try:
        return base64.b64decode(str(element), validate=True)
    except binascii.Error:
        raise Unusable("its answer is no base64") from None


def _failed(element: domish.Element) -> bool:
    return element.name == "failure" and any(
        child.name in _WRONG for child in element.elements() if child.uri == NS_SASL
    )


def _verdict(element: domish.Element) -> bool:
    if element.name == "success":
        return True
    if _failed(element):
        return False
    conditions = (child.name for child in element.elements())
    raise Unusable(f"it answers {named(element.name)}: {_listed(conditions)}")


def _listed(words: Iterable[str]) -> str:
    """Return foreign words for a line of the log."""
    return quoted(", ".join(sorted(words)))
