"""Usernames as people type them: with blanks around them, or as a whole address.

What is a username and nothing else is registered; so that whoever logs in by what they have
typed, as apps do, has the account that was made.
"""

import unicodedata

from twisted.words.protocols.jabber.xmpp_stringprep import nodeprep

from invitereg.errors import InvalidUsername
from invitereg.preparation import is_domain, is_too_long, localpart_or_none
from invitereg.translations import N_

_SCHEME = "xmpp:"  # RFC 5122
# Spaces and separators of all kinds, control characters, and what is not even seen.
_BLANK = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf"))


def strip_blanks(text: str) -> str:
    """Return ``text`` without what cannot be seen at its ends, such as U+3000 or U+200B."""
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while start < end and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_blank(character: str) -> bool:
    return unicodedata.category(character) in _BLANK


def typed_username(text: str, domain: str) -> str:
    """Return the username that is meant by ``text``, which need not be a valid one.

    That is what is left without blanks around it and without the domain, if it is ``domain``,
    however that is spelt. An address at another domain is returned as it is.
    """
    name = strip_blanks(text)
    bare = name.partition("/")[0]
    if bare[: len(_SCHEME)].lower() == _SCHEME:
        bare = bare[len(_SCHEME) :]
    localpart, at, host = bare.rpartition("@")
    return strip_blanks(localpart) if at and is_domain(host, domain) else name


def wrong_username(text: str, domain: str) -> InvalidUsername | None:
    """Return why ``text`` is no username, with the name to type where it is known.

    None if it is one, and nothing else.
    """
    name = typed_username(text, domain)
    if localpart_or_none(text) is not None and name == text:
        return None
    if is_too_long(text.encode("utf-8", "replace").decode()):
        return InvalidUsername()
    # By itself, a character breaks no rule about the direction of others.
    character = next((one for one in text if not _fits_name(one)), "")
    return InvalidUsername(
        _what_to_type(text, name), character=character, name=name, domain=domain
    )


def _what_to_type(text: str, name: str) -> str | None:
    if name != text and localpart_or_none(name) is not None:
        if name == strip_blanks(text):
            return N_("Type the username without blanks around it: %(name)s")
        return N_("Type only the username, without @%(domain)s: %(name)s")
    if "@" in name:
        return N_("Addresses here end with @%(domain)s: type only what is to be before that.")
    return None


def _fits_name(character: str) -> bool:
    try:
        nodeprep.prepare(character)
    except UnicodeError:
        return False
    return True
