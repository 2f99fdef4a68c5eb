"""A client as plain as can be: what goes over the wire is in the test that reads."""

import asyncio
import base64
from typing import Any
from xml.etree.ElementTree import Element, XMLPullParser

from tests.service.running import DOMAIN, Service, within_bounds

HEADER = (
    f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' "
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
NS_REGISTER = "jabber:iq:register"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
NS_STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"


class Wire:
    """One stream, from the client's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._begin()
        self.header = HEADER

    @classmethod
    async def connect(cls, service: Service, tls: str = "direct") -> "Wire":
        """A stream with its features read; ``tls`` is direct, starttls or none."""
        wire = await cls.connect_only(service, tls)
        await wire.open()
        if tls == "starttls":
            await wire.ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            context = service.client_context
            await within_bounds(wire._writer.start_tls(context, server_hostname=DOMAIN))
            await wire.open()
        return wire

    @classmethod
    async def connect_only(cls, service: Service, tls: str = "direct") -> "Wire":
        """A connection on which nothing was said yet."""
        options: dict[str, Any] = {}
        if tls == "direct":
            options = {"ssl": service.client_context, "server_hostname": DOMAIN}
        port = service.tls_port if tls == "direct" else service.port
        return cls(*await within_bounds(asyncio.open_connection("127.0.0.1", port, **options)))

    @property
    def writer(self) -> asyncio.StreamWriter:
        """What it is written to."""
        return self._writer

    @property
    def local_port(self) -> int:
        """The TCP port of this end."""
        port: int = self._writer.get_extra_info("sockname")[1]
        return port

    async def open(self) -> Element:
        """Send a stream header; returns the features that come for it."""
        self._begin()
        return await self.ask(self.header)

    def _begin(self) -> None:
        self._parser = XMLPullParser(events=("start", "end"))
        self._depth = 0

    def send(self, text: str) -> None:
        """Write, and wait for nothing."""
        self._writer.write(text.encode())

    async def ask(self, text: str) -> Element:
        """Write, and return the next element that comes."""
        self.send(text)
        answer = await self.read()
        assert answer is not None, "the server closed the stream"
        return answer

    async def read(self) -> Element | None:
        """The next child of the stream; None for its end tag.

        Raises:
            ConnectionError: the connection was closed before that.
        """
        while True:
            for event, element in self._parser.read_events():
                self._depth += 1 if event == "start" else -1
                if event == "end" and self._depth <= 1:
                    return element if self._depth else None
            data = await within_bounds(self._reader.read(65536))
            if not data:
                raise ConnectionResetError("the connection was closed")
            self._parser.feed(data)

    async def goodbye(self) -> str | None:
        """Read to the end tag; returns the condition of the stream error before it, if any."""
        condition = None
        while (element := await self.read()) is not None:
            if element.tag.endswith("}error"):
                condition = _condition(element, NS_STREAM_ERRORS)
        return condition

    async def rest(self) -> bytes:
        """All bytes up to the end of the connection."""
        return await self._reader.read()

    def stop_reading(self) -> None:
        """Take nothing from the connection any more, as a program that hangs."""
        transport = self._writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()

    def cut(self) -> None:
        """Be gone as if the line was cut: without the end of TLS."""
        self._writer.transport.abort()

    def close(self) -> None:
        """Go without a word."""
        self._writer.close()

    # --- requests

    async def iq(self, payload: str, kind: str = "set") -> str:
        """The answer to a request: "result", or the condition of the error."""
        return verdict(await self.ask(f"<iq type='{kind}' id='x'>{payload}</iq>"))

    async def preauth(self, token: str) -> str:
        """Present a token."""
        return await self.iq(f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>")

    def send_registration(self, username: str, password: str) -> None:
        """Submit the form; the answer is read later."""
        self.send(
            f"<iq type='set' id='x'><query xmlns='{NS_REGISTER}'><username>{username}"
            f"</username><password>{password}</password></query></iq>"
        )

    async def read_verdict(self) -> str:
        """The answer to what was sent: see `iq`."""
        answer = await self.read()
        return verdict(answer) if answer is not None else "closed"

    async def register(self, username: str, password: str) -> str:
        """Submit the form."""
        self.send_registration(username, password)
        return await self.read_verdict()

    async def login(self, username: str, password: str) -> str:
        """Log in by PLAIN and bind; returns "success", or the condition of the failure."""
        secret = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
        answer = await self.ask(f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>{secret}</auth>")
        if answer.tag != f"{{{NS_SASL}}}success":
            return _condition(answer, NS_SASL)
        await self.open()
        bound = await self.iq("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")
        assert bound == "result", bound
        return "success"


async def can_login(service: Service, username: str, password: str) -> bool:
    """Whether a new stream gets in with these credentials."""
    wire = await Wire.connect(service)
    try:
        return await wire.login(username, password) == "success"
    finally:
        wire.close()


def verdict(iq: Element) -> str:
    """The word "result", or the condition of an error."""
    error = iq.find("{jabber:client}error")
    return iq.get("type", "") if error is None else _condition(error, NS_STANZAS)


def _condition(element: Element, namespace: str) -> str:
    prefix = f"{{{namespace}}}"
    return next(child.tag.removeprefix(prefix) for child in element if prefix in child.tag)
