"""Where a session's stanzas go (RFC 6120 §10, RFC 6121 §8).

Requests to the domain, or to the account itself, are answered by the stream's handlers. All
else is for the sessions of this process; what can reach nobody comes back.
"""

from collections.abc import Container
from typing import Any

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.embedded.addresses import bare_jid, parse_jid, prepared_jid
from invitereg.embedded.delivery import Delivery
from invitereg.embedded.domain import EmbeddedDomain
from invitereg.xmpp.presence import PresenceRouter
from invitereg.xmpp.stanzas import is_request, require_id


def may_send_as(stanza: domish.Element, jid: JID) -> bool:
    """Whether a stanza of the session with this JID says no other ``from`` (§8.1.2.1)."""
    claimed = stanza.getAttribute("from")
    if claimed is None:
        return True
    try:
        return parse_jid(claimed) in (jid, bare_jid(jid))
    except ValueError:
        return False


class Router:
    """Takes the stanzas of all sessions to where they belong."""

    def __init__(
        self, domains: Container[str], delivery: Delivery, presence: PresenceRouter
    ) -> None:
        """``domains`` are all that are served here: between them everything is local."""
        self._domains = domains
        self._delivery = delivery
        self._presence = presence

    def take(self, stanza: domish.Element, stream: Any) -> domish.Element | None:
        """Do what a stanza wants; returns what is to go back at once, if anything.

        The stanza's ``from`` is the full JID of the stream's session.
        """
        try:
            taken = self._take(stanza, stream)
        except StanzaError as error:
            return bounce(stanza, error)
        return None if taken else bounce(stanza, StanzaError("service-unavailable"))

    def _take(self, stanza: domish.Element, stream: Any) -> bool:
        answer = stanza.getAttribute("type") in ("result", "error")
        if stanza.name == "iq" and not answer and not is_request(stanza):
            text = "An iq has a type, and a request has one payload."
            raise StanzaError("bad-request", "modify", text, "en")
        require_id(stanza)
        to = self._recipient(stanza)
        if stanza.name == "presence":
            self._presence.take(stanza, to, stream)
            return True
        account: JID = bare_jid(stream.session.jid)
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


def make_router(embedded: EmbeddedDomain) -> Router:
    """What takes stanzas to the parts of the embedded domain."""
    delivery = embedded.delivery
    presence = PresenceRouter(embedded.presence, delivery, embedded.contacts)
    return Router(embedded.domains, delivery, presence)


def bounce(stanza: domish.Element, error: StanzaError) -> domish.Element | None:
    """The error that goes back for a stanza; None if nothing may (RFC 6120 §8.3.1)."""
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
