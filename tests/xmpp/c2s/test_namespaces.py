"""What namespaces and prefixes in a stanza may do to those who receive it: nothing."""

from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.words.protocols.jabber.error import StreamError

from invitereg.embedded import stanzaxml
from invitereg.xmpp.parser import BoundedElementStream
from tests.xmpp.messages import DOMAIN
from tests.xmpp.people import PeopleTestCase

JULIET, ROMEO = f"juliet@{DOMAIN}/balcony", f"romeo@{DOMAIN}/garden"
HEADER = (
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    "xmlns:p='urn:p' xmlns:q='urn:q'>"
)
FORGED = (
    f"<message to='{ROMEO}' type='chat'><x xmlns=\"a'/>&lt;/message>&lt;message&#10;"
    f"from='nurse@{DOMAIN}/x'&#10;type='chat'>&lt;body>money&lt;/body>&lt;/message>"
    "&lt;message>&lt;x&#10;xmlns='\"/></message>"
)


class InjectionTests(PeopleTestCase):
    def test_forged_stanza(self):
        """What looks like markup in the name of a namespace reaches nobody."""
        for stanza in (
            FORGED,
            f"<message to='{ROMEO}'><x xmlns=\"a'b\"/></message>",
            f"<message to='{ROMEO}'><b:x xmlns:b=\"a'b\"/></message>",
            f"<presence to='{ROMEO}'><x xmlns='a&amp;b'/></presence>",
            f"<presence type='subscribe' to='romeo@{DOMAIN}'><x xmlns=\"a'b\"/></presence>",
        ):
            juliet, romeo = self.session(JULIET), self.session(ROMEO)
            juliet.send(stanza)
            juliet.receive()
            self.assertIn("<not-well-formed", juliet.raw)
            self.assertTrue(juliet.closed)
            self.assertSilent(romeo)

    def test_rebound_prefixes(self):
        """Prefixes that are bound anew inside of a stanza arrive as what they meant."""
        juliet, romeo = self.session(JULIET), self.session(ROMEO)
        juliet.send(
            f"<message to='{ROMEO}' xmlns:q='urn:1' xmlns:p='jabber:client'>"
            "<a xmlns:p='urn:p' q:at='1'/><p:b xmlns:xn0='urn:2' xn0:a='1' q:a='2'/></message>"
        )
        (message,) = romeo.receive()
        first, second = message.elements()
        self.assertEqual((first.uri, first.name), ("jabber:client", "a"))
        self.assertEqual(first[("urn:1", "at")], "1")
        self.assertEqual((second.uri, second.name), ("jabber:client", "b"))
        self.assertEqual((second[("urn:2", "a")], second[("urn:1", "a")]), ("1", "2"))


NAMES = st.sampled_from(["a", "b", "p:a", "q:b", "xn0:a", "xn1:b"])
SPACES = st.sampled_from(["jabber:client", "urn:p", "urn:q", "urn:1", "urn:2"])
DEFAULTS = st.sampled_from(["", "jabber:client", "urn:p", "urn:1"])
PREFIXES = st.sampled_from(["xmlns:p", "xmlns:q", "xmlns:xn0", "xmlns:xn1"])
TEXTS = st.text("a<&'\"> ]", max_size=4)


@st.composite
def elements(draw, depth=3):
    """Some element with declarations, attributes and children; prefixes may be unbound."""
    name = draw(NAMES)
    attributes = draw(st.dictionaries(PREFIXES, SPACES, max_size=2))
    attributes |= draw(st.dictionaries(st.just("xmlns"), DEFAULTS))
    attributes |= draw(st.dictionaries(NAMES, TEXTS, max_size=2))
    written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    inner = draw(st.lists(elements(depth=depth - 1), max_size=2)) if depth else []
    return f"<{name}{written}>{''.join(inner)}</{name}>"


def meaning(text):
    """What a stanza within our header says, whatever its prefixes are."""

    def of(element):
        return element.tag, sorted(element.attrib.items()), [of(child) for child in element]

    return of(ElementTree.fromstring(f"{HEADER}{text}</stream:stream>")[0])


@pytest.mark.slow
class MeaningTests(PeopleTestCase):
    @settings(max_examples=300)
    @given(elements(), st.sampled_from([0, 10, 1024]))
    def test_any_stanza(self, inner, repeated):
        """A stanza that is sent on says exactly what it said before."""
        self.patch(stanzaxml, "REPEATED_LENGTH", repeated)
        text = f"<message>{inner}</message>"
        try:
            before = meaning(text)
        except ElementTree.ParseError:
            assume(False)
        seen = []
        parser = BoundedElementStream(10_000, 32)
        parser.DocumentStartEvent = lambda _root: None
        parser.ElementEvent = seen.append
        parser.DocumentEndEvent = lambda: None
        try:
            parser.parse(f"{HEADER}{text}".encode())
        except StreamError:
            assume(False)
        (stanza,) = seen
        self.assertEqual(meaning(stanzaxml.write_element(stanza)), before)


class DirectedTests(PeopleTestCase):
    def test_taken_back_from_one(self):
        """Who was told by name that somebody is there is told of the end, too."""
        juliet = self.session(JULIET)
        one, two = self.session(f"romeo@{DOMAIN}/1"), self.session(f"romeo@{DOMAIN}/2")
        for client in (one, two):
            client.receive()
        for resource in "12":
            juliet.send(f"<presence to='romeo@{DOMAIN}/{resource}'/>")
        juliet.send(f"<presence type='unavailable' to='romeo@{DOMAIN}/1'/>")
        two.receive()
        juliet.send("<presence type='unavailable'/>")
        self.assertIn("unavailable", [stanza.getAttribute("type") for stanza in two.receive()])
