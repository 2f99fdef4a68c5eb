"""Route the stanzas of sessions (RFC 6120 §10, RFC 6121 §3, §4, §8).

Requests to the domain, or to the account itself, are answered by the stream's handlers. All
other stanzas are for the sessions of this process; what reaches none of them bounces.
"""

from collections.abc import Awaitable

from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.embedded.addresses import bare_jid, parse_jid, prepared_jid
from invitereg.embedded.domain import EmbeddedDomain
from invitereg.embedded.sessions import Session
from invitereg.errors import Refused
from invitereg.xmpp.c2s.handlers import refusal_error
from invitereg.xmpp.c2s.stream import ClientStream
from invitereg.xmpp.stanzas import require_id, require_request

SUBSCRIPTION_TYPES = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")


class Router:
    """Route the stanzas of all sessions; stanzas between the domains served here are local."""

    def __init__(self, embedded: EmbeddedDomain) -> None:
        self._domains = embedded.domains
        self._delivery = embedded.delivery
        self._presence = embedded.presence
        self._contacts = embedded.contacts

    def take(self, stanza: domish.Element, stream: ClientStream) -> domish.Element | None:
        """Route a stanza whose ``from`` is the full JID of the stream's session.

        Returns:
            the stanza to send back at once, or None.
        """
        try:
            taken = self._take(stanza, stream)
        except StanzaError as error:
            return bounce(stanza, error)
        return None if taken else bounce(stanza, StanzaError("service-unavailable"))

    def _take(self, stanza: domish.Element, stream: ClientStream) -> bool:
        answer = stanza.getAttribute("type") in ("result", "error")
        if stanza.name == "iq" and not answer:
            require_request(stanza)
        session = stream.session
        assert session is not None  # noqa: S101 - no others send these stanzas
        require_id(stanza)
        to = self._recipient(stanza)
        if stanza.name == "presence":
            self._take_presence(stanza, to, stream, session)
            return True
        account: JID = bare_jid(session.jid)
        if stanza.name == "iq" and to in (None, account, prepared_jid(None, account.host)):
            stream.dispatch(stanza)
            return bool(stanza.handled)
        to = to or account
        if to.user is None:
            return False
        if stanza.name == "message":
            return self._delivery.message(stanza, to)
        return to.resource is not None and self._delivery.iq(stanza, account.full(), to)

    def _recipient(self, stanza: domish.Element) -> JID | None:
        to = stanza.getAttribute("to")
        if to is None:
            return None
        try:
            recipient = parse_jid(to)
        except ValueError:
            raise StanzaError("jid-malformed", "modify") from None
        if recipient.host not in self._domains:
            raise StanzaError("remote-server-not-found", "cancel")
        return recipient

    def _take_presence(
        self, stanza: domish.Element, to: JID | None, stream: ClientStream, session: Session
    ) -> None:
        """Carry out a presence stanza, which holds the stream meanwhile.

        A refusal is sent back later, by itself; StanzaError is the error to reply with at once.
        """
        kind = stanza.getAttribute("type")
        if to is None and kind is None:
            self._carry_out(self._presence.available(session, stanza), stanza, stream)
        elif to is None and kind == "unavailable":
            self._presence.unavailable(session, stanza)
        elif kind in SUBSCRIPTION_TYPES and to is not None:
            changing = self._contacts.subscription(session.jid, stanza, stream.address)
            self._carry_out(changing, stanza, stream)
        elif kind in (None, "unavailable") and to is not None:
            if to.user is not None:
                self._presence.directed(session, stanza, to)
        elif kind == "probe" and to is not None:
            self._carry_out(self._presence.probe(session, to), stanza, stream)
        elif kind == "error":
            if to is not None and to.resource is not None:
                self._delivery.presence(stanza, to)
        else:
            raise StanzaError("bad-request", "modify", "No such presence is known.", "en")

    def _carry_out(
        self, working: Awaitable[None], stanza: domish.Element, stream: ClientStream
    ) -> None:
        stream.hold(Deferred.fromCoroutine(self._finish(working, stanza, stream)))

    async def _finish(
        self, working: Awaitable[None], stanza: domish.Element, stream: ClientStream
    ) -> None:
        try:
            await working
        except Refused as refusal:
            stream.send(refusal_error(stream, stanza, refusal).toResponse(stanza))
        except StanzaError as error:
            stream.send(error.toResponse(stanza))


def bounce(stanza: domish.Element, error: StanzaError) -> domish.Element | None:
    """Return the error to send back for a stanza, or None if none may be (RFC 6120 §8.3.1)."""
    never_answered = {
        "iq": ("result", "error"),
        "message": ("error",),
        # Who takes presence back does not care whether it arrives.
        "presence": ("error", "unavailable"),
    }
    if stanza.getAttribute("type") in never_answered[stanza.name]:
        return None
    reply: domish.Element = error.toResponse(stanza)
    return reply
