"""The gateway over real connections, in front of a server that notes every byte."""

import asyncio
from unittest import IsolatedAsyncioTestCase

from tests.service.running import Service, free_ports, within_bounds
from tests.service.wire import HEADER, Wire

ANSWER = (
    HEADER.replace(" to=", " from=")
    + "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"
)
FIRST = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
# More than all buffers on the way hold together.
MUCH = b"0123456789abcdef" * (1 << 20)


class Recorder:
    """A server that offers a login, and then does what a test tells it to.

    Attributes:
        came: fires with the two ends of the connection once a client has been handed over.
    """

    def __init__(self) -> None:
        self.came: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        self.came = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readuntil(b"xmlns:stream='http://etherx.jabber.org/streams'>")
        assert header.startswith(b"<?xml"), header
        writer.write(ANSWER.encode())
        first = await reader.readuntil(b"/>")
        if first == FIRST.encode():
            self.came.set_result((reader, writer))
        else:  # the question whether it registers people
            writer.close()


class RawTests(IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.server = Recorder()
        (port,) = free_ports(1)
        listening = await asyncio.start_server(self.server.serve, "127.0.0.1", port)
        self.addCleanup(listening.close)
        # Nobody registers here: no backend needs to answer.
        backend = "accounts: {backend: ejabberd, url: 'http://127.0.0.1:9/api'}"
        upstream = f"{{connect: 'tcp:127.0.0.1:{port}', tls: none}}"
        service = Service(backend, upstream=upstream)
        self.addCleanup(service.remove)
        service.start()
        self.service = service

    async def handed_over(
        self, tls: str
    ) -> tuple[Wire, asyncio.StreamReader, asyncio.StreamWriter]:
        """A client, and both directions of its connection at the server."""
        wire = await Wire.connect(self.service, tls)
        self.addCleanup(wire.close)
        wire.send(FIRST)
        return wire, *await within_bounds(self.server.came)

    async def test_server_leaves(self) -> None:
        """All that a server has sent arrives, however slow the client, before the end."""
        wire, _reader, writer = await self.handed_over("direct")
        writer.write(MUCH)
        writer.close()
        self.assertTrue(await within_bounds(wire.rest()) == MUCH)
        self.service.check_log()

    async def test_client_leaves(self) -> None:
        """All that a client has sent arrives, however slow the server, before the end."""
        wire, reader, _writer = await self.handed_over("starttls")
        wire.send(MUCH.decode())
        wire.close()
        self.assertTrue(await within_bounds(reader.read()) == MUCH)
        self.service.check_log()
