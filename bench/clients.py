"""Clients as terse as XMPP and HTTP allow: the load should cost less than what it loads."""

import asyncio
import base64
import re
import socket
import ssl
from contextlib import suppress

from scramp import ScramClient

DOMAIN = "localhost"
HEADER = (
    f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' "
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
).encode()
STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
BIND = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
LOOPBACK = "127.0.0.1"
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1")

_REFUSED = re.compile(rb"<(failure|stream:error|error)\b[^>]*>\s*<([a-z-]+)")
_PAYLOAD = re.compile(rb"<(?:challenge|success)[^>]*>([^<]*)<")
_BIND_ADDRESS_NO_PORT = 24  # ip(7); Python has no name for it


class RefusedError(Exception):
    """The server does not let this client in; says with which condition."""


def trusting() -> ssl.SSLContext:
    """What a client connects with that believes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def connect(port: int, source: str = LOOPBACK) -> socket.socket:
    """A TCP connection to this machine, from the address ``source``."""
    plain = socket.socket()
    plain.setblocking(False)
    try:
        plain.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(plain, (LOOPBACK, port))
    except BaseException:
        plain.close()
        raise
    return plain


def address(number: int) -> str:
    """The loopback address of a client: no two share a /24, nor successive ones a /16.

    So no limit on what one network may do holds for all of them together.
    """
    return f"127.{10 + number % 200}.{number // 200 % 256}.1"


def password_of(name: str) -> str:
    """The password that an account registers with."""
    return f"a-long-password-{name}"


class Client:
    """One XMPP client, on one connection at a time."""

    def __init__(self, port: int, context: ssl.SSLContext, source: str = LOOPBACK) -> None:
        self._port = port
        self._context = context
        self._source = source
        self._asked = 0

    async def connect(self) -> bytes:
        """Open a stream by STARTTLS; returns its features."""
        plain = await connect(self._port, self._source)
        self._reader, self._writer = await asyncio.open_connection(sock=plain)
        await self._ask(HEADER, b"</stream:features>")
        await self._ask(STARTTLS, b"<proceed")
        await self._writer.start_tls(self._context, server_hostname=DOMAIN)
        return await self._ask(HEADER, b"</stream:features>")

    async def register(self, name: str, token: str) -> None:
        """Register by an invite's token, on a connection of its own.

        Raises:
            RefusedError: the server does not register this client.
            ConnectionError: it closes the connection.
        """
        await self.connect()
        await self.iq(f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>")
        await self.iq(
            "<query xmlns='jabber:iq:register'>"
            f"<username>{name}</username><password>{password_of(name)}</password></query>"
        )
        self.leave()

    async def log_in(self, name: str, password: str = "") -> None:
        """Log in by SCRAM on a new connection, and bind.

        ``password`` is the one that the account has registered with, unless another is given.

        Raises:
            RefusedError, ConnectionError: see `register`.
        """
        features = await self.connect()
        offered = [one for one in MECHANISMS if f">{one}<".encode() in features]
        scram = ScramClient(offered, name, password or password_of(name))
        first = _encoded(scram.get_client_first())
        auth = f"<auth xmlns='{NS_SASL}' mechanism='{scram.mechanism_name}'>{first}</auth>"
        scram.set_server_first(_decoded(await self._ask(auth.encode(), b"</challenge>")))
        final = _encoded(scram.get_client_final())
        response = f"<response xmlns='{NS_SASL}'>{final}</response>"
        scram.set_server_final(_decoded(await self._ask(response.encode(), b"</success>")))
        await self._ask(HEADER, b"</stream:features>")
        await self.iq(BIND)

    async def iq(self, payload: str, kind: str = "set", to: str = "") -> bytes:
        """Ask the server; returns its result.

        Raises:
            RefusedError, ConnectionError: see `register`.
        """
        self._asked += 1
        asked, address = f"x{self._asked}", f" to='{to}'" if to else ""
        return await self._ask(
            f"<iq type='{kind}' id='{asked}'{address}>{payload}</iq>".encode(),
            rb"<iq\b(?=[^>]*type='result')[^>]*id='%b'[^>]*(/>|>.*</iq>)" % asked.encode(),
        )

    def send(self, text: str) -> None:
        """Send something that has no answer."""
        self._writer.write(text.encode())

    def leave(self) -> None:
        """End the stream, if there is one, and wait for nothing."""
        if hasattr(self, "_writer"):
            with suppress(OSError, RuntimeError):
                self._writer.write(b"</stream:stream>")
                self._writer.close()

    def drop(self) -> None:
        """Cut the connection without a word."""
        self._writer.transport.abort()

    async def _ask(self, data: bytes, until: bytes) -> bytes:
        self._writer.write(data)
        answer = b""
        while not re.search(until, answer, re.DOTALL):
            if refused := _REFUSED.search(answer):
                raise RefusedError(refused[2].decode())
            chunk = await self._reader.read(65536)
            if not chunk:
                raise ConnectionResetError("the server closed the connection")
            answer += chunk
        return answer


def _encoded(message: str) -> str:
    return base64.b64encode(message.encode()).decode()


def _decoded(answer: bytes) -> str:
    found = _PAYLOAD.search(answer)
    assert found, answer.decode()
    return base64.b64decode(found[1]).decode()


def request(method: str, path: str, *headers: str, body: str = "") -> bytes:
    """The bytes of a request on a connection that stays open."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {DOMAIN}", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join((*lines, "", "")) + body).encode()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer on a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if length := re.search(rb"(?i)content-length: *(\d+)", head):
        return status, await reader.readexactly(int(length[1]))
    assert b"chunked" in head.lower(), head.decode()
    body = b""
    while (size := int((await reader.readline()).split(b";")[0], 16)) > 0:
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return status, body


async def fetch(port: int, question: bytes, source: str = LOOPBACK) -> tuple[int, bytes]:
    """Status and body of what a site answers, on a connection of its own."""
    plain = await connect(port, source)
    reader, writer = await asyncio.open_connection(sock=plain)
    try:
        writer.write(question)
        return await read_answer(reader)
    finally:
        writer.close()
