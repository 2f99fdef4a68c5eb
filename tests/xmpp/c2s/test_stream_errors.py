"""How streams end: by errors, by the client, by the clock, by us."""

from invitereg.xmpp.c2s.listener import end_all
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import (
    BIND,
    GET,
    NS_STREAMS,
    STARTTLS,
    header,
    plain,
    preauth,
    registration,
)

LIMIT = 10 * 1024


def stanza_of(size, start="<iq type='get' id='", end="'/>"):
    """A stanza of exactly ``size`` bytes."""
    return start + "x" * (size - len(start) - len(end)) + end


class SizeTests(DoorTestCase):
    def request(self, size):
        """A get of exactly that many bytes up to its end tag, padded by text."""
        start, end = GET.removesuffix("</iq>"), "</iq>"
        return start + "x" * (size - len(start)) + end

    def test_exactly_the_limit(self):
        """10 KiB up to the end tag are fine, in one segment and in any two."""
        text = self.request(LIMIT)
        for cut in (0, 1, 100, LIMIT - 1, LIMIT, *range(len(text) - 6, len(text))):
            client = self.listener.opened()
            self.assertResult(client.ask(*filter(None, (text[:cut], text[cut:]))))

    def test_one_byte_more(self):
        """One byte more is too much, however it is cut; the token is unspent."""
        invite = self.listener.add_invite()
        text = self.request(LIMIT + 1)
        for cut in (1, 100, LIMIT - 1, LIMIT, len(text) - 1, len(text)):
            client = self.listener.preauthorised()
            client.send(*filter(None, (text[:cut], text[cut:])))
            self.assertEnded(client, "policy-violation")
        self.assertEqual(self.listener.invite(invite).uses, 0)

    def test_wherever_the_bytes_are(self):
        """Too much is too much in text, in an attribute, in a name, in many elements."""
        padding = "x" * LIMIT
        for text in (
            registration(password=padding),
            registration(more="<a/>" * (LIMIT // 4)),
            preauth(padding),
            f"<{padding} xmlns='jabber:client'/>",
            f"<iq xmlns:a='{padding}'/>",
            stanza_of(LIMIT + 1),
            "<!--" + padding * 2,
        ):
            for segments in ([text], [text[:99], text[99:]], [text[:-1]], [text + GET]):
                client = self.listener.opened()
                client.send(*segments)
                self.assertEnded(client, "policy-violation")

    def test_header(self):
        """The header is bounded as well, whatever follows in its segment."""
        big = header().replace("<stream:stream", f"<stream:stream a='{'x' * LIMIT}'")
        for segments in ([big], [big + GET], [big[:5000], big[5000:]], [big[:-1]]):
            client = self.listener.connect()
            client.send(*segments)
            self.assertEqual(client.receive()[-1].name, "error")
            self.assertTrue(client.closed)

    def test_a_megabyte(self):
        """A megabyte does not even get read to its end."""
        client = self.listener.opened()
        text = registration(password="x" * 1024 * 1024)
        client.send(*(text[start : start + 65536] for start in range(0, len(text), 65536)))
        self.assertEnded(client, "policy-violation")

    def test_many_small_stanzas(self):
        """What is bounded is one stanza, not their sum."""
        client = self.listener.opened()
        client.send(GET * 200)
        self.assertEqual(len(client.receive()), 200)
        for _ in range(20):
            self.assertResult(client.ask(GET + " \n" * 3000))

    def test_depth(self):
        """32 levels are fine before login; the 33rd ends the stream."""
        client = self.listener.opened()
        levels = "<a>" * 31 + "</a>" * 31
        inner = GET.replace("</iq>", "").replace("/>", f">{levels[3:-4]}</query></iq>")
        self.assertResult(client.ask(inner))
        client.send(f"<iq type='get'><a>{levels}</a></iq>")
        self.assertEnded(client, "policy-violation")


class EncodingTests(DoorTestCase):
    def test_declared_encodings(self):
        """UTF-8 may be declared; anything else is refused."""
        for encoding in ("UTF-8", "utf-8"):
            declaration = f"<?xml version='1.0' encoding='{encoding}'?>"
            client = self.listener.connect()
            self.assertEqual(client.open(declaration=declaration).name, "features")
        for encoding in ("UTF-16", "ISO-8859-1", "us-ascii", "x"):
            client = self.listener.connect()
            client.send(header(declaration=f"<?xml version='1.0' encoding='{encoding}'?>"))
            self.assertEnded(client, "unsupported-encoding")

    def test_utf_16(self):
        """A stream in UTF-16 is refused."""
        for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
            data = header().encode(encoding)
            for step in (1, 2, 7, len(data)):
                client = self.listener.connect()
                client.send(*(data[n : n + step] for n in range(0, len(data), step)))
                self.assertEnded(client, "unsupported-encoding")


class EndTests(DoorTestCase):
    def test_stanzas_before_login(self):
        """Messages and presence before login end the stream."""
        for text in ("<message><body>x</body></message>", "<presence/>", "<iq/>", "<x/>"):
            client = self.listener.opened()
            client.send(text)
            self.assertEnded(client, "not-authorized")

    def test_in_clear(self):
        """Before TLS nothing but STARTTLS, logins and requests is understood."""
        for text in ("<message/>", "<presence/>", "<iq/>", "<iq type='result' id='1'/>"):
            client = self.listener.opened(Phase.CLEAR)
            client.send(text)
            self.assertEnded(client, "not-authorized")

    def test_text_between_stanzas(self):
        """Whitespace between stanzas keeps a connection alive; text has no place there."""
        client = self.listener.opened()
        client.send(" \r\n\t", "\n" * 100)
        self.assertSilent(client)
        client.send("hello")
        self.assertEnded(client, "bad-format")

    def test_nothing_changes_after_an_error(self):
        """What follows the fault in the same segment is not done."""
        invite = self.listener.add_invite()
        client = self.listener.preauthorised()
        client.send("<message/>" + registration())
        self.assertEnded(client, "not-authorized")
        self.assertEqual(self.listener.invite(invite).uses, 0)
        self.assertIsNone(self.listener.account())

    def test_second_header(self):
        """A second header is no fresh start."""
        client = self.listener.opened()
        client.send(header())
        self.assertEnded(client, "not-well-formed")
        client = self.listener.opened()
        client.send(header(declaration="") + GET)
        self.assertSilent(client)
        client.send("</stream:stream>")
        self.assertEnded(client, "not-authorized")

    def test_client_closes(self):
        """A closed stream is closed by us too, and the connection with it."""
        for phase in (Phase.CLEAR, Phase.SECURED):
            client = self.listener.opened(phase)
            client.send(GET + "</stream:stream>")
            self.assertLessEqual(len(client.receive()), 1)
            self.assertTrue(client.ended)
            self.assertTrue(client.closed)

    def test_client_reports_an_error(self):
        """A stream error of the client ends the stream without another one."""
        client = self.listener.opened()
        client.send(f"<error xmlns='{NS_STREAMS}'/>")
        self.assertEqual(client.receive(), [])
        self.assertTrue(client.ended)
        self.assertTrue(client.closed)

    def test_another_domain_after_tls(self):
        """The domain of a stream stays what it was before TLS and login."""
        other = type(next(iter(self.listener.domains.values())))(name="example.org")
        self.listener.domains["example.org"] = other
        client = self.listener.opened(Phase.CLEAR)
        client.ask(STARTTLS)
        client.finish_handshake()
        client.send(header(to="example.org"))
        self.assertEnded(client, "host-unknown")

    def test_connection_lost_at_any_time(self):
        """A client that vanishes leaves nothing behind."""
        self.listener.add_account()
        steps = [header(), plain(), header(), BIND.format("x"), "<presence/>"]
        for count in range(len(steps) + 1):
            client = self.listener.connect()
            client.send(*steps[:count])
            client.lose()
        self.assertEqual(self.listener.door.streams.open, set())
        self.assertEqual(list(self.listener.sessions.of("juliet@example.com")), [])
        self.assertEqual(self.listener.clock.getDelayedCalls(), [])


class ShutdownTests(DoorTestCase):
    def test_system_shutdown(self):
        """When the service stops, every client is told, and stopping waits for it."""
        streams = self.listener.door.streams
        clients = [
            self.listener.connect(Phase.CLEAR),
            self.listener.opened(Phase.CLEAR),
            self.listener.opened(),
            self.listener.logged_in(),
        ]
        shaking = self.listener.connect()
        stopped = end_all(streams.open, "system-shutdown")
        for client in clients:
            self.assertEnded(client, "system-shutdown")
        self.assertTrue(shaking.transport.aborted)
        self.assertEqual(shaking.receive(), [])
        self.assertNoResult(stopped)
        for client in (*clients, shaking):
            client.lose()
        self.successResultOf(stopped)
        self.assertEqual(streams.open, set())

    def test_unresponsive_peer(self):
        """A peer that does not close its side is dropped after 5 seconds."""
        client = self.listener.opened()
        stopped = end_all(self.listener.door.streams.open, "system-shutdown")
        self.listener.wait(seconds=4.9)
        self.assertFalse(client.transport.aborted)
        self.listener.wait(seconds=0.1)
        self.assertTrue(client.transport.aborted)
        client.lose()
        self.successResultOf(stopped)
