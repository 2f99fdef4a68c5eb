"""Usernames, domains, resources and passwords: their preparation, and how people type them.

Preparation is stringprep (RFC 3454), which never takes long here. Stringprep asks many tables
about each character, and its normalization (NFKC) makes up to 18 characters of one: 2,035 of
U+FDFA took 65 ms. So the length is looked at first, as typed and as normalized, which takes
microseconds.

An internationalized domain has two spellings: U-labels (münchen) and A-labels (xn--). Its
normal form here is in U-labels (RFC 7622 §3.2.1); A-labels are for the DNS, TLS and URLs.
Twisted's addresses know nameprep (RFC 3491) only, and today's registries and clients IDNA 2008
(RFC 5891, with the mapping of UTS #46). The two differ about a few characters.

People type usernames with blanks around them, or as a whole address. What is a username and
nothing else is registered; so that whoever logs in by what they have typed, as apps do, has the
account that was made.
"""

import encodings.idna as idna2003
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from stringprep import in_table_d1

import idna
from scramp import ScramException
from scramp.utils import saslprep
from twisted.words.protocols.jabber.xmpp_stringprep import (
    Profile,
    nameprep,
    nodeprep,
    resourceprep,
)

from invitereg.errors import InvalidUsername, PasswordRule, UnacceptablePassword
from invitereg.translations import N_

MAX_LOCALPART_BYTES = 1023
"""The most bytes that each part of an address has in UTF-8 (RFC 6122 §2.1)."""
MAX_PASSWORD_BYTES = 1023

# What nodeprep allows of ASCII: all that can be seen but "&'/:<>@ (RFC 6122 §A.5).
_ASCII_LOCALPART = re.compile(r"[!#-%(-.0-9;=?A-~]+")
# What has nothing in it that no localpart has (RFC 6122 §A.5); with an @, it is one.
_WORD = re.compile(r"[^\s\"&'/:<>@]+(@?)")
# Only from where a domain begins: from each of its characters on, a long text would take long.
_WITH_A_LABEL = re.compile(r"(?<![\w.-])[\w.-]*xn--[\w.-]+")


def is_too_long(text: str, most: int = MAX_LOCALPART_BYTES) -> bool:
    """Return whether ``text`` has more than ``most`` bytes in UTF-8, as it is or after NFKC.

    Raises:
        UnicodeError: it has a surrogate.
    """
    if len(text) > most or len(text.encode()) > most:
        return True
    return not text.isascii() and len(unicodedata.normalize("NFKC", text).encode()) > most


@lru_cache(maxsize=1024)
def prepare_localpart(text: str) -> str:
    """Return ``text`` after nodeprep, as usernames are stored and compared.

    Raises:
        InvalidUsername: it is no localpart of 1 to 1,023 bytes (RFC 6122 §2.3), or has more
            before preparation.
    """
    if text.isascii() and len(text) <= MAX_LOCALPART_BYTES and _ASCII_LOCALPART.fullmatch(text):
        return text.lower()  # as nodeprep would make it, which takes long to find out
    prepared = _prepared(nodeprep, text)
    if not prepared:
        raise InvalidUsername
    return prepared


def localpart_or_none(text: str | None) -> str | None:
    """Return ``text`` after nodeprep; None if it is empty, or no localpart."""
    try:
        return prepare_localpart(text) if text else None
    except InvalidUsername:
        return None


@lru_cache(maxsize=1024)
def prepare_domain(text: str) -> str:
    """Return a domain's normal form, as it is stored and compared.

    That is in U-labels (RFC 7622 §3.2.1) after nameprep (RFC 3491), as Twisted's addresses
    know no other preparation; without a dot at its end.

    Raises:
        ValueError: it is empty, has more than 1,023 bytes, or is no domain name.
    """
    try:
        if is_too_long(text.removesuffix(".")):
            raise ValueError("not a domain name")
        labels = nameprep.prepare(text).removesuffix(".").split(".")
        prepared = ".".join(map(unicode_label, labels))
        too_long = is_too_long(prepared)
    except (UnicodeError, IndexError):  # the latter is Twisted's word for an empty label
        raise ValueError("not a domain name") from None
    if not prepared or too_long or any(c in "@/ <>&\"'" for c in prepared):
        raise ValueError("not a domain name")
    return prepared


@lru_cache(maxsize=1024)
def prepare_resource(text: str) -> str:
    """Return ``text`` after resourceprep, as resources are compared.

    Raises:
        ValueError: it is no resource of 1 to 1,023 bytes (RFC 6122 §2.4), or has more before
            preparation.
    """
    prepared = _prepared(resourceprep, text)
    if not prepared:
        raise ValueError("not a resource")
    return prepared


def _prepared(profile: Profile, text: str) -> str:
    """Return ``text`` after stringprep; "" if it cannot be, or has too many bytes."""
    try:
        prepared: str = "" if is_too_long(text) else profile.prepare(text)
        return "" if is_too_long(prepared) else prepared
    except UnicodeError:
        return ""


def prepare_password(text: str) -> str:
    """Return ``text`` after SASLprep (RFC 4013), as keys are made from it; not empty.

    Raises:
        ValueError: it has characters that are prohibited, nothing is left of it, or it has
            more than 1,023 bytes.
    """
    if text.isascii() and text.isprintable() and 0 < len(text) <= MAX_PASSWORD_BYTES:
        return text  # as SASLprep would leave it, which takes long to find out
    try:
        if is_too_long(text, MAX_PASSWORD_BYTES):
            raise ValueError("the password is too long")
        prepared: str = saslprep(text)
    except (ScramException, UnicodeEncodeError):
        raise ValueError("the password cannot be prepared") from None
    if not prepared:
        raise ValueError("the password is empty")
    return prepared


def unusable_password(text: str) -> UnacceptablePassword:
    """Return the rule by which `prepare_password` refuses ``text``, which it does."""
    if is_too_long(text.encode("utf-8", "replace").decode(), MAX_PASSWORD_BYTES):
        return UnacceptablePassword(
            N_("The password is too long: longer than %(bytes)s bytes."),
            rule=PasswordRule.TOO_LONG,
            number=MAX_PASSWORD_BYTES,
            bytes=f"{MAX_PASSWORD_BYTES:,}",
        )
    character = _unusable_character(text, saslprep)
    if not character and any(map(in_table_d1, text)):
        return UnacceptablePassword(
            N_(
                "A password with letters that are written from right to left must begin and "
                "end with one of them, and have none that are written from left to right."
            ),
            rule=PasswordRule.DIRECTION,
        )
    character = character or text[:1]
    return UnacceptablePassword(
        N_("The password has characters that cannot be used: U+%(code)s."),
        rule=PasswordRule.CHARACTER,
        character=character,
        code=f"{ord(character or chr(0)):04X}",
    )


def _unusable_character(text: str, prepare: Callable[[str], object]) -> str:
    """Return the first character that cannot be prepared; "" if each can.

    By itself, a character breaks no rule about the direction of others.
    """
    for character in text:
        try:
            prepare(character)
        except (ScramException, UnicodeError):
            return character
    return ""


def is_domain(text: str, domain: str) -> bool:
    """Return whether ``text`` is a ``domain`` that is prepared, however it is spelt."""
    try:
        return prepare_domain(text) == domain
    except ValueError:
        return False


def in_unicode(text: str) -> str:
    """Return a text with the domains that are in it in U-labels (RFC 7622 §3.2.1).

    A localpart stays as it is, whatever it looks like: changed, it would be somebody else.
    """

    def normal_form(found: re.Match[str]) -> str:
        try:
            return prepare_domain(found[0])
        except ValueError:
            return found[0]

    return _WORD.sub(
        lambda word: word[0] if word[1] else _WITH_A_LABEL.sub(normal_form, word[0]), text
    )


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


_SCHEME = "xmpp:"  # RFC 5122
# Spaces and separators of all kinds, control characters, and what is not even seen.
_BLANK = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf"))


def strip_blanks(text: str) -> str:
    """Return ``text`` without what cannot be seen at its ends, such as U+3000 or U+200B."""
    return text.strip("".join(one for one in set(text) if unicodedata.category(one) in _BLANK))


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
    character = _unusable_character(text, nodeprep.prepare)
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
