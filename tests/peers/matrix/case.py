"""One release of a server, set up by the guide, with a service in front of it."""

import asyncio
import base64
import functools
import hashlib
from typing import Any, ClassVar
from xml.etree.ElementTree import Element

from scramp import ScramClient

from tests.peers.gateway import BehindCase, command, in_link, made, start, upstream
from tests.peers.matrix.table import (
    BOUND,
    CONTACTS,
    DELETION,
    LOGIN,
    NOTICES,
    OWN_ACCOUNT,
    PROXY,
    REGISTRATION,
    RESET,
    RESUMPTION,
    SASL2,
    UNBOUND,
    UNSIGNED,
    Table,
    row,
)
from tests.peers.releases import Release
from tests.peers.servers import COMPONENT, SECRET, started
from tests.peers.test_behind_gateway import Browsing
from tests.peers.test_people import Person
from tests.peers.test_slixmpp import Client
from tests.service.running import DOMAIN, Service, free_ports, until, within_bounds
from tests.service.wire import NS_REGISTER, NS_SASL, Wire, can_login

NS_SM = "urn:xmpp:sm:3"
NS_SASL2 = "urn:xmpp:sasl:2"
NS_CHANNEL_BINDING = "urn:xmpp:sasl-cb:0"
BIND = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind>"


def mechanisms(features: Element) -> list[str]:
    """List what a server offers for a login by SASL (RFC 6120 §6)."""
    return [found.text or "" for found in features.iter(f"{{{NS_SASL}}}mechanism")]


class ReleaseCase(Browsing, BehindCase):
    """A release of a server with the accounts, and all that is in its table about them.

    Attributes:
        table: what is expected of the releases.
        release: the one that is tried.
        settings: of the service, as the guide has them.
    """

    table: ClassVar[Table]
    release: ClassVar[Release]
    version: ClassVar[str]
    server: Any

    @classmethod
    def setUpClass(cls) -> None:
        cls.version = cls.release.version(cls.table.package)
        cls.server = started(cls.kind, cls.release)
        (port,) = free_ports(1)
        cls.site = f"http://localhost:{port}/"
        listen = f"listen: ['tcp:{port}:interface=127.0.0.1']"
        cls.service = cls.serve(f"web: {{external_url: '{cls.site}', {listen}}}")

    @classmethod
    def serve(cls, settings: str) -> Service:
        """Start a service in front of the server, with these ``settings`` besides."""
        lines = [
            f"component: {{connect: 'tcp:127.0.0.1:{cls.server.component_port}', "
            f"jid: {COMPONENT}, secret_file: component}}",
            cls.backend_settings(),
            "welcome_message: 'Welcome, {username}!'",
            settings,
        ]
        service = Service("\n".join(lines), upstream=upstream(cls.server, **cls.server.keys))
        cls.addClassCleanup(service.remove)
        (service.folder / "component").write_text(SECRET)
        start(service)
        return service

    @classmethod
    def backend_settings(cls) -> str:
        """Write the service's lines about ``accounts``."""
        return "accounts: {backend: xmpp}"

    @classmethod
    def name(cls) -> str:
        """A name that nobody has, at a server which others use, too."""
        return f"{cls.__name__.lower().replace('_', '-')}{next(cls.names)}"

    @row(REGISTRATION)
    async def test_registration(self, possible: bool) -> None:
        """Who is invited registers in an app and in the browser, and logs in."""
        self.assertTrue(possible)
        wire, me = await self.wire(), (self.name(), self.service.secret())
        taken, _password = self.account()
        self.assertEqual(await wire.preauth(self.service.invite()), "result")
        self.assertEqual(await wire.register(taken, me[1]), "conflict")
        self.assertEqual(await wire.register(*me), "result")
        self.assertEqual(await wire.login(*me), "success")
        other = (self.name(), self.service.secret())
        path = f"invite/{self.service.invite()}/register"
        await self.send(self.browser(), path, username=other[0], password=other[1])
        self.assertTrue(await can_login(self.service, *other))

    @row(CONTACTS)
    async def test_contacts(self, possible: bool) -> None:
        """Both are in each other's contacts from the start, or the invite is never made."""
        host, password = self.account()
        words = ("invite", "create", "--inviter", host, "--contact")
        if not possible:
            refused = await asyncio.to_thread(command, self.service, *words)
            self.assertEqual((refused.returncode, refused.stdout), (1, ""))
            self.assertIn(f"Nobody can be made a contact at {DOMAIN}", refused.stderr)
            return
        inviter = Person(self.service, (host, password))
        self.addAsyncCleanup(inviter.leave)
        await inviter.arrive()
        invite = await asyncio.to_thread(made, self.service, *words)
        me = (self.name(), self.service.secret())
        tokens = [in_link(self.service, invite["uri"])]
        guest = Person(self.service, me, tokens=tokens, forms=[me])
        self.addAsyncCleanup(guest.leave)
        await guest.arrive()
        await guest.contact_of(host)
        await inviter.contact_of(me[0])
        await guest.heard(host, "available")
        await inviter.heard(me[0], "available")

    @row(RESET)
    async def test_reset(self, possible: bool) -> None:
        """Who forgot a password sets another by a link, and it alone is good then."""
        self.assertTrue(possible)
        await self.assert_reset(*self.account())

    @row(DELETION)
    async def test_deletion(self, possible: bool) -> None:
        """An account that is deleted is gone with its session."""
        self.assertTrue(possible)
        username, password = self.account()
        client = Client(self.service, (username, password))
        self.assertEqual(await client.run(), "session_start")
        gone = asyncio.get_running_loop().create_future()
        client.add_event_handler(
            "disconnected", lambda _why: gone.done() or gone.set_result(None)
        )
        done = await asyncio.to_thread(command, self.service, "account", "delete", username)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        await within_bounds(gone)
        await client.leave()
        self.assertFalse(await can_login(self.service, username, password))

    @row(NOTICES)
    async def test_notices(self, possible: bool) -> None:
        """Who has registered is welcomed by a message."""
        self.assertTrue(possible)
        me = (self.name(), self.service.secret())
        person = Person(self.service, me, tokens=[self.service.invite()], forms=[me])
        self.addAsyncCleanup(person.leave)
        await person.arrive()
        welcome = (COMPONENT, f"Welcome, {me[0]}!")
        await until(lambda: welcome in person.log, f"no welcome: {person.log}")


class GatewayCase(ReleaseCase):
    """The same, with all that the table has about streams."""

    @row(OWN_ACCOUNT)
    async def test_own_account(self, possible: bool) -> None:
        """Whoever is logged in changes their password, and deletes their account."""
        (username, old), new = self.account(), self.service.secret()
        wire = await self.wire()
        self.assertEqual(await wire.login(username, old), "success")
        change = f"<username>{username}</username><password>{new}</password>"
        for payload in (change, "<remove/>"):
            query = f"<query xmlns='{NS_REGISTER}'>{payload}</query>"
            if not possible:
                self.assertEqual(await wire.iq(query), "service-unavailable")
                continue
            self.assertEqual(await wire.iq(query), "result")
            old_one, new_one = [
                await can_login(self.service, username, one) for one in (old, new)
            ]
            self.assertEqual((old_one, new_one), (False, payload == change))

    @row(LOGIN)
    async def test_login(self, possible: bool) -> None:
        """Accounts that were there before log in as ever; a wrong password is wrong."""
        self.assertTrue(possible)
        me = self.account()
        for tls in ("direct", "starttls"):
            wires = [await Wire.connect(self.service, tls) for _ in range(3)]
            for wire in wires:
                self.addCleanup(wire.close)
            self.assertEqual(await wires[0].login(*me), "success")
            self.assertEqual(await wires[1].login(me[0], "wrong"), "not-authorized")
            self.assertTrue(await self.scram(wires[2], ScramClient(["SCRAM-SHA-1"], *me)))

    @row(UNBOUND)
    async def test_unbound(self, possible: bool) -> None:
        """Who could bind to the channel, and is offered no way to, logs in (RFC 5802 §6)."""
        scram = ScramClient(["SCRAM-SHA-1"], *self.account(), ("tls-unique", b"unused"))
        self.assertEqual(await self.scram(await self.wire(), scram, "y"), possible)

    async def scram(self, wire: Wire, client: ScramClient, flag: str = "n") -> bool:
        """Log in by SCRAM, with the ``flag`` of RFC 5802; returns whether that succeeds."""
        first = client.get_client_first()
        self.assertEqual(first[:2], f"{flag},")
        text = base64.b64encode(first.encode()).decode()
        answer = await wire.ask(
            f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-1'>{text}</auth>"
        )
        if answer.tag != f"{{{NS_SASL}}}challenge":
            return False
        client.set_server_first(base64.b64decode(answer.text or "").decode())
        text = base64.b64encode(client.get_client_final().encode()).decode()
        answer = await wire.ask(f"<response xmlns='{NS_SASL}'>{text}</response>")
        return answer.tag == f"{{{NS_SASL}}}success"

    @row(UNSIGNED)
    async def test_unsigned(self, possible: bool) -> None:
        """What the server has signed, if anything, is what the client was offered."""
        wire = await Wire.connect_only(self.service)
        self.addCleanup(wire.close)
        offered = sorted(mechanisms(await wire.open()))
        username, _password = self.account()
        text = base64.b64encode(f"n,,n={username},r=nonce".encode()).decode()
        answer = await wire.ask(
            f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-1'>{text}</auth>"
        )
        said = dict(
            part.split("=", 1)
            for part in base64.b64decode(answer.text or "").decode().split(",")
        )
        own = hashlib.sha1("\x1e".join(offered).encode()).digest()
        self.assertEqual(base64.b64decode(said.get("h", "")) in (b"", own), possible)

    @row(BOUND)
    async def test_bound(self, possible: bool) -> None:
        """Nothing that is bound to one TLS connection is offered, as there are two."""
        wire = await Wire.connect_only(self.service)
        self.addCleanup(wire.close)
        features = await wire.open()
        bound = [name for name in mechanisms(features) if name.endswith("-PLUS")]
        bound += [
            child.tag for child in features.iter(f"{{{NS_CHANNEL_BINDING}}}channel-binding")
        ]
        self.assertEqual(bool(bound), possible)

    @row(RESUMPTION)
    async def test_resumption(self, possible: bool) -> None:
        """A stream whose line is cut is resumed on a new one."""
        self.assertTrue(possible)
        me, wires = self.account(), []
        for _ in range(2):
            wire = await self.wire()
            secret = base64.b64encode(f"\0{me[0]}\0{me[1]}".encode()).decode()
            await wire.ask(f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>{secret}</auth>")
            await wire.open()
            wires.append(wire)
        await wires[0].iq(BIND)
        wires[0].send(f"<enable xmlns='{NS_SM}' resume='true'/>")
        enabled = await self.until(wires[0], f"{{{NS_SM}}}enabled")
        wires[0].cut()
        wires[1].send(f"<resume xmlns='{NS_SM}' previd='{enabled.get('id')}' h='0'/>")
        await self.until(wires[1], f"{{{NS_SM}}}resumed")

    async def until(self, wire: Wire, tag: str) -> Any:
        """Read up to an element."""
        while (element := await wire.read()) is not None:
            if element.tag == tag:
                return element
        raise AssertionError(f"the stream ended before {tag}")

    @row(SASL2)
    async def test_sasl2(self, possible: bool) -> None:
        """Header, login and resource go out together; the session is there with the answer."""
        username, password = self.account()
        # ejabberd offers it only to those who say who they are.
        address = f"from='{username}@{DOMAIN}'"
        wires = [await Wire.connect_only(self.service) for _ in range(2)]
        for wire in wires:
            self.addCleanup(wire.close)
            wire.header = wire.header.replace("<stream:stream", f"<stream:stream {address}")
        features = await wires[0].open()
        offered = features.find(f"{{{NS_SASL2}}}authentication") is not None
        self.assertEqual(offered, possible)
        if not possible:
            return
        secret = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
        login = (
            f"<authenticate xmlns='{NS_SASL2}' mechanism='PLAIN'><initial-response>{secret}"
            "</initial-response><bind xmlns='urn:xmpp:bind:0'><tag>test</tag></bind>"
            "</authenticate><iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        wires[1].send(wires[1].header + login)
        success = await self.until(wires[1], f"{{{NS_SASL2}}}success")
        self.assertIsNotNone(success.find("{urn:xmpp:bind:0}bound"))
        pong = await self.until(wires[1], "{jabber:client}iq")
        self.assertEqual((pong.get("id"), pong.get("type")), ("p", "result"))

    @row(PROXY)
    async def test_proxy_protocol(self, possible: bool) -> None:
        """The server sees the client's address and not the gateway's, or takes nobody so."""
        if not possible:
            wire = await Wire.connect_only(self.behind_proxy_protocol("v1", self.server.port))
            self.addCleanup(wire.close)
            wire.send(wire.header)
            self.assertEqual(await wire.goodbye(), "remote-connection-failed")
            return
        me = self.account()
        for version in ("v1", "v2"):
            service = self.behind_proxy_protocol(version, self.server.proxied_port)
            wire = await Wire.connect(service)
            self.addCleanup(wire.close)
            self.assertEqual(await wire.login(*me), "success")
            told = self.address_logged(wire.local_port)
            await until(
                functools.partial(lambda text: text in self.server.log_text(), told),
                f"never logged: {told}",
            )

    def behind_proxy_protocol(self, version: str, port: int) -> Service:
        """Start another gateway, which tells each client's address to a port of the server."""
        connect = f"tcp:127.0.0.1:{port}"
        keys = {**self.server.keys, "connect": connect, "proxy_protocol": version}
        # It makes no accounts.
        settings = "accounts: {backend: ejabberd, url: 'http://127.0.0.1:9/api'}"
        service = Service(settings, upstream=upstream(self.server, **keys))
        self.addCleanup(service.remove)
        service.start()
        return service

    def address_logged(self, port: int) -> str:
        """What the server's log says about the client that connects from a port."""
        raise NotImplementedError
