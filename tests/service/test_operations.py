"""What an operator's surroundings ask of the service: docs/operations.md, tried."""

import asyncio
import configparser
import contextlib
import fcntl
import itertools
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from twisted.internet.task import Clock

from invitereg.runtime.logs import ERRORS_PER_PLACE
from invitereg.runtime.systemd import ServiceManager
from tests.service.running import DOMAIN, ROOT, SECONDS, TWISTD, Service, within_bounds
from tests.service.test_process import STOPPED, ProcessCase
from tests.service.wire import Wire, can_login

WATCHDOG_USEC = 200_000
EVERYBODY = (
    "policy: {registration_invite_only: false, limits: {registration: {max: 9999, period: 1h}}}"
)
BEHIND_PROXY = "policy: {registration_invite_only: false}"


class Manager:
    """The service manager's end of ``NOTIFY_SOCKET``: one state after the other."""

    def __init__(self, name: str) -> None:
        """Listen at ``name``, a path, or one that is in no folder, beginning with @."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self.close = self._socket.close

    def hear(self, seconds: float = SECONDS) -> str:
        """What comes next, waited for so long.

        Raises:
            TimeoutError: nothing has come.
        """
        self._socket.settimeout(seconds)
        return self._socket.recv(4096).decode()

    def waiting(self) -> list[str]:
        """All that has come by now."""
        self._socket.setblocking(False)
        states = []
        with contextlib.suppress(BlockingIOError):
            while True:
                states.append(self._socket.recv(4096).decode())
        return states


@contextlib.contextmanager
def environment(**settings: str) -> Iterator[None]:
    """What processes that are started meanwhile find in their environment."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def hang_up(service: Service) -> None:
    """Tell it to read its files again."""
    assert service._process is not None
    service._process.send_signal(signal.SIGHUP)


class NotifyTests(ProcessCase):
    """``Type=notify`` and ``WatchdogSec=`` of systemd."""

    def start(self, address: str = "", **settings: str) -> tuple[Service, Manager]:
        """A service, and who has started it; at ``address``, if not in its folder."""
        service = self.service("policy: {allow_registration: true}")
        address = address or str(service.folder / "notify")
        manager = Manager(address)
        self.addCleanup(manager.close)
        with environment(NOTIFY_SOCKET=address, **settings):
            service.launch()
        return service, manager

    def assertReloads(self, manager: Manager, since: float) -> None:
        """It says that it reads its files, since when, and that it serves again."""
        match = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.hear())
        assert match
        self.assertTrue(since <= int(match[1]) / 1e6 <= time.monotonic())
        self.assertEqual(manager.hear(), "READY=1")

    async def test_life(self) -> None:
        """It is ready once clients can connect; reloads, well or not; and stops."""
        service, manager = self.start()
        self.assertEqual(await asyncio.to_thread(manager.hear), "READY=1")
        for tls in ("direct", "starttls"):
            (await Wire.connect(service, tls)).close()
        since = time.monotonic()
        hang_up(service)
        self.assertReloads(manager, since)
        text = service.config.read_text()
        service.config.write_text(text.replace("allow_registration", "colour"))
        hang_up(service)
        self.assertReloads(manager, since)
        await service.logged("not reloaded")
        self.assertStops(service)
        self.assertEqual(manager.waiting(), ["STOPPING=1"])

    async def test_not_in_a_folder(self) -> None:
        """Linux's sockets without a file serve as well."""
        service, manager = self.start(f"@invitereg-test-{os.getpid()}")
        self.assertEqual(manager.hear(), "READY=1")
        self.assertStops(service)
        self.assertEqual(manager.waiting(), ["STOPPING=1"])

    async def test_never_ready(self) -> None:
        """A service that cannot listen does not say that it is ready."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            service = self.service()
            port = other.getsockname()[1]
            text = service.config.read_text().replace(str(service.tls_port), str(port))
            service.config.write_text(text)
            manager = Manager(str(service.folder / "notify"))
            self.addCleanup(manager.close)
            with environment(NOTIFY_SOCKET=str(service.folder / "notify")):
                self.assertGreater(service.launch().wait(SECONDS), 0)
        self.assertEqual(manager.waiting(), [])

    async def test_watchdog(self) -> None:
        """It gives signs of life while its reactor turns, and none when it hangs."""
        service, manager = self.start(WATCHDOG_USEC=str(WATCHDOG_USEC))
        self.assertEqual(manager.hear(), "READY=1")
        self.assertEqual([manager.hear() for _ in range(3)], ["WATCHDOG=1"] * 3)
        assert service._process is not None
        service._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, service._process.pid, os.WSTOPPED)
        manager.waiting()
        with self.assertRaises(TimeoutError):
            manager.hear(2 * WATCHDOG_USEC / 1e6)
        service._process.send_signal(signal.SIGCONT)
        self.assertEqual(manager.hear(), "WATCHDOG=1")
        self.assertStops(service)
        self.assertIn("STOPPING=1", manager.waiting())

    async def test_watchdog_interval(self) -> None:
        """The signs come at half of the time that may pass, until all has stopped."""
        address = f"@invitereg-interval-{os.getpid()}"
        manager, clock = Manager(address), Clock()
        self.addCleanup(manager.close)
        surroundings = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"}
        service = ServiceManager(clock, surroundings)
        service.ready()
        self.assertEqual(manager.waiting(), ["READY=1", "WATCHDOG=1"])
        clock.advance(14.9)
        self.assertEqual(manager.waiting(), [])
        clock.advance(0.1)
        self.assertEqual(manager.waiting(), ["WATCHDOG=1"])
        service.stopping()
        clock.advance(15)
        self.assertEqual(manager.waiting(), ["STOPPING=1", "WATCHDOG=1"])
        service.stopped()
        self.assertEqual(clock.getDelayedCalls(), [])

    async def test_watchdog_of_somebody_else(self) -> None:
        """A watchdog for another process is none of its business."""
        surroundings = {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid())}
        service, manager = self.start(**surroundings)
        self.assertEqual(manager.hear(), "READY=1")
        (await Wire.connect(service)).close()
        self.assertEqual(manager.waiting(), [])
        self.assertStops(service)

    async def test_manager_gone(self) -> None:
        """Nobody at the other end is a warning in the log, and no more."""
        service = self.service()
        with environment(NOTIFY_SOCKET=str(service.folder / "nobody")):
            service.start()
        await service.logged("#warn.*the service manager was not told READY: .*No such file")
        await self.register(service, "romeo", service.invite())
        self.wire.close()
        self.assertStops(service)


class Activated(Service):
    """A service that is handed its sockets, as by systemd.

    Attributes:
        sockets: those for STARTTLS and for direct TLS, which listen from the beginning.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port, self.tls_port = (it.getsockname()[1] for it in self.sockets)
        listen_on(self, "systemd:domain=INET:name=c2s", "systemd:domain=INET:name=c2s-tls")

    def launch(self, *, unprivileged: bool = False) -> "subprocess.Popen[bytes]":
        """Start it with the sockets as file descriptors 3 and 4."""
        # Copied out of the way of the numbers that they get.
        copies = [fcntl.fcntl(it, fcntl.F_DUPFD, 50) for it in self.sockets]
        command = [TWISTD, "-n", "--pidfile=", "invitereg", "--config", str(self.config)]
        names = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "c2s:c2s-tls"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", HAND_OVER, *map(str, copies), *command],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **names, "PYTHONPATH": str(ROOT)},
                pass_fds=copies,
            )
        for copy in copies:
            os.close(copy)
        return self._process

    def remove(self) -> None:
        """End it, and close the sockets."""
        super().remove()
        for it in self.sockets:
            it.close()


HAND_OVER = """
import os, sys
clear, tls, *command = sys.argv[1:]
for number, copy in enumerate((int(clear), int(tls)), 3):
    os.dup2(copy, number)
    os.close(copy)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(command[0], command)
"""


def listen_on(service: Service, clear: str, tls: str) -> None:
    """Change the endpoints in a service's configuration."""
    c2s = f'c2s: {{listen: ["{clear}"], listen_tls: ["{tls}"]}}'
    service.config.write_text(re.sub("c2s: .*", c2s, service.config.read_text()))


class SocketTests(ProcessCase):
    """Listening on sockets that systemd has opened (``systemd:`` endpoints)."""

    async def test_activation(self) -> None:
        """Who connects while it is down is served as soon as it is up, also at a restart."""
        service = Activated()
        self.addCleanup(service.remove)
        for name in ("romeo", "juliet"):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            self.addCleanup(writer.close)
            early = Wire(reader, writer)
            features = asyncio.ensure_future(early.open())
            direct = asyncio.ensure_future(Wire.connect(service))
            await asyncio.to_thread(service.start)
            self.assertEqual(
                (await features)[0].tag, "{urn:ietf:params:xml:ns:xmpp-tls}starttls"
            )
            (await direct).close()
            early.close()
            hang_up(service)
            await service.logged("reloaded")
            await self.register(service, name, service.invite(), tls="starttls")
            self.wire.close()
            self.assertStops(service)

    async def test_nothing_handed_over(self) -> None:
        """Without such a socket it says so in a line, and does not start."""
        service = self.service()
        listen_on(service, "systemd:domain=INET:name=c2s", f"tcp:{service.tls_port}")
        self.assertGreater(service.launch().wait(SECONDS), 0)
        text = "cannot listen on systemd:domain=INET:name=c2s: systemd has handed over no such"
        self.assertIn(text, service.log_text())
        service.check_log()


class BackupTests(ProcessCase):
    """A copy of the database, taken while people register."""

    async def backed_up(self, copy: Callable[[Path, Path], None]) -> None:
        """Restore what ``copy`` has copied, and see who and what is there."""
        service = self.service(EVERYBODY)
        service.start()
        open_token, used_token = service.invite(), service.invite()
        password = await self.register(service, "before", used_token)
        self.wire.close()
        goes_on = asyncio.Event()
        registering = asyncio.ensure_future(self.register_on_and_on(service, goes_on))
        await service.logged("registered user3@")
        backup = service.folder / "backup.db"
        told_before = re.findall("registered (user[0-9]+)@", service.log_text())
        await asyncio.to_thread(copy, service.data / "invitereg.db", backup)
        told = re.findall("registered (user[0-9]+)@", service.log_text())
        await service.logged(f"registered user{len(told) + 2}@")
        goes_on.set()
        newcomers = await registering
        self.assertStops(service)

        restored = self.service(EVERYBODY)
        restored.data.mkdir(mode=0o700)
        backup.replace(restored.data / "invitereg.db")
        with restored.operator() as operator:
            names = operator.usernames()
        self.assertLessEqual({"before", "user0", "user1", "user2", "user3"}, set(names))
        # Whoever was told before the copy began is in it.
        self.assertLessEqual(set(told_before), set(names))
        restored.start()
        self.assertTrue(await can_login(restored, "before", password))
        for name in names[-3:]:
            self.assertTrue(await can_login(restored, name, newcomers[name]))
        wire = await Wire.connect(restored)
        self.assertEqual(await wire.preauth(used_token), "item-not-found")
        wire.close()
        await self.register(restored, "after", open_token)
        self.wire.close()
        self.assertStops(restored)
        with contextlib.closing(sqlite3.connect(restored.data / "invitereg.db")) as database:
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    async def register_on_and_on(self, service: Service, end: asyncio.Event) -> dict[str, str]:
        """Take one name after the other; returns the password of each."""
        wire, passwords = await Wire.connect(service), dict[str, str]()
        for number in itertools.count():
            if end.is_set():
                break
            name, password = f"user{number}", service.secret()
            self.assertEqual(await wire.register(name, password), "result")
            passwords[name] = password
        wire.close()
        return passwords

    async def test_vacuum_into(self) -> None:
        """``VACUUM INTO`` copies what has been committed, and nothing by halves."""

        def copy(source: Path, target: Path) -> None:
            with contextlib.closing(sqlite3.connect(source)) as database:
                database.execute("VACUUM INTO ?", (str(target),))

        await self.backed_up(copy)

    async def test_backup(self) -> None:
        """So does SQLite's own backup, which is ``.backup`` at its command line."""

        def copy(source: Path, target: Path) -> None:
            with (
                contextlib.closing(sqlite3.connect(source)) as database,
                contextlib.closing(sqlite3.connect(target)) as other,
            ):
                database.backup(other)

        await self.backed_up(copy)


class ProxyTests(ProcessCase):
    """Behind a proxy that tells who its clients are (``haproxy:`` endpoints)."""

    def behind_proxy(self) -> Service:
        service = self.service(BEHIND_PROXY)
        clear, tls = (f"haproxy:tcp:{port}" for port in (service.port, service.tls_port))
        listen_on(service, f"{clear}:interface=127.0.0.1", f"{tls}:interface=127.0.0.1")
        service.start()
        return service

    async def connect(self, service: Service, line: bytes, *, direct: bool) -> Wire:
        """A client whose proxy says ``line`` first."""
        port = service.tls_port if direct else service.port
        reader, writer = await within_bounds(asyncio.open_connection("127.0.0.1", port))
        self.addCleanup(writer.close)
        writer.write(line)
        wire = Wire(reader, writer)
        if not direct:
            await wire.open()
            await wire.ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        context = service.client_context
        await within_bounds(writer.start_tls(context, server_hostname=DOMAIN))
        await wire.open()
        return wire

    async def test_addresses(self) -> None:
        """Each client's own address is in the log, with both ways to TLS and both versions."""
        service = self.behind_proxy()
        first = b"PROXY TCP4 192.0.2.7 127.0.0.1 40000 5222\r\n"
        there = socket.inet_pton(socket.AF_INET6, "2001:db8::7")
        second = b"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24" + there * 2 + b"\x9c\x40\x14\x66"
        for line, address in ((first, "192.0.2.7"), (second, "2001:db8::7")):
            for direct in (False, True):
                name = f"user{direct:d}{len(line)}"
                wire = await self.connect(service, line, direct=direct)
                self.assertEqual(await wire.register(name, service.secret()), "result")
                refused = await wire.login(name, service.secret())
                self.assertEqual(refused, "not-authorized")
                wire.close()
                await service.logged(f"registered {name}@.* from {address} ")
        for address in ("192.0.2.7", "2001:db8::7"):
            lines = re.findall(f"login failed at .* from {address}: ", service.log_text())
            self.assertEqual(len(lines), 2)
        self.assertNotIn(" from 127.0.0.1", service.log_text())
        self.assertStops(service)


DEFECTIVE = """
from twisted.scripts import twistd
from invitereg.xmpp.registration import RegistrationForm
RegistrationForm.for_invite = lambda *_arguments: 1 // 0
twistd.run()
"""


class LogTests(ProcessCase):
    async def test_defect(self) -> None:
        """A defect that anybody can bring about leaves a few tracebacks, not one each time."""
        service = self.service()
        service.program = (sys.executable, "-c", DEFECTIVE)
        service.start()
        wire = await Wire.connect(service)
        self.addCleanup(wire.close)
        for _ in range(50):
            condition = await wire.iq("<query xmlns='jabber:iq:register'/>", "get")
            self.assertEqual(condition, "resource-constraint")
        self.assertIn(service.stop(), STOPPED)
        self.assertEqual(service.log_text().count("ZeroDivisionError"), ERRORS_PER_PLACE)

    async def test_fail2ban(self) -> None:
        """The filter for fail2ban finds who guesses, and nobody else."""
        rules = configparser.ConfigParser()
        rules.read(ROOT / "contrib" / "fail2ban-filter.conf")
        patterns = [
            re.compile(rule.replace("<ADDR>", "(?P<address>[0-9a-f.:]+)"))
            for rule in rules["Definition"]["failregex"].split("\n")
            if rule
        ]
        service = self.service()
        service.start()
        password = await self.register(service, "romeo", service.invite())
        self.wire.close()
        wire = await Wire.connect(service)
        self.addCleanup(wire.close)
        await wire.preauth("x" * 24)
        await wire.register("mallory", service.secret())
        await wire.login("romeo", service.secret())
        await service.logged("login failed")
        self.assertEqual(await wire.login("romeo", password), "success")
        wire.close()
        self.assertStops(service)
        matches = [
            (match["address"], line.partition("#info] ")[2].partition(" at ")[0])
            for line in service.log_text().splitlines()
            for pattern in patterns
            if (match := pattern.search(line.partition(" ")[2]))  # fail2ban cuts the date off
        ]
        found = [("127.0.0.1", "refused"), ("127.0.0.1", "login failed")]
        self.assertEqual(matches, found)
