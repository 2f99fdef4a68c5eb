"""Texts that people write, and that stanzas must be able to carry."""

import re

_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fits_xml(text: str) -> bool:
    """Whether it has no character that XML has no place for (XML 1.0 §2.2), such as NUL."""
    return _NOT_IN_XML.search(text) is None


def shown(text: str) -> str:
    """``text`` for a stanza; what was stored by others may have what XML has no place for."""
    return _NOT_IN_XML.sub("\ufffd", text)
