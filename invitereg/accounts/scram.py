"""SCRAM keys made from passwords (RFC 5802 §3, RFC 7677)."""

import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from invitereg.config.servers import Accounts
from invitereg.model.accounts import SCRAM_MECHANISMS, SCRAM_SHA_1, SCRAM_SHA_256, ScramKeys
from invitereg.model.names import prepare_password

SALT_BYTES = 16

_ALGORITHMS: dict[str, tuple[type[HashAlgorithm], str]] = {
    SCRAM_SHA_256: (SHA256, "sha256"),
    SCRAM_SHA_1: (SHA1, "sha1"),
}


def scram_mechanisms(keys: Accounts) -> tuple[str, ...]:
    """Return the SCRAM mechanisms that a domain's keys are stored for, the strongest first."""
    return SCRAM_MECHANISMS if keys.scram_sha_1 else (SCRAM_SHA_256,)


def derive_keys(
    mechanism: str, password: str, iterations: int, salt: bytes | None = None
) -> ScramKeys:
    """Return the keys of ``password``, with a new salt unless one is given; takes milliseconds.

    scramp derives them by hashlib, whose PBKDF2 takes half as long again as that of
    cryptography's OpenSSL; and deriving is most of what a registration costs.

    Raises:
        ValueError: the password cannot be prepared by SASLprep.
    """
    algorithm, name = _ALGORITHMS[mechanism]
    salt = salt or secrets.token_bytes(SALT_BYTES)
    prepared = prepare_password(password).encode()
    hashing = algorithm()
    salted = PBKDF2HMAC(hashing, hashing.digest_size, salt, iterations).derive(prepared)
    client_key = hmac.digest(salted, b"Client Key", name)
    return ScramKeys(
        mechanism=mechanism,
        iterations=iterations,
        salt=salt,
        stored_key=hashlib.new(name, client_key).digest(),
        server_key=hmac.digest(salted, b"Server Key", name),
    )


def fits(keys: ScramKeys, password: str) -> bool:
    """Return whether ``keys`` are those of ``password``; always takes the same milliseconds."""
    derived = derive_keys(keys.mechanism, password, keys.iterations, keys.salt)
    return hmac.compare_digest(derived.stored_key, keys.stored_key)


def decoy_keys(mechanism: str, secret: bytes, name: str, iterations: int) -> ScramKeys:
    """Return keys that no password fits, always the same for a ``name``.

    With them, an exchange for an account that does not exist looks like one with a wrong
    password.
    """
    _, digest = _ALGORITHMS[mechanism]

    def part(label: str) -> bytes:
        return hmac.digest(secret, f"{label} {mechanism} {name}".encode(), digest)

    return ScramKeys(
        mechanism=mechanism,
        iterations=iterations,
        salt=part("salt")[:SALT_BYTES],
        stored_key=part("stored key"),
        server_key=part("server key"),
    )
