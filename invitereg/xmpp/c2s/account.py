"""Change the password of one's own account, or remove the account (XEP-0077 §3.2, §3.3).

https://xmpp.org/extensions/xep-0077.html
"""

from datetime import datetime

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel import disco

from invitereg.embedded.sessions import Session, Sessions
from invitereg.errors import InvalidUsername, NotFound
from invitereg.model.names import prepare_localpart, typed_username
from invitereg.model.namespaces import NS_CHANGE_PASSWORD, NS_REGISTER
from invitereg.usecases.registrar import Registrar
from invitereg.xmpp.c2s.handlers import Answer, RequestHandler
from invitereg.xmpp.c2s.register import GET, SET
from invitereg.xmpp.disco import WithoutItems
from invitereg.xmpp.registration import OLD_PASSWORD, RegistrationRequest
from invitereg.xmpp.stanzas import Phase


class AccountHandler(WithoutItems, RequestHandler):
    """Answer XEP-0077's requests after login, for the stream's own account."""

    origin = "invitereg.xmpp.account.AccountHandler"

    def __init__(self, registrar: Registrar, sessions: Sessions) -> None:
        super().__init__()
        self._registrar = registrar
        self._sessions = sessions
        self._changing: Session | None = None

    def connectionMade(self) -> None:
        self.observe(GET, Phase.BOUND, self._get)
        self.observe(SET, Phase.BOUND, self._set)

    def getDiscoInfo(
        self, _requestor: JID, target: JID, node: str = ""
    ) -> list[disco.DiscoFeature]:
        ours = target.user is None and not node
        return [disco.DiscoFeature(NS_REGISTER)] if ours else []

    async def _answer(self, iq: domish.Element, working: Answer) -> None:
        """Answer, then end the sessions that the change has outdated, perhaps this one."""
        await super()._answer(iq, working)
        session, self._changing = self._changing, None
        if session is not None:
            await self._sessions.settle(session)

    async def _get(self, _iq: domish.Element) -> domish.Element:
        query = domish.Element((NS_REGISTER, "query"))
        query.addElement("registered")
        query.addElement("username", content=self.xmlstream.username)
        query.addElement("password")  # what may be changed; what it is, nobody knows
        return query

    async def _set(self, iq: domish.Element) -> None:
        forms = (NS_REGISTER, NS_CHANGE_PASSWORD)
        request = RegistrationRequest.fromElement(iq.query, forms)
        if request.remove:
            await self._remove(iq.query)
        else:
            await self._change_password(request)

    async def _change_password(self, request: RegistrationRequest) -> None:
        request.require_clear()
        username, password = (request.values.get(name) for name in ("username", "password"))
        if not username or not password:
            text = "To change the password, send username and password."
            raise StanzaError("bad-request", "modify", text, "en")
        self._require_own(username)
        session, since = self._begin()
        try:
            session.credentials_set_at = await self._registrar.change_password(
                session.domain,
                session.username,
                password,
                since,
                old=request.values.get(OLD_PASSWORD),
            )
        except NotFound:
            raise _outdated() from None

    async def _remove(self, query: domish.Element) -> None:
        only = len(list(query.elements())) == 1
        if not only or query.remove.children:
            text = "To remove the account, send nothing but that."
            raise StanzaError("bad-request", "modify", text, "en")
        session, since = self._begin()
        try:
            await self._registrar.delete_account(session.domain, session.username, since)
        except NotFound:
            raise _outdated() from None

    def _begin(self) -> tuple[Session, datetime]:
        """Return the session, and when the password was set that opened it."""
        session = self.xmlstream.session
        if session is None or session.credentials_set_at is None:
            raise _outdated()
        self._changing = session
        self._sessions.spare(session)
        return session, session.credentials_set_at

    def _require_own(self, username: str) -> None:
        try:
            own = self.xmlstream.domain.name
            localpart = prepare_localpart(typed_username(username, own))
        except InvalidUsername:
            localpart = ""
        if localpart != self.xmlstream.username:
            text = "You can change the password of your own account only."
            raise StanzaError("bad-request", "modify", text, "en")


def _outdated() -> StanzaError:
    """Return the error for a change that was made by somebody else first."""
    return StanzaError("not-authorized", "auth", "The password has changed.", "en")
