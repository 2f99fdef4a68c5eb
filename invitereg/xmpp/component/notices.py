"""Send notices to the accounts of another server, by its component.

The server keeps the messages for accounts that are offline. A notice is removed from the store
when the server answers a ping (XEP-0199) that was sent after it; until then it is sent again on
each new connection, with the same id. A server that answers no ping may deliver all the same:
`INoticeStore.try_notices` limits how often a notice is sent.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.xmlstream import XmlStream
from twisted.words.xish import domish
from wokkel.subprotocols import XMPPHandler

from invitereg.embedded.notices import GAVE_UP, notice_message, recipients
from invitereg.interfaces.server import PATIENCE_SECONDS, ServerFault
from invitereg.interfaces.stores import INoticeStore
from invitereg.model.names import prepare_domain
from invitereg.policy.notices import Notice
from invitereg.policy.values import Domain
from invitereg.runtime.logs import FaultLog, named
from invitereg.xmpp.stanzas import ping

_log = Logger("invitereg.xmpp.telling.ComponentTeller")

AT_ONCE = 100
"""The most notices that are sent and not confirmed, and whose errors are recognised."""

_HINT = " by the server: `invitereg check --online` says why it does not answer"

Ask = Callable[[domish.Element, float], Deferred[domish.Element]]
"""`ComponentStream.ask`: sends a request and returns its result, within some seconds."""


class ComponentNotices(XMPPHandler):
    """Send notices to the accounts of one domain."""

    def __init__(
        self,
        host: str,
        component: str,
        ask: Ask,
        domains: Mapping[str, Domain],
        store: INoticeStore,
        now: Callable[[], datetime],
        seconds: Callable[[], float],
    ) -> None:
        """``host`` is the domain as its server spells it; ``component`` is the sender."""
        super().__init__()
        self._host, self._domain = host, prepare_domain(host)
        self._component = component
        self._ask = ask
        self._domains = domains
        self._store = store
        self._now = now
        self._refusals = FaultLog(_log, f"notices at {self._domain}", seconds)
        self._line: XmlStream | None = None
        self._last = 0
        self._sent: set[int] = set()
        self._awaited: OrderedDict[str, str] = OrderedDict()

    def connectionInitialized(self) -> None:
        """Send everything again that the server has not confirmed."""
        self._line = self.xmlstream
        self._last = 0
        self._sent.clear()
        self.xmlstream.addObserver("/message[@type='error']", self._on_error)

    def connectionLost(self, _reason: Failure) -> None:
        self._line = None

    async def send_new(self) -> None:
        """Send the notices that any process has stored since the last call.

        To be called every second.
        """
        line = self._line
        if line is None:
            return
        while len(self._sent) < AT_ONCE:
            found = await self._store.notices_after(self._last, AT_ONCE)
            if line is not self._line:
                return
            self._last = found[-1].number if found else self._last
            await self._tell(line, [one for one in found if one.domain == self._domain])
            if len(found) < AT_ONCE:
                break
        if self._sent:
            await self._confirm(line, sorted(self._sent))

    async def _tell(self, line: XmlStream, notices: Sequence[Notice]) -> None:
        """Send notices that may be sent once more, and remove the others."""
        if not notices:
            return
        allowed = await self._store.try_notices([one.number for one in notices])
        if line is self._line:
            for notice in notices:
                if notice.number in allowed:
                    self._send(notice)
        exhausted = [one for one in notices if one.number not in allowed]
        if exhausted:
            await self._store.remove_notices([one.number for one in exhausted])
            _log.warn(GAVE_UP, whom=recipients(exhausted), count=len(exhausted), hint=_HINT)

    def _send(self, notice: Notice) -> None:
        message = notice_message(notice, self._domains, self._component, self._now(), None)
        self._sent.add(notice.number)
        if message is None:
            return
        message["to"] = f"{notice.username}@{self._host}"
        self._awaited[message["id"]] = message["to"]
        if len(self._awaited) > AT_ONCE:
            self._awaited.popitem(last=False)
        self.send(message)

    async def _confirm(self, line: XmlStream, numbers: Sequence[int]) -> None:
        try:
            await self._ask(ping(self._host), PATIENCE_SECONDS)
        except StanzaError:
            pass  # An answer as well.
        except ServerFault:
            return
        await self._store.remove_notices(numbers)
        if line is self._line:
            self._sent.difference_update(numbers)

    def _on_error(self, message: domish.Element) -> None:
        """Log that an account was not told; the address shows who sent the error."""
        told = self._awaited.get(message.getAttribute("id", ""))
        if told is None or told != message.getAttribute("from", "").partition("/")[0]:
            return
        del self._awaited[message["id"]]
        condition = (
            next((one.name for one in message.error.elements()), "") if message.error else ""
        )
        self._refusals.failed(
            f"{told} was not told of a registration, as the server takes no message for them "
            f"({named(condition)}): has it offline messages? Prosody needs the module offline, "
            "ejabberd mod_offline"
        )
