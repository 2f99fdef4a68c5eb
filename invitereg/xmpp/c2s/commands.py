"""Ad-hoc commands of the domain, on a client's stream (XEP-0050)."""

from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel import disco

from invitereg.embedded.addresses import parse_jid
from invitereg.model.namespaces import NS_COMMANDS
from invitereg.translations import chosen_language
from invitereg.xmpp.adhoc.commands import AdHocCommands, Requester
from invitereg.xmpp.c2s.handlers import RequestHandler
from invitereg.xmpp.disco import WithoutItems
from invitereg.xmpp.stanzas import asked_languages

_COMMAND = f"/iq[@type='set']/command[@xmlns='{NS_COMMANDS}']"
_INFO = f"/iq[@type='get']/query[@xmlns='{disco.NS_DISCO_INFO}'][@node]"
_ITEMS = f"/iq[@type='get']/query[@xmlns='{disco.NS_DISCO_ITEMS}'][@node]"
_BEFORE_OTHERS = 1  # who else answers service discovery leaves alone what is handled


class CommandsHandler(WithoutItems, RequestHandler):
    """Answer requests about commands that are addressed to the domain."""

    origin = "invitereg.xmpp.commands.CommandsHandler"

    def __init__(self, commands: AdHocCommands) -> None:
        super().__init__()
        self._commands = commands

    def connectionInitialized(self) -> None:
        self.xmlstream.addObserver(_COMMAND, self._on_command, _BEFORE_OTHERS)
        self.xmlstream.addObserver(_INFO, self._on_info, _BEFORE_OTHERS)
        self.xmlstream.addObserver(_ITEMS, self._on_items, _BEFORE_OTHERS)

    def getDiscoInfo(
        self, _requestor: JID, target: JID, node: str = ""
    ) -> list[disco.DiscoFeature]:
        return [] if node or target.user else [disco.DiscoFeature(NS_COMMANDS)]

    def _on_command(self, iq: domish.Element) -> None:
        if self._is_for_domain(iq):
            requester = self._requester(iq)
            self.answer(iq, self._commands.perform(requester, iq.command))

    def _on_info(self, iq: domish.Element) -> None:
        if self._is_for_domain(iq) and self._commands.has(iq.query["node"]):
            requester = self._requester(iq)
            self.answer(iq, self._commands.info(requester, iq.query["node"]))

    def _on_items(self, iq: domish.Element) -> None:
        if self._is_for_domain(iq) and iq.query["node"] == NS_COMMANDS:
            requester = self._requester(iq)
            self.answer(iq, self._commands.items(requester, requester.domain.name))

    def _is_for_domain(self, iq: domish.Element) -> bool:
        to = iq.getAttribute("to")
        return to is not None and parse_jid(to).user is None

    def _requester(self, iq: domish.Element) -> Requester:
        stream = self.xmlstream
        assert stream.session is not None  # noqa: S101 - the phase says so
        language = chosen_language(asked_languages(iq, stream.stream.language))
        return Requester(stream.session.jid, stream.domain, language)
