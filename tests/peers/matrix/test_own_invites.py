"""Prosody's own invitations, whose tokens the gateway refuses: whoever serves hears of them."""

import asyncio
from unittest import IsolatedAsyncioTestCase

from tests.peers.gateway import command, in_front, start
from tests.peers.releases import Release, for_each_release
from tests.peers.servers import DOMAIN, Prosody
from tests.service.running import Service

WARNING = "the server makes invitations of its own"
REMEDY = "Prosody: remove invites and all modules that begin with invites_"


@for_each_release
class OwnInvitesTests(IsolatedAsyncioTestCase):
    release: Release

    def serve(self, *modules: str) -> Service:
        """Start Prosody with some of its modules, and a gateway in front of it."""
        server = Prosody(release=self.release)
        self.addCleanup(server.remove)
        server.modules = " ".join((server.modules, *modules))
        server.settings += [
            "c2s_require_encryption = false",
            "allow_unencrypted_plain_auth = true",
        ]
        server.start()
        service = in_front(server, tls="none")
        self.addCleanup(service.remove)
        start(service)
        return service

    async def check(self, service: Service) -> tuple[int, str]:
        """Run `check --online`; returns its exit status, and what it says."""
        done = await asyncio.to_thread(command, service, "check", "--online")
        return done.returncode, done.stderr

    async def test_made_by_apps(self) -> None:
        """Apps that can make them are warned of, at the start and by the check."""
        service = self.serve("invites", "invites_adhoc")
        await service.logged(f"look at the server of {DOMAIN}: {WARNING}")
        for stop in (lambda: None, service.stop):
            stop()
            status, text = await self.check(service)
            self.assertEqual((status, text.count(WARNING)), (0, 1))
            self.assertIn(REMEDY, text)

    async def test_redeemed_there(self) -> None:
        """A server that would redeem them is not used at all."""
        service = self.serve("invites", "invites_register")
        await service.logged("is not used: it registers accounts by itself")
        status, text = await self.check(service)
        self.assertEqual(status, 2)
        self.assertIn("remove invites_register", text)
