"""Of XML that arrives in pieces, the parser gets whole tokens, and each byte once."""

import signal

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish

from invitereg.xmpp.parser import BoundedElementStream, ElementStream, WholeTokens

HEADER = (
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
NAMES = st.sampled_from(["a", "b:c", "ä", "iq"])
TEXT = st.text(st.sampled_from("a ]>'\"\n\rä€😀-?!/="), min_size=1)
VALUES = st.text(st.sampled_from("a >/=\n]ä€😀-?&;"))
QUOTED = st.one_of(
    VALUES.map(lambda value: f"'{value}\"'"), VALUES.map(lambda value: f'"{value}\'"')
)
ATTRIBUTES = st.lists(st.tuples(NAMES, QUOTED)).map(
    lambda pairs: "".join(f" {name} = {value}\n" for name, value in pairs)
)
MARKUP = st.one_of(
    st.tuples(NAMES, ATTRIBUTES, st.sampled_from(["", "/", " "])).map(
        lambda parts: f"<{''.join(parts)}>"
    ),
    NAMES.map(lambda name: f"</{name} >"),
    st.text(st.sampled_from("<'\"a]&é")).map(lambda text: f"<![CDATA[{text}]]>"),
    st.text(st.sampled_from("<>'\"a&é?")).map(lambda text: f"<!--{text}-->"),
    st.text(st.sampled_from("<'\"a&é")).map(lambda text: f"<?xml {text}?>"),
    st.sampled_from(["&amp;", "&#65;", "&#x0000041;", "&éa;"]),
)
TOKENS = st.lists(st.one_of(MARKUP, TEXT).map(str.encode))


def is_text(token):
    return token[:1] not in (b"<", b"&")


class WholeTokensTests(SynchronousTestCase):
    @given(TOKENS, st.data())
    def test_cut_anywhere(self, tokens, data):
        """Wherever the pieces are cut, what is handed on ends with a token, and is complete."""
        document = b"".join(tokens)
        ends = {0}
        place = 0
        for token in tokens:
            ends.update(range(place, place + len(token) + 1) if is_text(token) else ())
            place += len(token)
            ends.add(place)
        cuts = data.draw(st.lists(st.integers(0, len(document))).map(sorted))
        whole, taken = WholeTokens(), 0
        for start, end in zip([0, *cuts], [*cuts, len(document)], strict=True):
            taken += len(whole.take(document[start:end]))
            self.assertEqual(taken, max(one for one in ends if one <= end))
            self.assertEqual(whole.kept, end - taken)
        self.assertEqual(whole.kept, 0)

    @given(st.lists(st.binary()))
    def test_any_bytes(self, pieces):
        """Of what is no XML nothing is lost, changed or repeated either."""
        whole = WholeTokens()
        taken = b"".join(whole.take(piece) for piece in pieces)
        self.assertEqual(taken, b"".join(pieces)[: len(taken)])
        self.assertEqual(len(taken) + whole.kept, sum(map(len, pieces)))

    def test_mistakes(self):
        """What cannot become well-formed is handed on at once, so that it is refused."""
        for text in (
            "<<",
            "<a <",
            "<a b='<",
            '<a b="<',
            "& ",
            "&a<",
            "&'",
            "<!a <",
            "<>",
            "< ",
        ):
            whole = WholeTokens()
            taken = b"".join(whole.take(bytes([byte])) for byte in text.encode())
            self.assertEqual(taken, text.encode())
            self.assertTrue(whole.mistaken)
            self.assertEqual(whole.take(b"<a"), b"<a")
            for parser, error in (
                (ElementStream(), domish.ParserError),
                (BoundedElementStream(10_000, 16), StreamError),
            ):
                parser.DocumentStartEvent = lambda root: None
                parser.parse(HEADER)
                with self.assertRaises(error):
                    parser.parse(text.encode())

    def test_repeated(self):
        """However something short is repeated, it takes no more than linear time."""
        parts = [*"<>'\"&;!?-[]/a =", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<a b='"]
        # Quadratic time would be minutes; nothing is measured here.
        before = signal.signal(signal.SIGALRM, lambda *_: self.fail(f"too slow: {text}"))
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.addCleanup(signal.alarm, 0)
        signal.alarm(60)
        for text in (one + other for one in ("", *parts) for other in parts):
            for opening in ("", "<a "):
                document = (opening + text * (65536 // len(text))).encode()
                whole = WholeTokens()
                self.assertLessEqual(len(whole.take(document)), len(document))

    def test_searched_once(self):
        """A long token in many pieces is not read again from its start at each of them."""
        for opening, inside, closing in (
            (b"<a b='", b"xxxx", b"'>"),
            (b"<a ", b"b='c'", b">"),
            (b"<![CDATA[", b"]]xx", b"]]>"),
            (b"<!--", b"--xx", b"-->"),
            (b"&", b"aaaa", b";"),
        ):
            whole = WholeTokens()
            whole.take(opening)
            for _ in range(1000):
                self.assertEqual(whole.take(inside), b"")
                self.assertLess(whole.kept - whole._place, 4)
            self.assertEqual(whole.take(closing), opening + 1000 * inside + closing)


class ParserTests(SynchronousTestCase):
    def test_every_place(self):
        """A stanza is there when its last byte is, wherever it was cut."""
        stanza = (
            "<iq type='get' id='aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee' to='localhost'>"
            "<query xmlns='jabber:iq:register'>ä😀&amp;<![CDATA[<>]]]]></query></iq>"
        ).encode()
        for place in range(1, len(stanza)):
            for parser in (ElementStream(), BoundedElementStream(10_000, 16)):
                heard = []
                parser.DocumentStartEvent = lambda root: None
                parser.DocumentEndEvent = lambda: None
                parser.ElementEvent = heard.append
                parser.parse(HEADER)
                parser.parse(stanza[:place])
                self.assertEqual(heard, [])
                parser.parse(stanza[place:])
                self.assertEqual([str(one.query) for one in heard], ["ä😀&<>]]"])

    def test_bounded(self):
        """What is kept back counts as what has been read."""
        for begun in (b"<iq to='", b"<iq ", b"<![CDATA[", b"<!--", b"<?x ", b"&"):
            bounded, other = BoundedElementStream(1000, 16), ElementStream()
            other.maxStanzaSize = 1000
            for parser, error in ((bounded, StreamError), (other, domish.ParserError)):
                parser.DocumentStartEvent = lambda root: None
                parser.parse(HEADER + begun)
                parser.parse(b"x" * 700)
                with self.assertRaises(error):
                    parser.parse(b"x" * 400)

    def test_long(self):
        """A stanza is there at once, too, if it is longer than Python gives expat at once."""
        for parts in (1, 2, 40):
            parser, heard = ElementStream(), []
            parser.DocumentStartEvent = lambda root: None
            parser.ElementEvent = heard.append
            parser.parse(HEADER)
            for _ in range(3):
                tag = f"<a b='{'v' * (4_000_000 // parts // 10)}'/>".encode()
                parser.parse(b"<iq>" + tag * parts * 5 + b"</iq>" if parts > 1 else tag)
            self.assertEqual(len(heard), 3)

    def test_forgets_names(self):
        """Names that a stanza makes up are not remembered as long as the stream is open."""
        stanzas = [
            f"<iq id='{number}' xmlns:p='urn:p'><p:x{number} q:a{number}='{'v' * 100}'>"
            f"<y{number}/>ä&amp;</p:x{number}></iq>".encode()
            for number in range(4_000)
        ]
        header = HEADER[:-1] + b" xmlns:q='urn:q'>"
        for size in (200, 70_000, 400_000):
            for parser in (ElementStream(), BoundedElementStream(10_000, 16)):
                heard, used = [], [parser.parser]
                parser.DocumentStartEvent = heard.append
                parser.ElementEvent = heard.append
                document = b"<?xml version='1.0'?>" + header + b"".join(stanzas)
                for start in range(0, len(document), size):
                    parser.parse(document[start : start + size])
                    if parser.parser is not used[-1]:
                        used.append(parser.parser)
                self.assertGreater(len(used), min(len(document) / size, 4) - 2)
                self.assertEqual(len(heard), 1 + len(stanzas))
                for number, iq in enumerate(heard[1:]):
                    (child,) = iq.elements()
                    self.assertEqual((iq["id"], child.name), (f"{number}", f"x{number}"))
                    self.assertEqual((iq.uri, child.uri), ("jabber:client", "urn:p"))
                    self.assertEqual(child[("urn:q", f"a{number}")], "v" * 100)

    def test_places_after_renewal(self):
        """Where a stanza begins is told by its place in the stream, after that too."""
        parser = BoundedElementStream(10_000, 16)
        places = []
        parser.DocumentStartEvent = lambda root: None
        parser.ElementEvent = lambda element: places.append(parser.started)
        document = HEADER
        expected = []
        for number in range(2_000):
            expected.append(len(document))
            document += f"<a{number}>{'v' * 500}</a{number}>".encode()
        for start in range(0, len(document), 999):
            parser.parse(document[start : start + 999])
        self.assertEqual(places, expected)
        with self.assertRaises(StreamError):
            parser.parse(b"<a>" + b"v" * 10_100)
