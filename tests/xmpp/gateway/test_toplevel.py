"""A stream is read while it passes, however it is written and wherever its bytes are cut."""

import contextlib
from itertools import pairwise
from unittest.mock import patch
from xml.etree.ElementTree import XMLPullParser
from xml.parsers import expat

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import StreamError

from invitereg.xmpp.gateway import toplevel
from invitereg.xmpp.gateway.toplevel import MAX_RAW, MAX_TOKEN, TopLevelReader
from tests.xmpp.messages import NS_SASL, NS_STREAMS

HEADER = (
    "<?xml version='1.0'?>\n<stream:stream id=\"a>b\" xmlns:stream='http://etherx.jabber.org/"
    f"streams' xmlns='jabber:client' xmlns:sasl='{NS_SASL}' xmlns:é='urn:é'>"
)
OTHER_HEADER = f" <s:stream xmlns:s='{NS_STREAMS}' xmlns='jabber:client' to='x'\t>"
SASL = f"{{{NS_SASL}}}"
SUCCESS = f"<success xmlns='{NS_SASL}'/>"
# What stands for a success, and what only looks like one.
SUCCESSES = (
    SUCCESS,
    f'<success xmlns="{NS_SASL}">dj1<![CDATA[</success>]]></success  >',
    f"<y:success xmlns:y='{NS_SASL}' a='\">'></y:success>",
    "<sasl:success/>",
    f"<success a='/>' xmlns='{NS_SASL.replace('x', '&#x78;')}'/>",
    f"<success xmlns='{NS_SASL}'><a><success/></a>é&amp;</success>",
)
LOOKALIKES = (
    f"<iq>{SUCCESS}</iq>",
    "<success/>",
    f"<success xmlns='{NS_SASL}:x'/>",
    f'<a x="{SUCCESS.replace("<", "&lt;")}"/>',
    f"<challenge xmlns='{NS_SASL}'><![CDATA[</challenge>{SUCCESS}]]></challenge>",
    f"<success xmlns:x='{NS_SASL}'/>",
    f"<sasl:success2/><a><b/>{SUCCESS}<b>{SUCCESS}</b></a>",
    "<é:é é:é='é'>é</é:é>",
)
BROKEN = {
    "<a <b/>": "not-well-formed",
    "<a x='<'/>": "not-well-formed",
    "</stream:stream></a>": "not-well-formed",
    "<a></b>": "not-well-formed",
    "<x:a/>": "not-well-formed",
    "<a x='1' x='2'/>": "not-well-formed",
    "<>": "not-well-formed",
    "< a/>": "not-well-formed",
    "<a x=&lt;/>": "not-well-formed",
    "<a><!-- --></a>": "restricted-xml",
    "<!-- <a/> -->": "restricted-xml",
    "<!DOCTYPE a>": "restricted-xml",
    "<?x y?>": "restricted-xml",
    "<a><?xml version='1.0'?></a>": "restricted-xml",
    "x": "bad-format",
    "<![CDATA[x]]>": "bad-format",
    "<?xml version='1.0'?><a/>": "invalid-namespace",
    f"<?xml version='1.0'?><a xmlns='{NS_STREAMS}'/>": "bad-format",
    "<?xml version='1.0' encoding='latin-1'?>": "unsupported-encoding",
    "<a x='" + "x" * (MAX_TOKEN + 1): "policy-violation",
    "<a><![CDATA[" + "x" * (MAX_TOKEN + 1): "policy-violation",
}


def read(*segments, **options):
    """The names of what is found in a stream, in ElementTree's way of writing."""
    reader = TopLevelReader(**options)
    return [name(element) for data in segments for element in reader.read(encoded(data))]


def encoded(data):
    return data.encode() if isinstance(data, str) else data


def name(element):
    return f"{{{element.uri}}}{element.name}" if element.uri else element.name


def expected(text):
    """What another parser finds."""
    parser, depth, found = XMLPullParser(events=("start", "end")), 0, []
    parser.feed(text)
    for event, element in parser.read_events():
        depth += 1 if event == "start" else -1
        if event == "end" and depth == 1:
            found.append(element.tag)
    return found


NAMES = st.sampled_from(["a", "b", "é", "sasl:success", "stream:error", "é:é"])
VALUES = st.sampled_from(["'>'", '"/>"', "'&lt;é'", '"/>\'"', "''", f"'{NS_SASL}'"])
TEXTS = st.sampled_from(["", " ", "é>&gt;", "<![CDATA[<a>]] >]]>", "]>", "&#x1F600;😀"])


@st.composite
def elements(draw, depth=3):
    """An element as it might be written by somebody with odd habits."""
    tag = draw(NAMES)
    attributes = "".join(
        f"{draw(st.sampled_from([' ', chr(10)]))}{key}={draw(VALUES)}"
        for key in draw(st.lists(st.sampled_from(["x", "xmlns", "é:x"]), unique=True))
        if key != "xmlns" or ":" not in tag
    ).replace("xmlns=''", "y=''")
    if draw(st.booleans()):
        return f"<{tag}{attributes}/>"
    inner = draw(st.lists(elements(depth - 1) if depth else TEXTS, max_size=3))
    content = "".join(text + draw(TEXTS) for text in inner)
    return f"<{tag}{attributes}>{content}</{tag}{draw(st.sampled_from(['', ' ']))}>"


class ReadTests(SynchronousTestCase):
    def test_success(self):
        """A success is known by its namespace and its place, however it is written."""
        for text in SUCCESSES:
            self.assertEqual(read(HEADER + text), [f"{SASL}success"], text)
        for text in LOOKALIKES:
            self.assertNotIn(f"{SASL}success", read(HEADER + text), text)

    def test_cut_everywhere(self):
        """Nothing depends on where the bytes are cut, not even within a character."""
        data = (HEADER + " " + " ".join(SUCCESSES + LOOKALIKES)).encode()
        whole = read(data)
        self.assertEqual(whole.count(f"{SASL}success"), len(SUCCESSES))
        self.assertEqual(read(*(bytes([byte]) for byte in data)), whole)
        for cut in range(len(data)):
            self.assertEqual(read(data[:cut], data[cut:]), whole)

    @settings(deadline=None)
    @given(st.lists(elements(), max_size=5), st.lists(st.integers(0, 2000)))
    @example([f"<a>{'<b>' * 500}{'</b>' * 500}</a>"], [])
    def test_any_stream(self, texts, cuts):
        """Another parser finds the same elements in what was read whole."""
        text = HEADER + "\n".join(texts)
        data = text.encode()
        places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
        segments = [data[a:b] for a, b in pairwise(places)]
        self.assertEqual(read(*segments), expected(text))

    def test_attributes(self):
        """An element has its attributes, by their meaning and not as they are written."""
        reader = TopLevelReader()
        text = "<iq to='a&gt;b' é:x=\"'\" xml:lang='de' xmlns:q='urn:q'><b c='d'/></iq>"
        (element,) = reader.read((HEADER + text).encode())
        self.assertEqual(
            element.attributes,
            {"to": "a>b", "urn:é x": "'", "http://www.w3.org/XML/1998/namespace lang": "de"},
        )

    def test_restart(self):
        """A new header begins the stream again, with the namespaces that it declares alone."""
        for header in (
            HEADER,
            OTHER_HEADER,
            OTHER_HEADER[1:],
            "\n<?xml version='1.0'?>" + OTHER_HEADER,
        ):
            for separator in ("", "\n"):
                text = HEADER + SUCCESS + separator + header + "<a/>" + header + "<b>é</b>"
                whole = [f"{SASL}success", "{jabber:client}a", "{jabber:client}b"]
                self.assertEqual(read(text), whole)
                self.assertEqual(read(*(bytes([byte]) for byte in text.encode())), whole)
        with self.assertRaises(StreamError):
            read(HEADER + OTHER_HEADER + "<sasl:success/>")

    def test_end(self):
        """The end of a stream is no element, and there may be white space around anything."""
        self.assertEqual(
            read(HEADER, " \r\n<a/>\t", " </stream:stream> "), ["{jabber:client}a"]
        )

    def test_broken(self):
        """What cannot be made out is refused with its condition, also piece by piece."""
        for text, condition in BROKEN.items():
            for segments in ([HEADER + text], [HEADER, *text[:50], text[50:]]):
                with self.assertRaises(StreamError) as raised:
                    read(*segments)
                self.assertEqual(raised.exception.condition, condition, text[:60])
        for text in ("<a/>", "x", HEADER.replace(":stream ", ":other "), "\0"):
            with self.assertRaises(StreamError):
                read(text)

    @settings(deadline=None)
    @given(st.data())
    def test_noise(self, data):
        """Whatever comes, nothing but a stream error is raised."""
        text = (HEADER + SUCCESSES[1] + LOOKALIKES[4] + OTHER_HEADER).encode()
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(text)))
            noise = data.draw(
                st.sampled_from([b"<", b">", b"'", b'"', b"\xff", b"/", b"<!", b"&"])
            )
            text = text[:at] + noise + text[at + data.draw(st.integers(0, 2)) :]
        cut = data.draw(st.integers(0, len(text)))
        with contextlib.suppress(StreamError):
            read(text[:cut], text[cut:])


class BetweenTests(SynchronousTestCase):
    def test_between(self):
        """Between two elements something may be put, and nowhere else."""
        reader = TopLevelReader()
        places = [False, True, False, False, False, True, False, True, False]
        for text, between in zip(
            (HEADER[:-1], ">", "<a", ">", "x</a", ">", "<b/", "> ", "</stream:stream>"),
            places,
            strict=True,
        ):
            list(reader.read(text.encode()))
            self.assertIs(reader.between, between, text)


class RawTests(SynchronousTestCase):
    """The bytes of an element are kept where somebody wants them, up to a bound."""

    def raw(self, text):
        reader = TopLevelReader(lambda element: element.name == "iq")
        data = (HEADER + text).encode()
        return [element.raw for byte in data for element in reader.read(bytes([byte]))]

    def test_raw(self):
        """They are those of that element, as they came."""
        wanted = "<iq a='>'><b>é<![CDATA[</iq>]]>&amp;</b ></iq\n>"
        found = self.raw(f"<a>{wanted}</a>\n{wanted} <b/><iq/>")
        self.assertEqual(found, [None, wanted.encode(), None, b"<iq/>"])

    def test_too_long(self):
        """Of one that is too long there are none, and the next one has its own again."""
        found = self.raw(f"<iq>{'x' * MAX_RAW}</iq><iq><b/></iq>")
        self.assertEqual(found, [None, b"<iq><b/></iq>"])


class EffortTests(SynchronousTestCase):
    """However much passes, little is kept, and each byte is looked at a few times."""

    def setUp(self):
        self.parsed = 0
        self.made = 0
        create = expat.ParserCreate

        def counting(*arguments):
            self.made += 1
            return Counting(create(*arguments), self)

        self.enterContext(patch.object(toplevel.expat, "ParserCreate", counting))

    def test_contents(self):
        """What is inside elements is neither parsed nor kept."""
        reader = TopLevelReader()
        header = HEADER.encode()
        list(reader.read(header))
        for _ in range(1000):
            list(reader.read(b"<a>" + b"<b c='d'>x</b>" * 20 + b"x" * 1000))
            self.assertEqual(reader._tokens.kept, 0)
            list(reader.read(b"</a>"))
        self.assertEqual(self.parsed, len(header) - 1 + 1000 * len(b"<a></a>"))
        self.assertLess(self.made, 3)

    def test_many_names(self):
        """A parser keeps all names that it has met: after some, another takes its place."""
        reader = TopLevelReader()
        list(reader.read(HEADER.encode()))
        sent = 0
        for number in range(2000):
            tag = f"<{'x' * 100}{number}/>".encode()
            sent += len(tag)
            self.assertEqual(len(list(reader.read(tag))), 1)
        self.assertGreater(self.made, 2)
        self.assertLess(self.parsed, sent + self.made * len(HEADER))

    def test_long_header(self):
        """A long header is not read again at each element."""
        header = HEADER.replace(" id=", f" x='{'x' * 50_000}' id=")
        reader = TopLevelReader()
        for _element in reader.read(header.encode() + b"<a/>" * 20_000):
            pass
        self.assertLess(self.parsed, 3 * (len(header) + 4 * 20_000))


class Counting:
    """A parser that counts the bytes it is given."""

    def __init__(self, parser, test):
        object.__setattr__(self, "_parser", parser)
        object.__setattr__(self, "_test", test)

    def __getattr__(self, name):
        return getattr(self._parser, name)

    def __setattr__(self, name, value):
        setattr(self._parser, name, value)

    def Parse(self, data):
        """See expat."""
        self._test.parsed += len(data)
        return self._parser.Parse(data)
