"""Whether the service is alive, and can work."""

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.web.pages import notFound

from invitereg.errors import Unavailable
from invitereg.web.monitoring import FRESH_SECONDS, READY_SECONDS, LivenessProbe, ReadinessProbe
from invitereg.web.site import WebDoor
from tests.spying import note_calls
from tests.web.door import WebCase, later


class HealthTests(WebCase):
    def make_door(self):
        door = WebDoor(sites=self.sites, trusted_proxies=(), pages=notFound(), reactor=reactor)
        door.mount("healthz", LivenessProbe(), everywhere=True)
        self.ready = ReadinessProbe(self.store, self.clock)
        door.mount("readyz", self.ready, everywhere=True)
        return door

    async def test_good(self):
        """Both say so, to GET and HEAD, and nothing else is asked."""
        for path, says in (("/healthz", "alive\n"), ("/readyz", "ready\n")):
            response = await self.get(path)
            self.assertEqual((response.code, response.body), (200, says))
            self.assertEqual((await self.ask("HEAD", path)).code, 200)
            self.assertEqual((await self.ask("POST", path)).code, 405)

    async def test_store_fails(self):
        """A store that fails is not ready, and alive."""
        self.patch(self.store, "server_key", lambda: fail(Unavailable("x")))
        self.assertEqual((await self.get("/readyz")).code, 503)
        self.assertEqual((await self.get("/healthz")).code, 200)

    async def test_many_ask(self):
        """However many strangers ask, the store is asked once in a second."""
        asked = note_calls(self, self.store, "server_key")
        for number in range(1, 4):
            for _ in range(20):
                self.assertEqual((await self.get("/readyz")).code, 200)
            self.assertEqual(len(asked), number)
            self.clock.advance(FRESH_SECONDS)

    async def test_recovers(self):
        """What was wrong a second ago is looked at again."""
        self.patch(self.store, "server_key", lambda: fail(Unavailable("x")))
        for _ in range(3):
            self.assertEqual((await self.get("/readyz")).code, 503)
        self.patch(self.store, "server_key", lambda: succeed(b"x"))
        self.assertEqual((await self.get("/readyz")).code, 503)
        self.clock.advance(FRESH_SECONDS)
        self.assertEqual((await self.get("/readyz")).code, 200)

    async def test_ask_together(self):
        """Those who ask while the store thinks get its one answer; who left, none."""
        answers, come = [], Deferred()

        def hang():
            answers.append(Deferred())
            if not come.called:
                come.callback(None)
            return answers[-1]

        self.patch(self.store, "server_key", hang)
        first = Deferred.fromCoroutine(self.get("/readyz"))
        await come
        gone = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Protocol()
        )
        gone.transport.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        more = [Deferred.fromCoroutine(self.get("/readyz")) for _ in range(5)]
        while len(self.ready._ask._waiting) < 7:
            await later()
        gone.transport.abortConnection()
        while len(self.ready._ask._waiting) > 6:
            await later()
        answers[0].callback(b"x")
        self.assertEqual({(await one).code for one in (first, *more)}, {200})
        self.assertEqual(len(answers), 1)

    async def test_store_hangs(self):
        """Nor is one that does not answer in time."""
        asked: Deferred[None] = Deferred()

        def hang() -> "Deferred[bytes]":
            reactor.callLater(0, asked.callback, None)
            return Deferred()

        self.patch(self.store, "server_key", hang)
        answer = Deferred.fromCoroutine(self.get("/readyz"))
        await asked
        self.clock.advance(READY_SECONDS)
        self.assertEqual((await answer).code, 503)
