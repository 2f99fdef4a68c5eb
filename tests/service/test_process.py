"""Starting, stopping, and what two processes have to do with each other."""

import asyncio
import os
import signal
import socket
import sqlite3
from collections import Counter
from pathlib import Path
from unittest import IsolatedAsyncioTestCase

from tests.service.running import DOMAIN, NOBODY, SECONDS, Service, outcome, until
from tests.service.wire import HEADER, Wire, can_login

MAX_WAIT_FOR_LOCK = 0.3
"""Seconds in which nothing happens while the database is locked."""
STOPPED = (0, -signal.SIGTERM)
"""twistd ends itself by the signal that it was sent, once everything is stopped."""


class ProcessCase(IsolatedAsyncioTestCase):
    """Each test starts what it needs."""

    def service(
        self, settings: str = "", beside: Service | None = None, upstream: str = ""
    ) -> Service:
        service = Service(settings, beside, upstream)
        self.addCleanup(service.remove)
        return service

    def assertStops(self, service: Service) -> None:
        """It ends because it was asked to, and says nothing that alarms."""
        self.assertIn(service.stop(), STOPPED)
        self.assertIn("Server Shut Down", service.log_text())
        service.check_log()

    async def register(self, service: Service, name: str, token: str, **how: str) -> str:
        """Register and log in on one stream, which stays open; returns the password."""
        self.wire = await Wire.connect(service, **how)
        self.addCleanup(self.wire.close)
        password = service.secret()
        self.assertEqual(await self.wire.preauth(token), "result")
        self.assertEqual(await self.wire.register(name, password), "result")
        self.assertEqual(await self.wire.login(name, password), "success")
        return password


class StartTests(ProcessCase):
    def assertRefuses(self, service: Service, *lines: str) -> None:
        """It ends with a bad status, says each of ``lines``, and shows no traceback."""
        self.assertGreater(service.launch().wait(SECONDS), 0)
        for line in lines:
            self.assertIn(line, service.log_text())
        self.assertNotIn("serving", service.log_text())
        service.check_log()

    async def test_configuration_mistakes(self) -> None:
        """Every mistake in the file is listed at once, with its line, and nothing starts."""
        service = self.service("polcy: {}\nkeep_addresses: often\naccounts: {backend: ldap}")
        self.assertRefuses(service, ":5: polcy: ", ":6: keep_addresses: ", ":7: accounts.")
        self.assertFalse(service.data.exists())

    async def test_no_configuration(self) -> None:
        """A file that is not there is named, with how to name another."""
        service = self.service()
        service.config.unlink()
        told = (
            f"{service.config}: cannot be read: No such file",
            "twistd invitereg --config FILE",
        )
        self.assertRefuses(service, *told)

    async def test_file_in_place_of_data_dir(self) -> None:
        """A data_dir that cannot be one is named."""
        service = self.service()
        service.data.touch()
        self.assertRefuses(service, "data_dir", str(service.data))

    async def test_data_dir_of_somebody_else(self) -> None:
        """A data_dir that may not be written is named, with what to do."""
        service = self.service()
        service.data.mkdir()
        give(service, NOBODY)
        give(service, 0, service.data)
        service.data.chmod(0o500)
        self.assertGreater(service.launch(unprivileged=True).wait(SECONDS), 0)
        self.assertIn(f"data_dir {service.data} is not a folder that can", service.log_text())
        service.check_log()

    async def test_damaged_database(self) -> None:
        """A file that is no database stays as it is, and the operator is told."""
        service = self.service()
        service.data.mkdir()
        (service.data / "invitereg.db").write_bytes(b"no database at all " * 500)
        self.assertRefuses(service, "invitereg.db is damaged or no database")
        self.assertIn(b"no database", (service.data / "invitereg.db").read_bytes())

    async def test_port_taken(self) -> None:
        """The endpoint that somebody else has is named, and the other one is not opened."""
        service = self.service()
        with socket.socket() as other:
            other.bind(("127.0.0.1", service.tls_port))
            other.listen()
            text = f"cannot listen on tcp:{service.tls_port}:interface=127.0.0.1: "
            self.assertRefuses(service, text)
        with self.assertRaises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", service.port)

    async def test_daemon(self) -> None:
        """A daemon that cannot start says so where it was started, and is gone."""
        service = self.service()
        with socket.socket() as other:
            other.bind(("127.0.0.1", service.port))
            other.listen()
            self.assertEqual(service.launch(daemon=True).wait(SECONDS), 1)
        self.assertIn(f"cannot listen on tcp:{service.port}", service.log_text())
        self.assertFalse((service.folder / "pid").exists())

    async def test_unprivileged(self) -> None:
        """It needs no rights but to its own folder, and keeps that to itself."""
        service = self.service()
        give(service, NOBODY)
        service.start(unprivileged=True)
        status = os.stat(service.data / "invitereg.db")
        self.assertEqual(status.st_uid, os.geteuid() or NOBODY)
        self.assertEqual(status.st_mode & 0o777, 0o600)
        await self.register(service, "romeo", service.invite())
        self.wire.close()
        self.assertStops(service)

    async def test_many_connections(self) -> None:
        """It takes as many connections as the system allows it, without being told to."""
        service = self.service()
        service.start(few_files=True)
        wires = [await Wire.connect(service) for _ in range(80)]
        self.assertEqual(len(wires), 80)
        for wire in wires:
            wire.close()
        self.assertStops(service)


class StopTests(ProcessCase):
    async def test_streams_are_told(self) -> None:
        """Whoever is connected, logged in or not, hears why the stream ends."""
        service = self.service()
        service.start()
        clear = await Wire.connect(service, tls="none")
        secured = await Wire.connect(service, tls="starttls")
        await self.register(service, "romeo", service.invite())
        wires = (clear, secured, self.wire)
        goodbyes = asyncio.gather(*(wire.goodbye() for wire in wires))
        stopped = asyncio.ensure_future(asyncio.to_thread(self.assertStops, service))
        self.assertEqual(await goodbyes, ["system-shutdown"] * len(wires))
        for wire in wires:
            wire.close()
        await stopped

    async def test_silent_clients(self) -> None:
        """Clients that never answer, and never close, do not keep it from stopping."""
        service = self.service()
        service.start()
        for port in (service.port, service.tls_port):
            silent = socket.create_connection(("127.0.0.1", port))
            self.addCleanup(silent.close)
        there = socket.create_connection(("127.0.0.1", service.tls_port))
        secured = service.client_context.wrap_socket(there, server_hostname=DOMAIN)
        self.addCleanup(secured.close)
        secured.sendall(HEADER.encode())
        self.assertIn(b"<?xml", secured.recv(65536))
        self.assertStops(service)

    async def test_restart(self) -> None:
        """After a restart accounts log in, open invites are good, and used ones are not."""
        service = self.service()
        service.start()
        used, unused = service.invite(), service.invite()
        password = await self.register(service, "romeo", used)
        self.wire.close()
        self.assertStops(service)
        service.start()
        self.assertTrue(await can_login(service, "romeo", password))
        wire = await Wire.connect(service)
        self.assertEqual(await wire.preauth(used), "item-not-found")
        wire.close()
        await self.register(service, "juliet", unused)

    async def test_stop_in_the_middle(self) -> None:
        """Whoever was told that they are registered is, if it stops meanwhile; it is quiet."""
        service = self.service()
        service.start()
        with service.operator() as operator:
            tokens = [operator.invite() for _ in range(16)]
        wires = await asyncio.gather(*(Wire.connect(service) for _ in tokens))
        for wire, token in zip(wires, tokens, strict=True):
            self.addCleanup(wire.close)
            self.assertEqual(await wire.preauth(token), "result")
        password = service.secret()
        for number, wire in enumerate(wires):
            wire.send_registration(f"user{number}", password)
        await until(lambda: "registered" in service.log_text(), "nobody is registered")
        stopping = asyncio.ensure_future(asyncio.to_thread(self.assertStops, service))
        said = await asyncio.gather(*(wire.read_verdict() for wire in wires))
        for wire in wires:
            wire.close()
        await stopping
        service.start()
        names = [f"user{number}" for number, answer in enumerate(said) if answer == "result"]
        self.assertTrue(names)
        for name in names:
            self.assertTrue(await can_login(service, name, password))


class TogetherTests(ProcessCase):
    async def test_two_services(self) -> None:
        """Two services on one store let no more people in than an invite allows."""
        first = self.service()
        second = self.service(beside=first)
        for service in (first, second):
            service.launch()
        for service in (first, second):
            await service.logged("serving")
        token = first.invite(uses=3)
        services = [first, second] * 10
        wires = await asyncio.gather(*(Wire.connect(service) for service in services))
        for wire in wires:
            self.addCleanup(wire.close)
            self.assertEqual(await wire.preauth(token), "result")
        password = first.secret()
        for number, wire in enumerate(wires):
            wire.send_registration(f"guest{number}", password)
        verdicts = await asyncio.gather(*(wire.read_verdict() for wire in wires))
        self.assertEqual(Counter(verdicts), {"result": 3, "item-not-found": 17})
        guest = f"guest{verdicts.index('result')}"
        for service in (first, second):
            self.assertTrue(await can_login(service, guest, password))
            service.check_log()

    async def test_account_deleted(self) -> None:
        """Who is deleted at the command line is out at once, and cannot come back."""
        service = self.service()
        service.start()
        password = await self.register(service, "romeo", service.invite())
        with service.operator() as operator:
            outcome(operator.registrar.delete_account(DOMAIN, "romeo"))
        self.assertEqual(await self.wire.goodbye(), "not-authorized")
        self.assertFalse(await can_login(service, "romeo", password))
        service.check_log()

    async def test_password_reset_elsewhere(self) -> None:
        """A reset through another service ends the sessions here, but not the new one."""
        first = self.service()
        second = self.service(beside=first)
        first.start()
        second.start()
        await self.register(first, "romeo", first.invite())
        session = self.wire
        with first.operator() as operator:
            token = operator.reset("romeo")
        await self.register(second, "romeo", token)
        self.assertEqual(await session.goodbye(), "not-authorized")
        self.assertEqual(await self.wire.iq("<ping xmlns='urn:xmpp:ping'/>", "get"), "result")
        for service in (first, second):
            service.check_log()

    async def test_database_locked(self) -> None:
        """While another process writes, a registration waits, and then succeeds."""
        service = self.service()
        service.start()
        wire = await Wire.connect(service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.preauth(service.invite()), "result")
        other = sqlite3.connect(service.data / "invitereg.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        password = service.secret()
        wire.send_registration("romeo", password)
        answer = asyncio.ensure_future(wire.read_verdict())
        await asyncio.wait([answer], timeout=MAX_WAIT_FOR_LOCK)
        self.assertFalse(answer.done())
        other.execute("COMMIT")
        other.close()
        self.assertEqual(await answer, "result")
        self.assertTrue(await can_login(service, "romeo", password))
        service.check_log()


class LogTests(ProcessCase):
    async def test_registration(self) -> None:
        """The log tells who came in, by which invite, by which door and from where."""
        service = self.service()
        service.start()
        with service.operator() as operator:
            token = operator.invite()
            (invite,) = operator.pending_invites()
        await self.register(service, "romeo", token)
        line = await service.logged("registered")
        for part in (f"romeo@{DOMAIN}", "c2s", "127.0.0.1", invite.id):
            self.assertIn(part, line)
        service.check_log()

    async def test_refusal(self) -> None:
        """The log tells which rule refused somebody, but nothing that they typed in secret."""
        service = self.service()
        service.start()
        unknown = "x" * 24
        service.secrets += [unknown, "sh0rt"]
        with service.operator() as operator:
            token = operator.invite()
            (invite,) = operator.pending_invites()
        wire = await Wire.connect(service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.register("romeo", service.secret()), "forbidden")
        self.assertEqual(await wire.preauth(unknown), "item-not-found")
        self.assertEqual(await wire.preauth(token), "result")
        self.assertEqual(await wire.register("romeo", "sh0rt"), "not-acceptable")
        self.assertEqual(await wire.register("root", service.secret()), "not-allowed")
        self.assertEqual(await wire.login("romeo", service.secret()), "not-authorized")
        for rule in ("invite-required", "invite-unknown", "password-", "username-reserved"):
            line = await service.logged(f"refused at {DOMAIN} from 127.0.0.1: {rule}")
            if rule.startswith(("password", "username")):
                self.assertIn(invite.id, line)
        await service.logged(f"login failed at {DOMAIN} from 127.0.0.1: not-authorized")
        service.check_log()


def give(service: Service, user: int, *paths: Path) -> None:
    """Change the owner of what belongs to a service, if that is possible here at all."""
    if os.geteuid() == 0:
        for path in paths or (service.folder, *service.folder.rglob("*")):
            os.chown(path, user, user)
