"""slixmpp: registers by token as its stream features come in, and goes on with SASL."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any, ClassVar

from tests.peers import require_peer
from tests.service.running import DOMAIN, SECONDS, Service, ServiceCase, within_bounds

slixmpp = require_peer("slixmpp")

from slixmpp import ClientXMPP  # noqa: E402
from slixmpp.exceptions import IqError  # noqa: E402
from slixmpp.stanza import Iq, StreamFeatures  # noqa: E402
from slixmpp.xmlstream import ElementBase, register_stanza_plugin  # noqa: E402


class TokenFeature(ElementBase):
    name = "register"
    namespace = "urn:xmpp:ibr-token:0"
    plugin_attrib = "ibr_token"


class Preauth(ElementBase):
    name = "preauth"
    namespace = "urn:xmpp:pars:0"
    plugin_attrib = "preauth"
    interfaces: ClassVar[set[str]] = {"token"}


register_stanza_plugin(StreamFeatures, TokenFeature)
register_stanza_plugin(Iq, Preauth)


class Client(ClientXMPP):
    """A person with slixmpp, who tries tokens and forms one after the other.

    Attributes:
        answers: what each token and each form was answered: "result" or a condition.
        served: the domain as this client spells it.
    """

    served = DOMAIN

    def __init__(
        self,
        service: Service,
        login: tuple[str, str],
        tokens: Sequence[str] = (),
        forms: Sequence[tuple[str, str]] = (),
        direct: bool = False,
        mechanism: str | None = None,
        then_login: bool = True,
    ) -> None:
        username, password = login
        plugins = {"feature_mechanisms": {"use_mech": mechanism}}
        super().__init__(f"{username}@{self.served}", password, plugin_config=plugins)
        self._always_send_everything = True
        self._port = service.tls_port if direct else service.port
        self.enable_direct_tls, self.enable_starttls = direct, not direct
        self.ssl_context = ssl.create_default_context(cafile=service.certificate)
        for plugin in ("xep_0030", "xep_0077", "xep_0092", "xep_0199"):
            self.register_plugin(plugin)
        self._tokens, self._forms, self._then_login = tokens, forms, then_login
        self.answers: list[str] = []
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if forms:
            self.register_feature("ibr_token", self._preauthorise, order=45)
            self.add_event_handler("register", self._register)
        for event in ("session_start", "failed_all_auth", "registered", "disconnected"):
            self.add_event_handler(event, lambda _data, event=event: self._end(event))

    async def run(self) -> str:
        """Connect; returns how that went: session_start, failed_all_auth or registered."""
        self.connect("127.0.0.1", self._port)
        return await within_bounds(self.ended)

    async def leave(self) -> None:
        """Close the stream."""
        self.cancel_connection_attempt()
        await within_bounds(asyncio.ensure_future(self.disconnect()))

    def _end(self, event: str) -> None:
        if not self.ended.done():
            self.ended.set_result(event)

    async def _preauthorise(self, _features: Any) -> bool:
        for token in self._tokens:
            iq = self.make_iq_set()
            iq["to"] = self.served
            iq["preauth"]["token"] = token
            await self._send(iq)
        return False

    async def _register(self, form: Any) -> None:
        assert "username" in form["register"]["fields"], form
        for username, password in self._forms:
            iq = self.make_iq_set()
            iq["register"]["username"] = username
            iq["register"]["password"] = password
            await self._send(iq)
        if not self._then_login:
            self._end("registered")
            await asyncio.sleep(SECONDS)

    async def _send(self, iq: Any) -> None:
        try:
            await iq.send()
        except IqError as error:
            self.answers.append(error.condition)
        else:
            self.answers.append("result")


class SlixmppTests(ServiceCase):
    settings = "accounts: {scram_sha_1: true}\nsite_name: Capulet"

    def client(self, *args: Any, **options: Any) -> Client:
        client = Client(self.service, *args, **options)
        self.addAsyncCleanup(client.leave)
        return client

    async def register(self, name: str, **options: Any) -> tuple[Client, str]:
        """A client that registers with a fresh token, and how that ends."""
        me = (name, self.service.secret())
        client = self.client(me, tokens=[self.service.invite()], forms=[me], **options)
        return client, await client.run()

    async def test_starttls(self) -> None:
        """One stream does it all: STARTTLS, token, form, login, and ordinary life after it."""
        client, ended = await self.register("romeo")
        self.assertEqual((client.answers, ended), (["result", "result"], "session_start"))
        self.assertEqual(client.boundjid.bare, f"romeo@{DOMAIN}")
        await client.plugin["xep_0199"].send_ping(DOMAIN)
        info = await client.plugin["xep_0030"].get_info(jid=DOMAIN)
        self.assertIn(("server", "im", None, "Capulet"), info["disco_info"]["identities"])
        items = await client.plugin["xep_0030"].get_items(jid=DOMAIN)
        self.assertEqual(items["disco_items"]["items"], set())
        version = await client.plugin["xep_0092"].get_version(DOMAIN)
        self.assertEqual(version["software_version"]["name"], "invitereg")

    async def test_direct_tls(self) -> None:
        """The same where TLS comes first."""
        client, ended = await self.register("juliet", direct=True)
        self.assertEqual((client.answers, ended), (["result", "result"], "session_start"))
        await client.plugin["xep_0199"].send_ping(DOMAIN)

    async def test_mechanisms(self) -> None:
        """The password that was registered opens a new stream, whichever way it is proved."""
        for number, direct in enumerate((False, True)):
            me = (f"nurse{number}", self.service.secret())
            registering = self.client(
                me, tokens=[self.service.invite()], forms=[me], then_login=False, direct=direct
            )
            self.assertEqual(await registering.run(), "registered")
            await registering.leave()
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
                client = self.client(me, mechanism=mechanism, direct=direct)
                self.assertEqual(await client.run(), "session_start", mechanism)
                self.assertEqual(client.plugin["feature_mechanisms"].mech.name, mechanism)

    async def test_wrong_password(self) -> None:
        """A password that is not the account's is refused by every mechanism."""
        await self.register("mercutio")
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
            client = self.client(("mercutio", self.service.secret()), mechanism=mechanism)
            self.assertEqual(await client.run(), "failed_all_auth", mechanism)

    async def test_second_try(self) -> None:
        """After a wrong token, a taken name and a weak password the stream is still good."""
        await self.register("tybalt")
        password = self.service.secret()
        client = self.client(
            ("benvolio", password),
            tokens=["wrong", self.service.invite()],
            forms=[("tybalt", password), ("benvolio", "short"), ("benvolio", password)],
        )
        self.assertEqual(await client.run(), "session_start")
        expected = ["item-not-found", "result", "conflict", "not-acceptable", "result"]
        self.assertEqual(client.answers, expected)

    async def test_no_token(self) -> None:
        """Without an invitation nobody registers."""
        me = ("paris", self.service.secret())
        client = self.client(me, forms=[me])
        self.assertEqual(await client.run(), "failed_all_auth")
        self.assertEqual(client.answers, ["forbidden"])

    async def test_change_password(self) -> None:
        """The client changes the password, goes on, and logs in with the new one elsewhere."""
        client, _ended = await self.register("benvolio2")
        password = self.service.secret()
        await client.plugin["xep_0077"].change_password(password, DOMAIN)
        await client.plugin["xep_0199"].send_ping(DOMAIN)
        again = self.client(("benvolio2", password))
        self.assertEqual(await again.run(), "session_start")

    async def test_cancel_registration(self) -> None:
        """The client removes its account: the stream ends, and the password opens nothing."""
        client, _ended = await self.register("sampson")
        gone = client.wait_until("disconnected", SECONDS)
        await client.plugin["xep_0077"].cancel_registration()
        await gone
        again = self.client(("sampson", client.password))
        self.assertEqual(await again.run(), "failed_all_auth")
