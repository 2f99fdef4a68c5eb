"""aioxmpp: registers by token on a stream of its own, and comes back to log in."""

import asyncio
import logging
import sys
from typing import Any

import pytest

from tests.peers import require_peer
from tests.service.running import DOMAIN, SECONDS, Service, ServiceCase, within_bounds

if sys.version_info >= (3, 13):
    # Its last release wants an lxml that has no wheel for later Pythons.
    pytest.skip("aioxmpp cannot be installed on this Python", allow_module_level=True)
aioxmpp = require_peer("aioxmpp")

import aiosasl  # noqa: E402
from aioxmpp import ibr, xso  # noqa: E402
from aioxmpp.connector import STARTTLSConnector, XMPPOverTLSConnector  # noqa: E402
from aioxmpp.ping import ping  # noqa: E402
from aioxmpp.protocol import send_and_wait_for  # noqa: E402
from aioxmpp.security_layer import (  # noqa: E402
    CertificateVerifier,
    PasswordSASLProvider,
    SecurityLayer,
    default_ssl_context,
)
from aioxmpp.version import query_version  # noqa: E402

SERVER = aioxmpp.JID.fromstr(DOMAIN)


@aioxmpp.IQ.as_payload_class
class Preauth(xso.XSO):
    TAG = ("urn:xmpp:pars:0", "preauth")
    token = xso.Attr("token")

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token


class OneMechanism(PasswordSASLProvider):  # type: ignore[misc]
    """Logs in by one mechanism alone, whatever else is offered."""

    def __init__(self, password: str, mechanism: str | None) -> None:
        async def provide(_jid: Any, _attempt: int) -> str:
            return password

        super().__init__(provide, max_auth_attempts=1)
        self._mechanism = mechanism

    def _find_supported(self, features: Any, classes: list[Any]) -> tuple[Any, Any]:
        if self._mechanism is None:
            return super()._find_supported(features, classes)  # type: ignore[no-any-return]
        for one in classes:
            token = one.any_supported([self._mechanism])
            if token is not None:
                return one, token
        return None, None


class ChainVerifier(CertificateVerifier):  # type: ignore[misc]
    """Leaves the verdict to OpenSSL; aioxmpp's own ask pyOpenSSL for what it has dropped."""

    def verify_callback(
        self, _context: Any, _certificate: Any, _error: int, _depth: int, verdict: int
    ) -> bool:
        return bool(verdict)

    async def post_handshake(self, _transport: Any) -> None:
        pass


class Stream:
    """A stream on which nobody logs in."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @classmethod
    async def connect(cls, service: Service, direct: bool) -> "Stream":
        host, port, connector = _place(service, direct)
        layer = _security(service, "", None)
        loop, log = asyncio.get_running_loop(), logging.getLogger("aioxmpp")
        connecting = connector.connect(loop, layer, DOMAIN, host, port, SECONDS, log)
        _transport, stream, _features = await within_bounds(connecting)
        return cls(stream)

    async def preauth(self, token: str) -> str:
        return (await self._ask(Preauth(token)))[0]

    async def form(self) -> Any:
        return (await self._ask(ibr.Query(), aioxmpp.IQType.GET))[1]

    async def register(self, username: str, password: str) -> str:
        return (await self._ask(ibr.Query(username, password)))[0]

    async def close(self) -> None:
        await within_bounds(self._stream.close_and_wait())

    async def _ask(self, payload: Any, kind: Any = aioxmpp.IQType.SET) -> tuple[str, Any]:
        iq = aioxmpp.IQ(to=SERVER, type_=kind, payload=payload)
        iq.autoset_id()
        answer = await send_and_wait_for(self._stream, [iq], [aioxmpp.IQ], timeout=SECONDS)
        if answer.type_ == aioxmpp.IQType.ERROR:
            return answer.error.condition.value[1], None
        return "result", answer.payload


class AioxmppTests(ServiceCase):
    settings = "accounts: {scram_sha_1: true}\nsite_name: Montague"

    async def stream(self, direct: bool = False) -> Stream:
        stream = await Stream.connect(self.service, direct)
        self.addAsyncCleanup(stream.close)
        return stream

    async def register(self, name: str, direct: bool = False, token: str = "") -> str:
        """Register with a token, or a fresh one; returns the password."""
        stream, password = await self.stream(direct), self.service.secret()
        self.assertEqual(await stream.preauth(token or self.service.invite()), "result")
        fields = ibr.get_used_fields(await stream.form())
        self.assertLessEqual({(ibr.Query.TAG[0], "username")}, set(fields))
        self.assertEqual(await stream.register(name, password), "result")
        return password

    def client(
        self, name: str, password: str, mechanism: str | None = None, direct: bool = False
    ) -> Any:
        return person(self.service, name, password, mechanism, direct)

    async def test_starttls(self) -> None:
        """Who registered comes back over STARTTLS, and the domain answers as a server does."""
        client = self.client("romeo", await self.register("romeo"))
        disco = client.summon(aioxmpp.DiscoClient)
        async with connected(client):
            self.assertEqual(str(client.local_jid.bare()), f"romeo@{DOMAIN}")
            await ping(client, SERVER)
            info = await disco.query_info(SERVER)
            identities = [(i.category, i.type_, i.name) for i in info.identities]
            self.assertEqual(identities, [("server", "im", "Montague")])
            self.assertEqual(list((await disco.query_items(SERVER)).items), [])
            version = await query_version(client.stream, SERVER)
            self.assertEqual(version.name, "invitereg")

    async def test_direct_tls(self) -> None:
        """The same where TLS comes first, with ALPN as this client asks for it."""
        client = self.client("juliet", await self.register("juliet", direct=True), direct=True)
        async with connected(client):
            await ping(client, SERVER)

    async def test_mechanisms(self) -> None:
        """The password that was registered opens a new stream, whichever way it is proved."""
        password = await self.register("nurse")
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
            client = self.client("nurse", password, mechanism)
            async with connected(client):
                await ping(client, SERVER)

    async def test_wrong_password(self) -> None:
        """A password that is not the account's is refused by every mechanism."""
        await self.register("mercutio")
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
            client = self.client("mercutio", self.service.secret(), mechanism)
            with self.assertRaisesRegex(aiosasl.AuthenticationFailure, "not-authorized"):
                async with connected(client):
                    pass

    async def test_second_try(self) -> None:
        """After a wrong token, a taken name and a weak password the stream is still good."""
        await self.register("tybalt")
        stream, password = await self.stream(), self.service.secret()
        self.assertEqual(await stream.preauth("wrong"), "item-not-found")
        self.assertEqual(await stream.register("benvolio", password), "forbidden")
        self.assertEqual(await stream.preauth(self.service.invite()), "result")
        self.assertEqual(await stream.register("tybalt", password), "conflict")
        self.assertEqual(await stream.register("benvolio", "short"), "not-acceptable")
        self.assertEqual(await stream.register("benvolio", password), "result")
        async with connected(self.client("benvolio", password)):
            pass

    async def test_contacts(self) -> None:
        """Who was invited by somebody sees them in the roster, sees them come, and writes."""
        romeo = self.client("rosaline", await self.register("rosaline"))
        heard: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        messages = romeo.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
        messages.register_callback(None, None, heard.set_result)
        token = self.service.invite(inviter="rosaline", contact=True)
        password = await self.register("benvolia", token=token)
        juliet = self.client("benvolia", password)
        contacts = juliet.summon(aioxmpp.RosterClient)
        seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        presence = juliet.summon(aioxmpp.PresenceClient)
        presence.on_available.connect(
            lambda jid, _stanza: jid.localpart == "rosaline" and seen.set_result(jid)
        )
        async with available(juliet), available(romeo):
            friend = aioxmpp.JID("rosaline", DOMAIN, None)
            self.assertEqual(contacts.items[friend].subscription, "both")
            self.assertEqual((await within_bounds(seen)).bare(), friend)
            message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=friend)
            message.body[None] = "Good morrow"
            await juliet.send(message)
            arrived = await within_bounds(heard)
            self.assertEqual(
                (arrived.from_, arrived.body.any()), (juliet.local_jid, "Good morrow")
            )


def person(
    service: Service, name: str, password: str, mechanism: str | None, direct: bool
) -> Any:
    """A client of somebody who has an account."""
    return aioxmpp.PresenceManagedClient(
        aioxmpp.JID(name, DOMAIN, None),
        _security(service, password, mechanism),
        override_peer=[_place(service, direct)],
        max_initial_attempts=1,
    )


def available(client: Any) -> Any:
    """A context in which the client is connected and available."""
    return client.connected(presence=aioxmpp.PresenceState(True))


def connected(client: Any) -> Any:
    """A context in which the client is connected, and sends no presence by itself."""
    return client.connected(presence=aioxmpp.PresenceState(False))


def _place(service: Service, direct: bool) -> tuple[str, int, Any]:
    if direct:
        return "127.0.0.1", service.tls_port, XMPPOverTLSConnector()
    return "127.0.0.1", service.port, STARTTLSConnector()


def _security(service: Service, password: str, mechanism: str | None) -> Any:
    def context() -> Any:
        made = default_ssl_context()
        made.load_verify_locations(str(service.certificate))
        return made

    providers = (OneMechanism(password, mechanism),)
    return SecurityLayer(context, ChainVerifier, True, providers)
