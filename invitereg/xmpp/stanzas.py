"""Streams and stanzas, for all doors: a stream's phases, checks, errors, languages.

Source: RFC 6120 §4 (streams), §8 (stanzas).
"""

import secrets
from collections.abc import Iterable, Sequence
from enum import Enum

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.protocols.jabber.xmlstream import NS_STREAMS, toResponse
from twisted.words.xish import domish
from wokkel.ping import NS_PING

from invitereg import errors
from invitereg.embedded.addresses import bare_jid, parse_jid
from invitereg.embedded.stanzaxml import write_element
from invitereg.model.namespaces import NS_CLIENT, NS_COMMANDS, NS_SASL, NS_TLS, NS_XML
from invitereg.translations import SOURCE_LANGUAGE, chosen_language, translator


class Phase(Enum):
    """The phases of a client's stream, in their order."""

    CLEAR = "clear"
    SECURED = "secured"
    AUTHENTICATED = "authenticated"
    BOUND = "bound"


# What may arrive in each phase, and the method that takes it. Anything else ends the stream.
ACCEPTED: dict[Phase, dict[tuple[str, str], str]] = {
    Phase.CLEAR: {
        (NS_TLS, "starttls"): "_start_tls",
        (NS_SASL, "auth"): "_refuse_clear_auth",
        (NS_CLIENT, "iq"): "_refuse_clear_iq",
    },
    Phase.SECURED: {
        (NS_SASL, "auth"): "_dispatch",
        (NS_SASL, "response"): "_dispatch",
        (NS_SASL, "abort"): "_dispatch",
        (NS_CLIENT, "iq"): "_dispatch",
    },
    Phase.AUTHENTICATED: {(NS_CLIENT, "iq"): "_dispatch"},
    Phase.BOUND: {
        (NS_CLIENT, "iq"): "_dispatch_bound",
        (NS_CLIENT, "message"): "_dispatch_bound",
        (NS_CLIENT, "presence"): "_dispatch_bound",
    },
}
# Bytes and levels that one stanza may have.
STANZA_LIMITS: dict[Phase, tuple[int, int]] = {
    Phase.CLEAR: (10 * 1024, 32),
    Phase.SECURED: (10 * 1024, 32),
    Phase.AUTHENTICATED: (10 * 1024, 32),
    Phase.BOUND: (256 * 1024, 128),
}


# The condition of each error; a subclass stands before its base.
CONDITIONS: tuple[tuple[type[errors.Refused], str, str], ...] = (
    (errors.InvalidInvite, "cancel", "item-not-found"),
    (errors.InviteRequired, "auth", "forbidden"),
    (errors.RegistrationClosed, "cancel", "not-allowed"),
    (errors.AddressRefused, "auth", "forbidden"),
    (errors.UsernameTaken, "cancel", "conflict"),
    (errors.UsernameReserved, "cancel", "not-allowed"),
    (errors.InvalidUsername, "modify", "jid-malformed"),
    (errors.UnacceptableUsername, "modify", "not-acceptable"),
    (errors.FieldMissing, "modify", "not-acceptable"),
    (errors.UnacceptableField, "modify", "not-acceptable"),
    (errors.UnacceptablePassword, "modify", "not-acceptable"),
    (errors.WrongPassword, "auth", "not-authorized"),
    (errors.Throttled, "wait", "resource-constraint"),
    (errors.Unavailable, "wait", "resource-constraint"),
    (errors.RosterFull, "wait", "resource-constraint"),
    (errors.MayNotInvite, "cancel", "forbidden"),
    (errors.NotFound, "cancel", "item-not-found"),
    (errors.InvalidRequest, "modify", "not-acceptable"),
)


def stanza_error(refusal: errors.Refused, languages: Sequence[str] = ()) -> StanzaError:
    """Return the stanza error for a refusal, in the first of ``languages`` that there is."""
    said, language = refusal.told(translator(languages)), chosen_language(languages)
    if said == refusal.text:
        language = SOURCE_LANGUAGE
    for error, kind, condition in CONDITIONS:
        if isinstance(refusal, error):
            return StanzaError(condition, kind, said, language)
    return StanzaError("not-allowed", "cancel", said, language)


LANGUAGE = (NS_XML, "lang")
"""The attribute ``xml:lang``."""


def asked_languages(iq: domish.Element, stream_language: str = "") -> Sequence[str]:
    """Return the language tag of a request, as a list of one; without one, an empty list.

    It is the ``xml:lang`` of the payload, else of the IQ, else of the stream.
    """
    payload = next(iq.elements(), iq)
    said = (payload.getAttribute(LANGUAGE), iq.getAttribute(LANGUAGE), stream_language)
    return [tag for tag in said if tag][:1]


def ping(to: str, sender: str | None = None) -> domish.Element:
    """Return a ping (XEP-0199). Any response proves that the peer is there, an error too."""
    iq = domish.Element((None, "iq"))
    iq["type"], iq["id"] = "get", f"ping-{secrets.token_hex(8)}"
    if sender is not None:
        iq["from"] = sender
    iq["to"] = to
    iq.addElement((NS_PING, "ping"))
    return iq


_PREFIXES = {NS_STREAMS: "stream"}


def serialized(obj: domish.Element | str | bytes) -> bytes:
    """Return the bytes of an element inside a stream; ready text or bytes stay as they are."""
    if isinstance(obj, bytes):
        return obj
    if isinstance(obj, domish.Element):
        obj = write_element(obj, prefixes=_PREFIXES)
    data: bytes = obj.encode()
    return data


UNREADABLE = frozenset(
    {
        "bad-format",
        "bad-namespace-prefix",
        "invalid-namespace",
        "invalid-xml",
        "not-well-formed",
        "restricted-xml",
        "unsupported-encoding",
        "unsupported-version",
        "xml-not-well-formed",  # RFC 3920
    }
)
"""Stream errors of a server that was not meant to be spoken to like this on this port."""


def is_request(iq: domish.Element) -> bool:
    """Return whether an IQ is a request with one payload (RFC 6120 §8.2.3)."""
    one_payload = sum(1 for _ in iq.elements()) == 1
    return one_payload and iq.getAttribute("type") in ("get", "set")


def require_request(iq: domish.Element) -> None:
    """Raise StanzaError if an IQ is no request with one payload."""
    if not is_request(iq):
        text = "An iq has a type, and a request has one payload."
        raise StanzaError("bad-request", "modify", text, "en")


def require_id(iq: domish.Element) -> None:
    """Raise StanzaError if a request has no ``id``, so that no response could be matched.

    Source: RFC 6120 §8.1.3, §8.2.3.
    """
    if iq.name == "iq" and is_request(iq) and not iq.getAttribute("id"):
        raise StanzaError("bad-request", "modify", "An iq has an id.", "en")


def mark_handled(element: domish.Element) -> None:
    """Mark an element as answered, so that no other handler answers it."""
    element.handled = True  # type: ignore[attr-defined]


def _about_command(iq: domish.Element) -> list[domish.Element]:
    """Return a command's element for an error: its attributes, without submitted values."""
    if iq.command is None:
        return []
    about = domish.Element((NS_COMMANDS, "command"))
    for name in ("node", "sessionid", "action"):
        if iq.command.hasAttribute(name):
            about[name] = iq.command[name]
    return [about]


def error_reply(
    stanza: domish.Element, error: StanzaError, about: Iterable[domish.Element] = ()
) -> domish.Element:
    """Return the error for a stanza, without what was sent, which may contain a password.

    It repeats the elements ``about`` the request, and the command and session, if there are
    any: some clients match errors by them.
    """
    response: domish.Element = toResponse(stanza, "error")
    for element in (*about, *_about_command(stanza)):
        response.addChild(element)
    response.addChild(error.getElement())
    return response


def result_reply(iq: domish.Element, payload: domish.Element | None) -> domish.Element:
    """Return the result for a request, with its payload, if it has one."""
    response: domish.Element = toResponse(iq, "result")
    if payload is not None:
        response.addChild(payload)
    return response


def may_send_as(stanza: domish.Element, jid: JID) -> bool:
    """Return whether a stanza's ``from``, if any, is this session's (RFC 6120 §8.1.2.1)."""
    claimed = stanza.getAttribute("from")
    if claimed is None:
        return True
    try:
        return parse_jid(claimed) in (jid, bare_jid(jid))
    except ValueError:
        return False
