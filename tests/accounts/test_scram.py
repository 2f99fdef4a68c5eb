"""Keys made from passwords."""

import base64
import hmac

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.accounts.scram import SCRAM_SHA_1, SCRAM_SHA_256, decoy_keys, derive_keys, fits
from invitereg.model.names import prepare_password

FAST = 4096


class DeriveTests(SynchronousTestCase):
    """What is stored of a password."""

    def assertSignature(self, mechanism: str, salt: str, message: str, signature: str) -> None:
        keys = derive_keys(mechanism, "pencil", FAST, base64.b64decode(salt))
        digest = "sha1" if mechanism == SCRAM_SHA_1 else "sha256"
        signed = hmac.digest(keys.server_key, message.encode(), digest)
        self.assertEqual(base64.b64encode(signed).decode(), signature)

    def test_rfc_7677(self) -> None:
        """The example of RFC 7677 §3 comes out as printed there."""
        nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
        self.assertSignature(
            SCRAM_SHA_256,
            salt,
            f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={salt},i=4096,c=biws,r={nonce}",
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        )

    def test_rfc_5802(self) -> None:
        """The example of RFC 5802 §5 comes out as printed there."""
        nonce, salt = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92"
        self.assertSignature(
            SCRAM_SHA_1,
            salt,
            f"n=user,r=fyko+d2lbbFgONRv9qkxdawL,r={nonce},s={salt},i=4096,c=biws,r={nonce}",
            "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        )

    def test_salt(self) -> None:
        """The same password gives other keys each time."""
        first, second = (derive_keys(SCRAM_SHA_256, "pencil", FAST) for _ in range(2))
        self.assertNotEqual(first.salt, second.salt)
        self.assertNotEqual(first.stored_key, second.stored_key)

    def test_fits(self) -> None:
        """A password fits its own keys, also as another keyboard writes it, and no others."""
        keys = derive_keys(SCRAM_SHA_256, "pencil\u00a0box", FAST)
        self.assertTrue(fits(keys, "pencil box"))
        self.assertFalse(fits(keys, "pencil boy"))

    @settings(max_examples=50, deadline=None)
    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
    def test_plain_passwords_are_left_as_they_are(self, password: str) -> None:
        """What can be typed on every keyboard is prepared to itself."""
        self.assertEqual(prepare_password(password), password)

    def test_impossible_passwords(self) -> None:
        """No keys are made of what no client could send."""
        for password in ("", "a\x00b", "\u00ad", "a\u0627b", "\ud800"):
            with self.assertRaises(ValueError):
                derive_keys(SCRAM_SHA_256, password, FAST)


class DecoyTests(SynchronousTestCase):
    """What is shown of an account that does not exist."""

    def test_always_the_same(self) -> None:
        """Asking twice gives the same salt, as for a real account; each name has its own."""
        first, again, other = (
            decoy_keys(SCRAM_SHA_256, b"secret", name, FAST) for name in ("a", "a", "b")
        )
        self.assertEqual(first, again)
        self.assertNotEqual(first.salt, other.salt)
        self.assertEqual(len(first.salt), len(derive_keys(SCRAM_SHA_256, "x", FAST).salt))

    def test_fits_nothing(self) -> None:
        """No password opens a decoy."""
        self.assertFalse(fits(decoy_keys(SCRAM_SHA_256, b"secret", "a", FAST), "secret"))
