"""What people type where a username belongs."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.model.names import (
    localpart_or_none,
    prepare_localpart,
    strip_blanks,
    typed_username,
    wrong_username,
)

DOMAIN, ASCII_DOMAIN = "münchen.example", "xn--mnchen-3ya.example"
BLANKS = st.text(st.characters(categories=["Zs", "Zl", "Zp", "Cc", "Cf"]), max_size=3)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda text: localpart_or_none(text) is not None
)
DOMAINS = st.sampled_from([DOMAIN, ASCII_DOMAIN, "MÜNCHEN.example", f"{ASCII_DOMAIN.upper()}."])


class TypedUsernameTests(SynchronousTestCase):
    @given(NAMES.map(strip_blanks).filter(bool), BLANKS, BLANKS, DOMAINS)
    def test_meant(self, name: str, before: str, after: str, domain: str) -> None:
        """Blanks of all kinds, and our own domain, are not part of a name."""
        address = f"{name}@{domain}"
        for text in (name, address, f"xmpp:{address}", f"{address}/phone"):
            self.assertEqual(typed_username(before + text + after, DOMAIN), name)

    @given(NAMES, BLANKS, BLANKS)
    def test_wrong(self, name: str, before: str, after: str) -> None:
        """A name alone is right, and anything around it is told, with the name to type."""
        bare = strip_blanks(name)
        if localpart_or_none(bare) is None:
            return
        self.assertIsNone(wrong_username(bare, DOMAIN))
        for text in {before + name + after, f"{name}@{ASCII_DOMAIN}"} - {bare}:
            refusal = wrong_username(text, DOMAIN)
            self.assertTrue(refusal is not None and refusal.text.endswith(f": {bare}"), text)

    @given(st.text(max_size=12))
    def test_registered(self, text: str) -> None:
        """Who logs in by what was found right has the account that was registered."""
        if wrong_username(text, DOMAIN) is None:
            self.assertEqual(prepare_localpart(text), prepare_localpart(strip_blanks(text)))

    def test_told(self) -> None:
        """The name to type is told where it is known, and the domain to leave out."""
        for text, told in (
            ("sp1 ", "Type the username without blanks around it: sp1"),
            ("\u00a0sp1\u3000", "Type the username without blanks around it: sp1"),
            (f"juliet@{ASCII_DOMAIN}", f"Type only the username, without @{DOMAIN}: juliet"),
            (f"XMPP:juliet@{DOMAIN}/x", f"Type only the username, without @{DOMAIN}: juliet"),
            ("juliet@example.org", f"Addresses here end with @{DOMAIN}: type only what"),
            (f"a@b@{DOMAIN}", f"Addresses here end with @{DOMAIN}: type only what"),
            ("ju liet ", "That is not a valid username."),
            (f"@{DOMAIN}", "That is not a valid username."),
            (" ", "That is not a valid username."),
        ):
            refusal = wrong_username(text, DOMAIN)
            assert refusal is not None, text
            self.assertIn(told, refusal.text)
