"""Where a session's stanzas go (RFC 6120 §10, RFC 6121 §8).

What is for the domain, or for the account itself, is answered by the stream's handlers.
Nothing else can be delivered yet: it comes back.
"""

from collections.abc import Callable
from typing import Any

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID, InvalidFormat
from twisted.words.xish import domish

from invitereg.errors import InvalidUsername
from invitereg.model import prepare_domain, prepare_localpart

MAX_RESOURCE_BYTES = 1023


def parse_jid(text: str) -> JID:
    """The JID that ``text`` is; Twisted alone takes parts that are empty (RFC 6122 §2).

    Raises:
        ValueError: it is none.
    """
    bare, slash, resource = text.partition("/")
    localpart, at, domain = bare.rpartition("@")
    if slash and not resource:
        raise ValueError("empty resource")
    if len(resource) > MAX_RESOURCE_BYTES:
        raise ValueError("resource too long")
    try:
        user = prepare_localpart(localpart) if at else None
        return JID(tuple=(user, prepare_domain(domain), resource or None))
    except (InvalidUsername, InvalidFormat) as error:
        raise ValueError(str(error)) from None


def is_request(iq: domish.Element) -> bool:
    """Whether an IQ asks for something, and for one thing (RFC 6120 §8.2.3)."""
    one_payload = sum(1 for _ in iq.elements()) == 1
    return one_payload and iq.getAttribute("type") in ("get", "set")


def is_for_handlers(stanza: domish.Element, sender: JID) -> bool:
    """Whether a stanza is for the sender's domain or own account.

    Raises:
        StanzaError: it is addressed to what is no JID, or it is no valid IQ.
    """
    answer = stanza.getAttribute("type") in ("result", "error")
    if stanza.name == "iq" and not answer and not is_request(stanza):
        text = "An iq has a type, and a request has one payload."
        raise StanzaError("bad-request", "modify", text, "en")
    to = stanza.getAttribute("to")
    if to is None:
        return True
    try:
        recipient = parse_jid(to)
    except ValueError:
        raise StanzaError("jid-malformed", "modify") from None
    if recipient.resource is not None or recipient.host != sender.host:
        return False
    return recipient.user in (None, sender.user)


def route(
    stanza: domish.Element, sender: JID, dispatch: Callable[[domish.Element], Any]
) -> domish.Element | None:
    """Hand a session's stanza to the handlers; returns what goes back if none takes it."""
    error = None
    try:
        if is_for_handlers(stanza, sender):
            dispatch(stanza)
    except StanzaError as malformed:
        error = malformed
    return None if stanza.handled else bounce(stanza, error)


def bounce(stanza: domish.Element, error: StanzaError | None = None) -> domish.Element | None:
    """What goes back for a stanza that nobody takes; None if nothing may (RFC 6120 §8.3.1)."""
    answerable = {
        "iq": stanza.getAttribute("type") not in ("result", "error"),
        "message": stanza.getAttribute("type") != "error",
    }
    if not answerable.get(stanza.name, False):
        return None
    unavailable = StanzaError("service-unavailable", "cancel")
    reply: domish.Element = (error or unavailable).toResponse(stanza)
    return reply
