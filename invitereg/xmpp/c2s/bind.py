"""Resource binding (RFC 6120 §7) and the session request (RFC 3921 §3)."""

import secrets

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg.embedded.addresses import prepared_jid
from invitereg.embedded.sessions import Session, Sessions
from invitereg.model.names import prepare_resource
from invitereg.model.namespaces import NS_BIND, NS_SESSION
from invitereg.xmpp.c2s.handlers import RequestHandler
from invitereg.xmpp.stanzas import Phase

_BIND = f"/iq[@type='set']/bind[@xmlns='{NS_BIND}']"
_SESSION = f"/iq[@type='set']/session[@xmlns='{NS_SESSION}']"


def stream_features() -> list[domish.Element]:
    """Return the features of both; the session request is optional, as it does nothing."""
    session = domish.Element((NS_SESSION, "session"))
    session.addElement("optional")
    return [domish.Element((NS_BIND, "bind")), session]


class BindHandler(RequestHandler):
    """Bind a resource to the stream, which makes it a session."""

    origin = "invitereg.xmpp.bind.BindHandler"

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self._sessions = sessions

    def connectionMade(self) -> None:
        self.observe(_BIND, Phase.AUTHENTICATED, self._bind)
        self.observe(_BIND, Phase.BOUND, self._refuse_second)
        self.observe(_SESSION, Phase.BOUND, self._nothing)

    async def _nothing(self, _iq: domish.Element) -> None:
        pass

    async def _refuse_second(self, _iq: domish.Element) -> None:
        raise StanzaError("not-allowed", "cancel", "A resource is bound already.", "en")

    async def _bind(self, iq: domish.Element) -> domish.Element:
        stream, wanted = self.xmlstream, str(iq.bind.resource or "")
        resource = _resource(wanted) if wanted else secrets.token_urlsafe(8)
        jid = prepared_jid(stream.username, stream.domain.name, resource)
        session = Session(jid, stream.credentials_set_at, stream)
        stream.bound(session)
        await self._sessions.add(session)
        bind = domish.Element((NS_BIND, "bind"))
        bind.addElement("jid", content=session.address)
        return bind


def _resource(text: str) -> str:
    try:
        return prepare_resource(text)
    except ValueError:
        text = "That is no valid resource."
        raise StanzaError("bad-request", "modify", text, "en") from None
