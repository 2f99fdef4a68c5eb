"""Behind a gateway a server is addressed as it spells itself, whatever clients write."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.model.names import prepare_domain
from invitereg.policy.values import Domain, Policy
from invitereg.xmpp.gateway import headers
from invitereg.xmpp.gateway.check import UpstreamCheck
from invitereg.xmpp.gateway.headers import MOST_HEADERS, HeaderSpelling
from invitereg.xmpp.gateway.settings import Upstream
from invitereg.xmpp.gateway.toplevel import MAX_TOKEN
from tests.xmpp.door import DoorTestCase
from tests.xmpp.gateway.door import FEATURES, LOGIN, REFUSED, GatewayListener
from tests.xmpp.messages import NS_SASL, NS_STREAMS, header

UNICODE, ASCII = "münchen.example", "xn--mnchen-3ya.example"
SUCCESS = f"<success xmlns='{NS_SASL}'/>"
SUCCESS2 = "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier/></success>"
AFTER = f"<message to='romeo@{{}}'><body>to='{ASCII}' {UNICODE}</body></message>"


def server_header(name):
    return (
        f"<?xml version='1.0'?><stream:stream version='1.0' id=\"to='{UNICODE}'\" "
        f"xmlns:stream='{NS_STREAMS}' from = '{name}' xmlns='jabber:client'>"
    )


class GatewaySpellingTests(DoorTestCase):
    def served(self, host):
        """A listener whose domain's server calls itself ``host``, and was found fit."""
        self.listener = GatewayListener()
        self.listener.domains[UNICODE] = Domain(name=UNICODE, policy=Policy())
        upstream = Upstream(domain=host, connect="tcp:127.0.0.1:15222", tls="none")
        check = UpstreamCheck(upstream, self.listener.clock)
        self.listener.checks[UNICODE] = check
        check.start()
        server = self.listener.accept()
        server.say(server_header(host), FEATURES)
        server.say(REFUSED)
        return server

    def through(self, host, spelling):
        """A client and the server's end, after the headers; what each has got is taken."""
        self.served(host)
        client = self.listener.connect()
        client.send(header(to=spelling))
        server = self.listener.accept()
        server.say(server_header(host), FEATURES)
        return client, server

    def test_check(self):
        """The server is asked about itself by its own name."""
        for host in (UNICODE, ASCII):
            self.assertIn(f'to="{host}"', self.served(host).received)

    def test_login(self):
        """Whatever the client calls the domain, each side reads its own spelling, twice."""
        for host, spelling in ((UNICODE, ASCII), (ASCII, UNICODE), (ASCII, "MÜNCHEN.example")):
            client, server = self.through(host, spelling)
            client.receive()
            expected = ASCII if spelling.isascii() else UNICODE
            self.assertEqual(client.header["from"], expected)
            self.assertEqual(client.header["id"], f"to='{UNICODE}'")
            first = header(to=spelling).replace(f"'{spelling}'", f'"{host}"')
            self.assertEqual(server.received, first)
            client.send(LOGIN)
            server.say(SUCCESS)
            (success,) = client.receive()
            self.assertEqual(success.name, "success")
            for byte in header(to=spelling).encode():
                client.send(bytes([byte]))
            client.send(AFTER.format(spelling))
            self.assertEqual(server.received, first + LOGIN + first + AFTER.format(spelling))
            server.say(*(bytes([byte]) for byte in server_header(host).encode()))
            server.say(AFTER.format(host))
            (message,) = client.receive()
            self.assertEqual(client.header["from"], expected)
            self.assertEqual(message["to"], f"romeo@{host}")

    def test_without_restart(self):
        """After SASL2 there is no new header, and everything passes as it is."""
        client, server = self.through(ASCII, UNICODE)
        client.receive()
        client.send(LOGIN)
        server.say(SUCCESS2)
        before = len(server.received)
        text = AFTER.format(UNICODE) + header(to=UNICODE)
        client.send(text)
        self.assertEqual(server.received[before:], text)
        client.transport.clear()
        text = AFTER.format(ASCII) + server_header(ASCII)
        server.say(text)
        self.assertEqual(client.transport.value().decode(), text)

    def test_same_spelling(self):
        """Who spells it as the server does is passed on byte for byte, as ever."""
        for host, spelling in ((UNICODE, "MÜNCHEN.example"), (ASCII, ASCII.upper())):
            client, server = self.through(host, spelling)
            self.assertEqual(server.received, header(to=spelling))
            self.assertTrue(client.transport.value().decode().startswith(server_header(host)))

    def test_another_domain(self):
        """A client that asks for another domain after its login asks the server for that."""
        client, server = self.through(ASCII, UNICODE)
        client.send(LOGIN)
        server.say(SUCCESS)
        client.send(header(to="example.com"))
        self.assertTrue(server.received.endswith(header(to="example.com")))


class RespellTests(SynchronousTestCase):
    @given(st.data())
    def test_pieces(self, data):
        """However the bytes are cut, the same bytes come out, and only headers are changed."""
        text = (
            f"<?xml version='1.0'?><s:stream a=\" to='{ASCII}'\" to='{ASCII}' from='x@y'>"
            f"<auth to='{ASCII}'>a&amp;b</auth><![CDATA[<s:stream to='{ASCII}'>]]><streams "
            f"to='{ASCII}'/><x:stream\nto = \"m&#xfc;nchen.example\"><stream >"
        ).encode()
        expected = text.replace(
            f"\" to='{ASCII}' from".encode(), f'" to="{UNICODE}" from'.encode()
        ).replace(b'"m&#xfc;nchen.example"', f'"{UNICODE}"'.encode())
        spelling = HeaderSpelling("to", UNICODE)
        cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
        pieces = [text[a:b] for a, b in pairwise(cuts)]
        self.assertEqual(b"".join(map(spelling.respell, pieces)), expected)

    def test_no_header(self):
        """What is no header and never ends is not waited for."""
        spelling = HeaderSpelling("to", UNICODE)
        passed = b"".join(spelling.respell(b"<a " + b"x" * 1000) for _ in range(100))
        self.assertGreater(len(passed), MAX_TOKEN)
        self.assertFalse(spelling.active and spelling.respell(b"<b") == b"")

    def test_many_headers(self) -> None:
        """Who sends one header after the other has few of them read, and all passed on."""
        read: list[str] = []

        def prepare(text: str) -> str:
            read.append(text)
            return prepare_domain(text)

        self.patch(headers, "prepare_domain", prepare)
        spelling = HeaderSpelling("to", UNICODE)
        others = [f" to='{n}.{ASCII}'" for n in range(500)]
        many = "".join(f"<stream:stream{one}>" for one in others)
        sent = f"<stream:stream{''.join(others)}>{many}".encode()
        self.assertEqual(spelling.respell(sent), sent)
        self.assertFalse(spelling.active)
        self.assertLessEqual(len(read), 2 * MOST_HEADERS)
