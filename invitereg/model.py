"""The values that invitereg speaks of: invites, accounts, uses. Pure: no I/O, no clock.

All times are timezone-aware datetimes in UTC. All usernames are localparts after nodeprep.
"""

import base64
import hashlib
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import quote

from invitereg.preparation import MAX_LOCALPART_BYTES as MAX_LOCALPART_BYTES
from invitereg.preparation import MAX_PASSWORD_BYTES as MAX_PASSWORD_BYTES
from invitereg.preparation import localpart_or_none as localpart_or_none
from invitereg.preparation import prepare_domain as prepare_domain
from invitereg.preparation import prepare_localpart as prepare_localpart
from invitereg.preparation import prepare_password as prepare_password
from invitereg.preparation import unusable_password as unusable_password

TOKEN_LENGTH = 24
_TOKEN_ALPHABET = string.ascii_letters + string.digits
_IN_LINK = re.compile(
    r"(?:[?;]preauth=|/invite/|/invites_page\?|[?&]t=)([A-Za-z0-9]+)(?:$|[^A-Za-z0-9])"
)
_ID_ALPHABET = string.ascii_lowercase + string.digits
_ID_LENGTH = 10


class Kind(StrEnum):
    """What an invite is good for."""

    ACCOUNT = "account"
    CONTACT = "contact"
    ACCOUNT_AND_CONTACT = "account-and-contact"
    RESET = "reset"

    @property
    def registers(self) -> bool:
        """Whether an account can be made with it."""
        return self in (Kind.ACCOUNT, Kind.ACCOUNT_AND_CONTACT)


class Status(StrEnum):
    """Where an invite is in its life; exactly one holds at any time."""

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
        """Whether its time is over at ``now``."""
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
        """The ``xmpp:`` URI that hands ``token`` to a client (XEP-0401 §3, XEP-0445 §3)."""
        if self.kind in (Kind.CONTACT, Kind.ACCOUNT_AND_CONTACT):
            ibr = ";ibr=y" if self.kind is Kind.ACCOUNT_AND_CONTACT else ""
            return f"xmpp:{_uri_jid(self.inviter, self.domain)}?roster;preauth={token}{ibr}"
        return self.registration_uri(token)

    @property
    def contact_uri(self) -> str:
        """The URI that adds the inviter as a contact, without a token (XEP-0147 §8)."""
        return f"xmpp:{_uri_jid(self.inviter, self.domain)}?roster"

    def registration_uri(self, token: str) -> str:
        """The URI that says nothing of contacts, but which username to take (XEP-0401 §4.4)."""
        return f"xmpp:{_uri_jid(self.username, self.domain)}?register;preauth={token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScramKeys:
    """What a server keeps of a password for one SCRAM mechanism (RFC 5802 §3, RFC 7677)."""

    mechanism: str
    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def to_string(self) -> str:
        """As RFC 5803 writes it: ``mechanism$iterations:salt$stored_key:server_key``."""
        salt, stored, server = (
            base64.b64encode(part).decode()
            for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"{self.mechanism}${self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def from_string(cls, text: str) -> "ScramKeys":
        """The inverse of `to_string`; raises ValueError on anything else."""
        mechanism, parameters, pair = text.split("$")
        iterations, salt = parameters.split(":")
        stored, server = pair.split(":")
        keys = cls(
            mechanism=mechanism,
            iterations=int(iterations),
            salt=base64.b64decode(salt),
            stored_key=base64.b64decode(stored),
            server_key=base64.b64decode(server),
        )
        if keys.to_string() != text:  # base64 and int read more than is ever written
            raise ValueError("no SCRAM keys as RFC 5803 writes them")
        return keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An account's keys, one for each mechanism stored, and when the password was set."""

    keys: tuple[ScramKeys, ...]
    changed_at: datetime

    def for_mechanism(self, mechanism: str) -> ScramKeys | None:
        """The keys stored for ``mechanism``, or None."""
        return next((keys for keys in self.keys if keys.mechanism == mechanism), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account that invitereg knows of.

    Attributes:
        credentials: None where another server keeps the passwords.
        details: what was asked for besides name and password, by field name.
    """

    domain: str
    username: str
    created_at: datetime
    credentials: Credentials | None = field(default=None, repr=False)
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


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
    """A new secret: 24 random characters of ``[A-Za-z0-9]``, 142 bits.

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
    """A new public name for an invite: 10 random characters of ``[a-z0-9]``."""
    return _random_text(_ID_ALPHABET, _ID_LENGTH)


def _random_text(alphabet: str, length: int) -> str:
    """Characters of ``alphabet``, each as likely as any other.

    As `secrets.choice` would choose them, one by one, in a tenth of the time.
    """
    # Bytes from here on would make the first characters likelier than the rest.
    fair = 256 - 256 % len(alphabet)
    found = ""
    while len(found) < length:
        drawn = secrets.token_bytes(2 * length)
        found += "".join(alphabet[byte % len(alphabet)] for byte in drawn if byte < fair)
    return found[:length]


def token_digest(token: str) -> bytes:
    """The SHA-256 of a token, 32 bytes: the only form in which a token is kept.

    Unsalted, so that it can be looked up; a token is long enough not to be guessed from it.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _uri_jid(localpart: str | None, domain: str) -> str:
    """A bare JID as RFC 5122 writes it in a URI."""
    prefix = "" if localpart is None else quote(localpart, safe="") + "@"
    return prefix + quote(domain, safe=":[]")
