"""Check that a domain's server answers requests of its component (XEP-0199).

https://xmpp.org/extensions/xep-0199.html

A handshake does not prove it. ejabberd before 25.03 drops every request of a component to its
host where mod_privilege is loaded, and says so only in its own log.
"""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.protocols.jabber.error import StanzaError
from wokkel.subprotocols import XMPPHandler

from invitereg.interfaces.server import PATIENCE_SECONDS, OutcomeUnknown, ServerFault
from invitereg.runtime.logs import FaultLog
from invitereg.xmpp.component.connection import ComponentStream
from invitereg.xmpp.stanzas import ping

_log = Logger("invitereg.xmpp.hostping.HostPing")

_UNANSWERED = (
    "{domain} answers no request of its component {jid}. ejabberd before 25.03, with "
    '"IQ not forwarded" in its log: remove mod_privilege from modules, and restart it. '
    "Another server: see its log"
)


class HostPing(XMPPHandler):
    """Ping the server of a domain on each connection of its component."""

    def __init__(
        self,
        component: ComponentStream,
        answered: Callable[[], Awaitable[None]] | None,
        seconds: Callable[[], float],
    ) -> None:
        """``answered`` is called after each answer."""
        super().__init__()
        self._component = component
        self._answered = answered
        self._faults = FaultLog(_log, f"requests of component {component.jid}", seconds)

    def connectionInitialized(self) -> None:
        """Ping at once, so that the log reports a problem before a request is lost."""
        asking = Deferred.fromCoroutine(self._ask())
        asking.addErrback(lambda failure: _log.failure("a ping failed", failure))

    async def _ask(self) -> None:
        problem = await self.problem()
        if problem is not None:
            self._faults.failed(problem)
            return
        self._faults.worked()
        if self._answered is not None:
            await self._answered()

    async def problem(self) -> str | None:
        """Return why the server does not answer, for the operator; None if it does."""
        try:
            await self._component.ask(ping(self._component.host), PATIENCE_SECONDS)
        except StanzaError:
            pass  # An answer as well.
        except OutcomeUnknown:
            return _UNANSWERED.format(domain=self._component.host, jid=self._component.jid)
        except ServerFault as fault:
            return fault.text
        return None
