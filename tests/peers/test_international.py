"""A domain with its own letters: slixmpp writes it in both ways, over TLS."""

import asyncio
import json
import ssl
import subprocess
import urllib.request
from typing import Any
from unittest import IsolatedAsyncioTestCase

from tests.cli.terminal import command_line, environment
from tests.peers.gateway import command, in_front, made, start
from tests.peers.servers import Ejabberd, Prosody, Server
from tests.peers.test_slixmpp import Client
from tests.service.running import Service, ServiceCase, free_ports, within_bounds

UNICODE, ASCII = "münchen.example", "xn--mnchen-3ya.example"
(WEB,) = free_ports(1)


class Munich(Service):
    domain = UNICODE


class UnicodeClient(Client):
    served = UNICODE


class AsciiClient(Client):
    served = ASCII


async def logged_in(case: IsolatedAsyncioTestCase, client: Client) -> Client:
    """Let a client register and log in; returns it, until the end of the test."""
    case.addAsyncCleanup(client.leave)
    outcome = await client.run(), client.answers
    case.assertEqual(outcome, ("session_start", ["result"] * 2))
    return client


class InternationalTests(ServiceCase):
    kind = Munich
    settings = (
        f"web: {{external_url: 'https://chat.{UNICODE}:{WEB}/', listen: [], "
        f"listen_tls: ['tcp:{WEB}:interface=127.0.0.1']}}"
    )

    def command(self, *arguments: str) -> Any:
        """What the command line prints, as JSON."""
        line = [*command_line(self.service.config, *arguments), "--json"]
        done = subprocess.run(
            line, capture_output=True, check=True, env=environment(), timeout=60
        )
        return json.loads(done.stdout)

    async def registered(self, kind: type[Client], name: str, direct: bool) -> Client:
        """Somebody who registers by an invite for the domain in one spelling, and logs in."""
        domain = ASCII if kind is UnicodeClient else UNICODE
        made = self.command("invite", "create", "--domain", domain)
        self.assertTrue(made["uri"].startswith("xmpp:m%C3%BCnchen.example?register;preauth="))
        self.assertTrue(made["landing_url"].startswith(f"https://chat.{ASCII}:{WEB}/invite/"))
        self.service.secrets.append(made["token"])
        me = (name, self.service.secret())
        client = kind(self.service, me, tokens=[made["token"]], forms=[me], direct=direct)
        return await logged_in(self, client)

    async def test_both_spellings(self) -> None:
        """Each registers and logs in by its own spelling, and they write to each other."""
        for direct in (False, True):
            juliet = await self.registered(UnicodeClient, f"juliet{direct}".lower(), direct)
            romeo = await self.registered(AsciiClient, f"romeo{direct}".lower(), direct)
            heard: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            romeo.add_event_handler("message", heard.set_result)
            romeo.send_presence()
            for client, own, other in ((juliet, UNICODE, ASCII), (romeo, ASCII, UNICODE)):
                self.assertEqual(client.boundjid.domain, UNICODE)
                for domain in (own, other):
                    await client.plugin["xep_0199"].send_ping(domain)
            juliet.send_message(f"{romeo.boundjid.user}@{ASCII}", "O Romeo", mtype="chat")
            message = await within_bounds(heard)
            self.assertEqual(message["to"].domain, UNICODE)
            self.assertEqual(message["from"].bare, juliet.boundjid.bare)

    async def test_site(self) -> None:
        """The page of an invite is served at the site's own name, over TLS."""
        made = self.command("invite", "create")
        self.service.secrets.append(made["token"])
        context = ssl.create_default_context(cafile=self.service.certificate)
        context.check_hostname = False  # It is for the domain; who asks trusts only this one.
        request = urllib.request.Request(
            f"https://127.0.0.1:{WEB}/invite/{made['token']}",
            headers={"Host": f"chat.{ASCII}:{WEB}"},
        )

        def page() -> str:
            with urllib.request.urlopen(request, context=context, timeout=30) as answer:
                return str(answer.read().decode())

        self.assertIn(UNICODE, await asyncio.to_thread(page))


class AsciiMunich(Service):
    domain = ASCII


class UnicodeProsody(Prosody):
    domain = UNICODE


class AsciiProsody(Prosody):
    domain = ASCII


class UnicodeEjabberd(Ejabberd):
    domain = UNICODE


class AsciiEjabberd(Ejabberd):
    domain = ASCII


class BehindTests(IsolatedAsyncioTestCase):
    """An upstream server knows the domain as it is written in its own configuration."""

    async def registered(self, service: Service, kind: type[Client], *how: str) -> Client:
        """Somebody who registers through the gateway, and logs in."""
        token = made(service, "invite", "create", *how)["token"]
        name = kind.__name__.lower()
        me = (name, service.secret())
        client = kind(service, me, tokens=[token], forms=[me])
        return await logged_in(self, client)

    async def try_behind(self, kind: type[Server], front: type[Service]) -> None:
        server = kind()
        self.addCleanup(server.remove)
        server.start()
        service = in_front(server, kind=front)
        self.addCleanup(service.remove)
        start(service)
        done = await asyncio.to_thread(command, service, "check", "--online")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        juliet = await self.registered(service, UnicodeClient)
        invite = ("--inviter", juliet.boundjid.user, "--contact")
        romeo = await self.registered(service, AsciiClient, *invite)
        self.assertEqual({juliet.boundjid.host, romeo.boundjid.host}, {server.domain})
        roster = await romeo.get_roster()
        self.assertEqual(list(roster["roster"]["items"]), [juliet.boundjid.bare])
        for client in (juliet, romeo):
            await client.plugin["xep_0199"].send_ping(server.domain)
        service.check_log()

    async def test_prosody(self) -> None:
        """Prosody, over its component."""
        await self.try_behind(UnicodeProsody, Munich)
        await self.try_behind(AsciiProsody, AsciiMunich)

    async def test_ejabberd(self) -> None:
        """ejabberd, by its API."""
        await self.try_behind(UnicodeEjabberd, Munich)
        await self.try_behind(AsciiEjabberd, AsciiMunich)
