"""How much is written for what was read: never much more, whatever its namespaces are."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from invitereg.xmpp.parser import MAX_NAMESPACE, MAX_NODES
from tests.xmpp.messages import DOMAIN, NS_STREAMS
from tests.xmpp.people import JULIET, ROMEO, PeopleTestCase

pytestmark = pytest.mark.slow

# An apostrophe becomes "&apos;"; names of namespaces are repeated as far as that.
TIMES = 8
# Addresses, an error, and what the stream header declares.
MORE = 3000

LONG = "u" * MAX_NAMESPACE
COUNTS = st.sampled_from([1, 2, 3, 10, 100, 1000])
SPACES = st.sampled_from([1, 10, 50, 100, 200, 500, 1000]).map(lambda n: "u" * n)
SIBLINGS = st.sampled_from(
    [
        "<a/>",
        "<p:a/>",
        "<q:a/>",
        "<h:a/>",
        "<b><p:a/></b>",
        "<p:a><b/></p:a>",
        "<p:a p:b=''/>",
        "<a p:b='' q:c=''/>",
        "<a xmlns=''/>",
        "<p:a xmlns=''><b/><c/></p:a>",
        "<a xmlns='urn:x'><p:b/><c/></a>",
        "<c:a/>",
        "<s:error/>",
        "<a b=\"''''''''''''''''''''\"/>",
        "''''&gt;&gt;>>>>>>>>>>>>",
    ]
)
PARTS = st.lists(st.builds(lambda text, count: text * count, SIBLINGS, COUNTS), max_size=6)


@st.composite
def contents(draw):
    """The namespaces of a stanza, and its children: many of the same kinds."""
    spaces = f"xmlns:p='p{draw(SPACES)}' xmlns:q='q{draw(SPACES)}' xmlns:s='{NS_STREAMS}'"
    if draw(st.booleans()):
        spaces += f" xmlns='d{draw(SPACES)}'"
    return spaces, "".join(draw(PARTS))


class WrittenSizeTests(PeopleTestCase):
    def client(self, name, header_space):
        """Somebody whose stream header declares a prefix."""
        client = self.listener.connect()
        header = (
            f"<stream:stream xmlns='jabber:client' xmlns:stream='{NS_STREAMS}' "
            f"xmlns:h='h{header_space}' xmlns:c='jabber:client' to='{DOMAIN}' version='1.0'>"
        )
        self.listener.add_account(name)
        self.patch(client, "open", lambda: client.ask(header))
        client.open()
        client.log_in(name)
        client.ask(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
        )
        return client

    def written(self, client):
        """How much has been written to a client, all of which it can read."""
        written = len(client.transport.value())
        client.receive()
        return written

    @settings(max_examples=100, deadline=None)
    @given(
        contents(),
        st.sampled_from(["message", "presence", "iq"]),
        st.sampled_from([ROMEO, f"{ROMEO}/r", f"nobody@{DOMAIN}", JULIET, DOMAIN]),
        st.sampled_from(
            ["", "chat", "headline", "subscribe", "subscribed", "unavailable", "get"]
        ),
        st.sampled_from([1, 100, 900]),
    )
    def test_any_stanza(self, content, name, to, kind, header_space):
        """Whoever gets a stanza, or gets it back, gets a small multiple of it at most."""
        self.setUp()
        spaces, inner = content
        text = f"<c:{name} to='{to}' type='{kind}' id='i' {spaces}>{inner}</c:{name}>"
        text = text.replace("type=''", "")
        assume(len(text) < 200_000)
        romeo = self.session(ROMEO)
        juliet = self.client("juliet", "h" * header_space)
        juliet.send("<presence/>", text)
        self.assertFalse(romeo.closed)
        for client in (juliet, romeo):
            self.assertLess(self.written(client), TIMES * len(text) + MORE)

    def test_long_namespace(self):
        """A long name that thousands of siblings share is written once."""
        romeo, juliet = self.session(ROMEO), self.session(JULIET)
        for to in (ROMEO, f"nobody@{DOMAIN}"):
            text = (
                f"<message xmlns:p='{LONG}' to='{to}' type='chat'>{'<p:a/>' * 5000}</message>"
            )
            juliet.send(text)
            for client in (romeo, juliet):
                self.assertLess(self.written(client), 2 * len(text))
        juliet.receive()
        juliet.send(f"<message to='{ROMEO}'><p:a xmlns:p='{LONG}u'/></message>")
        self.assertSilent(romeo)
        self.assertEnded(juliet, "policy-violation")

    def test_as_usual(self):
        """What clients send all the time arrives with the declarations that they know."""
        romeo, juliet = self.session(ROMEO), self.session(JULIET)
        inner = (
            "<body>1</body><x xmlns='jabber:x:data'><field/></x><x xmlns='jabber:x:data'/>"
            "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>2"
            "</body></message></forwarded>"
        )
        juliet.send(f"<message to='{ROMEO}'>{inner}</message>")
        self.assertIn(f">{inner}</message>", romeo.transport.value().decode())

    def test_header(self):
        """A stream header that declares more than short names is refused."""
        long = "h" * (MAX_NAMESPACE - 10)
        client = self.listener.connect()
        client.send(f"<s:stream xmlns:h='{long}' xmlns:s='{NS_STREAMS}' xmlns='jabber:client'>")
        self.assertEnded(client, "policy-violation")

    def test_nodes(self):
        """A stanza has so many elements and attributes, and no more, however short they are."""
        attributes = "".join(f" a{number}=''" for number in range(MAX_NODES - 4))
        for name, inner in (
            ("elements", "<a/>" * (MAX_NODES - 3)),
            ("attributes", f"<a{attributes}/>"),
        ):
            romeo, juliet = self.session(f"{ROMEO}/{name}"), self.session(f"{JULIET}/{name}")
            text = f"<message to='{ROMEO}/{name}'>{inner}{{}}</message>"
            juliet.send(text.format("<b/>") * 2)
            self.assertEqual(len(romeo.receive()), 2)
            juliet.send(text.format("<b/><b/>"))
            self.assertSilent(romeo)
            self.assertEnded(juliet, "policy-violation")
