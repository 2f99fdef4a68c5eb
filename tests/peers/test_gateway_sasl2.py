"""SASL2 (XEP-0388) through the gateway, with Prosody's module for it."""

import base64
from unittest import IsolatedAsyncioTestCase
from xml.etree.ElementTree import Element

from scramp import ScramClient

from invitereg.model.namespaces import NS_SASL2
from tests.peers.gateway import in_front
from tests.peers.servers import Prosody
from tests.service.running import Service
from tests.service.wire import NS_SASL, Wire

NS_BIND2 = "urn:xmpp:bind:0"
NAME, PASSWORD = "juliet", "a password of long ago"
# What Debian 12's module asks of a connection, and Prosody has from its next version on.
SHIM = """
module:hook("stream-features", function (event)
    local methods = getmetatable(event.origin.conn).__index;
    function methods:ssl_info()
        return self.conn.info and self.conn:info();
    end
    function methods:ssl_peerfinished()
        return self.conn.getpeerfinished and self.conn:getpeerfinished();
    end
end, 100);
"""


def authenticate(mechanism: str, data: bytes, more: str = "") -> str:
    """The beginning of a login."""
    return (
        f"<authenticate xmlns='{NS_SASL2}' mechanism='{mechanism}'>"
        f"<initial-response>{base64.b64encode(data).decode()}</initial-response>"
        f"{more}</authenticate>"
    )


def mechanisms(features: Element, container: str) -> set[str | None]:
    """What is offered in one of the places for it."""
    found = features.find(container)
    assert found is not None, "nothing is offered"
    return {child.text for child in found if child.tag.endswith("}mechanism")}


class Sasl2Tests(IsolatedAsyncioTestCase):
    server: Prosody
    service: Service

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = server = Prosody()
        cls.addClassCleanup(server.remove)
        (server.folder / "mod_shim_for_sasl2.lua").write_text(SHIM)
        server.modules += " sasl2 sasl2_bind2 shim_for_sasl2"
        server.settings += [
            f'plugin_paths = {{ "{server.folder}" }}',
            # Channel binding is tls-unique here, which TLS 1.3 has not.
            'c2s_direct_tls_ssl = { protocol = "tlsv1_2" }',
        ]
        server.start()
        server.register(NAME, PASSWORD)
        connect = f"tcp:127.0.0.1:{server.tls_port}"
        cls.service = in_front(server, connect=connect, tls="direct")
        cls.addClassCleanup(cls.service.remove)
        cls.service.start()

    def tearDown(self) -> None:
        self.service.check_log()

    async def connected(self) -> Wire:
        """A connection on which nothing was said yet."""
        wire = await Wire.connect_only(self.service)
        self.addCleanup(wire.close)
        return wire

    async def test_pipelined(self) -> None:
        """Header, login and resource go out together; the session is there with the answer."""
        wire = await self.connected()
        bind = f"<bind xmlns='{NS_BIND2}'><tag>test</tag></bind>"
        login = authenticate("PLAIN", f"\0{NAME}\0{PASSWORD}".encode(), bind)
        ping = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
        wire.send(wire.header + login + ping)
        answers = [await wire.read() for _ in range(4)]
        tags = [answer.tag.rpartition("}")[2] for answer in answers if answer is not None]
        self.assertEqual(tags, ["features", "success", "features", "iq"])
        success, pong = answers[1], answers[3]
        assert success is not None
        assert pong is not None
        self.assertIn(
            f"{NAME}@", success.findtext(f"{{{NS_SASL2}}}authorization-identifier") or ""
        )
        self.assertIsNotNone(success.find(f"{{{NS_BIND2}}}bound"))
        self.assertEqual((pong.get("id"), pong.get("type")), ("p", "result"))

    async def test_registration_first(self) -> None:
        """Pipelined behind a request about registration it works as well."""
        wire = await self.connected()
        form = "<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>"
        login = authenticate("PLAIN", f"\0{NAME}\0{PASSWORD}".encode())
        wire.send(wire.header + form + login)
        tags = [answer.tag for answer in [await wire.read() for _ in range(3)] if answer]
        self.assertEqual(tags[1:], ["{jabber:client}iq", f"{{{NS_SASL2}}}success"])

    async def test_channel_binding(self) -> None:
        """What the server offers for its TLS connection is not offered, in neither place."""
        wire = await self.connected()
        features = await wire.open()
        places = (f"{{{NS_SASL}}}mechanisms", f"{{{NS_SASL2}}}authentication")
        for place in places:
            self.assertEqual(mechanisms(features, place), {"SCRAM-SHA-1", "PLAIN"})
        await self.service.logged("offers SCRAM-SHA-1-PLUS, which cannot pass")
        self.assertIsNotNone(features.find(f"{places[1]}/{{{NS_SASL2}}}inline"))

    async def test_scram(self) -> None:
        """SCRAM works in it, in its two round trips."""
        wire = await self.connected()
        await wire.open()
        scram = ScramClient(["SCRAM-SHA-1"], NAME, PASSWORD)
        challenge = await wire.ask(
            authenticate("SCRAM-SHA-1", scram.get_client_first().encode())
        )
        scram.set_server_first(base64.b64decode(challenge.text or "").decode())
        final = base64.b64encode(scram.get_client_final().encode()).decode()
        answer = await wire.ask(f"<response xmlns='{NS_SASL2}'>{final}</response>")
        self.assertEqual(answer.tag, f"{{{NS_SASL2}}}success")
