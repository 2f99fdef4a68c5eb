"""Registration and resets before login (XEP-0077), and their tokens (XEP-0445).

https://xmpp.org/extensions/xep-0077.html

https://xmpp.org/extensions/xep-0445.html, and its form in XEP-0401 0.3
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg.errors import InvalidInvite, Refused
from invitereg.model.fields import FIELD_LABELS
from invitereg.model.namespaces import (
    NS_IBR_TOKEN,
    NS_INVITE,
    NS_PREAUTH,
    NS_REGISTER,
    NS_REGISTER_FEATURE,
)
from invitereg.usecases.registrar import Registrar
from invitereg.xmpp.c2s.handlers import RequestHandler
from invitereg.xmpp.registration import RegistrationForm, RegistrationRequest, token_in
from invitereg.xmpp.stanzas import Phase, asked_languages

GET = f"/iq[@type='get']/query[@xmlns='{NS_REGISTER}']"
SET = f"/iq[@type='set']/query[@xmlns='{NS_REGISTER}']"


def registration_features(*, registers: bool) -> list[domish.Element]:
    """Return the stream features about registration (XEP-0445 §3, XEP-0077 §8).

    Tokens are announced by two names: clients look for one or the other.

    Args:
        registers: whether anything can be done by ``jabber:iq:register`` at all.
    """
    names = [NS_REGISTER_FEATURE] * registers + [NS_IBR_TOKEN, NS_INVITE]
    return [domish.Element((name, "register")) for name in names]


class RegistrationHandler(RequestHandler):
    """Show the form, and register an account or reset its password; only before login."""

    origin = "invitereg.xmpp.register.RegistrationHandler"

    def __init__(
        self, registrar: Registrar, tell_contacts: Callable[[], Awaitable[None]]
    ) -> None:
        """``tell_contacts`` is called when a new account has become somebody's contact."""
        super().__init__()
        self._registrar = registrar
        self._tell_contacts = tell_contacts

    def connectionMade(self) -> None:
        self.observe(GET, Phase.SECURED, self._get)
        self.observe(SET, Phase.SECURED, self._set)

    def echo(self, iq: domish.Element) -> list[domish.Element]:
        """Repeat the query with its fields, without the password (XEP-0077 §3.1)."""
        query = domish.Element((NS_REGISTER, "query"))
        for child in iq.query.elements():
            if child.uri == NS_REGISTER and child.name != "password":
                query.addElement(child.name, content=str(child))
        written = {child.name for child in query.elements()}
        for name, value in RegistrationRequest.fromElement(iq.query).values.items():
            if name in FIELD_LABELS and name != "password" and name not in written:
                query.addElement(name, content=value)
        return [query]

    async def _get(self, iq: domish.Element) -> domish.Element:
        stream = self.xmlstream
        invite = stream.grant.invite if stream.grant else None
        languages = asked_languages(iq, stream.stream.language)
        return RegistrationForm.for_invite(stream.domain, invite).toElement(languages)

    async def _set(self, iq: domish.Element) -> None:
        request = RegistrationRequest.fromElement(iq.query)
        if request.remove:
            text = "Log in to remove your account."
            raise StanzaError("forbidden", "auth", text, "en")
        stream = self.xmlstream
        await self._registrar.redeem(
            request.submission(stream.domain.name, "c2s", stream.address, stream.grant)
        )
        # The token is spent for this stream, even if it has uses left for others.
        grant, stream.grant = stream.grant, None
        if grant is not None and grant.invite.subscribe:
            # The account is made; if this cannot be done now, it is within a second.
            with suppress(Refused):
                await self._tell_contacts()


MAX_WRONG_TOKENS = 5

_PREAUTH = f"/iq[@type='set']/preauth[@xmlns='{NS_PREAUTH}']"


class PreauthHandler(RequestHandler):
    """Check a token, and keep on the stream what it grants; uses nothing up."""

    origin = "invitereg.xmpp.preauth.PreauthHandler"

    def __init__(self, registrar: Registrar) -> None:
        super().__init__()
        self._registrar = registrar
        self._wrong_tokens = 0

    def connectionMade(self) -> None:
        self.observe(_PREAUTH, Phase.SECURED, self._preauth)

    async def _preauth(self, iq: domish.Element) -> None:
        stream, token = self.xmlstream, token_in(iq)
        try:
            stream.grant = await self._registrar.preauthorise(
                stream.domain.name, stream.address, token
            )
        except InvalidInvite:
            self._wrong_tokens += 1
            raise

    def answered(self) -> None:
        """End a stream on which tokens are guessed."""
        if self._wrong_tokens >= MAX_WRONG_TOKENS:
            self.xmlstream.end("policy-violation", "Too many wrong tokens.")
