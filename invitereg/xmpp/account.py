"""What people do with their own account after login (XEP-0077 §3.2, §3.3).

https://xmpp.org/extensions/xep-0077.html
"""

from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel import disco
from wokkel.iwokkel import IDisco
from zope.interface import implementer

from invitereg.domain.sessions import Sessions
from invitereg.errors import InvalidUsername, NotFound
from invitereg.model import prepare_localpart
from invitereg.registrar import Registrar
from invitereg.xmpp.handlers import RequestHandler
from invitereg.xmpp.phases import Phase
from invitereg.xmpp.register import GET, NS_REGISTER, SET, RegistrationRequest


@implementer(IDisco)
class AccountHandler(RequestHandler):
    """Says who is registered, changes the password, and removes the account."""

    def __init__(self, registrar: Registrar, sessions: Sessions) -> None:
        super().__init__()
        self._registrar = registrar
        self._sessions = sessions
        self._changing = False

    def connectionMade(self) -> None:
        """Listen."""
        self.xmlstream.addObserver(GET, self._on_get)
        self.xmlstream.addObserver(SET, self._on_set)

    def getDiscoInfo(self, _requestor: JID, target: JID, node: str = "") -> list[Any]:
        """The domain takes registrations (XEP-0077 §8)."""
        ours = target.user is None and not node
        return [disco.DiscoFeature(NS_REGISTER)] if ours else []

    def getDiscoItems(self, _requestor: JID, _target: JID, _node: str = "") -> list[Any]:
        """There are none."""
        return []

    async def _answer(
        self, iq: domish.Element, working: Coroutine[Any, Any, domish.Element | None]
    ) -> None:
        """Answer, and then end the sessions that are outdated, which may be this one."""
        await super()._answer(iq, working)
        if self._changing:
            self._changing = False
            await self._sessions.settle(self.xmlstream)

    def _on_get(self, iq: domish.Element) -> None:
        if self.xmlstream.phase is Phase.BOUND:
            self.answer(iq, self._get())

    async def _get(self) -> domish.Element:
        query = domish.Element((NS_REGISTER, "query"))
        query.addElement("registered")
        query.addElement("username", content=self.xmlstream.username)
        query.addElement("password")  # what may be changed; what it is, nobody knows
        return query

    def _on_set(self, iq: domish.Element) -> None:
        if self.xmlstream.phase is Phase.BOUND:
            request = RegistrationRequest.fromElement(iq.query)
            if request.remove:
                self.answer(iq, self._remove(iq.query))
            else:
                self.answer(iq, self._change_password(request))

    async def _change_password(self, request: RegistrationRequest) -> None:
        username, password = (request.values.get(name) for name in ("username", "password"))
        if not username or not password:
            text = "To change the password, send username and password."
            raise StanzaError("bad-request", "modify", text, "en")
        self._require_own(username)
        name, domain, since = self._begin()
        try:
            changed = await self._registrar.change_password(domain, name, password, since)
        except NotFound:
            raise _outdated() from None
        self.xmlstream.credentials_set_at = changed

    async def _remove(self, query: domish.Element) -> None:
        if len(list(query.elements())) != 1:
            text = "To remove the account, send nothing but that."
            raise StanzaError("bad-request", "modify", text, "en")
        name, domain, since = self._begin()
        try:
            await self._registrar.delete_account(domain, name, since)
        except NotFound:
            raise _outdated() from None

    def _begin(self) -> tuple[str, str, datetime]:
        """Whose account it is, and when its password was set that opened this stream."""
        stream = self.xmlstream
        if stream.username is None or stream.credentials_set_at is None:
            raise _outdated()
        self._changing = True
        self._sessions.spare(stream)
        return stream.username, stream.domain.name, stream.credentials_set_at

    def _require_own(self, username: str) -> None:
        try:
            localpart = prepare_localpart(username.strip())
        except InvalidUsername:
            localpart = ""
        if localpart != self.xmlstream.username:
            text = "You can change the password of your own account only."
            raise StanzaError("bad-request", "modify", text, "en")


def _outdated() -> StanzaError:
    """Somebody else was faster: the stream ends by that."""
    return StanzaError("not-authorized", "auth", "The password has changed.", "en")
