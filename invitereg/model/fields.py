"""The fields of a registration (XEP-0077 §14.1), and the characters that others can show."""

import re
from collections.abc import Mapping

from invitereg.translations import N_

NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""A character that XML has no place for (XML 1.0 §2.2), such as NUL."""

# XEP-0077 §14.1; the order is the one in which a form shows them.
FIELD_LABELS: Mapping[str, str] = {
    "username": N_("Username"),
    "password": N_("Password"),
    "nick": N_("Nickname"),
    "name": N_("Full name"),
    "first": N_("First name"),
    "last": N_("Last name"),
    "email": N_("Email address"),
    "address": N_("Street address"),
    "city": N_("City"),
    "state": N_("State or region"),
    "zip": N_("Postal code"),
    "phone": N_("Telephone number"),
    "url": N_("Web page"),
    "date": N_("Date"),
    "misc": N_("Other information"),
    "text": N_("Message"),
}
ADDITIONAL_FIELDS = tuple(name for name in FIELD_LABELS if name not in ("username", "password"))
"""Those that an operator may ask for; invitereg sets ``registered``, ``remove`` and ``key``."""


def fits_xml(text: str) -> bool:
    """Return whether XML can carry all characters of ``text``."""
    return NOT_IN_XML.search(text) is None


def shown(text: str) -> str:
    """Return ``text`` with U+FFFD for each character that a stanza cannot carry."""
    return NOT_IN_XML.sub("\ufffd", text)


def escaped(text: str, keep: str = "") -> str:
    """Return ``text`` for a log or a terminal: escape sequences for what is not printable."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode()
        for one in text
    )
