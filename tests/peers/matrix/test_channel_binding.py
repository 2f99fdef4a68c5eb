"""Clients that know channel binding, or check for a downgrade (XEP-0474), get in.

And `check --online` says what keeps them out.
"""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any, ClassVar
from unittest import IsolatedAsyncioTestCase

from tests.peers import missing_peer
from tests.peers.gateway import command, in_front, start
from tests.peers.releases import Release, for_each_release, release
from tests.peers.servers import DOMAIN, Ejabberd, Prosody
from tests.peers.test_slixmpp import Client
from tests.service.running import SECONDS, Service

ROOT = Path(__file__).parents[3]
NBXMPP = ROOT / "build/nbxmpp"
NAME, OTHER, PASSWORD = "romeo", "juliet", "a password of long ago"
PLUS = [f"SCRAM-SHA-{number}-PLUS" for number in (1, 256, 512)]
UNSIGNED = "disable_sasl_scram_downgrade_protection"
CHECKING = release("trixie")
"""Whose go-sendxmpp checks for a downgrade; that of Debian 12 does not."""
ALL_IN = {"slixmpp": True, "go-sendxmpp": True, "nbxmpp": True}


class LoginCase(IsolatedAsyncioTestCase):
    """A server, and gateways in front of it."""

    kind: ClassVar[type[Prosody | Ejabberd]]
    release: ClassVar[Release]
    server: Any

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = cls.kind(release=cls.release)
        cls.addClassCleanup(cls.server.remove)
        cls.prepare()
        cls.server.start()
        for name in (NAME, OTHER):
            cls.server.register(name, PASSWORD)

    @classmethod
    def prepare(cls) -> None:
        """Change the server's settings before it starts."""

    @classmethod
    def version(cls) -> tuple[int, ...]:
        """Return the server's version."""
        package = cls.kind.__name__.lower()
        return tuple(map(int, cls.release.version(package).split(".")))

    def gateway(self, **keys: str) -> Service:
        """Start a gateway; ``keys`` are of its ``upstream``."""
        service = in_front(self.server, settings=f"admins: [{NAME}@{DOMAIN}]", **keys)
        self.addCleanup(service.remove)
        start(service)
        return service

    async def complaints(self, service: Service) -> tuple[int, str]:
        """The exit status of `check --online`, and what it says."""
        done = await asyncio.to_thread(command, service, "check", "--online")
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr

    async def assert_clients(self, service: Service, **let_in: bool) -> None:
        """These clients log in, or do not."""
        for name, possible in let_in.items():
            with self.subTest(name):
                login = getattr(self, name.replace("-", "_"))
                self.assertEqual(await login(service), possible)

    async def slixmpp(self, service: Service) -> bool:
        """Log in by a client that says that it could bind to the channel."""
        client = Client(service, (NAME, PASSWORD), mechanism="SCRAM-SHA-1")
        self.addAsyncCleanup(client.leave)
        return await client.run() == "session_start"

    async def go_sendxmpp(self, service: Service) -> bool:
        """Send a message by a client that checks for a downgrade."""
        program = CHECKING.program("go-sendxmpp", "go-sendxmpp")
        where = ("-j", f"127.0.0.1:{service.port}", "-n")
        words = [program, "-u", f"{NAME}@{DOMAIN}", "-p", PASSWORD, *where, f"{OTHER}@{DOMAIN}"]
        folder = self.server.folder
        done = await self._run(CHECKING.command(folder, "root", words), "Good day.")
        return done.returncode == 0

    async def nbxmpp(self, service: Service) -> bool:
        """Log in by a client that knows nothing of either."""
        if not NBXMPP.is_dir():
            missing_peer(f"there is no {NBXMPP}: make build/nbxmpp")
        program = ROOT / "tests/peers/nbxmpplogin.py"
        words = ["/usr/bin/python3", str(program), str(service.port), NAME, DOMAIN]
        done = await self._run(words, PASSWORD, PYTHONPATH=str(NBXMPP))
        return done.stdout.startswith("connected")

    async def _run(
        self, words: list[str], text: str, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        home = {"HOME": str(self.server.folder)}
        return await asyncio.to_thread(
            subprocess.run,
            words,
            input=f"{text}\n",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, **home, **environment},
        )


@for_each_release
class ProsodyTests(LoginCase):
    kind = Prosody

    @classmethod
    def prepare(cls) -> None:
        """See `LoginCase`."""
        cls.server.settings += [
            "c2s_require_encryption = false",
            "allow_unencrypted_plain_auth = true",
        ]
        if cls.version() >= (13,):
            cls.server.modules += " sasl_ssdp"

    async def test_with_tls(self) -> None:
        """From Prosody 13 on the way there must be without TLS: the check says so."""
        service = self.gateway()
        status, text = await self.complaints(service)
        if self.version() < (13,):
            self.assertEqual((status, text), (0, ""))
            await self.assert_clients(service, **ALL_IN)
            return
        self.assertEqual(status, 2)
        self.assertIn("c2s_require_encryption = false", text)
        self.assertIn("tls: none", text)
        await self.assert_clients(service, **ALL_IN | {"slixmpp": False, "go-sendxmpp": False})

    async def test_as_documented(self) -> None:
        """Then all get in, by what the server signs, too, and there is nothing to say."""
        service = self.gateway(tls="none")
        self.assertEqual(await self.complaints(service), (0, ""))
        await self.assert_clients(service, **ALL_IN)


@for_each_release
class EjabberdTests(LoginCase):
    kind = Ejabberd

    async def test_each_line(self) -> None:
        """Each line of the guide that is missing is asked for; with all of them all get in."""
        service = self.gateway()
        if self.version() < (24, 12):
            await self.asked_for(service, 0, f"_mechanisms: [{', '.join(reversed(PLUS))}]")
            self.change(disable_sasl_mechanisms=PLUS)
        elif self.version() < (26,):
            await self.asked_for(service, 2, "allow_unencrypted_sasl2: true")
            await self.assert_clients(service, **{"slixmpp": False, "go-sendxmpp": False})
            (listener, *_others) = self.server.settings["listen"]
            del listener["starttls_required"]
            listener["allow_unencrypted_sasl2"] = True
            self.server.stop()
            self.server.start()
            service = self.gateway(tls="none")
        else:
            await self.asked_for(service, 2, f"_mechanisms: [{', '.join(reversed(PLUS))}]")
            await self.assert_clients(service, **{"slixmpp": False, "go-sendxmpp": False})
            self.change(disable_sasl_mechanisms=PLUS)
            await self.asked_for(service, 2, f"ejabberd: {UNSIGNED}: true")
            await self.assert_clients(service, **{"slixmpp": True, "go-sendxmpp": False})
            self.change(**{UNSIGNED: True})
        self.assertEqual(await self.complaints(service), (0, ""))
        await self.assert_clients(service, **ALL_IN)

    async def asked_for(self, service: Service, status: int, line: str) -> None:
        """The check ends with a status, and names a line."""
        found, text = await self.complaints(service)
        self.assertEqual(found, status, text)
        self.assertIn(line, text)

    def change(self, **settings: Any) -> None:
        """Let the server read these settings, too."""
        self.server.settings |= settings
        self.server.write()
        self.server.api("reload_config")
