"""How refusals are said in stanzas (RFC 6120 §8.3)."""

from collections.abc import Sequence
from typing import Any

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg import errors
from invitereg.translations import SOURCE_LANGUAGE, chosen_language, translator
from invitereg.xmpp.languages import asked_languages

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
    """Return the stanza error that says ``refusal`` in the first language that there is."""
    said, language = refusal.told(translator(languages)), chosen_language(languages)
    if said == refusal.text:
        language = SOURCE_LANGUAGE
    for error, kind, condition in CONDITIONS:
        if isinstance(refusal, error):
            return StanzaError(condition, kind, said, language)
    return StanzaError("not-allowed", "cancel", said, language)


def error_on(stream: Any, stanza: domish.Element, refusal: errors.Refused) -> StanzaError:
    """Return the stanza error that says ``refusal`` in a stanza's language, or its stream's."""
    parser = stream.stream  # None once the stream has ended
    return stanza_error(refusal, asked_languages(stanza, parser.language if parser else ""))
