"""What invites, names and keys look like to those who read them."""

import hashlib
import string
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.errors import InvalidUsername
from invitereg.model.accounts import Account, Credentials, ScramKeys
from invitereg.model.invites import (
    Invite,
    Kind,
    Status,
    generate_invite_id,
    generate_token,
    token_digest,
)
from invitereg.model.names import prepare_domain, prepare_localpart

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too
TOKEN = "A1b2C3d4E5f6G7h8I9j0K1l2"
KEYS = ScramKeys(
    mechanism="SCRAM-SHA-256",
    iterations=4096,
    salt=b"salt",
    stored_key=b"STORED-KEY",
    server_key=b"SERVER-KEY",
)


def invite(kind: Kind = Kind.ACCOUNT, **changes: object) -> Invite:
    values: dict = {
        "id": "abc",
        "domain": "example.com",
        "kind": kind,
        "source": "cli",
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=7),
    }
    return Invite(**(values | changes))


class TokenTests(SynchronousTestCase):
    def test_shape(self) -> None:
        """A token survives every client, as it is 24 letters and digits and nothing else."""
        tokens = [generate_token() for _ in range(500)]
        self.assertEqual({len(token) for token in tokens}, {24})
        self.assertEqual(set("".join(tokens)), set(string.ascii_letters + string.digits))

    def test_unique(self) -> None:
        """No two invitees get the same link."""
        self.assertEqual(len({generate_token() for _ in range(1000)}), 1000)

    def test_digest(self) -> None:
        """A stolen database holds SHA-256 digests of tokens, which open nothing."""
        self.assertEqual(token_digest(TOKEN), hashlib.sha256(TOKEN.encode()).digest())
        self.assertNotEqual(token_digest(TOKEN), token_digest(TOKEN.lower()))

    @given(ANY_TEXT)
    def test_digest_of_anything(self, text: str) -> None:
        """Whatever somebody sends as a token is looked up, not an internal error."""
        self.assertEqual(len(token_digest(text)), 32)

    def test_ids(self) -> None:
        """An invite's id is short and can be typed: ten lower-case letters and digits."""
        ids = [generate_invite_id() for _ in range(500)]
        self.assertEqual({len(name) for name in ids}, {10})
        self.assertEqual(set("".join(ids)), set(string.ascii_lowercase + string.digits))
        self.assertEqual(len(set(ids)), 500)


class UriTests(SynchronousTestCase):
    def test_account(self) -> None:
        """An account invite's link asks the client to register at the domain."""
        uri = invite().uri(TOKEN)
        self.assertEqual(uri, f"xmpp:example.com?register;preauth={TOKEN}")

    def test_fixed_username(self) -> None:
        """An account invite for one username names it in the link."""
        uri = invite(username="juliet", inviter="romeo").uri(TOKEN)
        self.assertEqual(uri, f"xmpp:juliet@example.com?register;preauth={TOKEN}")

    def test_contact(self) -> None:
        """A contact invite's link asks the client to add the inviter."""
        uri = invite(Kind.CONTACT, inviter="romeo").uri(TOKEN)
        self.assertEqual(uri, f"xmpp:romeo@example.com?roster;preauth={TOKEN}")

    def test_account_and_contact(self) -> None:
        """An account-and-contact link also says, literally, that one may register."""
        uri = invite(Kind.ACCOUNT_AND_CONTACT, inviter="romeo").uri(TOKEN)
        self.assertEqual(uri, f"xmpp:romeo@example.com?roster;preauth={TOKEN};ibr=y")

    def test_account_and_contact_with_username(self) -> None:
        """Its link names the inviter, who becomes the contact, even with a fixed username."""
        made = invite(Kind.ACCOUNT_AND_CONTACT, inviter="romeo", username="juliet")
        self.assertEqual(
            made.uri(TOKEN), f"xmpp:romeo@example.com?roster;preauth={TOKEN};ibr=y"
        )

    def test_reset(self) -> None:
        """A reset's link names the account whose password is set."""
        uri = invite(Kind.RESET, username="romeo").uri(TOKEN)
        self.assertEqual(uri, f"xmpp:romeo@example.com?register;preauth={TOKEN}")

    def test_percent_encoding(self) -> None:
        """Names with characters that mean something in a URI arrive whole at the client."""
        cases = {
            "o'brien": "o%27brien",
            "ñ": "%C3%B1",
            "a;b": "a%3Bb",
            "a&b": "a%26b",
            "a?b#c": "a%3Fb%23c",
            "50%": "50%25",
        }
        for name, encoded in cases.items():
            end = f"@example.com?register;preauth={TOKEN}"
            self.assertEqual(invite(username=name).uri(TOKEN), f"xmpp:{encoded}{end}")

    def test_international_domain(self) -> None:
        """The link of an international domain is plain ASCII, as a URI must be."""
        uri = invite(domain="münchen.example").uri(TOKEN)
        self.assertEqual(uri, f"xmpp:m%C3%BCnchen.example?register;preauth={TOKEN}")

    @given(st.text(min_size=1))
    def test_reads_back(self, name: str) -> None:
        """Whatever the name, a client that follows RFC 5122 reads the same name from it."""
        path, _, query = invite(username=name).uri(TOKEN).partition("?")
        self.assertEqual(unquote(path), f"xmpp:{name}@example.com")
        self.assertEqual(query, f"register;preauth={TOKEN}")


class StatusTests(SynchronousTestCase):
    def test_pending(self) -> None:
        """A fresh invite is listed as pending."""
        self.assertIs(invite().status(NOW), Status.PENDING)

    def test_expires_at_the_moment(self) -> None:
        """An invite is expired from the very moment that it names, not before."""
        made = invite()
        moment = timedelta(microseconds=1)
        self.assertIs(made.status(made.expires_at - moment), Status.PENDING)
        self.assertIs(made.status(made.expires_at), Status.EXPIRED)

    def test_never_expires(self) -> None:
        """An invite without an end stays pending for good."""
        made = invite(expires_at=None)
        self.assertIs(made.status(datetime.max.replace(tzinfo=UTC)), Status.PENDING)

    def test_used(self) -> None:
        """An invite is used once all its uses are taken, not by the first of several."""
        self.assertIs(invite(uses=1).status(NOW), Status.USED)
        self.assertIs(invite(uses=1, uses_allowed=2).status(NOW), Status.PENDING)
        self.assertIs(invite(uses=2, uses_allowed=2).status(NOW), Status.USED)

    def test_unlimited(self) -> None:
        """An unlimited invite is never used up."""
        self.assertIs(invite(uses=10**6, uses_allowed=None).status(NOW), Status.PENDING)

    def test_precedence(self) -> None:
        """Where several hold, an operator reads revoked before used before expired."""
        late = NOW + timedelta(days=8)
        self.assertIs(invite(uses=1, revoked_at=NOW).status(late), Status.REVOKED)
        self.assertIs(invite(revoked_at=NOW).status(late), Status.REVOKED)
        self.assertIs(invite(uses=1).status(late), Status.USED)
        self.assertIs(invite().status(late), Status.EXPIRED)

    def test_revoked_after_expiry(self) -> None:
        """What had expired before it was revoked stays expired, or used."""
        end = invite().expires_at
        moment = timedelta(microseconds=1)
        for now in (end, end + timedelta(days=9)):
            self.assertIs(invite(revoked_at=end).status(now), Status.EXPIRED)
            self.assertIs(invite(revoked_at=end, uses=1).status(now), Status.USED)
            self.assertIs(invite(revoked_at=end - moment).status(now), Status.REVOKED)

    def test_subscribe(self) -> None:
        """Only account-and-contact invites make contacts at registration."""
        kinds = [kind for kind in Kind if invite(kind).subscribe]
        self.assertEqual(kinds, [Kind.ACCOUNT_AND_CONTACT])


class LocalpartTests(SynchronousTestCase):
    def assertInvalid(self, text: str) -> None:
        self.assertRaises(InvalidUsername, prepare_localpart, text)

    def test_folds(self) -> None:
        """Spellings that XMPP takes for the same name are the same account."""
        for typed, name in {
            "ROMEO": "romeo",
            "Ñandú": "ñandú",
            "n\u0303": "ñ",
            "ﬁsh": "fish",
            "Straße": "strasse",
            "ro\u00admeo": "romeo",
            "ｒｏｍｅｏ": "romeo",
        }.items():
            self.assertEqual(prepare_localpart(typed), name)

    def test_kept(self) -> None:
        """Names with unusual but lawful characters are taken as they are."""
        for name in ("a;b", "a.b", "a+b", "50%", "a?b#c", "ñ", "עברית", "日本語", "1"):
            self.assertEqual(prepare_localpart(name), name)

    def test_length_after_preparation(self) -> None:
        """A name has 1 to 1,023 bytes after preparation, and up to twice as many as typed."""
        self.assertEqual(prepare_localpart("a" * 1023), "a" * 1023)
        self.assertInvalid("a" * 1024)
        self.assertRaises(InvalidUsername, prepare_localpart, "A\u00ad" * 1023)
        self.assertEqual(len(prepare_localpart("é" * 511)), 511)
        self.assertInvalid("é" * 512)
        self.assertInvalid("ß" * 511 + "ab")  # each ß becomes ss
        self.assertInvalid("ﷺ" * 200)  # 3 bytes that become 33

    def test_empty(self) -> None:
        """A name of which nothing is left is no name."""
        self.assertInvalid("")
        self.assertInvalid("\u00ad\u200b")

    def test_forbidden(self) -> None:
        """Characters that would change the meaning of an address are refused."""
        for character in "@/\"&':<> \t\n\x00\x7f":
            self.assertInvalid(f"a{character}b")
            self.assertInvalid(character)

    def test_disguised(self) -> None:
        """So are characters that only preparation turns into a forbidden one."""
        for character in "＠／＆＇：＜＞\u00a0\u3000℀":
            self.assertInvalid(f"a{character}b")

    def test_not_unicode_3_2(self) -> None:
        """Characters that nodeprep does not know, such as emoji, are refused."""
        for text in ("😀", "a\u0378", "\ufdd0", "\ue000", "\u202eromeo"):
            self.assertInvalid(text)

    def test_surrogates(self) -> None:
        """Half a character is refused, not an internal error."""
        self.assertInvalid("a\udc80")
        self.assertInvalid("\ud800")

    def test_mixed_direction(self) -> None:
        """A name that mixes left-to-right and right-to-left letters is refused."""
        self.assertInvalid("אa")
        self.assertInvalid("א1")

    @given(ANY_TEXT)
    def test_stable(self, text: str) -> None:
        """A name that is taken stays the same when it is prepared again at a login."""
        try:
            prepared = prepare_localpart(text)
        except InvalidUsername:
            return
        self.assertEqual(prepare_localpart(prepared), prepared)
        self.assertLessEqual(1, len(prepared.encode()))
        self.assertFalse(set(prepared) & set("@/\"&':<> "))


class DomainTests(SynchronousTestCase):
    def test_folds(self) -> None:
        """A domain is recognised in every spelling that DNS takes for the same."""
        for typed, name in {
            "Example.COM": "example.com",
            "example.com.": "example.com",
            "MÜNCHEN.example": "münchen.example",
            "example。com": "example.com",
            "example.com。": "example.com",
            "localhost": "localhost",
            "192.0.2.1": "192.0.2.1",
        }.items():
            self.assertEqual(prepare_domain(typed), name)

    def test_length(self) -> None:
        """A domain of more than 1,023 bytes is refused."""
        longest = "a" * 1023
        self.assertEqual(prepare_domain(longest), longest)
        self.assertEqual(prepare_domain(longest + "."), longest)
        self.assertRaises(ValueError, prepare_domain, longest + "a")

    def test_invalid(self) -> None:
        """What is no domain name is refused with one exception, whatever is wrong with it."""
        for text in ("", ".", "..", "a..b", ".a", "a..", "\u00ad", "a.\u00ad", "a b", "-a.com"):
            self.assertRaises(ValueError, prepare_domain, text)
        for text in ("a/b", "romeo@a.com", "a:5222", "a_b", "a%41", "\udc80.com", "℀.com", "'"):
            self.assertRaises(ValueError, prepare_domain, text)

    @given(ANY_TEXT)
    def test_stable(self, text: str) -> None:
        """A domain name that is taken is taken again, unchanged."""
        try:
            prepared = prepare_domain(text)
        except ValueError:
            return
        self.assertEqual(prepare_domain(prepared), prepared)
        self.assertFalse(prepared.startswith(".") or prepared.endswith("."))


SCRAM_KEYS = st.builds(
    ScramKeys,
    mechanism=st.sampled_from(["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
    iterations=st.integers(1, 10**9),
    salt=st.binary(min_size=1, max_size=64),
    stored_key=st.binary(max_size=64),
    server_key=st.binary(max_size=64),
)


class ScramKeysTests(SynchronousTestCase):
    @given(SCRAM_KEYS)
    def test_round_trip(self, keys: ScramKeys) -> None:
        """A password set today still logs in after it was stored and read."""
        self.assertEqual(ScramKeys.from_string(keys.to_string()), keys)

    def test_form(self) -> None:
        """Stored keys look as RFC 5803 writes them."""
        self.assertEqual(
            KEYS.to_string(), "SCRAM-SHA-256$4096:c2FsdA==$U1RPUkVELUtFWQ==:U0VSVkVSLUtFWQ=="
        )

    def test_damaged(self) -> None:
        """Damaged keys are an error where they are read, never other keys."""
        text = KEYS.to_string()
        for damaged in (
            "",
            text[:-1],
            text + "\n",
            text + "$",
            text.replace("$", "", 1),
            text.replace("4096", "x"),
            text.replace("4096", "4_096"),
            text.replace("c2FsdA==", "c2F!sdA=="),
            text.replace("c2FsdA==", "ñ"),
        ):
            self.assertRaises(ValueError, ScramKeys.from_string, damaged)

    @settings(max_examples=50)
    @given(st.text(st.sampled_from("S$:1aA=+/ é"), max_size=20))
    def test_anything_else(self, text: str) -> None:
        """What is read as keys is what would be written; all else is a ValueError."""
        try:
            keys = ScramKeys.from_string(text)
        except ValueError:
            return
        self.assertEqual(keys.to_string(), text)

    def test_for_mechanism(self) -> None:
        """A login finds the keys of its own mechanism, or none."""
        credentials = Credentials(keys=(KEYS,), changed_at=NOW)
        self.assertIs(credentials.for_mechanism("SCRAM-SHA-256"), KEYS)
        self.assertIsNone(credentials.for_mechanism("SCRAM-SHA-1"))

    def test_repr(self) -> None:
        """A value that ends up in a log or a traceback shows no keys."""
        credentials = Credentials(keys=(KEYS,), changed_at=NOW)
        account = Account(
            domain="example.com", username="romeo", created_at=NOW, credentials=credentials
        )
        for value in (KEYS, credentials, account, [account]):
            for shown in (repr(value), str(value), f"{value}"):
                self.assertNotIn("STORED-KEY", shown)
                self.assertNotIn("SERVER-KEY", shown)
