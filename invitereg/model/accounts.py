"""Accounts and the keys of their passwords: values, pure."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

PLAIN = "PLAIN"
SCRAM_SHA_256 = "SCRAM-SHA-256"
SCRAM_SHA_1 = "SCRAM-SHA-1"
SCRAM_MECHANISMS = (SCRAM_SHA_256, SCRAM_SHA_1)
"""The SCRAM mechanisms in use, the strongest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScramKeys:
    """The keys of a password that a server keeps for one SCRAM mechanism (RFC 5802 §3)."""

    mechanism: str
    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def to_string(self) -> str:
        """Return ``mechanism$iterations:salt$stored_key:server_key``, as RFC 5803 writes it."""
        salt, stored, server = (
            base64.b64encode(part).decode()
            for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"{self.mechanism}${self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def from_string(cls, text: str) -> "ScramKeys":
        """Read what `to_string` has written; raise ValueError on anything else."""
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
        """Return the keys stored for ``mechanism``, or None."""
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
