"""Whether the service is alive, and can work."""

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.web.pages import notFound

from invitereg.errors import Unavailable
from invitereg.web.health import READY_SECONDS, Alive, Ready
from invitereg.web.site import WebDoor
from tests.web.door import WebCase


class HealthTests(WebCase):
    def make_door(self):
        door = WebDoor(sites=self.sites, trusted_proxies=(), pages=notFound(), reactor=reactor)
        door.mount("healthz", Alive(), everywhere=True)
        door.mount("readyz", Ready(self.store, self.clock), everywhere=True)
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
