"""A service before a real Prosody, and the operator's commands beside it."""

import json
import subprocess
import sys
from unittest import IsolatedAsyncioTestCase

from tests.peers.servers import COMPONENT, DOMAIN, SECRET, Prosody
from tests.service.running import SECONDS, Service, until
from tests.service.wire import Wire


def command(service, *words, password=None):
    """What ``invitereg`` does with these words."""
    return subprocess.run(
        [sys.executable, "-m", "invitereg", "--config", str(service.config), *words],
        input=password,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


class BehindTests(IsolatedAsyncioTestCase):
    """Each has a Prosody of its own, which may be killed."""

    def setUp(self):
        self.peer = Prosody()
        self.addCleanup(self.peer.remove)
        self.peer.start()
        self.service = Service(
            f"component: {{connect: 'tcp:127.0.0.1:{self.peer.component_port}', "
            f"jid: {COMPONENT}, secret_file: component}}\naccounts: {{backend: xmpp}}"
        )
        self.addCleanup(self.service.remove)
        (self.service.folder / "component").write_text(SECRET)

    async def start(self):
        self.service.start()
        await until(
            lambda: f"component {COMPONENT} connected" in self.service.log_text(),
            "not connected",
        )

    def made(self, *words):
        done = command(self.service, *words, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    async def test_registers(self):
        """Invited by one user there, another registers, and they are contacts in the end."""
        await self.start()
        created = command(self.service, "account", "create", "romeo", password="pass word 1\n")
        self.assertEqual((created.returncode, created.stderr), (0, ""))
        invite = self.made("invite", "create", "--inviter", "romeo", "--contact")
        token = invite["uri"].partition("preauth=")[2].partition(";")[0]
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.preauth(token), "result")
        self.assertEqual(await wire.register("juliet", "pass word 2"), "result")
        listed = command(self.service, "account", "list", "--json").stdout.splitlines()
        self.assertEqual([json.loads(line)["username"] for line in listed], ["juliet", "romeo"])
        rosters = self.peer.folder / "data" / DOMAIN / "roster"
        await until(
            lambda: all(_has_contact(rosters / f"{n}.dat") for n in ("juliet", "romeo")),
            "no contacts",
        )
        again = command(self.service, "account", "create", "juliet", password="pass word 3\n")
        self.assertEqual(again.returncode, 1)
        deleted = command(self.service, "account", "delete", "juliet")
        self.assertEqual((deleted.returncode, deleted.stderr), (0, ""))

    async def test_server_comes_back(self):
        """While the server is away nothing is made, and all goes on when it is back."""
        await self.start()
        token = self.made("invite", "create")["uri"].partition("preauth=")[2]
        self.peer.kill()
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.preauth(token), "result")
        self.assertNotEqual(await wire.register("juliet", "pass word 2"), "result")
        self.peer.start()
        connected = f"component {COMPONENT} connected"
        await until(
            lambda: self.service.log_text().count(connected) == 2, "not connected again"
        )
        self.assertEqual(await wire.register("juliet", "pass word 2"), "result")

    async def test_check(self):
        """The check finds nothing wrong, by the service or without, and says what is."""
        await self.start()
        done = command(self.service, "check", "--online")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.service.stop()
        done = command(self.service, "check", "--online")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        (self.service.folder / "component").write_text("wrong")
        done = command(self.service, "check", "--online")
        self.assertEqual(done.returncode, 2)
        self.assertIn("not-authorized", done.stderr)


def _has_contact(path):
    return path.exists() and '["subscription"] = "both"' in path.read_text()
