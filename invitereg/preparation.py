"""Preparation of names and passwords (stringprep, RFC 3454), which never takes long.

Stringprep asks many tables about each character, and its normalization (NFKC) makes up to 18
characters of one: 2,035 of U+FDFA took 65 ms. So the length is looked at first, as typed and
as normalized, which takes microseconds.
"""

import re
import unicodedata
from functools import lru_cache
from stringprep import in_table_d1

from scramp import ScramException
from scramp.utils import saslprep
from twisted.words.protocols.jabber.xmpp_stringprep import nameprep, nodeprep, resourceprep

from invitereg.domainnames import unicode_label
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
    try:
        prepared: str = "" if is_too_long(text) else nodeprep.prepare(text)
    except UnicodeError:
        raise InvalidUsername from None
    if not prepared or is_too_long(prepared):
        raise InvalidUsername
    return prepared


def localpart_or_none(text: str | None) -> str | None:
    """Return what `prepare_localpart` does; None if ``text`` is empty, or no localpart."""
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
    try:
        prepared: str = "" if is_too_long(text) else resourceprep.prepare(text)
        too_long = is_too_long(prepared)
    except UnicodeError:
        raise ValueError("not a resource") from None
    if not prepared or too_long:
        raise ValueError("not a resource")
    return prepared


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
    # By itself, a character breaks no rule about the direction of others.
    character = next((one for one in text if not _is_preparable(one)), "")
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


def _is_preparable(character: str) -> bool:
    try:
        saslprep(character)
    except (ScramException, UnicodeEncodeError):
        return False
    return True


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
    return _WORD.sub(lambda word: word[0] if word[1] else _unicode_domains(word[0]), text)


def _unicode_domains(text: str) -> str:
    return _WITH_A_LABEL.sub(lambda found: _normal_form(found[0]), text)


def _normal_form(domain: str) -> str:
    try:
        return prepare_domain(domain)
    except ValueError:
        return domain
