"""The gateway over real connections, in front of a server that notes every byte."""

import asyncio
import contextlib
import re
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from unittest import IsolatedAsyncioTestCase, skipUnless

from invitereg.runtime.tls import write_certificate
from tests.service.running import Service, free_ports, within_bounds
from tests.service.test_process import STOPPED
from tests.service.wire import HEADER, Wire

ANSWER = (
    HEADER.replace(" to=", " from=")
    + "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"
)
FIRST = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
SUCCESS = b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
# More than all buffers on the way hold together.
MUCH = b"0123456789abcdef" * (1 << 20)
MAX_GROWTH = 8 * 1024
"""KiB that the gateway may grow by while it holds what nobody reads."""


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


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is removed in the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def has_ipv6() -> bool:
    """Whether this machine has an address of its own in IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def in_front(connect: str, keys: str = "tls: none") -> Service:
    """A gateway that is about to start."""
    # Nobody registers here: no backend needs to answer.
    backend = "accounts: {backend: ejabberd, url: 'http://127.0.0.1:9/api'}"
    return Service(backend, upstream=f"{{connect: '{connect}', {keys}}}")


class RawCase(IsolatedAsyncioTestCase):
    """Tests with a server that does what they tell it to."""

    service: Service

    async def asyncSetUp(self) -> None:
        self.server = Recorder()

    async def listen(
        self, port: int, host: str = "127.0.0.1", **options: ssl.SSLContext
    ) -> None:
        """Let the server listen."""
        listening = await asyncio.start_server(self.server.serve, host, port, **options)
        self.addCleanup(listening.close)

    async def handed_over(
        self, tls: str, logged_in: bool = True
    ) -> tuple[Wire, asyncio.StreamReader, asyncio.StreamWriter]:
        """A client, and both directions of its connection at the server."""
        wire = await Wire.connect(self.service, tls)
        self.addCleanup(wire.close)
        wire.send(FIRST)
        reader, writer = await within_bounds(self.server.came)
        if logged_in:
            writer.write(SUCCESS)
            await wire.read()
        return wire, reader, writer


class RawTests(RawCase):
    """One gateway for all; each test has a server of its own at its port."""

    port: int

    @classmethod
    def setUpClass(cls) -> None:
        (cls.port,) = free_ports(1)
        cls.service = in_front(f"tcp:127.0.0.1:{cls.port}")
        cls.addClassCleanup(cls.service.remove)
        cls.service.start()

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.listen(self.port)

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

    async def test_server_half_closes(self) -> None:
        """A server that has only said its last word is not kept waiting for the client's."""
        wire, reader, writer = await self.handed_over("direct")
        writer.write(MUCH)
        writer.write_eof()
        self.assertTrue(await within_bounds(wire.rest()) == MUCH)
        self.assertEqual(await within_bounds(reader.read()), b"")

    async def test_client_is_cut_off(self) -> None:
        """A client that is gone without the end of TLS is gone for the server, too."""
        wire, reader, _writer = await self.handed_over("direct")
        wire.send("<presence/>")
        self.assertEqual(await within_bounds(reader.readexactly(11)), b"<presence/>")
        wire.cut()
        self.assertEqual(await within_bounds(reader.read()), b"")
        self.service.check_log()

    async def test_client_does_not_read(self) -> None:
        """What a client does not read fills the server's memory, and not the gateway's."""
        wire, _reader, writer = await self.handed_over("direct")
        before = self.most_memory()
        wire.stop_reading()
        await self.fill(writer)
        self.assertLess(self.most_memory() - before, MAX_GROWTH)

    async def test_server_does_not_read(self) -> None:
        """Nor does what a server does not read."""
        wire, _reader, writer = await self.handed_over("direct")
        before = self.most_memory()
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        await self.fill(wire.writer)
        self.assertLess(self.most_memory() - before, MAX_GROWTH)

    async def fill(self, writer: asyncio.StreamWriter) -> None:
        """Send until nothing goes any more, which is before it is 64 MiB."""
        for _ in range(64):
            writer.write(b"x" * (1 << 20))
            try:
                await asyncio.wait_for(writer.drain(), 1)
            except TimeoutError:
                return
        self.fail("all of it can be sent")

    def most_memory(self) -> int:
        """The most KiB that the gateway has ever had."""
        status = Path(f"/proc/{self.service.pid}/status").read_text()
        found = re.search(r"VmHWM:\s*(\d+)", status)
        assert found is not None
        return int(found[1])


class ReachedTests(RawCase):
    """A server that is reached in other ways than most."""

    def in_front(self, connect: str, keys: str = "tls: none") -> None:
        """Start the gateway."""
        self.service = in_front(connect, keys)
        self.addCleanup(self.service.remove)
        self.service.start()

    async def gets_through(self) -> None:
        """A client gets to the server, and its bytes do."""
        wire, reader, _writer = await self.handed_over("direct")
        wire.send("<presence/>")
        self.assertEqual(await within_bounds(reader.readexactly(11)), b"<presence/>")
        self.service.check_log()

    @skipUnless(has_ipv6(), "this machine has no IPv6")
    async def test_ipv6(self) -> None:
        """By IPv6, with the colons of its address escaped, as Twisted has it."""
        (port,) = free_ports(1)
        await self.listen(port, "::1")
        self.in_front(rf"tcp:\:\:1:{port}")
        await self.gets_through()

    async def test_unix(self) -> None:
        """By a UNIX socket."""
        path = self.enterContext(temporary_folder()) / "socket"
        listening = await asyncio.start_unix_server(self.server.serve, path)
        self.addCleanup(listening.close)
        self.in_front(f"unix:{path}")
        await self.gets_through()

    async def test_certificate_for_another_domain(self) -> None:
        """A certificate that is trusted, and another domain's, is refused without a word."""
        folder = self.enterContext(temporary_folder())
        certificate, key = write_certificate(folder, "example.net")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        heard: list[bytes] = []
        self.server.serve = self.listening_only(heard)  # type: ignore[method-assign]
        (port,) = free_ports(1)
        await self.listen(port, ssl=context)
        self.in_front(f"tcp:127.0.0.1:{port}", f"tls: direct, ca: {certificate}")
        await self.service.logged("its certificate is not for localhost: give it one that is")
        for _ in range(2):
            wire = await Wire.connect_only(self.service)
            self.addCleanup(wire.close)
            wire.send(HEADER + FIRST)
            self.assertEqual(await wire.goodbye(), "remote-connection-failed")
        self.assertEqual(b"".join(heard), b"")
        self.service.check_log()

    async def test_stopped(self) -> None:
        """When the gateway stops, both ends get what was sent, and nothing of the gateway's."""
        self.assertEqual(await self.stopped(logged_in=True), b"<message/>")

    async def test_stopped_before_login(self) -> None:
        """Before a login the client is told why, after all that the server has said."""
        self.assertRegex(
            await self.stopped(logged_in=False), rb"\A<message/><stream:error><system-shutdown "
        )

    async def stopped(self, logged_in: bool) -> bytes:
        """What a client gets of which the server has said a word when the gateway stops."""
        (port,) = free_ports(1)
        await self.listen(port)
        self.in_front(f"tcp:127.0.0.1:{port}")
        wire, reader, writer = await self.handed_over("starttls", logged_in)
        writer.write(b"<message/>")
        wire.send("<presence/>")
        self.assertEqual(await within_bounds(reader.readexactly(11)), b"<presence/>")
        ends = asyncio.gather(wire.rest(), reader.read())
        status = asyncio.to_thread(self.service.stop)
        self.assertIn(await within_bounds(status), STOPPED)
        got, at_the_server = await within_bounds(ends)
        self.assertEqual(at_the_server, b"")
        self.service.check_log()
        return got

    def listening_only(self, heard: list[bytes]) -> Callable[..., Awaitable[None]]:
        """A server that says nothing, and notes what it hears."""

        async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                heard.append(await reader.read())

        return serve
