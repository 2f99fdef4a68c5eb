"""The line from the gateway to a real server is cut at every step of a client's stream."""

import base64
from typing import ClassVar
from unittest import IsolatedAsyncioTestCase

from tests.peers.cutline import Fault, Line
from tests.peers.gateway import in_front
from tests.peers.servers import Ejabberd, Prosody, Server, started
from tests.service.running import Service
from tests.service.wire import NS_SASL, NS_STREAM_ERRORS, Wire

PASSWORD = "a password of long ago"
BIND = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
PING = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
ALL, ENDED, FAILED = "all was answered", "the connection ended", "remote-connection-failed"


class CutCase(IsolatedAsyncioTestCase):
    kind: ClassVar[type[Server]]
    line: ClassVar[Line]
    service: ClassVar[Service]

    @classmethod
    def setUpClass(cls) -> None:
        server = started(cls.kind)
        server.register("mercutio", PASSWORD)
        cls.addClassCleanup(server.unregister, "mercutio")
        cls.line = Line(server.port)
        cls.addClassCleanup(cls.line.close)
        cls.service = in_front(server, connect=f"tcp:127.0.0.1:{cls.line.port}")
        cls.addClassCleanup(cls.service.remove)
        cls.service.start()

    async def session(self) -> str:
        """How it ends with a client that logs in, binds, and is answered once."""
        wire = await Wire.connect_only(self.service)
        secret = base64.b64encode(f"\0mercutio\0{PASSWORD}".encode()).decode()
        login = f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>{secret}</auth>"
        try:
            for text in (wire.header, login, wire.header, BIND, PING):
                if text == wire.header:
                    wire._begin()
                wire.send(text)
                answer = await wire.read()
                if answer is None:
                    return ENDED
                if answer.tag.endswith("streams}error"):
                    return answer[0].tag.removeprefix(f"{{{NS_STREAM_ERRORS}}}")
                self.assertNotIn("failure", answer.tag)
                self.assertNotEqual(answer.get("type"), "error")
            wire.send("</stream:stream>")
            await wire.rest()
        except ConnectionError:
            return ENDED
        finally:
            wire.close()
        return ALL

    async def test_every_step(self) -> None:
        """The client is told so, or its connection ends; the next one is served."""
        self.assertEqual(await self.session(), ALL)
        for fault in (Fault.RESET, Fault.END):
            ends: list[str] = []
            cut = True
            while cut:
                self.line.wait_unused()
                self.line.plan(len(ends) + 1, fault)
                ends.append(await self.session())
                cut = self.line.happened.is_set()
                self.line.plan(None)
                self.assertEqual(await self.session(), ALL, f"{fault}: after {ends}")
            # It is told before it has its features. After them its connection ends, but where
            # it had said nothing yet, or had its last answer.
            told = ends.count(FAILED)
            self.assertGreaterEqual(told, 6, ends)
            self.assertLessEqual(set(ends), {FAILED, ENDED, ALL})
            self.assertGreaterEqual(ends.count(ENDED), 4, ends)
            self.assertEqual(ends[-1], ALL)
        self.service.check_log()


class ProsodyTests(CutCase):
    kind = Prosody


class EjabberdTests(CutCase):
    kind = Ejabberd


del CutCase
