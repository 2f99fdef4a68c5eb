"""Checks of a certificate and its private key: readable, and belonging together."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from invitereg.config.messages import why_unreadable


def check_certificate(path: Path) -> None:
    """Raise ValueError with a text for the operator unless ``path`` holds a certificate."""
    _certified_key(path)


def check_private_key(path: Path, certificate: Path | None) -> None:
    """Check ``path``, and that it belongs to the first certificate of ``certificate``.

    Raises:
        ValueError: with a text for the operator.
    """
    own = _public_part(path)
    if certificate is not None and own != _certified_key(certificate):
        raise ValueError(f"the key in {path} does not belong to the first certificate")


def _certified_key(path: Path) -> PublicKeyTypes:
    content = _content(path)
    try:
        return load_pem_x509_certificates(content)[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"there is no usable certificate in PEM form in {path}") from None


def _public_part(path: Path) -> PublicKeyTypes:
    content = _content(path)
    try:
        return load_pem_private_key(content, password=None).public_key()
    except TypeError:  # which cryptography raises where a password is needed
        raise ValueError(
            f"the key in {path} is encrypted: store it without a password"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"there is no usable private key in PEM form in {path}") from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {why_unreadable(error)}") from None
