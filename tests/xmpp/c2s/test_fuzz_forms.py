"""Whatever stands in a form, a token or a login, each request gets its one answer."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from invitereg.accounts.scram import SCRAM_SHA_256
from invitereg.model.invites import Kind
from invitereg.model.namespaces import NS_REGISTER
from invitereg.xmpp import stanzas
from invitereg.xmpp.c2s.register import FIELD_LABELS
from tests.xmpp.c2s.fuzzing import FUZZ, FuzzCase, escaped
from tests.xmpp.door import Listener
from tests.xmpp.messages import GET, NS_SASL, NS_X_DATA, TOKEN, auth, error_of, header, response

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
FLATNESS = Path(__file__).with_name("flatness.py")
SECONDS = 300
"""A bound for the other process, not an expectation."""
BYTES_EACH = 100
"""What may stay of a stream: less than of the smallest object that it is made of."""
SECRET = "f5c1secret9e"
"""Every password has this in it, and nothing else that is sent."""

ODD = st.sampled_from(
    [
        *("", " ", "a", "juliet", "Juliet", "romeo@example.com", "\t\n", "é", "ß", "-1"),
        *("\u200b", "\U0001f600", "x" * 1100, NS_REGISTER),
    ]
)
TEXT = ODD | st.text(max_size=20)
NAME = st.sampled_from(
    [*FIELD_LABELS, "FORM_TYPE", "registered", "instructions", "remove", "key", "x", "query"]
)
SPACE = st.sampled_from([NS_REGISTER] * 4 + [NS_X_DATA, "jabber:client", "urn:x", ""])
PASSWORD = st.sampled_from(["", "y" * 1100, "\u00aa", " long enough"]).map(SECRET.__add__)


@st.composite
def values(draw, name):
    """What a field of that name is filled in with."""
    return draw(PASSWORD if name == "password" else TEXT)


@st.composite
def legacy_fields(draw):
    """An element as XEP-0077 has them, or nearly."""
    name, space = draw(NAME), draw(SPACE)
    inner = escaped(draw(values(name)))
    if draw(st.integers(0, 5)) == 0:
        inner += f"<{name}>{inner}</{name}>"
    return f"<{name} xmlns='{space}'>{inner}</{name}>" if inner else f"<{name}/>"


@st.composite
def form_fields(draw):
    """A field of a data form, or nearly: with no value, with several, with no name."""
    name = draw(NAME | TEXT)
    inner = "".join(
        draw(st.sampled_from(["<value>{}</value>", "<value xmlns='urn:x'>{}</value>",
                              "<option><value>{}</value></option>", "<value><b/>{}</value>",
                              "<required/>", "<desc>{}</desc>"])).format(value)
        for value in map(escaped, draw(st.lists(values(name), max_size=3)))
    )  # fmt: skip
    kind = draw(st.sampled_from(["", " type='hidden'", " type='text-multi'", " type='-'"]))
    var = draw(st.sampled_from([f" var='{escaped(name)}'"] * 4 + [""]))
    return f"<field{var}{kind}>{inner}</field>"


@st.composite
def forms(draw):
    """A data form, or nearly."""
    kind = draw(st.sampled_from(["submit"] * 4 + ["cancel", "form", "result", "", "?"]))
    parts = draw(st.lists(form_fields(), max_size=6))
    if draw(st.booleans()):
        parts.insert(0, f"<field var='FORM_TYPE'><value>{NS_REGISTER}</value></field>")
    if draw(st.integers(0, 5)) == 0:
        parts = ["<reported>", *parts, "</reported><item>", *parts, "</item>"]
    return f"<x xmlns='{NS_X_DATA}' type='{kind}'>{''.join(parts)}</x>"


@st.composite
def good_names(draw):
    """What makes a submission complete, or nearly."""
    name = draw(st.sampled_from(["juliet", "nurse", "Nurse", " nurse "]))
    email = draw(st.sampled_from(["", "<email>nurse@example.net</email>"]))
    return f"<username>{name}</username><password>{draw(PASSWORD)}</password>{email}"


TOKENS = st.sampled_from([TOKEN] * 3 + ["", "T" * 24, "a" * 9000]) | TEXT
SUBMISSIONS = st.lists(legacy_fields() | forms() | good_names(), max_size=4).map("".join)


@st.composite
def requests(draw):
    """What a registering client asks for, in any shape: kind of the IQ, and its payload."""
    what = draw(st.sampled_from(["set", "set", "set", "get", "preauth", "other"]))
    if what == "preauth":
        space = draw(st.sampled_from(["urn:xmpp:pars:0", "urn:xmpp:pars:0", "urn:xmpp:invite"]))
        token = draw(st.sampled_from([" token='{}'", " token='{}'", "", " TOKEN='{}'"]))
        inner = draw(st.sampled_from(["", "<token/>", "text"]))
        written = token.format(escaped(draw(TOKENS)))
        return "set", f"<preauth xmlns='{space}'{written}>{inner}</preauth>"
    if what == "other":
        return draw(st.sampled_from(["get", "set"])), draw(forms() | legacy_fields())
    return what, f"<query xmlns='{NS_REGISTER}'>{draw(SUBMISSIONS)}</query>"


@st.composite
def plain_payloads(draw):
    """What PLAIN sends: any number of parts, of any text."""
    parts = draw(st.lists(TEXT, max_size=4))
    return "\0".join([*parts, *draw(st.lists(PASSWORD, max_size=1))]).encode(errors="ignore")


@st.composite
def scram_payloads(draw):
    """What SCRAM sends: attributes in any order, with any values."""
    start = draw(
        st.sampled_from(["n,,", "y,,", "p=tls-unique,,", "n,a=juliet,", "", "c=biws,"])
    )
    attributes = draw(
        st.lists(
            st.tuples(
                st.sampled_from("nrcpmaeix"), TEXT | st.sampled_from(["=2C", "=3D", "="])
            ),
            max_size=5,
        )
    )
    written = ",".join(f"{name}={value}" for name, value in attributes)
    return (start + draw(st.sampled_from(["", "n=juliet,r=abc"])) + written).encode(
        errors="ignore"
    )


MECHANISMS = st.sampled_from([SCRAM_SHA_256, "PLAIN", "SCRAM-SHA-1", "EXTERNAL", "", "plain"])
PAYLOADS = plain_payloads() | scram_payloads() | st.sampled_from([b"", "=", "AAA", "A A", "é"])
LOGIN_STEPS = st.one_of(
    st.builds(auth, MECHANISMS, PAYLOADS),
    st.builds(response, PAYLOADS),
    st.just(f"<abort xmlns='{NS_SASL}'/>"),
)


def iq(number, kind, payload):
    """A request on the wire."""
    return f"<iq type='{kind}' id='{number}'>{payload}</iq>"


class FormFuzzTests(FuzzCase):
    """At a domain that asks for more than a name and a password."""

    kind = Kind.ACCOUNT

    def make_listener(self):
        fields = {"email": True, "nick": False}
        listener = Listener(policy={"fields": fields})
        listener.add_account()
        listener.add_invite(kind=self.kind, username=self.username())
        return listener

    def username(self):
        return None

    @FUZZ
    @given(st.lists(requests(), min_size=1, max_size=5), st.booleans())
    def test_answers(self, asked, granted):
        """Each gets one answer, in order; no password is echoed, or logged."""
        if granted:
            asked = [("set", f"<preauth xmlns='urn:xmpp:pars:0' token='{TOKEN}'/>"), *asked]
        texts = [header(), *(iq(number, *request) for number, request in enumerate(asked))]
        client, received, log = self.converse(
            [text.encode() for text in texts], stanzas.Phase.SECURED
        )
        self.assertNotIn(SECRET, client.raw)
        self.assertNotIn(SECRET, "\n".join(log))
        self.assertNotIn(TOKEN, "\n".join(log))
        answers = [element for element in received if element.name == "iq"]
        if not client.closed:
            self.assertEqual([a["id"] for a in answers], [str(n) for n in range(len(asked))])
        for answer in answers:
            self.assertIn(answer["type"], ("result", "error"))
            if answer["type"] == "error":
                error_of(answer)


class ResetFuzzTests(FormFuzzTests):
    """With a token that sets a new password."""

    kind = Kind.RESET

    def username(self):
        return "juliet"


class LoginFuzzTests(FuzzCase):
    @FUZZ
    @given(st.lists(LOGIN_STEPS, min_size=1, max_size=5))
    def test_logins(self, steps):
        """Whatever a client logs in with: it is answered, and no password is logged."""
        texts = [header(), *steps]
        client, received, log = self.converse(
            [text.encode() for text in texts], stanzas.Phase.SECURED
        )
        self.assertNotIn(SECRET, client.raw + "\n".join(log))
        self.assertIn(received[0].name, ("features", "error"))
        if not client.closed:
            self.assertEqual(len(received), len(texts))


class FlatnessTests(FuzzCase):
    def test_memory(self):
        """Thousands of streams that went wrong leave nothing behind."""
        conversations = []

        @settings(max_examples=150, deadline=None, phases=[Phase.generate], database=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(st.lists(requests(), max_size=3), st.lists(LOGIN_STEPS, max_size=3), st.binary())
        def collect(asked, steps, rest):
            written = [iq(number, *request) for number, request in enumerate(asked)]
            texts = [header(), GET, *written, *steps]
            segments = [text.encode() for text in texts] + [rest]
            conversations.append([base64.b64encode(one).decode() for one in segments])

        collect()
        done = subprocess.run(
            [sys.executable, "-m", "tests.xmpp.c2s.flatness"],
            input=json.dumps(conversations),
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            check=True,
            timeout=SECONDS,
        )
        streams, grown = json.loads(done.stdout)
        self.assertGreater(streams, 1000)
        self.assertLess(grown, BYTES_EACH * streams)
