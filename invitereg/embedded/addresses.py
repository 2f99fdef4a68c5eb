"""Parse and compare JIDs, faster than Twisted and without keeping them for ever."""

from functools import lru_cache

from twisted.words.protocols.jabber.jid import JID

from invitereg.errors import InvalidUsername
from invitereg.model.names import prepare_domain, prepare_localpart, prepare_resource

REMEMBERED_JIDS, REMEMBERED_CHARACTERS = 4096, 256


def prepared_jid(user: str | None, host: str, resource: str | None = None) -> JID:
    """Return a JID made of parts that are prepared already: preparation is slow."""
    jid = JID.__new__(JID)
    jid.user, jid.host, jid.resource = user, host, resource
    return jid


def bare_jid(jid: JID) -> JID:
    """Return a JID without its resource.

    Twisted's `JID.userhostJID` keeps every one that it has ever returned.
    """
    return prepared_jid(jid.user, jid.host)


# Preparing the parts of a JID takes longer than all else that is done for a message. Unlike
# Twisted's `internJID` this forgets, and keeps nothing long.
def parse_jid(text: str) -> JID:
    """Parse and prepare a JID; its domain is in U-labels. The result must not be changed.

    Twisted alone accepts empty parts, and leaves A-labels as they are.

    Source: RFC 6122 §2, RFC 7622 §3.2.1.

    Raises:
        ValueError: the text is no JID.
    """
    return _remembered_jid(text) if len(text) <= REMEMBERED_CHARACTERS else _parse_jid(text)


def _parse_jid(text: str) -> JID:
    bare, slash, resource = text.partition("/")
    localpart, at, domain = bare.rpartition("@")
    if slash and not resource:
        raise ValueError("empty resource")
    try:
        user = prepare_localpart(localpart) if at else None
    except InvalidUsername as error:
        raise ValueError(str(error)) from None
    host = prepare_domain(domain)
    return prepared_jid(user, host, prepare_resource(resource) if slash else None)


_remembered_jid = lru_cache(maxsize=REMEMBERED_JIDS)(_parse_jid)


def is_same_jid(text: str, address: str) -> bool:
    """Return whether two texts are the same JID after preparation."""
    try:
        return bool(parse_jid(text) == parse_jid(address))
    except ValueError:
        return False
