"""What the service does while something around it fails, and that it heals by itself."""

import asyncio
import contextlib
import os
import re
import resource
import socket
import sqlite3
import subprocess
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

from tests.service.running import DOMAIN, NOBODY, ROOT, SECONDS, TWISTD, Service, until
from tests.service.test_process import ProcessCase, give
from tests.service.wire import Wire, can_login

OPEN = (
    "policy: {registration_invite_only: false, limits: {registration: {max: 9999, period: 1h}}}"
)
FAULT = "Database error "
HEALED = "Database works again"
WAIT = "resource-constraint"


class FaultCase(ProcessCase):
    def count(self, service: Service, text: str) -> int:
        """In how many lines of the log it is."""
        return sum(text in line for line in service.log_text().splitlines())

    async def register_on(self, service: Service, name: str, password: str) -> str:
        """What comes of a registration on a stream of its own."""
        wire = await Wire.connect(service)
        try:
            return await wire.register(name, password)
        finally:
            wire.close()

    async def heals(self, service: Service, name: str) -> None:
        """A registration succeeds by itself, soon, and the log says that all is well."""
        password = service.secret()

        async def try_on() -> None:
            while await self.register_on(service, name, password) != "result":
                await asyncio.sleep(0.05)

        await asyncio.wait_for(try_on(), 30)
        await service.logged(HEALED)
        self.assertTrue(await can_login(service, name, password))


@contextlib.contextmanager
def locked(service: Service) -> Iterator[None]:
    """Holds the database, as another process may that does much at once."""
    database = sqlite3.connect(service.data / "invitereg.db", isolation_level=None)
    with contextlib.closing(database):
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.execute("ROLLBACK")


class LockedTests(FaultCase):
    async def test_locked(self) -> None:
        """While another process holds the database, all are told to wait, and nobody hangs."""
        service = self.service(OPEN)
        service.start()
        password = service.secret()
        self.assertEqual(await self.register_on(service, "before", password), "result")
        token = service.invite()
        with locked(service):
            tries = [
                self.register_on(service, f"user{number}", password) for number in range(50)
            ]
            wire = await Wire.connect(service)
            login = wire.login("before", password)
            answers = await asyncio.gather(*tries, login)
            self.assertEqual(set(answers), {WAIT, "temporary-auth-failure"})
            # What only reads goes on.
            self.assertEqual(await wire.preauth(token), "result")
            wire.close()
            # That it is locked, and that a transaction was undone for which nobody waited.
            self.assertIn(self.count(service, FAULT), (1, 2))
            self.assertLessEqual(self.count(service, "Write error "), 1)
        await self.heals(service, "after")
        with service.operator() as operator:
            self.assertEqual(operator.usernames(), ["after", "before"])
        self.assertEqual(self.count(service, HEALED), 1)
        self.assertStops(service)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Makes a folder a disk of 1 MiB; skips the test where that is not allowed."""
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        raise unittest.SkipTest("a disk of its own needs the right to mount one")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Let nothing be left of a disk."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@contextlib.contextmanager
def files_do_not_grow(service: Service) -> Iterator[None]:
    """Lets a service write as much as its log needs, and less than any registration does."""
    assert service._process is not None
    limit = service._process.pid, resource.RLIMIT_FSIZE
    before = resource.prlimit(*limit)
    resource.prlimit(*limit, (16384, before[1]))
    try:
        yield
    finally:
        resource.prlimit(*limit, before)


class DiskTests(FaultCase):
    async def test_full(self) -> None:
        """On a full disk all are told to wait; who was not told so has an account."""
        service = self.service(OPEN)
        with small_disk(service.data):
            service.start()
            password, made, refused = service.secret(), ["user0"], 0
            self.assertEqual(await self.register_on(service, "user0", password), "result")
            # SQLite finds some room in its own files at first.
            for number in range(1, 500):
                fill(service.data / "rest")
                answer = await self.register_on(service, f"user{number}", password)
                if answer == "result":
                    made.append(f"user{number}")
                else:
                    self.assertEqual(answer, WAIT)
                    refused += 1
                if refused == 30:
                    break
            self.assertEqual(refused, 30)
            self.assertIn("database or disk is full", await service.logged(FAULT))
            self.assertLessEqual(self.count(service, FAULT), 2)
            (service.data / "rest").unlink()
            await self.heals(service, "after")
            with service.operator() as operator:
                self.assertEqual(set(operator.usernames()), {*made, "after"})
            self.assertStops(service)

    async def test_broken(self) -> None:
        """The same where every write to the disk fails (here: files may not grow)."""
        service = self.service(OPEN)
        service.start()
        password = service.secret()
        self.assertEqual(await self.register_on(service, "before", password), "result")
        with files_do_not_grow(service):
            wire = await Wire.connect(service)
            for number in range(30):
                self.assertEqual(await wire.register(f"user{number}", password), WAIT)
            wire.close()
        # One for each way in which SQLite says so, of reading and of writing.
        self.assertIn(self.count(service, FAULT), range(1, 5))
        await self.heals(service, "after")
        with service.operator() as operator:
            self.assertEqual(operator.usernames(), ["after", "before"])
        self.assertStops(service)

    async def test_read_only(self) -> None:
        """The same where the files have become read-only."""
        service = self.service(OPEN)
        give(service, NOBODY)
        service.start(unprivileged=True)
        for path in service.data.iterdir():
            path.chmod(0o400)
        service.data.chmod(0o500)
        wire, password = await Wire.connect(service), service.secret()
        # What is open for writing is closed after an error, and opened anew.
        with locked(service):
            self.assertEqual(await wire.register("before", password), WAIT)
        for number in range(10):
            self.assertEqual(await wire.register(f"user{number}", password), WAIT)
        wire.close()
        await service.logged(f"{FAULT}.*readonly database")
        self.assertIn(self.count(service, FAULT), range(1, 6))
        service.data.chmod(0o700)
        for path in service.data.iterdir():
            path.chmod(0o600)
        await self.heals(service, "after")
        self.assertStops(service)


class Elsewhen(Service):
    """A service whose time of day is what a file says, in seconds from ours."""

    @property
    def offset(self) -> Path:
        """The file."""
        return self.folder / "offset"

    def launch(self, **_options: bool) -> "subprocess.Popen[bytes]":
        """Start it with our time."""
        self.offset.write_text("0")
        command = [TWISTD, "-n", "--pidfile=", "invitereg", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", CHANGE_TIME, str(self.offset), *command],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        return self._process


CHANGE_TIME = """
import sys, time
offset, right = sys.argv.pop(1), time.time
time.time = lambda: right() + float(open(offset).read() or 0)
sys.argv.pop(0)
from twisted.scripts.twistd import run
run()
"""
YEARS = 10 * 365 * 86400


class ClockTests(FaultCase):
    async def test_jumps(self) -> None:
        """Whatever the time of day does, streams stay, people register, and sessions end."""
        service = Elsewhen(OPEN)
        self.addCleanup(service.remove)
        service.start()
        idle, password = await Wire.connect(service), service.secret()
        self.addCleanup(idle.close)
        for number, seconds in enumerate((YEARS, -YEARS, 3600, -3600, 0)):
            service.offset.write_text(str(seconds))
            name = f"user{number}"
            self.assertEqual(await idle.register(name, password), "result")
            wire = await Wire.connect(service)
            self.assertEqual(await wire.login(name, password), "success")
            with service.operator() as operator:
                await operator.registrar.delete_account(DOMAIN, name)
            self.assertEqual(await wire.goodbye(), "not-authorized")
            wire.close()

            def told(times: int = number + 1) -> bool:
                return self.count(service, "the system's clock was changed") == times

            await until(told, "the jump is not in the log")
        self.assertStops(service)

    async def test_throttled_no_longer(self) -> None:
        """Who failed to log in while the clock was ahead is not locked out for years."""
        service = Elsewhen(OPEN)
        self.addCleanup(service.remove)
        service.start()
        password = service.secret()
        self.assertEqual(await self.register_on(service, "romeo", password), "result")
        service.offset.write_text(str(YEARS))
        for _ in range(11):
            await can_login(service, "romeo", service.secret())
        self.assertFalse(await can_login(service, "romeo", password))
        service.offset.write_text("0")
        self.assertTrue(await can_login(service, "romeo", password))
        self.assertStops(service)


class CrowdTests(FaultCase):
    """Those who connect, and then neither speak nor listen."""

    def open(self, service: Service, address: str, *, tls: bool = False) -> socket.socket:
        port = service.tls_port if tls else service.port
        one = socket.create_connection(("127.0.0.1", port), SECONDS, (address, 0))
        if tls:
            one.send(b"\x16\x03\x01")  # the beginning of a handshake
        return one

    async def test_half_open(self) -> None:
        """Five thousand of them do no harm but that they have all the places for a while."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 6000:
            raise unittest.SkipTest("may not open so many files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        service = self.service(OPEN)
        service.start()
        with contextlib.ExitStack() as crowd:
            for number in range(5000):
                address = f"127.0.1.{number // 100}"
                one = self.open(service, address, tls=number % 10 == 0)
                crowd.enter_context(one)
            with self.open(service, "127.0.0.1") as late:
                self.assertIn(b"<resource-constraint ", late.recv(4096))
        password = service.secret()

        async def get_in() -> None:
            while True:
                with contextlib.suppress(ConnectionError, AssertionError):
                    if await self.register_on(service, "romeo", password) == "result":
                        return

        await asyncio.wait_for(get_in(), SECONDS)
        self.assertTrue(await can_login(service, "romeo", password))
        self.assertStops(service)

    async def test_slow_readers(self) -> None:
        """Who asks and asks, and reads nothing, is soon heard no more; others do not notice."""
        service = self.service(OPEN)
        service.start()
        await self.register(service, "romeo", service.invite())
        password = service.secret()
        ping = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>" * 1000
        transport = self.wire._writer.transport
        transport.pause_reading()
        while not transport.get_write_buffer_size():
            self.wire.send(ping)
            await asyncio.sleep(0)
        self.assertEqual(await self.register_on(service, "juliet", password), "result")
        self.assertTrue(await can_login(service, "juliet", password))
        transport.abort()
        self.assertStops(service)


class LogTests(FaultCase):
    async def test_guesses(self) -> None:
        """Hundreds of wrong passwords are ten lines in the log, with the address in each."""
        service = self.service(OPEN)
        service.start()
        for _ in range(20):
            wire = await Wire.connect(service)
            with contextlib.suppress(ConnectionError):
                for _ in range(5):
                    await wire.login("nobody", service.secret())
            wire.close()
        lines = re.findall("login failed at localhost from 127.0.0.1: (.*)", service.log_text())
        self.assertEqual(set(map(lines.count, lines)), {10})
        self.assertStops(service)
