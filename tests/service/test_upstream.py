"""A service before a real Prosody, and the operator's commands beside it."""

import json
from unittest import IsolatedAsyncioTestCase

from tests.peers.gateway import accounts, command, start, token
from tests.peers.servers import COMPONENT, DOMAIN, Prosody
from tests.service.running import Service, until
from tests.service.wire import Wire


class BehindTests(IsolatedAsyncioTestCase):
    """Each has a Prosody of its own, which may be killed."""

    def setUp(self):
        self.peer = Prosody()
        self.addCleanup(self.peer.remove)
        self.peer.start()
        settings = f"registration_watchers: [escalus@{DOMAIN}]"
        self.service = Service(f"{accounts(self.peer)}\n{settings}")
        self.addCleanup(self.service.remove)

    async def test_registers(self):
        """Invited by one user there, another registers, and they are contacts in the end."""
        start(self.service)
        created = command(self.service, "account", "create", "romeo", password="pass word 1")
        self.assertEqual((created.returncode, created.stderr), (0, ""))
        invite = token(self.service, "--inviter", "romeo", "--contact")
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.preauth(invite), "result")
        self.assertEqual(await wire.register("juliet", "pass word 2"), "result")
        listed = command(self.service, "account", "list", "--json").stdout.splitlines()
        self.assertEqual([json.loads(line)["username"] for line in listed], ["juliet", "romeo"])
        rosters = self.peer.folder / "data" / DOMAIN / "roster"
        await until(
            lambda: all(_has_contact(rosters / f"{n}.dat") for n in ("juliet", "romeo")),
            "no contacts",
        )
        named = command(self.service, "account", "list").stderr
        self.assertIn("only those known here are listed", named)
        again = command(self.service, "account", "create", "juliet", password="pass word 3")
        self.assertEqual(again.returncode, 1)
        deleted = command(self.service, "account", "delete", "juliet")
        self.assertEqual((deleted.returncode, deleted.stderr), (0, ""))
        self.assertIn(f"deleted juliet@{DOMAIN}", self.service.log_text())

    async def test_roles(self):
        """Roles are given to whoever has an account there, and to nobody else."""
        self.peer.register("paris", "pass word 1")
        start(self.service)
        given = command(self.service, "account", "role", "paris", "--add", "team")
        self.assertEqual((given.returncode, given.stdout), (0, f"paris@{DOMAIN}\tteam\t-\t-\n"))
        nobody = command(self.service, "account", "role", "nobody", "--add", "team")
        self.assertEqual((nobody.returncode, nobody.stdout), (1, ""))
        self.assertIn(f"There is no account nobody@{DOMAIN}.", nobody.stderr)
        # Whoever is known here can be changed without the service.
        self.service.stop()
        taken = command(self.service, "account", "role", "paris", "--remove", "team")
        self.assertEqual((taken.returncode, taken.stdout), (0, f"paris@{DOMAIN}\t-\t-\t-\n"))

    async def test_told_in_the_end(self):
        """A watcher is told of a registration although the server crashes right after it."""
        self.peer.register("escalus", "pass word 1")
        start(self.service)
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.preauth(token(self.service)), "result")
        self.assertEqual(await wire.register("juliet", "pass word 2"), "result")
        self.peer.kill()
        self.peer.start()
        kept = self.peer.folder / "data" / DOMAIN / "offline" / "escalus.list"
        await until(
            lambda: kept.exists() and f"juliet@{DOMAIN} has registered" in kept.read_text(),
            "the watcher is not told",
        )

    async def test_server_comes_back(self):
        """While the server is away nothing is made, and all goes on when it is back."""
        start(self.service)
        invite = token(self.service)
        self.peer.kill()
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.preauth(invite), "result")
        self.assertNotEqual(await wire.register("juliet", "pass word 2"), "result")
        self.peer.start()
        connected = f"component {COMPONENT} connected"
        await until(
            lambda: self.service.log_text().count(connected) == 2, "not connected again"
        )
        self.assertEqual(await wire.register("juliet", "pass word 2"), "result")

    async def test_check(self):
        """The check finds nothing wrong, by the service or without, and says what is."""
        start(self.service)
        done = command(self.service, "check", "--online")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.service.stop()
        done = command(self.service, "check", "--online")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        (self.peer.folder / "secret-of-component").write_text("wrong")
        done = command(self.service, "check", "--online")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr.count("not-authorized"), 1, done.stderr)


def _has_contact(path):
    return path.exists() and '["subscription"] = "both"' in path.read_text()
