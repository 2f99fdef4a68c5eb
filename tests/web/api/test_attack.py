"""What the API makes of requests that nobody sends in good faith, or sends by mistake."""

import json
import socket
from io import BytesIO

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyChannel

from invitereg.web.api.errors import Problem
from invitereg.web.api.requests import NewInviteBody, read_body
from invitereg.web.channel import WebRequest
from tests.web.api.case import ApiCase
from tests.web.door import DOMAIN, later

JSON = {"Content-Type": ["application/json"]}


class PathTests(ApiCase):
    async def test_unknown_paths(self):
        """There is nothing but what the document names."""
        for path in (
            *("", "/", "/invites/", "/Invites", "/invites//renew", "/invites/x/y"),
            *("/invites/x/renew/", "/..%2f..%2fetc%2fpasswd", "/resets/x", "//invites"),
            "/invites//x/renew",
        ):
            response = await self.call("GET", path, status=404)
            self.assertProblem(response, "no-such-path")

    async def test_encoded_slashes(self):
        """An encoded slash is a part of an id, and begins no other segment."""
        made, _token = await self.invite()
        for method, path in (
            ("GET", f"/invites%2F{made.id}"),
            ("GET", "/%2Finvites"),
            ("POST", f"/invites/{made.id}%2frevoke"),
        ):
            response = await self.call(method, path, status=404)
            self.assertProblem(response, "no-such-path")
        shown = await self.call("GET", f"/invites/{made.id}", status=200)
        self.assertEqual(shown.content["status"], "pending")

    async def test_methods(self):
        """A method that is none of a path's gets those that are."""
        for method, path, allow in (
            ("PUT", "/invites", "POST, GET, HEAD"),
            ("DELETE", "/invites/x", "GET, PATCH, HEAD"),
            ("GET", "/invites/x/revoke", "POST"),
            ("OPTIONS", "/resets", "POST"),
            ("QUERY", "/registrations", "POST"),
            ("POST", "/openapi.json", "GET, HEAD"),
        ):
            response = await self.call(method, path, status=405)
            self.assertEqual(self.header(response, "Allow"), allow)

    async def test_routes(self):
        """Log and metrics have a refused method under its path, without what is secret."""
        routes: list[str] = []
        self.door.access_log = lambda request: routes.append(request.route)
        for method, path in (
            *(("PUT", "/invites/x"), ("GET", "/invites/x/revoke"), ("POST", "/openapi.json")),
            *(("GET", "/x"), ("GET", "/invites/x")),
        ):
            await self.call(method, path)
        invite = "api/v1/invites/{id}"
        expected = [invite, f"{invite}/revoke", "api/v1/openapi.json", "other", invite]
        self.assertEqual(routes, expected)

    async def test_head(self):
        """HEAD is GET without the body."""
        response = await self.call("HEAD", "/invites", status=200)
        self.assertEqual(response.body, "")
        self.assertEqual(self.header(response, "Content-Type"), "application/json")

    async def test_headers(self):
        """Every answer has what protects from sniffing and keeping it."""
        for path in ("/invites", "/nothing", "/openapi.json"):
            response = await self.call("GET", path)
            self.assertEqual(self.header(response, "X-Content-Type-Options"), "nosniff")
            self.assertEqual(self.header(response, "Cache-Control"), "no-store, no-transform")


class GoneTests(ApiCase):
    async def test_hang_up(self):
        """What a program has asked for is done, also if it does not wait for the answer."""
        create, begun, go_on = self.store.create_invite, Deferred(), Deferred()

        async def slowly(*asked):
            begun.callback(None)
            await go_on
            return await create(*asked)

        self.patch(
            self.store, "create_invite", lambda *asked: Deferred.fromCoroutine(slowly(*asked))
        )
        client = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Protocol()
        )
        request = (
            f"POST /api/v1/invites HTTP/1.0\r\nAuthorization: Bearer {self.secret}\r\n\r\n"
        )
        client.transport.write(request.encode())
        await begun
        client.transport.abortConnection()
        while len(self.door.connections):
            await later()
        go_on.callback(None)
        self.assertEqual(len(await self.ids()), 1)


class BodyTests(ApiCase):
    async def test_malformed(self):
        """What is no JSON, or not clearly one thing, is refused, and nothing is made."""
        for body in (
            *(b"{", b"x", b'{"note": "x"} x', b'{"note": "\xff"}', b"\xef\xbb\xbf{}"),
            *(b'{"note": "a", "note": "b"}', b'{"uses_allowed": NaN}', b"Infinity"),
            *(b"[" * 60000, b'{"a":' * 10000, b'{"uses_allowed": ' + b"9" * 10000 + b"}"),
            json.dumps({}).encode("utf-16"),
        ):
            response = await self.call("POST", "/invites", body, status=400)
            self.assertProblem(response, "malformed-json")
        for body in (b'{"note": "\\ud800"}', b"null", b"1", b'"x"', b'{"uses_allowed": 1.5}'):
            await self.call("POST", "/invites", body, status=422)
        self.assertEqual(await self.ids(), [])

    async def test_many_mistakes(self):
        """However many mistakes there are, an answer is no longer than what was sent."""
        for body in (
            {f"a{number}": 1 for number in range(6000)},
            {"roles": [1] * 20_000},
        ):
            sent = json.dumps(body, separators=(",", ":")).encode()
            response = await self.call("POST", "/invites", sent, status=422)
            self.assertProblem(response, "invalid-request")
            self.assertLessEqual(len(response.body), len(sent))

    async def test_types(self):
        """Only JSON is read: a form, which any page could send, is not."""
        for value in (
            *("text/plain", "application/x-www-form-urlencoded", "application/xml"),
            *("application/json; charset=latin-1", "application/jsonx", ""),
        ):
            response = await self.call(
                "POST", "/invites", b"{}", headers={"Content-Type": [value]}, status=415
            )
            self.assertProblem(response, "not-json")
        for value in ("application/json; charset=UTF-8", 'Application/JSON;charset="utf-8"'):
            await self.call(
                "POST", "/invites", b"{}", headers={"Content-Type": [value]}, status=201
            )


class WireTests(ApiCase):
    """Bytes that no HTTP client sends."""

    def send(self, *lines: str, body: bytes = b"", until: bytes = b"") -> "Deferred[bytes]":
        """What comes back: until the connection is closed, or an answer ends as said."""
        text = "\r\n".join((*lines, f"Authorization: Bearer {self.secret}", "", "")).encode()

        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
                connection.sendall(text + body)
                if not until:
                    connection.shutdown(socket.SHUT_WR)
                answer = b""
                while not (until and answer.endswith(until)):
                    received = connection.recv(65536)
                    if not received:
                        break
                    answer += received
                return answer

        return deferToThread(talk)

    async def test_lengths(self):
        """Who says two lengths, or none that is one, smuggles nothing in."""
        post = ("POST /api/v1/invites HTTP/1.1", "Host: x", "Content-Type: application/json")
        for lengths in (
            ("Content-Length: 2", "Content-Length: 0"),
            ("Content-Length: -1",),
            ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ):
            answer = await self.send(*post, *lengths, body=b"{}")
            self.assertNotIn(b" 201 ", answer.split(b"\r\n")[0], lengths)
        self.assertEqual(await self.ids(), [])

    async def test_too_large(self):
        """A body past the limit is refused without reading all of it."""
        post = ("POST /api/v1/invites HTTP/1.1", "Host: x", "Content-Type: application/json")
        length = "Content-Length: 70000"
        answer = await self.send(*post, length, body=b" " * 70000, until=b"}\n")
        self.assertIn(b" 413 ", answer.split(b"\r\n")[0])
        self.assertIn(b'"code": "too-large"', answer)
        self.assertEqual(await self.ids(), [])

    async def test_host(self):
        """What a client calls us changes no address that we give out."""
        post = ("POST /api/v1/invites HTTP/1.1", "Content-Length: 0", "Connection: close")
        for header in ("Forwarded: host=evil.example", "X-Forwarded-Host: evil.example"):
            answer = await self.send(*post, "Host: evil.example", header)
            self.assertIn(b" 201 ", answer.split(b"\r\n")[0])
            self.assertNotIn(b"evil", answer)

    async def test_forwarded(self):
        """Who is not a trusted proxy chooses no address by which it is judged."""
        for number in range(11):
            headers = {"X-Forwarded-For": [f"198.51.100.{number}"]}
            body = {"token": f"guess{number}"}
            response = await self.call("POST", "/previews", body, headers=headers)
        self.assertEqual(response.code, 429)

    async def test_gone(self):
        """Who hangs up early breaks nothing."""
        request = ("POST /api/v1/invites HTTP/1.1", "Host: x", "Content-Length: 100")
        self.assertNotIn(b" 201 ", await self.send(*request, body=b"{"))
        await self.made()
        self.assertEqual(len(await self.store.list_invites(DOMAIN, self.now())), 1)


def _request(body: bytes) -> WebRequest:
    request = WebRequest(DummyChannel())
    request.requestHeaders.setRawHeaders("Content-Type", ["application/json"])
    request.content = BytesIO(body)
    return request


_MEMBERS = st.sampled_from(list(NewInviteBody.model_fields)) | st.text(max_size=5)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_MEMBERS, inner, max_size=3),
    max_leaves=8,
)


def _as_note(text: str) -> bytes:
    return f'{{"note":"{text}"}}'.encode()


class FuzzTests(SynchronousTestCase):
    def read(self, body: bytes) -> None:
        try:
            read_body(_request(body), NewInviteBody)
        except Problem as problem:
            self.assertIn(problem.status, (400, 422))
            json.loads(problem.document())

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(_MEMBERS, _VALUES, max_size=6))
    def test_objects(self, value):
        """Any object is an invite or a problem that is itself JSON."""
        self.read(json.dumps(value).encode())

    @settings(deadline=None)
    @given(
        st.binary(max_size=200)
        | st.text(max_size=100).map(lambda t: f'{{"note":"{t}"}}'.encode())
    )
    def test_bytes(self, body):
        """So are any bytes."""
        self.read(body)
