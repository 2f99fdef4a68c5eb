"""Sessions on real connections: one that nobody reads, and all of them at a crash."""

import asyncio
import contextlib
from xml.etree.ElementTree import Element

from tests.service.running import DOMAIN, ServiceCase
from tests.service.wire import Wire

BIG = 200_000


def message(to: str, body: str) -> str:
    """A message as a client writes it."""
    return f"<message to='{to}@{DOMAIN}' type='chat'><body>{body}</body></message>"


class SessionCase(ServiceCase):
    async def couple(self, one: str, other: str) -> dict[str, str]:
        """Register two who are contacts; returns their passwords."""
        passwords = {one: self.service.secret(), other: self.service.secret()}
        for name, invite in ((one, {}), (other, {"inviter": one, "contact": True})):
            wire = await Wire.connect(self.service)
            self.assertEqual(await wire.preauth(self.service.invite(**invite)), "result")
            self.assertEqual(await wire.register(name, passwords[name]), "result")
            wire.close()
        return passwords

    async def session(self, name: str, password: str, tls: str = "direct") -> Wire:
        """A stream that is logged in and available."""
        wire = await Wire.connect(self.service, tls)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.login(name, password), "success")
        own = await wire.ask("<presence/>")
        self.assertEqual(own.get("to"), f"{name}@{DOMAIN}")
        return wire

    async def presence_of(self, wire: Wire, name: str, kind: str | None = None) -> None:
        """Wait for somebody's presence."""
        element = await wire.read()
        while not is_presence(element, name, kind):
            element = await wire.read()


class UnreadTests(SessionCase):
    async def test_never_reads(self) -> None:
        """Who never reads is cut off, and those who write and others are not slowed."""
        for tls in ("direct", "starttls"):
            passwords = await self.couple(f"writer-{tls}", f"sleeper-{tls}")
            writer, sleeper = [
                await self.session(name, password, tls) for name, password in passwords.items()
            ]
            sleeper.stop_reading()
            while True:
                writer.send(message(f"sleeper-{tls}", "x" * BIG))
                answer = await writer.ask(f"<iq type='get' id='p' to='{DOMAIN}'>"
                                          "<ping xmlns='urn:xmpp:ping'/></iq>")  # fmt: skip
                if is_presence(answer, f"sleeper-{tls}", "unavailable"):
                    break
            await self.service.logged("does not read")


class CrashTests(SessionCase):
    async def test_crash(self) -> None:
        """After a crash clients come back: contacts are there, and no message comes twice."""
        passwords = await self.couple("romeo", "juliet")
        for number in range(3):
            writer = await self.session("romeo", passwords["romeo"])
            reader = await self.session("juliet", passwords["juliet"])
            await self.presence_of(reader, "romeo")
            await self.presence_of(writer, "juliet")
            texts = [f"{number}-{place}" for place in range(500)]
            listening = asyncio.ensure_future(self.listen(reader))
            for text in texts:
                writer.send(message("juliet", text) + "<presence/>")
            await asyncio.sleep(0.05 * number)  # the moment of the crash: any will do
            self.service.kill()
            heard = await listening
            self.assertEqual(heard, texts[: len(heard)])
            self.service.start()

    async def listen(self, wire: Wire) -> list[str]:
        """The texts that come until the connection is lost."""
        texts = []
        with contextlib.suppress(OSError):
            while (element := await wire.read()) is not None:
                if element.tag == "{jabber:client}message":
                    texts.append(element.findtext("{jabber:client}body") or "")
        return texts


def is_presence(element: Element | None, name: str, kind: str | None = None) -> bool:
    """Whether it is the presence of somebody, of this type."""
    assert element is not None, "the server closed the stream"
    sender = element.get("from", "").partition("@")[0]
    presence = element.tag == "{jabber:client}presence"
    return presence and sender == name and element.get("type") == kind
