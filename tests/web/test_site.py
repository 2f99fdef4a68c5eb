"""The site as a whole: headers, limits, bad requests, several domains."""

from dataclasses import replace
from email.message import EmailMessage
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http
from twisted.web.pages import notFound

from invitereg.config.web import WebKeys
from invitereg.errors import Unavailable
from invitereg.policy.values import Domain, Limits, Policy
from invitereg.runtime.workqueue import current_client
from invitereg.web.channel import (
    IDLE_SECONDS,
    MAX_BODY,
    MAX_BODY_PIECES,
    REQUEST_SECONDS,
    WebRequest,
)
from invitereg.web.settings import SiteSettings
from invitereg.web.site import WebDoor
from tests.web.door import DOMAIN, PASSWORD, WebCase, later
from tests.web.person import Person


class Raw(Protocol):
    """A client that writes what it likes."""

    def __init__(self) -> None:
        self.received = b""
        self.ended: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(self.received)


class HeaderTests(WebCase):
    async def pages(self) -> list[Any]:
        _invite, token = await self.invite()
        paths = ("/", f"/invite/{token}", f"/invite/{token}/register", "/invite/x", "/nosuch")
        return [await self.get(path) for path in (*paths, "/register", "/static/style.css")]

    async def test_every_answer(self) -> None:
        """Whatever is answered, browsers are told to keep to this site, and be discreet."""
        for page in await self.pages():
            policy = self.header(page, "content-security-policy") or ""
            for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
                self.assertIn(part, policy)
            self.assertNotIn("unsafe", policy)
            self.assertNotIn("http", policy)
            self.assertEqual(self.header(page, "referrer-policy"), "no-referrer")
            self.assertEqual(self.header(page, "x-content-type-options"), "nosniff")
            self.assertEqual(self.header(page, "strict-transport-security"), "max-age=31536000")
            self.assertIsNone(self.header(page, "server"))

    async def test_any_bytes(self) -> None:
        """A header that is no text is as good as none, and leaves no trace in the log."""
        for name in ("user-agent", "accept-language", "x-forwarded-for", "sec-fetch-site"):
            for path in ("/", "/register", "/nosuch"):
                page = await self.get(path, headers={name.encode(): [b"\xff\xfe"]})
                self.assertLess(page.code, 500, (name, path))
                self.assertIn("default-src", self.header(page, "content-security-policy") or "")
        page = await self.ask("POST", "/register", headers={b"content-type": [b"\xff"]})
        self.assertLess(page.code, 500)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_caching(self) -> None:
        """Pages are never kept; files that are named by their digest are, for ever."""
        *pages, style = await self.pages()
        for page in pages:
            self.assertEqual(self.header(page, "cache-control"), "no-store, no-transform")
        self.assertEqual(self.header(style, "cache-control"), "no-cache")
        address = pages[0].body.partition('stylesheet" href="')[2].partition('"')[0]
        named = await self.get(address)
        kept = self.header(named, "cache-control")
        self.assertEqual(kept, "public, max-age=31536000, immutable")
        etag = self.header(named, "etag")
        again = await self.get("/static/style.css", headers={"If-None-Match": etag})
        self.assertEqual((again.code, again.body), (304, ""))

    async def test_theme(self) -> None:
        """The operator's colours are a file of their own, with a readable text on them."""
        theme = await self.get("/static/theme.css")
        self.assertIn("--accent:#0b57d0;--on-accent:#ffffff", theme.body)
        self.assertIn("--accent:#9ec5ff;--on-accent:#000000", theme.body)


class PlainTests(WebCase):
    def make_site(self) -> SiteSettings:
        return SiteSettings(domain=DOMAIN, external_url="http://localhost:8080/")

    async def test_no_tls(self) -> None:
        """Without TLS nobody is told to insist on it."""
        _invite, token = await self.invite()
        page = await self.get(f"/invite/{token}/register")
        self.assertIsNone(self.header(page, "strict-transport-security"))
        self.assertNotIn("secure", (self.header(page, "set-cookie") or "").lower())


class RequestTests(WebCase):
    async def raw(self, *parts: bytes) -> bytes:
        """What the service answers to bytes, until it hangs up."""
        where = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        client = await connectProtocol(where, Raw())
        for part in parts:
            client.transport.write(part)
        return await client.ended

    async def test_methods(self) -> None:
        """A method that a page does not take is refused, and which it does is said."""
        _invite, token = await self.invite()
        for method, path, allowed in (
            ("POST", "/", "GET, HEAD"),
            ("DELETE", f"/invite/{token}", "GET, HEAD"),
            ("PUT", f"/invite/{token}/register", "GET, HEAD, POST"),
            ("FOO", "/register", "GET, HEAD, POST"),
            ("OPTIONS", "/static/style.css", "GET, HEAD"),
        ):
            answer = await self.ask(method, path)
            self.assertEqual((answer.code, self.header(answer, "allow")), (405, allowed))

    async def test_unknown_paths(self) -> None:
        """What there is not is a page that says so; nothing is redirected to tidied paths."""
        for path in ("/nosuch", "//invite/x", "/invite", "/invite/", "/static/../pages.py",
                     "/static/%2e%2e/pages.py", "/invite/a/b", "/favicon.ico", "/INVITE/x",
                     "/static/", "/.well-known/host-meta"):  # fmt: skip
            answer = await self.get(path)
            self.assertEqual(answer.code, 404, path)
            self.assertIn("<h1>", answer.body)

    async def test_no_text(self) -> None:
        """An address that is no text is refused, and nothing is logged as an error."""
        answer = await self.get("/invite/%ff%fe")
        self.assertEqual(answer.code, 400)
        for host in (b"\xff\xfe", b"a" * 300, b"a..b", b"[", b"evil.example/"):
            request = b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
            self.assertTrue((await self.raw(request)).startswith(b"HTTP/1.1 200 "), host)

    async def test_host_is_not_believed(self) -> None:
        """Nothing in a page or a header depends on what Host, or a proxy's header, says."""
        _invite, token = await self.invite()
        headers = {
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "gopher",
            "Forwarded": "host=evil.example",
        }
        for path in ("/", f"/invite/{token}", "//invite/x", "/register"):
            answer = await self.get(path, headers=headers)
            self.assertNotIn("evil.example", answer.body)
            self.assertNotIn("evil.example", str(list(answer.headers.getAllRawHeaders())))

    async def test_host_once(self) -> None:
        """A request says once which host it is for, but for those of old (RFC 9112 §3.2)."""
        for version, hosts, status in (
            (b"1.1", 1, 200),
            (b"1.1", 0, 400),
            (b"1.1", 2, 400),
            (b"1.0", 0, 200),
            (b"1.0", 2, 400),
        ):
            request = b"GET / HTTP/" + version + b"\r\nConnection: close\r\n"
            answer = await self.raw(request + b"Host: x\r\n" * hosts + b"\r\n")
            self.assertEqual(int(answer.split(b" ")[1]), status, (version, hosts))
            self.assertIn(b"nosniff", answer)

    async def test_codings(self) -> None:
        """A body in a coding that there is not is refused, not taken for another request."""
        for coding in (b"identity", b" Identity\t", b"gzip", b"chunked, identity"):
            head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " + coding
            answer = await self.raw(head + b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), coding)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1)

    async def test_phrases(self) -> None:
        """Every status is said in words, too."""
        for request, told in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n", b"200 OK"),
            (b"GET /nosuch HTTP/1.1\r\nHost: x\r\n", b"404 Not Found"),
            (b"PUT / HTTP/1.1\r\nHost: x\r\n", b"405 Method Not Allowed"),
        ):
            answer = await self.raw(request + b"Connection: close\r\n\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + told + b"\r\n"), answer[:60])

    async def test_declared_too_large(self) -> None:
        """A body that says to be too large is answered before it is sent."""
        head = b"POST /register HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
        client = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Raw()
        )
        client.transport.write(head + b"%d\r\n\r\n" % (MAX_BODY + 1))
        while b"</html>" not in client.received:
            await later()
        self.assertTrue(client.received.startswith(b"HTTP/1.1 413 "), client.received)
        self.assertIn(b"nosniff", client.received)
        client.transport.loseConnection()
        await client.ended

    async def test_turns_out_too_large(self) -> None:
        """A body in pieces is refused as soon as it is too large."""
        head = b"POST /register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Raw()
        )
        client.transport.write(head + b"10000\r\n" + b"x" * 0x10000 + b"\r\n1\r\nx")
        while b"</html>" not in client.received:
            await later()
        self.assertTrue(client.received.startswith(b"HTTP/1.1 413 "), client.received)
        client.transport.loseConnection()
        await client.ended

    async def test_tiny_pieces(self) -> None:
        """So is one in thousands of pieces, of which no more than that is looked at."""
        taken: list[int] = []
        take = WebRequest.handleContentChunk
        self.patch(
            WebRequest,
            "handleContentChunk",
            lambda request, data: taken.append(len(data)) or take(request, data),
        )
        head = b"POST /register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Raw()
        )
        client.transport.write(head + b"1\r\nx\r\n" * 10000)
        while b"</html>" not in client.received:
            await later()
        self.assertTrue(client.received.startswith(b"HTTP/1.1 413 "), client.received)
        self.assertEqual(len(taken), MAX_BODY_PIECES + 1)
        client.transport.loseConnection()
        await client.ended

    async def test_endless(self) -> None:
        """Who goes on and on with a body that was refused is cut off."""
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        answer = await self.raw(head, *[b"x" * 0x10000] * 64)
        # The answer may be lost with the connection; but it never takes all of it.
        self.assertIn(answer[:13], (b"HTTP/1.1 413 ", b""))

    async def test_largest(self) -> None:
        """The largest body is read; it is no form of ours then."""
        answer = await self.ask("POST", "/register", data=b"x" * MAX_BODY)
        self.assertEqual(answer.code, 415)

    async def test_bodies_are_read_once(self) -> None:
        """No body and no type of one is looked into before a part asks for it."""
        looked: list[object] = []
        self.patch(EmailMessage, "get_content_type", lambda message: looked.append(message))
        self.patch(http, "parse_qs", lambda query, *_rest: looked.append(query) or {})
        for kind in (
            b'multipart/form-data; boundary=x; "' + b'"' * 15000,
            b"multipart/form-data; boundary=x",
            b"application/x-www-form-urlencoded",
        ):
            for path in ("/", "/register", "/nosuch", "/invite/x/register"):
                answer = await self.ask(
                    "POST", path, data=b"a=1&" * 16000, headers={b"Content-Type": [kind]}
                )
                self.assertIn(answer.code, (400, 404, 405, 415), path)
        self.assertEqual(looked, [])

    async def test_no_http(self) -> None:
        """What is no HTTP is refused."""
        for request in (
            b"\x16\x03\x01\x02\x00\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nx\r\n\r\n",
        ):
            answer = await self.raw(request)
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)


class SlowTests(SynchronousTestCase):
    """Slow clients, in time of our own."""

    def setUp(self) -> None:
        self.clock = Clock()
        site = SiteSettings(domain=DOMAIN, external_url="https://example.com/")
        door = WebDoor(
            sites={DOMAIN: site}, trusted_proxies=(), pages=notFound(), reactor=self.clock
        )
        listener = door.listener()
        self.channel: Any = listener.buildProtocol(None)
        self.transport = StringTransport()
        self.channel.makeConnection(self.transport)
        self.addCleanup(self.channel.connectionLost, Failure(connectionDone.value))

    def test_silent(self) -> None:
        """A connection on which nothing happens is closed."""
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnecting)

    def test_drop_by_drop(self) -> None:
        """A request that comes drop by drop is cut off, although something always happens."""
        self.channel.dataReceived(b"GET / HTTP/1.1\r\n")
        for _second in range(REQUEST_SECONDS):
            self.assertFalse(self.transport.disconnecting)
            self.channel.dataReceived(b"X: y\r\n")
            self.clock.advance(1)
        self.assertTrue(self.transport.disconnecting)

    def test_slow_body(self) -> None:
        """So is one whose body comes so."""
        self.channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        for _second in range(REQUEST_SECONDS):
            self.channel.dataReceived(b"x")
            self.clock.advance(1)
        self.assertTrue(self.transport.disconnecting)

    def test_next_request(self) -> None:
        """The time of one request does not count for the next."""
        for _request in range(3):
            self.channel.dataReceived(b"GET /nosuch HTTP/1.1\r\nHost: x\r\n")
            self.clock.advance(REQUEST_SECONDS - 1)
            self.channel.dataReceived(b"\r\n")
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.transport.value().count(b"HTTP/1.1 404 "), 3)


class SeveralTests(WebCase):
    """Several domains behind one service."""

    trusted_proxies = (ip_network("127.0.0.0/8"),)

    def setUp(self) -> None:
        super().setUp()
        for name, url in (
            ("example.org", "https://chat.example.org/"),
            ("example.net", "https://shared.example/net/"),
            ("example.edu", "https://shared.example/edu/"),
        ):
            self.domains[name] = Domain(name=name, site_name=f"Site of {name}")
            self.sites[name] = SiteSettings(domain=name, external_url=url)

    async def at(self, host: str, path: str = "/") -> Any:
        return await self.get(path, headers={"Host": host})

    async def test_by_host(self) -> None:
        """Each site is found by its name, and by its path where they share a name."""
        for host, path, site in (
            ("chat.example.com", "/", "Example Chat"),
            ("CHAT.example.org", "/", "Site of example.org"),
            ("shared.example", "/net/", "Site of example.net"),
            ("shared.example", "/edu/", "Site of example.edu"),
        ):
            page = await self.at(host, path)
            self.assertEqual(page.code, 200)
            self.assertIn(f"<title>{site}</title>", page.body)

    async def test_described(self) -> None:
        """The start page has a description, as previews of links show it."""
        page = await self.at("chat.example.com")
        text = "This is where people chat whose addresses end in @example.com."
        self.assertIn(f'<meta name="description" content="{text}">', page.body)

    async def test_prefix(self) -> None:
        """Below a path, links lead below it as well."""
        page = await self.at("shared.example", "/edu/")
        self.assertIn('href="/edu/static/style.css?', page.body)
        style = await self.at("shared.example", "/edu/static/style.css")
        self.assertEqual(style.code, 200)

    async def test_absolute_form(self) -> None:
        """A request for a whole address is answered as one for its path, at its host."""
        for target, site in (
            ("http://chat.example.com/", "Example Chat"),
            ("HTTPS://Chat.Example.ORG/", "Site of example.org"),
            ("https://shared.example/net/?lang=en", "Site of example.net"),
            ("https://shared.example/edu", "Site of example.edu"),
            ("http://chat.example.com", "Example Chat"),
            ("http://chat.example.com?lang=en", "Example Chat"),
        ):
            head = f"GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
            client = await connectProtocol(
                TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Raw()
            )
            client.transport.write(head.encode())
            await client.ended
            self.assertIn(f"<title>{site}</title>".encode(), client.received, target)
        for hosts in ("", "Host: a\r\nHost: b\r\n"):
            head = f"GET http://chat.example.com/ HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"
            client = await connectProtocol(
                TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Raw()
            )
            client.transport.write(head.encode())
            await client.ended
            self.assertIn(b" 400 Bad Request", client.received)

    async def test_no_such_site(self) -> None:
        """A name that is none of ours is refused."""
        answer = await self.at("evil.example")
        self.assertEqual((answer.code, answer.phrase), (421, b"Misdirected Request"))

    async def test_token_of_another(self) -> None:
        """An invitation is valid on its own domain's site only."""
        _invite, token = await self.invite()
        self.assertEqual((await self.at("chat.example.com", f"/invite/{token}")).code, 200)
        self.assertEqual((await self.at("chat.example.org", f"/invite/{token}")).code, 404)


class ForwardedTests(WebCase):
    trusted_proxies = (ip_network("127.0.0.1/32"),)
    policy = Policy(
        registration_invite_only=False,
        limits=Limits(blocklist=(ip_network("198.51.100.0/24"),)),
    )

    async def test_blocked(self) -> None:
        """Behind a proxy, people are judged by their own address."""
        for address, status in (("198.51.100.7", 403), ("192.0.2.1", 200)):
            page = await self.get("/register", headers={"X-Forwarded-For": address})
            self.assertEqual(page.code, status)


class UnderWayTests(WebCase):
    """Requests that are being answered, behind a proxy."""

    trusted_proxies = (ip_network("127.0.0.1/32"),)
    policy = Policy(registration_invite_only=False)

    async def test_counted(self) -> None:
        """The work that a visitor causes counts as that of their own network."""
        clients: list[Any] = []
        look_up = self.store.look_up

        def note(query: Any) -> Any:
            clients.append(current_client())
            return look_up(query)

        self.patch(self.store, "look_up", note)
        for address, network in (
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::1", "2001:db8::/64"),
        ):
            for path in ("/register", "/invite/nosuch"):
                await self.get(path, headers={"X-Forwarded-For": address})
                client = clients.pop()
                self.assertEqual((client.door, client.shares[0].network), ("web", network))

    async def test_under_way(self) -> None:
        """Behind a proxy, so many requests of one network are answered at once."""
        self.door.connections.per_network = 3
        waiting: list[Deferred[Any]] = []
        self.patch(
            self.store, "look_up", lambda _query: waiting.append(Deferred()) or waiting[-1]
        )
        headers = {"X-Forwarded-For": "192.0.2.1"}
        asked = [
            Deferred.fromCoroutine(self.get("/register", headers=headers)) for _ in range(3)
        ]
        while len(waiting) < 3:
            await later()
        busy = await self.get("/register", headers=headers)
        self.assertEqual((busy.code, self.header(busy, "retry-after")), (503, "1"))
        other = Deferred.fromCoroutine(
            self.get("/register", headers={"X-Forwarded-For": "192.0.2.2"})
        )
        while len(waiting) < 4:
            await later()
        for one in waiting:
            one.errback(Unavailable("x"))
        self.assertEqual({(await one).code for one in (*asked, other)}, {503})
        self.assertEqual(len(self.door.connections._requests), 0)


class DirectTests(ForwardedTests):
    trusted_proxies = ()

    async def test_blocked(self) -> None:
        """Without one, what they say of themselves counts for nothing."""
        page = await self.get("/register", headers={"X-Forwarded-For": "198.51.100.7"})
        self.assertEqual(page.code, 200)


class OwnTests(WebCase):
    """What operators put in place of ours."""

    def make_site(self) -> SiteSettings:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        (Path(folder.name) / "home.html").write_text(
            '{% extends "base.html" %}'
            "{% block main %}<h1>Our own, {{ domain.name }}</h1>{% endblock %}"
        )
        texts = {
            "headline": {"en": "Hello", "de": "Hallo"},
            "about": "All about trains.",
            "footer": "Club <3",
        }
        keys = WebKeys.model_validate(
            {
                "external_url": "https://chat.example.com/",
                "texts": texts,
                "links": ({"text": "Imprint", "url": "https://example.com/imprint"},),
                "apps": {
                    "show": ("ours", "monal"),
                    "add": {
                        "ours": {
                            "name": "Our App",
                            "text": "Made for us",
                            "platforms": ("linux",),
                            "link": "https://example.com/app",
                            "preauth": True,
                            "magic_link": "https://example.com/app#{uri}",
                            "login_link": "https://example.com/?jid={address}&at={domain}",
                            "setup": "Allow notifications.",
                            "login": "Say that you have an account.",
                        }
                    },
                },
            }
        )
        site = SiteSettings.configured(DOMAIN, keys)
        return replace(site, templates=Path(folder.name), logo=(b"<svg/>", "image/svg+xml"))

    async def test_own(self) -> None:
        """Templates, texts, links, apps and logo are the operator's."""
        home = await self.get("/")
        self.assertIn("<h1>Our own, example.com</h1>", home.body)
        _invite, token = await self.invite()
        page = (await self.get(f"/invite/{token}")).body
        for text in (
            "<h1>Hello</h1>",
            "All about trains.",
            "With this invitation you get an account",
            "Club &lt;3",
            '<a href="https://example.com/imprint">Imprint</a>',
            "Our App",
            f"https://example.com/app#xmpp%3Aexample.com%3Fregister%3Bpreauth%3D{token}",
            "/static/logo?v=",
        ):
            self.assertIn(text, page)
        self.assertNotIn("Conversations", page)
        page = (await self.get(f"/invite/{token}?lang=de")).body
        self.assertIn("<h1>Hallo</h1>", page)
        logo = await self.get("/static/logo")
        self.assertEqual(logo.body, "<svg/>")

    async def test_after_registration(self) -> None:
        """Who has chosen the operator's app is told its steps, and led into it."""
        _invite, token = await self.invite()
        person, path = Person(self), f"/invite/{token}/register?app=ours"
        await person.open(path)
        await person.send(path, username="50%+#?é", password=PASSWORD)
        page = await person.open(self.header(person.page, "location") or "")
        link = "https://example.com/?jid=50%25%2B%23%3F%C3%A9@example.com&amp;at=example.com"
        for text in (f'href="{link}"', "Allow notifications.", "Say that you have an account."):
            self.assertIn(text, page.body)
