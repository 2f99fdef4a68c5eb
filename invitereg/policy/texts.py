"""Texts that people write, and that stanzas must be able to carry."""

import re

_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fits_xml(text: str) -> bool:
    """Whether it has no character that XML has no place for (XML 1.0 §2.2), such as NUL."""
    return _NOT_IN_XML.search(text) is None
