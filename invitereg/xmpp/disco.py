"""Service discovery on the streams of clients and components (XEP-0030).

https://xmpp.org/extensions/xep-0030.html
"""

from collections.abc import Iterator

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel import disco
from wokkel.data_form import Field, Form
from wokkel.iwokkel import IDisco
from wokkel.subprotocols import XMPPHandler
from zope.interface import implementer

from invitereg.embedded.addresses import parse_jid
from invitereg.model.namespaces import NS_SERVER_INFO
from invitereg.policy.values import Domain
from invitereg.xmpp.stanzas import error_reply, mark_handled, result_reply

_log = Logger("invitereg.xmpp.disco.SessionDiscoHandler")


class SessionDiscoHandler(disco.DiscoHandler):
    """Answer service discovery from the stream's other handlers, as wokkel's handler does.

    wokkel's handler parses addresses by Twisted's ``internJID``, which keeps every JID for
    ever; with a new resource at each login it would never stop growing.
    """

    def handleRequest(self, iq: domish.Element) -> None:
        """Answer, unless a handler that knows the node has done so."""
        if not iq.handled:
            mark_handled(iq)
            Deferred.fromCoroutine(self._reply(iq))

    async def _reply(self, iq: domish.Element) -> None:
        """Send an answer; an error repeats nothing of the request."""
        try:
            self.send(result_reply(iq, await self._answer(iq)))
        except StanzaError as error:
            self.send(error_reply(iq, error))
        except Exception:
            _log.failure("a request of service discovery failed")
            self.send(error_reply(iq, StanzaError("internal-server-error")))

    async def _answer(self, iq: domish.Element) -> domish.Element:
        info = iq.query.uri == disco.NS_DISCO_INFO
        answer, ask = (
            (disco.DiscoInfo(), self.info) if info else (disco.DiscoItems(), self.items)
        )
        node = iq.query.getAttribute("node") or ""
        sender = parse_jid(iq["from"])
        found = await ask(sender, parse_jid(iq.getAttribute("to") or sender.userhost()), node)
        if node and not found and info:
            raise StanzaError("item-not-found")
        answer.nodeIdentifier = node
        for item in found:
            answer.append(item)
        payload: domish.Element = answer.toElement()
        return payload


@implementer(IDisco)
class WithoutItems:
    """Announce features by `getDiscoInfo`, and have no items."""

    def getDiscoItems(
        self, _requestor: JID, _target: JID, _node: str = ""
    ) -> list[disco.DiscoItem]:
        return []


class IdentityHandler(WithoutItems, XMPPHandler):
    """Tell the identity of the domain and its accounts (XEP-0030 §3.1)."""

    def __init__(self, domain: Domain) -> None:
        super().__init__()
        self._domain = domain

    def getDiscoInfo(
        self, _requestor: JID, target: JID, node: str = ""
    ) -> list[disco.DiscoFeature]:
        if node:
            return []
        uris = (disco.NS_DISCO_INFO, disco.NS_DISCO_ITEMS)
        features = [disco.DiscoFeature(uri) for uri in uris]
        if target.user is not None:
            return [disco.DiscoIdentity("account", "registered"), *features]
        name = self._domain.site_name or self._domain.name
        identity = disco.DiscoIdentity("server", "im", name)
        return [identity, *features, *contact_form(self._domain)]


def contact_form(domain: Domain) -> Iterator[Form]:
    """Yield the form with the operator's contact addresses, if there are any (XEP-0157)."""
    if domain.contact_addresses:
        form = Form("result", formNamespace=NS_SERVER_INFO)
        for role, addresses in domain.contact_addresses.items():
            form.addField(Field("list-multi", f"{role}-addresses", values=addresses))
        yield form
