"""Resource binding (RFC 6120 §7) and the session request of RFC 3921 §3."""

import secrets

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.protocols.jabber.xmpp_stringprep import resourceprep
from twisted.words.xish import domish

from invitereg.domain.sessions import Session, Sessions
from invitereg.xmpp.handlers import RequestHandler
from invitereg.xmpp.phases import Phase
from invitereg.xmpp.routing import MAX_RESOURCE_BYTES

NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
NS_SESSION = "urn:ietf:params:xml:ns:xmpp-session"

_BIND = f"/iq[@type='set']/bind[@xmlns='{NS_BIND}']"
_SESSION = f"/iq[@type='set']/session[@xmlns='{NS_SESSION}']"


def stream_features() -> list[domish.Element]:
    """What announces both; the session request is optional, as nothing depends on it."""
    session = domish.Element((NS_SESSION, "session"))
    session.addElement("optional")
    return [domish.Element((NS_BIND, "bind")), session]


class BindHandler(RequestHandler):
    """Gives the stream its full JID, and so makes it a session."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self._sessions = sessions

    def connectionMade(self) -> None:
        """Listen for both requests."""
        self.xmlstream.addObserver(_BIND, self._on_bind)
        self.xmlstream.addObserver(_SESSION, self._on_session)

    def _on_bind(self, iq: domish.Element) -> None:
        if self.xmlstream.phase is Phase.AUTHENTICATED:
            self.answer(iq, self._bind(str(iq.bind.resource or "")))
        elif self.xmlstream.phase is Phase.BOUND:
            self.answer(iq, self._refuse("A resource is bound already."))

    def _on_session(self, iq: domish.Element) -> None:
        if self.xmlstream.phase is Phase.BOUND:
            self.answer(iq, self._nothing())

    async def _nothing(self) -> None:
        pass

    async def _refuse(self, text: str) -> None:
        raise StanzaError("not-allowed", "cancel", text, "en")

    async def _bind(self, wanted: str) -> domish.Element:
        stream = self.xmlstream
        resource = _prepare_resource(wanted) if wanted else secrets.token_urlsafe(8)
        jid = JID(tuple=(stream.username, stream.domain.name, resource))
        session = Session(jid, stream.credentials_set_at, stream)
        stream.bound(session)
        await self._sessions.add(session)
        bind = domish.Element((NS_BIND, "bind"))
        bind.addElement("jid", content=session.address)
        return bind


def _prepare_resource(text: str) -> str:
    try:
        # What is too long as typed is not prepared: that takes long, and holds up everybody.
        prepared: str = resourceprep.prepare(text if len(text) <= MAX_RESOURCE_BYTES else "")
        size = len(prepared.encode())
    except UnicodeError:
        size = 0
    if not 1 <= size <= MAX_RESOURCE_BYTES:
        raise StanzaError("bad-request", "modify", "That is no valid resource.", "en")
    return prepared
