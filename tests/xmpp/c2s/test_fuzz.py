"""Whatever is sent, the door neither breaks nor logs an error."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invitereg.model.accounts import SCRAM_SHA_256
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.c2s.fuzzing import FUZZ, FuzzCase, escaped
from tests.xmpp.messages import (
    BIND,
    GET,
    STARTTLS,
    auth,
    form_registration,
    header,
    plain,
    preauth,
    registration,
    response,
)

pytestmark = pytest.mark.slow

PING = "<iq type='get' id='p' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>"
INFO = (
    "<iq type='get' id='i' to='juliet@example.com'>"
    "<query xmlns='http://jabber.org/protocol/disco#info' node='n'/></iq>"
)
MESSAGE = (
    "<message to='romeo@example.com/x' from='juliet@example.com'><body>&lt;</body></message>"
)
FIRST = b"n,,n=juliet,r=fyko+d2lbbFgONRv9qkxdawL"

REGISTERING = [header(), preauth(), GET, registration("romeo"), form_registration(), plain()]
LOGGING_IN = [header(), auth(SCRAM_SHA_256, FIRST), response(b"c=biws,r=x,p=AAAA"), plain()]
SESSION = [header(), plain(), header(), BIND.format("x"), PING, INFO, MESSAGE, "<presence/>"]
CONVERSATIONS = [REGISTERING, LOGGING_IN, SESSION, [header(), STARTTLS, header(), GET]]
WORDS = [
    *("<", ">", "/>", "'", '"', "&", "\0", "@", "''", "to=''", "type='set'", "xmlns=''"),
    *("<a>", "</a>", "<!--", "<![CDATA[", "]]>", "<?x?>", "<!DOCTYPE x>", "&#0;", "\ufffe"),
    *("</iq>", "</stream:stream>", "id=''", "from='@'", " ", "a" * 11000, "<a>" * 200),
    *("\u00ad", "\u0130", "\u2488", "xn--", "..", "\U0001f600", "=", "AAAA"),
]


@st.composite
def mutated(draw, text):
    """A message with some of it cut out, repeated, flipped or put in."""
    data = bytearray(text.encode())
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 30)))
        kind = draw(st.sampled_from(["cut", "repeat", "flip", "word", "bytes", "truncate"]))
        if kind == "cut":
            del data[start:end]
        elif kind == "repeat":
            data[start:start] = data[start:end]
        elif kind == "flip" and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "word":
            data[start:start] = draw(st.sampled_from(WORDS)).encode()
        elif kind == "bytes":
            data[start:start] = draw(st.binary(max_size=8))
        elif kind == "truncate":
            del data[start:]
    return bytes(data)


@st.composite
def conversations(draw):
    """The segments of a conversation that went wrong somewhere."""
    messages = list(draw(st.sampled_from(CONVERSATIONS)))
    wrong = draw(st.sets(st.integers(0, len(messages) - 1), max_size=3))
    segments = []
    for number, message in enumerate(messages):
        data = draw(mutated(message)) if number in wrong else message.encode()
        cut = draw(st.integers(0, len(data)))
        segments += [data[:cut], data[cut:]] * draw(st.sampled_from([1, 1, 1, 2]))
    return segments


class FuzzTests(FuzzCase):
    @FUZZ
    @given(st.lists(st.binary(max_size=200), max_size=4), st.booleans())
    def test_any_bytes(self, segments, opened):
        """Any bytes, with or without a good header before them."""
        self.converse([header().encode()] * opened + segments, Phase.SECURED)

    @FUZZ
    @given(st.lists(st.sampled_from([*WORDS, *chain(*CONVERSATIONS)]), max_size=8))
    def test_any_order(self, texts):
        """The words of the protocol in any order."""
        self.converse([header().encode(), *(text.encode() for text in texts)], Phase.SECURED)

    @FUZZ
    @given(conversations(), st.sampled_from([Phase.CLEAR, Phase.SECURED]))
    def test_mutations(self, segments, phase):
        """Conversations with mistakes in them, cut anywhere."""
        self.converse(segments, phase)

    @FUZZ
    @given(st.binary(max_size=60), st.binary(max_size=60), mutated(FIRST.decode()))
    def test_logins(self, first, second, scram):
        """Logins whose messages are anything."""
        for data in (first, scram):
            self.converse([header().encode(), auth(SCRAM_SHA_256, data).encode(),
                           response(second).encode(),
                           auth("PLAIN", data).encode()], Phase.SECURED)  # fmt: skip

    @FUZZ
    @given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
    def test_values(self, name, password, address):
        """Names, passwords and addresses of any characters that XML allows."""
        values = [escaped(value) for value in (name, password, address)]
        ping = PING.replace("example.com", values[2])
        session = [header(), plain(), header(), BIND.format(values[0]), ping, PING]
        door = [header(to=values[2]), header(), preauth(),
                registration(values[0], values[1]), plain(name, password)]  # fmt: skip
        for texts in (session, door[1:], door[:1]):
            self.converse([text.encode() for text in texts], Phase.SECURED)
