"""Seals a password for one running process, so that nobody else can read it in the store.

The process makes a key pair when it starts and keeps the private half in memory; who has a
password for it seals that with the public half: ephemeral X25519 (RFC 7748), HKDF (RFC 5869)
and ChaCha20-Poly1305 (RFC 8439).
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
# A key is used for one message only, so the nonce may be fixed.
_NONCE = bytes(12)


class KeyPair:
    """What a process opens with what was sealed for it.

    Attributes:
        public: in hexadecimal digits.
    """

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw().hex()

    def open(self, sealed: str) -> str:
        """What was sealed; raises ValueError if it was not for this process."""
        try:
            data = bytes.fromhex(sealed)
            sender, box = data[:_KEY_BYTES], data[_KEY_BYTES:]
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(sender))
            key = _derive(shared, sender, self.public)
            return ChaCha20Poly1305(key).decrypt(_NONCE, box, None).decode()
        except InvalidTag:
            raise ValueError("sealed for another") from None


def seal(text: str, public: str) -> str:
    """``text``, as only the owner of the public key can read it, in hexadecimal digits."""
    ephemeral = X25519PrivateKey.generate()
    sender = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    box = ChaCha20Poly1305(_derive(shared, sender, public)).encrypt(_NONCE, text.encode(), None)
    return (sender + box).hex()


def _derive(shared: bytes, sender: bytes, public: str) -> bytes:
    info = b"invitereg errand" + sender + bytes.fromhex(public)
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(shared)
