"""Check a password by a login at the server that keeps it (RFC 6120 §6).

Each check is a login of its own, which ends before a resource is bound. Nothing is kept of it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable

from scramp import ScramClient, ScramException
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.words.xish import domish

from invitereg.interfaces.server import ServerUnreachable
from invitereg.model.accounts import PLAIN, SCRAM_MECHANISMS
from invitereg.model.namespaces import NS_SASL
from invitereg.runtime import IReactor
from invitereg.runtime.logs import named, quoted
from invitereg.xmpp.gateway.dialogue import Dialogue, open_dialogue
from invitereg.xmpp.gateway.features import mechanisms
from invitereg.xmpp.gateway.settings import Upstream

Run = Callable[[Callable[[], str]], Deferred[str]]

SECONDS = 10.0
"""Seconds that a check may take, from its beginning."""
AT_ONCE = 50
"""Checks that may be under way; one more is not begun."""
_ITERATIONS = re.compile(r",i=([0-9]{1,10})(?![0-9])")
_MAX_ITERATIONS = 1_000_000
# What a server says of a password that is wrong, or of an account that may not log in
# (RFC 6120 §6.5); anything else is about the server.
_WRONG = {"not-authorized", "account-disabled", "credentials-expired"}


class PasswordCheck:
    """Checks passwords at the upstream server of one domain."""

    def __init__(self, upstream: Upstream, reactor: IReactor, run: Run) -> None:
        """Prepare, without connecting.

        Args:
            upstream: the server. What is not TLS leads to this machine, or into a network that
                is trusted, so a password may be sent as it is.
            reactor: connects, and tells the time.
            run: calls a function that takes long, as hashing does, in a thread.
        """
        self._upstream = upstream
        self._reactor = reactor
        self._run = run
        self._under_way = 0

    def check(self, username: str, password: str) -> Deferred[bool]:
        """Fire with whether it is the password of that localpart.

        Raises:
            ServerUnreachable: the server has said neither yes nor no in time; the text says
                why.
        """
        return Deferred.fromCoroutine(self._check(username, password))

    async def _check(self, username: str, password: str) -> bool:
        if self._under_way >= AT_ONCE:
            raise self._unknown("too many are under way")
        self._under_way += 1
        try:
            login = Deferred.fromCoroutine(self._log_in(username, password))
            return await login.addTimeout(SECONDS, self._reactor)
        except defer.TimeoutError:
            raise self._unknown(f"no answer within {SECONDS:.0f} seconds") from None
        except ScramException as error:  # has in it what the server has said
            raise self._unknown(quoted(str(error))) from None
        except Exception as error:  # whatever the server did: it has not said yes or no
            raise self._unknown(str(error) or type(error).__name__) from None
        finally:
            self._under_way -= 1

    def _unknown(self, why: str) -> ServerUnreachable:
        domain = self._upstream.domain
        return ServerUnreachable(f"passwords at {domain} cannot be checked: {why}")

    async def _log_in(self, username: str, password: str) -> bool:
        dialogue = await open_dialogue(self._upstream, self._reactor)
        offered = set(mechanisms(dialogue.features))
        try:
            for mechanism in SCRAM_MECHANISMS:
                if mechanism in offered:
                    return await self._scram(dialogue, mechanism, username, password)
            if PLAIN in offered:
                plain = f"\0{username}\0{password}".encode()
                return _verdict(await _ask(dialogue, "auth", plain, PLAIN))
        finally:
            dialogue.close()
        raise Unusable(f"it offers no login that could be used here: {_listed(offered)}")

    async def _scram(
        self, dialogue: Dialogue, mechanism: str, username: str, password: str
    ) -> bool:
        try:
            client = ScramClient([mechanism], username, password)
            first = client.get_client_first()
        except ScramException:
            return False  # SASLprep forbids it: nobody can have it
        answer = await _ask(dialogue, "auth", first.encode(), mechanism)
        if answer.name != "challenge":
            if _failed(answer):  # as some do for a name that they do not know
                return False
            raise Unusable(f"it answers {named(answer.name)} before it knows anything")
        challenge = _data(answer).decode()
        iterations = _ITERATIONS.search(challenge)
        if iterations is None or int(iterations[1]) > _MAX_ITERATIONS:
            raise Unusable("it wants no number of iterations, or too many")
        client.set_server_first(challenge)
        final = await self._run(client.get_client_final)
        answer = await _ask(dialogue, "response", final.encode())
        if answer.name == "challenge":  # RFC 5802 §5: additional data may come by itself
            client.set_server_final(_data(answer).decode())
            return _verdict(await _ask(dialogue, "response", b""))
        if answer.name == "success":
            client.set_server_final(_data(answer).decode())
        return _verdict(answer)


class Unusable(Exception):
    """The server does not do what is needed; the text says what it does."""


async def _ask(
    dialogue: Dialogue, name: str, data: bytes, mechanism: str = ""
) -> domish.Element:
    """Send an element of SASL, and return the server's answer; raises Unusable."""
    which = f" mechanism='{mechanism}'" if mechanism else ""
    text = base64.b64encode(data).decode() or ("=" if mechanism else "")
    question = f"<{name} xmlns='{NS_SASL}'{which}>{text}</{name}>"
    answer = await dialogue.ask(question.encode())
    if answer is None:
        raise Unusable(f"{dialogue.ended} in a login")
    if answer.uri != NS_SASL:
        raise Unusable(f"it sends {named(answer.name)} in a login")
    return answer


def _data(element: domish.Element) -> bytes:
    """Return the data in an element of SASL; raises Unusable."""
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
