"""What the tests of the configuration share: a folder with a certificate and a file."""

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from invitereg.config import Config, ConfigError, load

KeyPath = tuple[str | int, ...]


@cache
def certificate_and_key(which: int = 0, *, expired: bool = False) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key as PEM; another pair for each ``which``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"example{which}.com")])
    end = datetime.now(UTC) + timedelta(days=-1 if expired else 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=2))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


@cache
def encrypted_key() -> bytes:
    """A private key as PEM that a password protects."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )


def with_value(values: Mapping[str, Any], path: KeyPath, value: object) -> dict[str, Any]:
    """A copy of ``values`` with another value at ``path``, whose sections there are."""
    changed = copy.deepcopy(dict(values))
    *sections, last = path
    inner: Any = changed
    for section in sections:
        inner = inner[section]
    inner[last] = value
    return changed


def yaml_lines(
    values: Mapping[str, object], above: KeyPath = ()
) -> Iterator[tuple[KeyPath, str]]:
    """Sections as YAML, one key a line, with the path that each line is about."""
    for key, value in values.items():
        start = "  " * len(above) + f"{json.dumps(key, ensure_ascii=False)}:"
        path = (*above, key)
        if isinstance(value, Mapping) and value:
            yield path, start
            yield from yaml_lines(value, path)
        else:
            yield path, f"{start} {json.dumps(value, ensure_ascii=False)}"


class ConfigCase(SynchronousTestCase):
    """A test with a folder of its own, in which the default certificate files lie."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        certificate, key = certificate_and_key()
        (self.folder / "fullchain.pem").write_bytes(certificate)
        (self.folder / "privkey.pem").write_bytes(key)
        self.path = self.folder / "config.yaml"
        (self.path.parent / "component").write_text("secret")

    def loaded(self, text: str | bytes, *, serving: bool = True) -> Config:
        """The configuration that ``text`` is."""
        self.path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(self.path, serving=serving, common_passwords=False)

    def mistakes(self, text: str | bytes) -> list[str]:
        """What is said about ``text``, without the name of the file: ``LINE: …``."""
        try:
            self.loaded(text)
        except ConfigError as error:
            prefix = f"{self.path}:"
            lines = str(error).splitlines()
            self.assertEqual([line for line in lines if not line.startswith(prefix)], [])
            self.assertEqual(len(lines), len(error.mistakes))
            return [line.removeprefix(prefix) for line in lines]
        return []

    def mistakes_with(self, text: str) -> list[str]:
        """What is said about ``text`` below a right ``domain``, which is line 1."""
        return self.mistakes(f"domain: example.com\n{text}")

    def assert_mistake(self, text: str, *expected: str) -> None:
        """That ``text``, from line 2 on, has these mistakes and no others."""
        self.assertEqual(self.mistakes_with(text), list(expected))

    def found(self, values: dict[str, Any]) -> tuple[list[KeyPath], ConfigError]:
        """The path of each line of a file, and the error that it leads to."""
        lines = list(yaml_lines(values))
        text = "\n".join(line for _, line in lines)
        error = self.assertRaises(ConfigError, self.loaded, text)
        assert isinstance(error, ConfigError)
        return [path for path, _ in lines], error
