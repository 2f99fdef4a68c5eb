"""Pre-authenticated in-band registration (XEP-0445), and its form in XEP-0401 0.3.

https://xmpp.org/extensions/xep-0445.html
"""

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg.errors import InvalidInvite
from invitereg.usecases.registrar import Registrar
from invitereg.xmpp.handlers import RequestHandler
from invitereg.xmpp.stanzas import Phase

NS_PREAUTH = "urn:xmpp:pars:0"
NS_IBR_TOKEN = "urn:xmpp:ibr-token:0"  # noqa: S105 - a namespace
NS_LEGACY_INVITE = "urn:xmpp:invite"
MAX_WRONG_TOKENS = 5

_PREAUTH = f"/iq[@type='set']/preauth[@xmlns='{NS_PREAUTH}']"


def stream_features() -> list[domish.Element]:
    """What announces preauth: clients look for one name or the other (XEP-0445 §3)."""
    return [domish.Element((ns, "register")) for ns in (NS_IBR_TOKEN, NS_LEGACY_INVITE)]


class PreauthHandler(RequestHandler):
    """Takes a token and remembers on the stream what it is good for; uses nothing up."""

    origin = "invitereg.xmpp.preauth.PreauthHandler"

    def __init__(self, registrar: Registrar) -> None:
        super().__init__()
        self._registrar = registrar
        self._wrong_tokens = 0

    def connectionMade(self) -> None:
        """Listen."""
        self.xmlstream.addObserver(_PREAUTH, self._on_preauth)

    def _on_preauth(self, iq: domish.Element) -> None:
        if self.xmlstream.phase is Phase.SECURED:
            self.answer(iq, self._preauth(iq.preauth.getAttribute("token") or ""))

    async def _preauth(self, token: str) -> None:
        stream = self.xmlstream
        if not token:
            raise StanzaError("bad-request", "modify", "The token is missing.", "en")
        try:
            stream.grant = await self._registrar.preauthorise(
                stream.domain.name, stream.address, token
            )
        except InvalidInvite:
            self._wrong_tokens += 1
            raise

    def answered(self) -> None:
        """End a stream that is used for guessing."""
        if self._wrong_tokens >= MAX_WRONG_TOKENS:
            self.xmlstream.end("policy-violation", "Too many wrong tokens.")
