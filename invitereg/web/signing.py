"""Signs what a browser keeps for the service, so that nobody else can have written it.

By itsdangerous (https://itsdangerous.palletsprojects.com/).
"""

import hashlib

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous import Signer as BytesSigner


class Signer:
    """Signs for several purposes with one key: what is for one of them is for no other."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, purpose: str, value: object) -> str:
        """Return a value of JSON's types as signed text, such as for a cookie."""
        return str(self._serializer(purpose).dumps(value))  # never bytes with JSON

    def read(self, purpose: str, text: bytes) -> object:
        """Return the value that `write` has signed; None for anything else."""
        try:
            value: object = self._serializer(purpose).loads(text)
        except BadData:
            return None
        return value

    def stamp(self, purpose: str, secret: str) -> str:
        """Return a signature of a secret, from which nobody learns the secret."""
        return self._signer(purpose).get_signature(secret.encode()).decode("ascii")

    def is_stamp(self, purpose: str, secret: str, text: str) -> bool:
        """Whether `stamp` has returned ``text`` for this purpose and secret."""
        signature = text.encode("utf-8", "replace")
        return self._signer(purpose).verify_signature(secret.encode(), signature)

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        digest = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        return URLSafeSerializer(
            self._key, salt=purpose.encode("utf-8", "replace"), signer_kwargs=digest
        )

    def _signer(self, purpose: str) -> BytesSigner:
        return BytesSigner(
            self._key,
            salt=purpose.encode("utf-8", "replace"),
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )
