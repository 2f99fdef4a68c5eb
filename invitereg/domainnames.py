"""The two spellings of an internationalized domain: U-labels (münchen), A-labels (xn--).

One domain has one normal form here, in U-labels (RFC 7622 §3.2.1), which
`invitereg.preparation.prepare_domain` returns for both. A-labels are for the DNS, TLS and URLs.

Twisted's addresses know nameprep (RFC 3491) only, and today's registries and clients IDNA 2008
(RFC 5891, with the mapping of UTS #46). The two differ about a few characters.
"""

import encodings.idna as idna2003
import unicodedata

import idna
from twisted.words.protocols.jabber.xmpp_stringprep import nameprep

ACE_PREFIX = "xn--"
_MOST_OF_LABEL = 63


def unicode_label(label: str) -> str:
    """Return the U-label of an A-label in small letters; any other label as it is.

    An A-label of which nameprep would make another one stays what it is: ``xn--strae-oqa`` is
    straße, and must never become strasse, which is somebody else's.
    """
    if not label.startswith(ACE_PREFIX) or len(label) > _MOST_OF_LABEL:
        return label
    try:
        decoded = label.removeprefix(ACE_PREFIX).encode("ascii").decode("punycode")
        same = nameprep.prepare(decoded) == decoded
        same = same and idna2003.ToASCII(decoded) == label.encode("ascii")
    except (UnicodeError, IndexError):
        return label
    return decoded if same else label


def ascii_domain(domain: str) -> str:
    """Return a domain in A-labels, as the DNS, certificates and URLs have it.

    Raises:
        ValueError: it has no such form (RFC 5891 §4.2); the text says why.
    """
    *labels, last = idna2003.dots.split(domain)
    root = bool(labels) and not last  # a dot at the end
    return ".".join((*map(_ascii_label, labels), "" if root else _ascii_label(last)))


def spelled_like(domain: str, spelling: str) -> str:
    """Return a domain's normal form, in A-labels if that is how ``spelling`` writes it.

    ``spelling`` is the same domain, as somebody has written it.
    """
    return ascii_domain(domain) if spelling.isascii() and not domain.isascii() else domain


def disagreement(domain: str) -> str | None:
    """Return why IDNA 2008 and nameprep disagree about a domain; None if they do not."""
    for label in idna2003.dots.split(domain):
        if not label.isascii() or label.lower().startswith(ACE_PREFIX):
            problem = _disagreement_about(label)
            if problem is not None:
                return problem
    return None


def _disagreement_about(label: str) -> str | None:
    try:
        current = idna.ulabel(_ascii_label(label))
    except ValueError as error:
        return f"IDNA 2008 does not allow it: {error}"
    # An A-label is what IDNA 2008 has decided already; nameprep leaves it as it is.
    read = current if label.isascii() else label
    try:
        prepared = nameprep.prepare(read)
    except (UnicodeError, IndexError):
        return f"nameprep (RFC 3491, of Unicode 3.2) does not allow {current}"
    if prepared == current:
        return None
    lost = ", ".join(_named(char) for char in dict.fromkeys(current) if char not in prepared)
    return f"nameprep (RFC 3491) makes {prepared} of it: IDNA 2008 keeps {lost}"


def _named(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()


def _ascii_label(label: str) -> str:
    """Return a label as an A-label; one of ASCII as it is, in small letters."""
    if label.isascii():
        if not 0 < len(label) <= _MOST_OF_LABEL:
            raise ValueError("Label too long" if label else "Empty Label")
        return label.lower()
    return idna.alabel(idna.uts46_remap(label, std3_rules=False)).decode("ascii")
