"""A service that cannot start leaves nothing open, and one that stops stops all of it."""

import signal
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from invitereg.config import load
from invitereg.model.lookalikes import load_looks
from invitereg.runtime.logs import LogGuard, RefusalLog
from invitereg.runtime.ports import Ports, StartFailure
from invitereg.runtime.threads import Inline
from invitereg.runtime.tls import write_certificate
from invitereg.service import service as service_module
from invitereg.service.maintenance import MINUTE_SECONDS
from invitereg.service.remote import RemoteServers
from invitereg.service.service import STOP_SECONDS, InviteregService
from invitereg.store.database import Database
from invitereg.testing import clock_now, memory_store

CONFIG = """
domain: localhost
data_dir: data
tls: {certificate: fullchain.pem, private_key: privkey.pem}
c2s: {listen: ["tcp:5222"]}
component: {connect: "tcp:127.0.0.1:5347", jid: invites.localhost, secret_file: secret}
accounts: {backend: xmpp}
"""

OWN_ACCOUNTS = """
domain: localhost
data_dir: data
tls: {certificate: fullchain.pem, private_key: privkey.pem}
c2s: {listen_tls: ["tcp:5223"]}
web: {external_url: "https://localhost/", listen_tls: ["tcp:443"]}
"""


class ConfiguredCase(SynchronousTestCase):
    def setUp(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        write_certificate(self.folder, "localhost")
        self.secret = self.folder / "secret"
        self.secret.write_text("secret")
        (self.folder / "config.yaml").write_text(CONFIG)


class StartTests(ConfiguredCase):
    def test_no_secret(self):
        """A secret that is gone since the file was checked: said, and the database closed."""
        reactor = MemoryReactorClock()
        service = InviteregService(load(self.folder / "config.yaml"), reactor)
        self.secret.unlink()
        closed, close = [], Database.close
        self.patch(Database, "close", lambda one: (closed.append(one), close(one)))
        said = self.assertRaises(StartFailure, service.startService)
        self.assertIn(f"component of localhost: {self.secret} cannot be read", str(said))
        self.assertEqual(len(closed), 1)
        self.assertEqual(reactor.tcpServers, [])

    def test_logins_elsewhere(self):
        """Where another server keeps the accounts, no app is asked to send a password here."""
        config, clock = load(self.folder / "config.yaml"), MemoryReactorClock()
        servers = config.backends, config.upstreams, config.domains
        remote = RemoteServers(*servers, memory_store(), clock, clock_now(clock), Inline())
        self.assertEqual(list(remote.logins), ["localhost"])
        self.assertNotIn("PLAIN", remote.logins["localhost"].mechanisms)

    def test_look_alikes(self):
        """Nobody waits for the table of look-alikes: it is read before any port listens."""
        load_looks.cache_clear()
        read = []

        def listen(_ports):
            read.append(load_looks.cache_info().currsize)
            raise StartFailure("that is enough")

        self.patch(Ports, "startService", listen)
        service = InviteregService(load(self.folder / "config.yaml"), MemoryReactorClock())
        self.assertRaises(StartFailure, service.startService)
        self.assertEqual(read, [1])


class Part(Service):
    """A part of a service, whose ``outcome`` is what its stopping returns."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.stopping = False

    def stopService(self):
        self.stopping = True
        return self.outcome


class StopTests(ConfiguredCase):
    def test_parts_that_do_not_stop(self):
        """A part that hangs or fails is named in the log, and the parts after it stop."""
        reactor = MemoryReactorClock()
        service = InviteregService(load(self.folder / "config.yaml"), reactor)
        parts = [Part(Deferred()), Part(fail(OSError("broken"))), Part(None)]
        for part in parts:
            service.addService(part)
        stopped = service.stopService()
        self.assertNoResult(stopped)
        reactor.advance(STOP_SECONDS)
        self.successResultOf(stopped)
        self.assertEqual([part.stopping for part in parts], [True] * 3)
        causes = [failure.type for failure in self.flushLoggedErrors()]
        self.assertEqual(causes, [TookTooLong, OSError])


class AtOnce(Inline):
    """Threads that are done at once; ``stopped`` is what their stopping returns."""

    waiting = 0
    stopped = succeed(None)

    def start(self):
        pass

    def stop(self):
        return self.stopped


class RunningTests(ConfiguredCase):
    """A service as it is put together, on a reactor whose time the test makes."""

    def setUp(self):
        super().setUp()
        self.lines = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)
        hangup = signal.getsignal(signal.SIGHUP)
        self.addCleanup(signal.signal, signal.SIGHUP, hangup)
        self.reactor, self.threads = MemoryReactorClock(), AtOnce()
        self.patch(service_module, "Threads", lambda *_: self.threads)
        (self.folder / "config.yaml").write_text(OWN_ACCOUNTS)

    def observe(self, event):
        self.lines.append(formatEvent(event))

    def start(self):
        service = InviteregService(load(self.folder / "config.yaml"), self.reactor)
        service.startService()
        return service

    def stop(self, service):
        stopped = service.stopService()
        self.reactor.advance(STOP_SECONDS)
        self.successResultOf(stopped)

    def test_renewed_certificate(self):
        """Within a minute, a renewed certificate is shown to clients and to browsers."""
        service = self.start()
        self.addCleanup(self.stop, service)
        write_certificate(self.folder, "localhost")
        self.reactor.advance(MINUTE_SECONDS)
        read_again = "certificates have changed: read again"
        self.assertEqual(self.lines.count(read_again), 2)

    def test_certificate_of_former_domain(self):
        """A domain that the file does not name any more is served on, with its certificate."""
        other = self.folder / "other"
        other.mkdir()
        write_certificate(other, "other.example")
        config = self.folder / "config.yaml"
        one = "data_dir: data\nc2s: {listen_tls: [tcp:5223]}\ndomains:\n  localhost:\n"
        keys = "tls: {certificate: other/fullchain.pem, private_key: other/privkey.pem}"
        config.write_text(f"{one}  other.example: {{{keys}}}\n")
        service = self.start()
        self.addCleanup(self.stop, service)
        config.write_text(one)
        service.reload()
        self.assertIn(f"reloaded {config}", self.lines)
        write_certificate(other, "other.example")
        self.reactor.advance(MINUTE_SECONDS)
        self.assertIn("certificates have changed: read again", self.lines)

    def test_left_out(self):
        """Each log that leaves lines out says every minute how many, whatever part has it."""
        made, summed = [], []
        for kind in (RefusalLog, LogGuard):
            begin = kind.__init__

            def note(log, *arguments, begin=begin):
                made.append(log)
                begin(log, *arguments)

            self.patch(kind, "__init__", note)
            self.patch(kind, "sum_up", lambda log: summed.append(log))
        service = self.start()
        self.addCleanup(self.stop, service)
        summed.clear()
        self.reactor.advance(MINUTE_SECONDS)
        self.assertEqual(set(map(id, summed)), set(map(id, made)))

    def test_database_hangs(self):
        """A stop does not wait for a database that hangs, and leaves it as after a crash."""
        closed, close = [], Database.close
        self.patch(Database, "close", lambda one: (closed.append(one), close(one)))
        service = self.start()
        self.threads.stopped = Deferred()
        self.stop(service)
        self.assertEqual(closed, [])
        self.assertIn("stopping although the database or a thread hangs", self.lines)
