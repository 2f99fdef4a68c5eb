"""A service at the ports of clients, in front of a real server that keeps the accounts."""

import asyncio
import json
import subprocess
import sys
from typing import Any, ClassVar
from unittest import IsolatedAsyncioTestCase

from tests.peers.servers import COMPONENT, SECRET, Ejabberd, Server, started
from tests.service.running import SECONDS, Service, free_ports, wait_until
from tests.service.wire import Wire, can_login

CONNECTED = f"component {COMPONENT} connected"


def upstream(server: Server, **keys: str) -> str:
    """How a gateway reaches a server, as a mapping in YAML; ``keys`` win."""
    keys = {"connect": f"tcp:127.0.0.1:{server.port}"} | keys
    if keys.get("tls") != "none":
        keys = {"ca": str(server.certificate)} | keys
    return "{" + ", ".join(f'{name}: "{value}"' for name, value in keys.items()) + "}"


def accounts(server: Server, backend: str = "", port: int = 0) -> str:
    """The keys of a backend that keeps its accounts at a server.

    Args:
        server: ejabberd's HTTP API is open to this machine.
        backend: ``ejabberd`` or ``xmpp``; "" is the best that the server has.
        port: where that is reached, if something of the test's own is between.
    """
    if isinstance(server, Ejabberd) and backend != "xmpp":
        url = f"http://127.0.0.1:{port or server.http_port}/api"
        return f"accounts: {{backend: ejabberd, url: '{url}'}}"
    secret = server.folder / "secret-of-component"
    secret.write_text(SECRET)
    return (
        f"component: {{connect: 'tcp:127.0.0.1:{port or server.component_port}', "
        f"jid: {COMPONENT}, secret_file: {secret}}}\naccounts: {{backend: xmpp}}"
    )


def in_front(
    server: Server,
    backend: str = "",
    settings: str = "",
    port: int = 0,
    kind: type[Service] = Service,
    **keys: str,
) -> Service:
    """A service that is a server's gateway and makes its accounts; not started yet.

    Args:
        server: it need not run.
        backend: see `accounts`.
        settings: other lines of the configuration.
        port: see `accounts`.
        kind: of the service.
        **keys: see `upstream`.
    """
    lines = f"{accounts(server, backend, port)}\n{settings}"
    return kind(lines, upstream=upstream(server, **keys))


def start(service: Service) -> None:
    """Start a service, and wait until accounts can be made, by a component where it is one."""
    connections = service.log_text().count(CONNECTED)
    service.start()
    if "\ncomponent:" in service.config.read_text():
        wait_until(
            lambda: service.log_text().count(CONNECTED) > connections,
            "the component is not connected",
        )


def command(
    service: Service, *words: str, password: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """What the operator's ``invitereg`` does with these words."""
    return subprocess.run(
        [sys.executable, "-m", "invitereg", "--config", str(service.config), *words],
        input=None if password is None else f"{password}\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def made(service: Service, *words: str) -> Any:
    """What a command has made that must succeed."""
    done = command(service, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def token(service: Service, *words: str) -> str:
    """The token of an invite that the operator makes by ``invitereg invite create …``."""
    return in_link(service, made(service, "invite", "create", *words)["uri"])


def in_link(service: Service, uri: str) -> str:
    """The token of an invite's link, which must never be in the log."""
    found = uri.partition(";preauth=")[2].partition(";")[0]
    assert found, uri
    service.secrets.append(found)
    return found


class BehindCase(IsolatedAsyncioTestCase):
    """A server, and a gateway in front of it that makes its accounts.

    Attributes:
        backend: how; see `accounts`.
    """

    kind: ClassVar[type[Server]]
    backend = ""
    names: ClassVar = iter(range(1_000_000))
    site: ClassVar[str]
    server: Server
    service: Service

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = started(cls.kind)
        (port,) = free_ports(1)
        cls.site = f"http://localhost:{port}/"
        cls.service = in_front(
            cls.server,
            cls.backend,
            f"web: {{external_url: '{cls.site}', listen: ['tcp:{port}:interface=127.0.0.1']}}",
        )
        cls.addClassCleanup(cls.service.remove)
        start(cls.service)

    def tearDown(self) -> None:
        self.service.check_log()

    def name(self) -> str:
        """A name that nobody has."""
        return f"{type(self).__name__.lower()}{next(self.names)}"

    def account(self) -> tuple[str, str]:
        """Somebody who was at the server before: name and password."""
        me = (self.name(), self.service.secret())
        self.server.register(*me)
        return me

    async def token(self, *words: str) -> str:
        """See `token`."""
        return await asyncio.to_thread(token, self.service, *words)

    async def wire(self) -> Wire:
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        return wire

    async def assert_reset(self, username: str, old: str) -> None:
        """A link sets another password, and it alone is good then."""
        link = await asyncio.to_thread(made, self.service, "reset", "create", username)
        new, wire = self.service.secret(), await self.wire()
        self.assertEqual(await wire.preauth(in_link(self.service, link["uri"])), "result")
        self.assertEqual(await wire.register(username, new), "result")
        self.assertFalse(await can_login(self.service, username, old))
        self.assertTrue(await can_login(self.service, username, new))

    async def register(self) -> tuple[str, str]:
        """Somebody who was invited: name and password."""
        me = (self.name(), self.service.secret())
        wire = await self.wire()
        self.assertEqual(await wire.preauth(self.service.invite()), "result")
        self.assertEqual(await wire.register(*me), "result")
        wire.close()
        return me
