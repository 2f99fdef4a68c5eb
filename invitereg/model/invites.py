"""Invites, uses of them, and tokens: values, pure, without I/O and without a clock.

All times are timezone-aware datetimes in UTC. All usernames are localparts after nodeprep.
"""

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

TOKEN_LENGTH = 24
_TOKEN_ALPHABET = string.ascii_letters + string.digits
_IN_LINK = re.compile(
    r"(?:[?;]preauth=|/invite/|/invites_page\?|[?&]t=)([A-Za-z0-9]+)(?:$|[^A-Za-z0-9])"
)
_ID_ALPHABET = string.ascii_lowercase + string.digits
_ID_LENGTH = 10


class Kind(StrEnum):
    """The purpose of an invite."""

    ACCOUNT = "account"
    CONTACT = "contact"
    ACCOUNT_AND_CONTACT = "account-and-contact"
    RESET = "reset"

    @property
    def registers(self) -> bool:
        """Whether an account can be made with it."""
        return self in (Kind.ACCOUNT, Kind.ACCOUNT_AND_CONTACT)


class Status(StrEnum):
    """The state of an invite; exactly one holds at any time."""

    PENDING = "pending"
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """A stored permission to register, to subscribe, or to set a new password.

    The token that opens it is not part of it: only the token's digest is ever stored.

    Attributes:
        id: short public name, safe to log and to show.
        inviter: localpart of who invites, or None for the operator.
        source: who made it, or renewed it last, and so was given its token: ``cli``,
            ``api:KEYID``, ``adhoc:JID`` or ``web:JID``.
        username: the only name that may be taken with it, reserved for it; None for any. For
            a reset, the account whose password is set.
        uses_allowed: how often it may be redeemed; None is unlimited.
        per_network_allowed: how often from one network in the period of
            ``limits.shared_invite``; None is as many as that says.
        uses: how often it has been redeemed.
        expires_at: the first moment at which it is no longer valid; None is never.
    """

    id: str
    domain: str
    kind: Kind
    source: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None
    inviter: str | None = None
    username: str | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    note: str = ""
    uses_allowed: int | None = 1
    per_network_allowed: int | None = None
    uses: int = 0

    @property
    def subscribe(self) -> bool:
        """Whether redeeming it makes invitee and inviter mutual contacts."""
        return self.kind is Kind.ACCOUNT_AND_CONTACT

    @property
    def used_up(self) -> bool:
        """Whether every allowed use has been taken."""
        return self.uses_allowed is not None and self.uses >= self.uses_allowed

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def status(self, now: datetime) -> Status:
        """Return the one status that the invite has at ``now``.

        One that is revoked after it had expired stays expired: so it was over for everybody but
        who had shown its token before (XEP-0445 §4).
        """
        if self.revoked_at is not None and not self.expired(self.revoked_at):
            return Status.REVOKED
        if self.used_up:
            return Status.USED
        over = self.revoked_at is not None or self.expired(now)
        return Status.EXPIRED if over else Status.PENDING

    def uri(self, token: str) -> str:
        """Return the ``xmpp:`` URI that gives a client ``token`` (XEP-0401 §3, XEP-0445 §3)."""
        if self.kind in (Kind.CONTACT, Kind.ACCOUNT_AND_CONTACT):
            ibr = ";ibr=y" if self.kind is Kind.ACCOUNT_AND_CONTACT else ""
            return f"xmpp:{_uri_jid(self.inviter, self.domain)}?roster;preauth={token}{ibr}"
        return self.registration_uri(token)

    @property
    def contact_uri(self) -> str:
        """Return the URI that adds the inviter as a contact, without a token (XEP-0147 §8)."""
        return f"xmpp:{_uri_jid(self.inviter, self.domain)}?roster"

    def registration_uri(self, token: str) -> str:
        """Return the URI that names the username to take, and no contact (XEP-0401 §4.4)."""
        return f"xmpp:{_uri_jid(self.username, self.domain)}?register;preauth={token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One account or contact made, or one password reset: the history that outlives all.

    Attributes:
        invite_id: None where no invite was needed.
        inviter: localpart of who had made the invite; None for the operator or without one.
        door: ``c2s``, ``component``, ``web``, ``api`` or ``cli``.
        address: the client's address as text, or None where there is none (any more).
    """

    domain: str
    username: str
    kind: Kind
    at: datetime
    door: str
    invite_id: str | None = None
    inviter: str | None = None
    address: str | None = None

    @property
    def registers(self) -> bool:
        """Whether it made an account: it is neither a reset nor a contact."""
        return self.kind.registers


def generate_token() -> str:
    """Return a new secret: 24 random characters of ``[A-Za-z0-9]``, 142 bits.

    Only letters and digits, as some clients do not percent-decode what they read from a URI.
    """
    return _random_text(_TOKEN_ALPHABET, TOKEN_LENGTH)


def is_like_token(text: str) -> bool:
    """Whether a text has the form of a token, which no invite's id has."""
    return len(text) == TOKEN_LENGTH and set(text) <= set(_TOKEN_ALPHABET)


def token_in(text: str) -> str:
    """Return the token that a link has: one for apps, or of a page; other text as it is."""
    found = _IN_LINK.search(text.strip())
    return found[1] if found else text.strip()


def generate_invite_id() -> str:
    """Return a new public name for an invite: 10 random characters of ``[a-z0-9]``."""
    return _random_text(_ID_ALPHABET, _ID_LENGTH)


def _random_text(alphabet: str, length: int) -> str:
    """Return characters of ``alphabet``, each as likely as any other.

    Takes a tenth of the time of `secrets.choice`, called for each.
    """
    # Bytes from here on would make the first characters likelier than the rest.
    fair = 256 - 256 % len(alphabet)
    found = ""
    while len(found) < length:
        drawn = secrets.token_bytes(2 * length)
        found += "".join(alphabet[byte % len(alphabet)] for byte in drawn if byte < fair)
    return found[:length]


def token_digest(token: str) -> bytes:
    """Return the SHA-256 of a token, 32 bytes: the only form in which a token is kept.

    Unsalted, so that it can be looked up; a token is long enough not to be guessed from it.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _uri_jid(localpart: str | None, domain: str) -> str:
    """Return a bare JID as RFC 5122 writes it in a URI."""
    prefix = "" if localpart is None else quote(localpart, safe="") + "@"
    return prefix + quote(domain, safe=":[]")
