"""What the presence stanzas of a session mean (RFC 6121 §3 and §4)."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.embedded.contacts import ContactBook
from invitereg.embedded.delivery import Delivery
from invitereg.embedded.presence import Presence
from invitereg.errors import Refused
from invitereg.xmpp.stanzas import error_on

SUBSCRIPTION_TYPES = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")


class PresenceRouter:
    """Takes presence to those whom it concerns; the stream is held meanwhile."""

    def __init__(self, presence: Presence, delivery: Delivery, contacts: ContactBook) -> None:
        self._presence = presence
        self._delivery = delivery
        self._contacts = contacts

    def take(self, stanza: domish.Element, to: JID | None, stream: Any) -> None:
        """Do what it says; if that is refused, an error of its own goes back.

        Raises:
            StanzaError: it is to go back at once.
        """
        kind = stanza.getAttribute("type")
        session = stream.session
        if to is None and kind is None:
            stream.hold(
                self._in_turn(self._presence.available(session, stanza), stanza, stream)
            )
        elif to is None and kind == "unavailable":
            self._presence.unavailable(session, stanza)
        elif kind in SUBSCRIPTION_TYPES and to is not None:
            changing = self._contacts.subscription(session.jid, stanza, stream.address)
            stream.hold(self._in_turn(changing, stanza, stream))
        elif kind in (None, "unavailable") and to is not None:
            if to.user is not None:
                self._presence.directed(session, stanza, to)
        elif kind == "probe" and to is not None:
            stream.hold(self._in_turn(self._presence.probe(session, to), stanza, stream))
        elif kind == "error":
            if to is not None and to.resource is not None:
                self._delivery.presence(stanza, to)
        else:
            raise StanzaError("bad-request", "modify", "No such presence is known.", "en")

    def _in_turn(self, working: Any, stanza: domish.Element, stream: Any) -> "Deferred[None]":
        return Deferred.fromCoroutine(self._finish(working, stanza, stream))

    async def _finish(self, working: Any, stanza: domish.Element, stream: Any) -> None:
        try:
            await working
        except Refused as refusal:
            stream.send(error_on(stream, stanza, refusal).toResponse(stanza))
        except StanzaError as error:
            stream.send(error.toResponse(stanza))
