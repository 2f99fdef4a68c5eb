"""The line between two parts, which a test cuts wherever it likes."""

import asyncio
import contextlib
import functools
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from enum import StrEnum
from typing import Any, TypeVar

from tests.service.running import SECONDS

T = TypeVar("T")

_LINGER_NOT = struct.pack("ii", 1, 0)


class Fault(StrEnum):
    """What happens to a piece, and to the connection that it is on."""

    RESET = "it is lost, and both ends are told that the connection was reset"
    END = "it arrives, and then both ends are told that the other one has closed"
    HOLD = "it is held back, with all that comes after it in either direction"


class Line:
    """Connects to a server for whoever connects to it, and counts what crosses.

    A *piece* is what one side has written and the other one would have read at once. It runs in
    a thread of its own, so that a test may wait for anything meanwhile.

    Attributes:
        port: where to connect to on this machine.
        pieces: how many have crossed, or were to cross, since `plan`, in both directions.
        sent, received: bytes that have come to the server, and from it.
        happened: set once what was planned is done.
    """

    def __init__(self, target: int) -> None:
        """Listen at once; ``target`` is the server's port on this machine."""
        self.happened = threading.Event()
        self.pieces = self.sent = self.received = 0
        self._at: int | None = None
        self._fault = Fault.RESET
        self._target = target
        self._connections: set[_Connection] = set()
        self._unused = threading.Event()
        self._unused.set()
        self._server = _run(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def plan(self, at: int | None, fault: Fault = Fault.RESET) -> None:
        """Let this happen once, to the piece of that number from now on; None is to none."""
        self._at, self._fault, self.pieces = at, fault, 0
        self.happened.clear()

    def wait(self) -> None:
        """Wait until what was planned has happened."""
        assert self.happened.wait(SECONDS), "so many pieces have never crossed"

    def wait_unused(self) -> None:
        """Wait until all connections have ended, and with them what is said last on them."""
        assert self._unused.wait(SECONDS), "a connection stays"

    def let_go(self) -> None:
        """Send on what is held back; connections with nothing held go on as they did."""
        self._each(_Connection.let_go)

    def cut(self) -> None:
        """Reset all connections that there are; new ones can be made."""
        self._each(_Connection.reset)

    def close(self) -> None:
        """End everything."""

        async def end() -> None:
            self._server.close()

        _run(end())
        self.cut()

    def _each(self, work: "Callable[[_Connection], None]") -> None:
        async def do() -> None:
            for connection in list(self._connections):
                work(connection)

        _run(do())

    def meet(self) -> Fault | None:
        """What happens to the next piece."""
        self.pieces += 1
        if self.pieces != self._at:
            return None
        self._at = None
        return self._fault

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            return
        connection = _Connection(self, (reader, writer), there)
        self._unused.clear()
        self._connections.add(connection)
        await connection.run()
        self._connections.discard(connection)
        if not self._connections:
            self._unused.set()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """One connection of a client's, with the one to the server that was made for it."""

    def __init__(self, line: Line, client: Ends, server: Ends) -> None:
        self._line = line
        self._client, self._server = client, server
        self._held: list[tuple[asyncio.StreamWriter, bytes]] | None = None
        self._free = asyncio.Event()
        self._free.set()

    async def run(self) -> None:
        """Pass everything on until one side is gone; then the other one goes as it did."""
        (from_client, to_client), (from_server, to_server) = self._client, self._server
        sending = asyncio.ensure_future(self._pump(from_client, to_server))
        receiving = asyncio.ensure_future(self._pump(from_server, to_client))
        await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        # That the server has closed is held back as well, as long as the client waits.
        free = asyncio.ensure_future(self._free.wait())
        await asyncio.wait({free, sending}, return_when=asyncio.FIRST_COMPLETED)
        for work in (free, sending, receiving):
            work.cancel()
        await asyncio.wait({free, sending, receiving})
        self.end()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                fault = self._line.meet()
                if fault is Fault.HOLD:
                    self._held = self._held or []
                    self._free.clear()
                if self._held is not None:
                    self._held.append((writer, data))
                elif fault is not Fault.RESET:
                    self._pass(writer, data)
                if fault is Fault.RESET:
                    self.reset()
                if fault is Fault.END:
                    self.end()
                if fault is not None:
                    self._line.happened.set()

    def _pass(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        if writer is self._server[1]:
            self._line.sent += len(data)
        else:
            self._line.received += len(data)

    def let_go(self) -> None:
        """Send on what is held back."""
        held, self._held = self._held or [], None
        for writer, data in held:
            self._pass(writer, data)
        self._free.set()

    def reset(self) -> None:
        """Drop both ends."""
        self._free.set()
        for _reader, writer in (self._client, self._server):
            _reset(writer)

    def end(self) -> None:
        """Close both ends, once they have got what was passed on."""
        for _reader, writer in (self._client, self._server):
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connected = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()


@contextlib.contextmanager
def line_to(port: int) -> Iterator[Line]:
    """A line that ends with the block."""
    line = Line(port)
    try:
        yield line
    finally:
        line.close()


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """What all lines run in."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="lines", daemon=True).start()
    return loop


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, _loop()).result(SECONDS)
