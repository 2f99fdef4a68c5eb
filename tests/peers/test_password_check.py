"""Passwords, checked by a login at real servers."""

import base64
from datetime import UTC, datetime
from typing import Any

import yaml
from twisted.internet import reactor as real_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogLevel
from twisted.trial.unittest import TestCase

from invitereg.accounts.remote import RemoteAccounts
from invitereg.config import Backend
from invitereg.config.servers import Accounts, UpstreamKeys
from invitereg.errors import Unavailable
from invitereg.interfaces.server import ServerUnreachable
from invitereg.model.namespaces import NS_SASL
from invitereg.runtime.threads import Inline
from invitereg.service.remote import RemoteServers
from invitereg.testing import memory_store
from invitereg.xmpp.gateway import passwordcheck
from invitereg.xmpp.gateway.passwordcheck import PasswordCheck
from invitereg.xmpp.gateway.settings import Upstream
from tests.peers import servers
from tests.service.running import DOMAIN, free_ports
from tests.spying import logged
from tests.test_structure import ROOT

reactor: Any = real_reactor
PASSWORD = "cörrect horse \\ <&"
RIGHT, WRONG, CANNOT_TELL = True, False, None


async def verdict(checking: Deferred[bool]) -> bool | None:
    """What came of a check; None if nobody can tell."""
    try:
        return await checking
    except ServerUnreachable:
        return None


class CheckCase(TestCase):
    timeout = 60

    def checking(self, port: int) -> PasswordCheck:
        upstream = Upstream(domain=DOMAIN, connect=f"tcp:127.0.0.1:{port}", tls="none")
        return PasswordCheck(upstream, reactor, Inline().run)


class ProsodyTests(CheckCase):
    """Prosody has SCRAM-SHA-1, and PLAIN where it is allowed."""

    kind: type[servers.Server] = servers.Prosody

    def setUp(self) -> None:
        self.server = self.kind()
        self.addCleanup(self.server.remove)
        self.open_up(self.server)
        self.server.start()
        self.server.register("jülïet", PASSWORD)

    def open_up(self, server: Any) -> None:
        server.settings.append("c2s_require_encryption = false")

    async def test_verdicts(self) -> None:
        """A password is right or wrong, and a stranger's wrong; without a server, none is."""
        check = self.checking(self.server.port).check
        cases = (
            ("jülïet", PASSWORD, RIGHT),
            ("jülïet", "wrong", WRONG),
            ("jülïet", "", WRONG),
            ("jülïet", "a\x07b", WRONG),
            ("nobody", PASSWORD, WRONG),
        )
        for username, password, expected in cases:
            self.assertIs(
                await verdict(check(username, password)), expected, (username, password)
            )
        self.server.stop()
        self.assertIs(await verdict(check("jülïet", PASSWORD)), CANNOT_TELL)


class EjabberdTests(ProsodyTests):
    """ejabberd has SCRAM-SHA-256 as well."""

    kind = servers.Ejabberd

    def open_up(self, server: Any) -> None:
        for listener in server.settings["listen"]:
            listener.pop("starttls_required", None)
        server.settings["auth_password_format"] = "scram"


class BackendTests(TestCase):
    """Passwords at a domain whose clients are handed over to Prosody."""

    kind: type[servers.Server] = servers.Prosody
    timeout = 60

    def setUp(self) -> None:
        self.server = servers.started(self.kind)
        self.server.register("jülïet", PASSWORD)
        self.addCleanup(self.server.unregister, "jülïet")
        self.said = logged(self, LogLevel.error)

    def accounts(self, **upstream: Any) -> RemoteAccounts:
        """The accounts, as the service has them."""
        backend = Backend(
            Accounts(backend="ejabberd", url="http://127.0.0.1:9/api"),
            component=None,
            host=DOMAIN,
        )
        keys = UpstreamKeys.model_construct(
            **{"connect": f"tcp:127.0.0.1:{self.server.port}", **upstream}
        )
        remote = RemoteServers(
            {DOMAIN: backend},
            {DOMAIN: keys} if upstream else {},
            {},
            memory_store(),
            reactor,
            lambda: datetime.now(UTC),
            Inline(),
        )
        self.addCleanup(remote.stopService)
        return remote.accounts[DOMAIN]

    async def test_verdicts(self) -> None:
        """Over verified TLS, right is right at each login anew, and all else is wrong."""
        for upstream in (
            {"tls": "starttls"},
            {"tls": "direct", "connect": f"tcp:127.0.0.1:{self.server.tls_port}"},
        ):
            check = self.accounts(ca=self.server.certificate, **upstream).check_password
            self.assertIsNotNone(await check("jülïet", PASSWORD))
            self.assertIsNone(await check("jülïet", "wrong"))
            self.assertIsNone(await check("nobody", PASSWORD))
        self.server.unregister("jülïet")
        self.server.register("jülïet", "another")
        self.assertIsNone(await check("jülïet", PASSWORD))
        self.assertIsNotNone(await check("jülïet", "another"))

    async def test_cannot_tell(self) -> None:
        """Nobody can tell without the server, or where it is not what is trusted."""
        (port,) = free_ports(1)
        down = self.accounts(connect=f"tcp:127.0.0.1:{port}")
        for accounts in (self.accounts(ca=None), self.accounts(), down):
            failing = accounts.check_password("jülïet", PASSWORD)
            await self.assertFailure(failing, Unavailable)
        self.assertIn("its certificate is not trusted", self.said[0])
        self.assertIn("ejabberd's API at http://127.0.0.1:9/api: Connection", self.said[1])
        self.assertIn("it cannot be reached: Connection was refused", self.said[2])


class EjabberdBackendTests(BackendTests):
    """And to ejabberd."""

    kind = servers.Ejabberd


class BannedTests(CheckCase):
    """An ejabberd that bans addresses whose logins fail."""

    def setUp(self) -> None:
        self.server = servers.Ejabberd()
        self.addCleanup(self.server.remove)
        for listener in self.server.settings["listen"]:
            listener.pop("starttls_required", None)
        self.server.settings["modules"]["mod_fail2ban"] = {"c2s_max_auth_failures": 2}

    async def guess(self) -> bool | None:
        """What is said of the right password after some that are wrong."""
        self.server.start()
        self.server.register("juliet", PASSWORD)
        check = self.checking(self.server.port).check
        for _ in range(4):
            await verdict(check("juliet", "wrong"))
        return await verdict(check("juliet", PASSWORD))

    async def test_banned(self) -> None:
        """Whoever guesses at our door bans us, and keeps everybody out."""
        self.assertIs(await self.guess(), CANNOT_TELL)

    async def test_exempt(self) -> None:
        """With the lines of the guide, we are never banned."""
        guide = (ROOT / "docs" / "website-only.md").read_text(encoding="utf-8")
        text = guide.partition("```yaml\nacl:\n")[2].partition("```")[0]
        for section, keys in yaml.safe_load(f"acl:\n{text}").items():
            for name, value in keys.items():
                self.server.settings[section].setdefault(name, {}).update(value or {})
        self.assertIs(await self.guess(), RIGHT)


class FaultTests(CheckCase):
    """A server that does as it is told."""

    def setUp(self) -> None:
        self.answers: list[bytes] = []
        case = self

        class Told(Protocol):
            def dataReceived(self, _data: bytes) -> None:
                if not case.answers:
                    self.transport.loseConnection()
                elif answer := case.answers.pop(0):
                    self.transport.write(answer)

        port = reactor.listenTCP(0, Factory.forProtocol(Told), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port

    def features(self, *mechanisms: str) -> bytes:
        offered = "".join(f"<mechanism>{name}</mechanism>" for name in mechanisms)
        return (
            "<stream:stream from='localhost' version='1.0' xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams'><stream:features>"
            f"<mechanisms xmlns='{NS_SASL}'>{offered}</mechanisms>"
            "</stream:features>"
        ).encode()

    def sasl(self, text: str) -> bytes:
        name = text.split("<")[1].rstrip("/>").split(">")[0]
        return text.replace(f"<{name}", f"<{name} xmlns='{NS_SASL}'", 1).encode()

    async def verdict(self, *answers: bytes) -> bool | None:
        self.answers = list(answers)
        return await verdict(self.checking(self.port).check("juliet", PASSWORD))

    async def test_plain(self) -> None:
        """A server that offers nothing better gets the password as it is."""
        plain = self.features("PLAIN")
        success, failure = self.sasl("<success/>"), "<failure><not-authorized/></failure>"
        self.assertIs(await self.verdict(plain, success), RIGHT)
        self.assertIs(await self.verdict(plain, self.sasl(failure)), WRONG)
        for other in (b"<success/>", failure.encode()):  # of another namespace: no SASL
            self.assertIs(await self.verdict(plain, other), CANNOT_TELL, other)

    async def test_conditions(self) -> None:
        """What is about the account is wrong; what is about the server says nothing."""
        for condition, expected in (
            ("account-disabled", WRONG),
            ("credentials-expired", WRONG),
            ("temporary-auth-failure", CANNOT_TELL),
            ("invalid-mechanism", CANNOT_TELL),
            ("x", CANNOT_TELL),
        ):
            failure = self.sasl(f"<failure><{condition}/></failure>")
            for name in ("PLAIN", "SCRAM-SHA-1"):
                got = await self.verdict(self.features(name), failure)
                self.assertIs(got, expected, condition)

    async def test_impostor(self) -> None:
        """A server that does not know the password cannot say that it is right."""
        scram = self.features("SCRAM-SHA-256")
        for text in ("<success/>", "<success>dj1hYmNk</success>", "<challenge>!</challenge>"):
            self.assertIs(await self.verdict(scram, self.sasl(text)), CANNOT_TELL, text)
        for first in ("cj1hLHM9YWJjZCxpPTQwOTY=", "cj1hLHM9YWJjZCxpPTk5OTk5OTk5OQ==", "eA=="):
            challenge = self.sasl(f"<challenge>{first}</challenge>")
            got = await self.verdict(scram, challenge, self.sasl("<success>dj1hYmNk</success>"))
            self.assertIs(got, CANNOT_TELL)

    async def test_nonsense(self) -> None:
        """What is no login, and a stream that ends, say nothing."""
        scram = self.features("SCRAM-SHA-1")
        for answer in (b"</stream:stream>", b"<iq/>", b"<<", b"\xff", b"<a>" * 99):
            self.assertIs(await self.verdict(scram, answer), CANNOT_TELL, answer)
        self.assertIs(await self.verdict(scram), CANNOT_TELL)
        self.assertIs(await self.verdict(), CANNOT_TELL)
        self.assertIs(await self.verdict(self.features("X")), CANNOT_TELL)
        (port,) = free_ports(1)
        self.assertIs(await verdict(self.checking(port).check("juliet", PASSWORD)), CANNOT_TELL)

    async def test_long_texts(self) -> None:
        """What a server says does not fill the log, however long it is."""
        scram, long = self.features("SCRAM-SHA-1"), "e" * 5000
        challenge = base64.b64encode(f"r={long},s=YWJj,i=4096".encode()).decode()
        for answers in (
            [self.features(*(f"X-{number}" for number in range(1000)))],
            [scram, f"<{long}/>".encode()],
            [scram, self.sasl(f"<{long}/>")],
            [scram, self.sasl(f"<challenge>{challenge}</challenge>")],
            [self.features("PLAIN"), self.sasl(f"<failure><{long}/></failure>")],
            [self.features("PLAIN"), self.sasl(f"<{long}/>")],
        ):
            self.answers = list(answers)
            checking = self.checking(self.port).check("juliet", PASSWORD)
            unreachable = await self.assertFailure(checking, ServerUnreachable)
            self.assertLess(len(str(unreachable)), 600)

    async def test_hangs(self) -> None:
        """A check ends, and more than so many are not begun."""
        self.patch(passwordcheck, "SECONDS", 0.2)
        self.patch(passwordcheck, "AT_ONCE", 1)
        self.answers = [self.features("SCRAM-SHA-1"), b""]
        checks = self.checking(self.port)
        first = checks.check("juliet", PASSWORD)
        self.failureResultOf(checks.check("juliet", PASSWORD), ServerUnreachable)
        self.assertNoResult(first)
        self.assertIs(await verdict(first), CANNOT_TELL)
        self.assertIs(checks._under_way, 0)
