"""What one address can do to each door of the service, as cheaply for itself as can be.

An attempt ends when the service closes the connection, or when there is nothing more to try.
It raises whatever refuses it.
"""

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

from bench.clients import (
    DOMAIN,
    HEADER,
    NS_SASL,
    STARTTLS,
    connect,
    read_answer,
    request,
    trusting,
)
from invitereg.model.invites import generate_token

ADDRESS = "127.0.66.1"
"""Where all attacks come from."""
LONG = "\ufdfa"
"""A character of three bytes, of which nameprep makes eighteen others."""
ROUND_SECONDS = 5
"""How often those who hold a connection to the site use it, all at the same moment."""
PIPELINED = 200
"""So many requests are sent at once by those who flood the site."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Target:
    """The ports of a service: of clients (STARTTLS; TLS), and of its site (plain; TLS)."""

    clients: int
    clients_tls: int
    web: int
    web_tls: int


@dataclass(frozen=True, slots=True)
class Door:
    """One way to attack.

    Attributes:
        attempt: called with the target and a running number.
        rate: attempts begun in a second.
        at_once: attempts under way; when so many are, no more are begun.
        settings: what the service's configuration has for it besides.
        upstream: whether it needs a gateway with an upstream server.
    """

    attempt: Callable[[Target, int], Awaitable[None]]
    rate: float
    at_once: int
    settings: str = ""
    upstream: bool = False

    @property
    def warm_up(self) -> float:
        """Seconds until it is attacked with full force."""
        return 1 + min(self.at_once / self.rate, 8)


@cache
def _context() -> ssl.SSLContext:
    return trusting()


@asynccontextmanager
async def _connection(port: int, *, tls: bool = False) -> AsyncIterator[Streams]:
    """A connection that is dropped without a word at the end."""
    context, name = (_context(), DOMAIN) if tls else (None, None)
    plain = await connect(port, ADDRESS)
    reader, writer = await asyncio.open_connection(
        sock=plain, ssl=context, server_hostname=name
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _ask(streams: Streams, text: bytes, until: bytes) -> bytes:
    """Write, and read up to ``until``, or up to what refuses.

    Raises:
        EOFError: the service closed the connection.
    """
    reader, writer = streams
    writer.write(text)
    answer = b""
    while until not in answer:
        chunk = await reader.read(65536)
        if not chunk:
            raise EOFError
        answer += chunk
        if b"</stream:error>" in answer:
            break
    return answer


async def _until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


@asynccontextmanager
async def _stream(target: Target) -> AsyncIterator[Streams]:
    """A stream with TLS, with its features read."""
    async with _connection(target.clients_tls, tls=True) as streams:
        await _ask(streams, HEADER, b"</stream:features>")
        yield streams


# --- the site


async def hold_connection(target: Target, _number: int) -> None:
    """Keep a connection to the site, and ask for little by it now and then."""
    async with _connection(target.web) as (reader, writer):
        while True:
            writer.write(request("GET", "/readyz"))
            await read_answer(reader)
            await asyncio.sleep(ROUND_SECONDS - time.time() % ROUND_SECONDS)


async def send_half(target: Target, _number: int) -> None:
    """Begin a request, and leave it at that."""
    async with _connection(target.web) as (reader, writer):
        writer.write(request("GET", "/")[:-2])
        await _until_closed(reader)


async def pipeline(target: Target, _number: int) -> None:
    """Ask for pages without end, hundreds of them before the first answer."""
    async with _connection(target.web) as (reader, writer):
        while True:
            writer.write(request("GET", "/") * PIPELINED)
            answers = 0
            while answers < PIPELINED:
                chunk = await reader.read(65536)
                if not chunk:
                    return
                answers += chunk.count(b"HTTP/1.1 ")


async def guess_tokens(target: Target, number: int) -> None:
    """Try tokens that do not exist, on pages, or in a stream each fifth time."""
    if number % 5 == 0:
        async with _stream(target) as streams:
            for _ in range(10):
                await _preauth(streams)
        return
    async with _connection(target.web) as (reader, writer):
        for _ in range(10):
            writer.write(request("GET", f"/invite/{generate_token()}"))
            await read_answer(reader)


# --- TLS


async def shake_hands(target: Target, number: int) -> None:
    """Begin TLS in one of three ways, and drop it before its end, or at it each third time."""
    way = number % 3
    port = (target.clients_tls, target.web_tls, target.clients)[way]
    if number // 3 % 3 == 0 and port != target.clients:
        async with _connection(port, tls=True):
            return
    async with _connection(port) as streams:
        if port == target.clients:
            await _ask(streams, HEADER, b"</stream:features>")
            await _ask(streams, STARTTLS, b"<proceed")
        streams[1].write(_client_hello())
        await streams[0].read(65536)


@cache
def _client_hello() -> bytes:
    """The first message of a client: the same each time costs the attacker nothing."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _context().wrap_bio(incoming, outgoing, server_hostname=DOMAIN)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


# --- streams


async def open_stream(target: Target, _number: int) -> None:
    """Send a header with a name that takes long to prepare."""
    async with _connection(target.clients) as (reader, writer):
        writer.write(HEADER.replace(DOMAIN.encode(), (LONG * 2035).encode()))
        await _until_closed(reader)


async def guess_passwords(target: Target, number: int) -> None:
    """Try wrong passwords for one account, and for others; one is long."""
    async with _stream(target) as streams:
        for name, password in (("victim", "x"), (f"v{number}", "x"), ("victim", LONG * 1000)):
            await _ask(streams, _auth(name, password), b"</failure>")


async def register(target: Target, number: int) -> None:
    """Try to register with a wrong token, without one, and with a name that is long."""
    async with _stream(target) as streams:
        await _preauth(streams)
        for name in (f"a{number}", f"b{number}", LONG * 1000):
            query = (
                f"<query xmlns='jabber:iq:register'><username>{name}</username>"
                f"<password>a-long-password-{number}</password></query>"
            )
            await _iq(streams, query)


async def fail_upstream(target: Target, number: int) -> None:
    """Fail to log in at the upstream server, and keep the stream."""
    async with _stream(target) as streams:
        await _ask(streams, _auth(f"v{number}", "x"), b"</failure>")
        await _until_closed(streams[0])


async def _preauth(streams: Streams) -> None:
    await _iq(streams, f"<preauth xmlns='urn:xmpp:pars:0' token='{generate_token()}'/>")


async def _iq(streams: Streams, payload: str) -> None:
    await _ask(streams, f"<iq type='set' id='x'>{payload}</iq>".encode(), b">")


def _auth(name: str, password: str) -> bytes:
    secret = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
    return f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>{secret}</auth>".encode()


OPEN = "policy: {registration_invite_only: false}"
# Streams come at less than `limits.connections` lets through: what they do then is the attack.
DOORS = {
    "web-connections": Door(hold_connection, rate=200, at_once=700),
    "half-requests": Door(send_half, rate=300, at_once=2300),
    "requests": Door(pipeline, rate=18, at_once=100),
    "tls-handshakes": Door(shake_hands, rate=150, at_once=150),
    "stream-headers": Door(open_stream, rate=18, at_once=100),
    "logins": Door(guess_passwords, rate=18, at_once=100),
    "registrations": Door(register, rate=18, at_once=100, settings=OPEN),
    "tokens": Door(guess_tokens, rate=10, at_once=50),
    "gateway-logins": Door(fail_upstream, rate=18, at_once=500, upstream=True),
}
