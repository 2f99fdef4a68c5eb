"""Accounts that Prosody and ejabberd had before, through the gateway: nobody notices it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from unittest import IsolatedAsyncioTestCase
from xml.etree.ElementTree import Element

from scramp import ScramClient

from invitereg.runtime.tls import write_certificate
from tests.peers.gateway import command, in_front
from tests.peers.servers import Ejabberd, Prosody, Server, started
from tests.peers.test_slixmpp import Client
from tests.service.running import DOMAIN, Service, until, within_bounds
from tests.service.wire import NS_SASL, Wire

NS_SM = "urn:xmpp:sm:3"
BODY = "{jabber:client}body"
PRESENCE = "{jabber:client}presence"
BIND = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind>"
PASSWORD = "a password of long ago"
PLUS = [f"SCRAM-SHA-{number}-PLUS" for number in (1, 256, 512)]


def sasl(mechanism: str, data: bytes) -> str:
    """The beginning of a login."""
    text = base64.b64encode(data).decode()
    return f"<auth xmlns='{NS_SASL}' mechanism='{mechanism}'>{text}</auth>"


class GatewayCase(IsolatedAsyncioTestCase):
    """A server with an account, and a gateway in front of it."""

    kind: ClassVar[type[Server]]
    names: ClassVar = iter(range(1_000_000))
    server: Server
    service: Service

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = started(cls.kind)
        cls.service = cls.in_front(cls.server)

    @classmethod
    def in_front(cls, server: Server, **keys: str) -> Service:
        service = in_front(server, **keys)
        cls.addClassCleanup(service.remove)
        service.start()
        return service

    def tearDown(self) -> None:
        self.service.check_log()

    def account(self) -> str:
        """The name of a new account at the server."""
        name = f"{self.kind.__name__.lower()}{next(self.names)}"
        self.server.register(name, PASSWORD)
        return name

    @asynccontextmanager
    async def session(self, name: str, **options: Any) -> AsyncIterator[Client]:
        """Somebody who has logged in with slixmpp."""
        client = Client(self.service, (name, PASSWORD), **options)
        client.register_plugin("xep_0198")
        try:
            self.assertEqual(await client.run(), "session_start")
            yield client
        finally:
            await client.leave()

    async def wire(self, name: str) -> Wire:
        """A stream that has logged in, and not yet bound a resource."""
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        answer = await wire.ask(sasl("PLAIN", f"\0{name}\0{PASSWORD}".encode()))
        self.assertEqual(answer.tag, f"{{{NS_SASL}}}success")
        await wire.open()
        return wire


class Through(GatewayCase):
    """What every server does behind the gateway as it does without."""

    async def test_login(self) -> None:
        """SCRAM and PLAIN, STARTTLS and direct TLS: all as ever."""
        name = self.account()
        for mechanism in ("SCRAM-SHA-1", "PLAIN"):
            for direct in (False, True):
                async with self.session(name, mechanism=mechanism, direct=direct) as client:
                    await client.plugin["xep_0199"].send_ping(DOMAIN)
                    used = client.plugin["feature_mechanisms"].mech.name
                    self.assertEqual(used, mechanism)

    async def test_wrong_password(self) -> None:
        """A wrong password is wrong."""
        client = Client(self.service, (self.account(), "wrong"))
        self.assertEqual(await client.run(), "failed_all_auth")
        await client.leave()

    async def test_other_spelling(self) -> None:
        """Who spells the domain as the server does not is told so; nobody else notices it."""
        name = self.account()
        for spelling in (f"{DOMAIN}.", DOMAIN.upper(), f"{DOMAIN}\u3002"):
            wire = await Wire.connect_only(self.service)
            self.addCleanup(wire.close)
            wire.header = wire.header.replace(f"'{DOMAIN}'", f"'{spelling}'")
            answer = await wire.open()
            if answer.tag.endswith("error"):
                self.assertNotIn("remote-connection", answer[0].tag)
            async with self.session(name):
                pass
        self.assertNotIn("is not used", self.service.log_text())

    async def test_tries(self) -> None:
        """On one stream four logins may fail before one succeeds, and no fifth one may."""
        name = self.account()
        wrong = sasl("PLAIN", f"\0{name}\0wrong".encode())
        for last in ("success", "failure"):
            wire = await Wire.connect(self.service)
            self.addCleanup(wire.close)
            for _ in range(4):
                self.assertEqual((await wire.ask(wrong)).tag, f"{{{NS_SASL}}}failure")
            right = sasl("PLAIN", f"\0{name}\0{PASSWORD}".encode())
            answer = await wire.ask(right if last == "success" else wrong)
            self.assertEqual(answer.tag, f"{{{NS_SASL}}}{last}")
        self.assertEqual(await wire.goodbye(), "policy-violation")

    async def test_messages(self) -> None:
        """Two people write to each other."""
        names = self.account(), self.account()
        async with self.session(names[0]) as one, self.session(names[1]) as other:
            other.send_presence()
            came: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            other.add_event_handler("message", lambda message: came.set_result(message["body"]))
            one.send_message(other.boundjid.full, "hark")
            self.assertEqual(await within_bounds(came), "hark")

    async def test_largest_stanza(self) -> None:
        """The largest stanza that the server takes comes through in both directions."""
        name = self.account()
        wire = await self.wire(name)
        await wire.iq(BIND)
        body = "x" * (256 * 1024 - 1000)
        text = f"<message to='{name}@{DOMAIN}/r' type='chat'><body>{body}</body></message>"
        message = await self.until(wire, text, "{jabber:client}message")
        self.assertEqual(message.findtext(BODY), body)

    async def test_resumed(self) -> None:
        """A stream whose line is cut is resumed on a new one, and no message is lost."""
        name = self.account()
        wire = await self.wire(name)
        await wire.iq(BIND)
        enabled = await self.until(
            wire,
            "<presence/><enable xmlns='urn:xmpp:sm:3' resume='true'/>",
            f"{{{NS_SM}}}enabled",
        )
        wire.cut()
        async with self.session(self.account()) as friend:
            friend.send_message(f"{name}@{DOMAIN}/r", "while you were away")
            await friend.plugin["xep_0199"].send_ping(DOMAIN)
            again = await self.wire(name)
            previous = enabled.get("id")
            request = f"<resume xmlns='{NS_SM}' previd='{previous}' h='0'/>"
            await self.until(again, request, f"{{{NS_SM}}}resumed")
            message = await self.until(again, "", "{jabber:client}message")
            self.assertEqual(message.findtext(BODY), "while you were away")

    async def until(self, wire: Wire, text: str, tag: str) -> Element:
        """Write, and read up to an element."""
        wire.send(text)
        while (element := await wire.read()) is not None:
            if element.tag == tag:
                return element
        raise AssertionError(f"the stream ended before {tag}")

    async def test_gone(self) -> None:
        """The server notices at once that a client has closed its connection without a word."""
        names = self.account(), self.account()
        friend, client = [await self.wire(name) for name in names]
        for wire in (friend, client):
            await wire.iq(BIND)
        client.send(f"<presence to='{names[0]}@{DOMAIN}/r'/>")
        while (await self.until(friend, "", PRESENCE)).get("from") != f"{names[1]}@{DOMAIN}/r":
            pass
        client.close()
        gone = await self.until(friend, "", PRESENCE)
        self.assertEqual(gone.get("type"), "unavailable")

    async def test_registration_after_login(self) -> None:
        """What a user says about registration after login is the server's business."""
        invite = self.service.invite()
        wire = await self.wire(self.account())
        await wire.iq(BIND)
        self.assertEqual(await wire.preauth(invite), "service-unavailable")


class ProsodyTests(Through):
    kind = Prosody


class EjabberdTests(Through):
    kind = Ejabberd

    async def test_channel_binding(self) -> None:
        """A client that could bind to the channel, and is not offered it, gets in.

        It says so with the flag "y", which a stricter server would take for an attack
        (RFC 5802 §6): so the log names the mechanisms that are better switched off.
        """
        name = self.account()
        scram = ScramClient(["SCRAM-SHA-1"], name, PASSWORD, ("tls-unique", b"unused"))
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        first = scram.get_client_first()
        self.assertTrue(first.startswith("y,"))
        challenge = await wire.ask(sasl("SCRAM-SHA-1", first.encode()))
        scram.set_server_first(base64.b64decode(challenge.text or "").decode())
        final = base64.b64encode(scram.get_client_final().encode()).decode()
        answer = await wire.ask(f"<response xmlns='{NS_SASL}'>{final}</response>")
        self.assertEqual(answer.tag, f"{{{NS_SASL}}}success")
        await self.service.logged("offers .*SCRAM-SHA-1-PLUS.*disable_sasl_mechanisms")


class Own(GatewayCase):
    """What needs a server of a test's own."""

    @classmethod
    def setUpClass(cls) -> None:
        """Start nothing yet."""

    def tearDown(self) -> None:
        """See to the service that a test has started, if it has one."""

    def serve(self, server: Server) -> Server:
        self.server = server
        self.addCleanup(server.remove)
        server.start()
        return server

    async def refused(self, service: Service) -> str | None:
        """The stream error that a client gets."""
        wire = await Wire.connect_only(service)
        self.addCleanup(wire.close)
        wire.send(wire.header)
        return await wire.goodbye()

    async def test_registration_left_open(self) -> None:
        """A server that registers people is not used; what the log says helps."""
        server = self.serve(self.kind(registration=True))
        self.service = service = self.in_front(server)
        await service.logged("is not used: it registers accounts by itself")
        self.assertEqual(await self.refused(service), "remote-connection-failed")
        checked = await asyncio.to_thread(command, service, "check", "--online")
        place = f"{DOMAIN}: the server at tcp:127.0.0.1:{server.port}"
        self.assertEqual(checked.returncode, 2)
        self.assertIn(f"{place} cannot be used: it registers accounts by", checked.stderr)
        server.stop()
        checked = await asyncio.to_thread(command, service, "check", "--online")
        self.assertIn(f"{place} cannot be used: it cannot be reached: ", checked.stderr)
        self.close_registration(server)
        server.start()
        async with self.session(self.account()):
            await service.logged("is used again")
        checked = await asyncio.to_thread(command, service, "check", "--online")
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def close_registration(self, server: Server) -> None:
        raise NotImplementedError

    async def test_killed_and_restarted(self) -> None:
        """While the server is down clients are told so, and then all is well again."""
        server = self.serve(self.kind())
        self.service = service = self.in_front(server)
        name = self.account()
        # So that the account is on its disk.
        server.stop()
        server.start()
        async with self.session(name) as client:
            gone = asyncio.get_running_loop().create_future()
            client.add_event_handler("disconnected", gone.set_result)
            server.kill()
            await within_bounds(gone)
        for _ in range(2):
            self.assertEqual(await self.refused(service), "remote-connection-failed")
        server.start()
        async with self.session(name):
            await service.logged("is used again")
        service.check_log()

    async def test_wrong_certificate(self) -> None:
        """A server with a certificate that is not trusted gets no client, nor a byte of one."""
        server = self.serve(self.kind())
        other = server.folder / "other"
        other.mkdir()
        authority, _key = write_certificate(other, DOMAIN)
        for tls, port in (("starttls", server.port), ("direct", server.tls_port)):
            where = {"connect": f"tcp:127.0.0.1:{port}", "tls": tls, "ca": str(authority)}
            service = self.in_front(server, **where)
            await service.logged("is not used: its certificate is not trusted")
            self.assertEqual(await self.refused(service), "remote-connection-failed")

    async def test_direct_and_plain_mixed_up(self) -> None:
        """The wrong kind of TLS is named, and the right one works."""
        server = self.serve(self.kind())
        for tls, port in (("direct", server.port), ("starttls", server.tls_port)):
            service = self.in_front(server, connect=f"tcp:127.0.0.1:{port}", tls=tls)
            await service.logged("is not used: .*should tls be ")
        self.service = self.in_front(
            server, connect=f"tcp:127.0.0.1:{server.tls_port}", tls="direct"
        )
        async with self.session(self.account()):
            pass


class OwnProsodyTests(Own):
    kind = Prosody

    def close_registration(self, server: Server) -> None:
        assert isinstance(server, Prosody)
        server.registration = False


class OwnEjabberdTests(Own):
    kind = Ejabberd

    def close_registration(self, server: Server) -> None:
        assert isinstance(server, Ejabberd)
        del server.settings["modules"]["mod_register"]
        server.settings["disable_sasl_mechanisms"] = PLUS  # As the check asks for.

    async def test_proxy_protocol(self) -> None:
        """The server sees the client's address in place of the gateway's."""
        server = Ejabberd()
        for listener in server.settings["listen"][:2]:
            listener["use_proxy_protocol"] = True
        # As the log asks for it elsewhere.
        server.settings["disable_sasl_mechanisms"] = PLUS
        self.serve(server)
        for version in ("v1", "v2"):
            self.service = self.in_front(server, proxy_protocol=version)
            wire = await Wire.connect(self.service)
            self.addCleanup(wire.close)
            port = self.service.tls_port
            told = (
                f"Accepted proxied connection 127.0.0.1:{wire.local_port} -> 127.0.0.1:{port}"
            )
            await until(lambda told=told: told in server.log_text(), f"never logged: {told}")
            self.assertNotIn("PLUS", self.service.log_text())


del GatewayCase, Through, Own
