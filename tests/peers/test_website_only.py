"""Website only: people register on the site, and log in at the server itself, as ever."""

import asyncio
import http.cookiejar
import re
import urllib.parse
import urllib.request
from html import unescape
from typing import Any, ClassVar
from unittest import IsolatedAsyncioTestCase

from tests.peers import servers
from tests.peers.gateway import accounts, command, made, start, upstream
from tests.peers.releases import INSTALLED, Release, for_each_release
from tests.peers.test_people import Person
from tests.service.running import DOMAIN, Service, free_ports
from tests.web.person import inputs

_FOR_APPS = re.compile(r"xmpp(:|%3A)[^\"' ]*(register|preauth)")


class WebsiteOnlyCase(IsolatedAsyncioTestCase):
    """A server that people reach directly, and the site beside it.

    Attributes:
        backend: see `accounts`.
    """

    kind: ClassVar[type[servers.Server]]
    release: ClassVar[Release] = INSTALLED
    backend = ""
    names: ClassVar = iter(range(1_000_000))

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = servers.started(cls.kind, cls.release)
        (port,) = free_ports(1)
        cls.site = f"http://localhost:{port}/"
        web = f"{{external_url: '{cls.site}', listen: ['tcp:{port}:interface=127.0.0.1']}}"
        cls.service = Service(f"{cls.accounts()}\nweb: {web}\n")
        cls.addClassCleanup(cls.service.remove)
        text = cls.service.config.read_text()
        text = re.sub(r"(?m)^c2s: .*$", cls.c2s(), text)
        cls.service.config.write_text(re.sub(r"(?m)^tls: .*\n", "", text))
        for file in ("fullchain.pem", "privkey.pem"):
            (cls.service.folder / file).unlink()
        start(cls.service)

    @classmethod
    def accounts(cls) -> str:
        """The keys of the backend."""
        return accounts(cls.server, cls.backend)

    @classmethod
    def c2s(cls) -> str:
        """The section about clients."""
        return "c2s: {listen: [], listen_tls: []}"

    def tearDown(self) -> None:
        self.service.check_log()

    def name(self) -> str:
        """A name that nobody has."""
        return f"site{type(self).__name__.lower()}{next(self.names)}"

    def account(self) -> tuple[str, str]:
        """Somebody who was at the server before: name and password."""
        me = (self.name(), self.service.secret())
        self.server.register(*me)
        return me

    def walk(self, link: str, me: tuple[str, str]) -> str:
        """Go from an invitation by its form to the page after it; returns that page."""
        browser = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )
        with browser.open(link) as answer:
            self.assertNotIn("xmpp:", answer.headers["Link"])
            page = answer.read().decode()
        self.assertNotRegex(page, _FOR_APPS)
        path = re.search(r'id="register" href="([^"]+)"', page)
        assert path
        form = urllib.parse.urljoin(link, unescape(path[1]))
        with browser.open(form) as answer:
            page = answer.read().decode()
        self.assertNotRegex(page, _FOR_APPS)
        fields = {name: unescape(one.get("value", "")) for name, one in inputs(page).items()}
        fields |= {"username": me[0], "password": me[1]}
        with browser.open(form, urllib.parse.urlencode(fields).encode()) as answer:
            done: str = answer.read().decode()
        return done

    async def register(self, *words: str) -> tuple[str, str]:
        """Somebody who was invited, and has registered on the site: name and password."""
        me = (self.name(), self.service.secret())
        invite = await asyncio.to_thread(made, self.service, "invite", "create", *words)
        self.service.secrets.append(invite["token"])
        self.assertEqual(invite["uri"], "")
        page = await asyncio.to_thread(self.walk, invite["landing_url"], me)
        self.assertIn(f"{me[0]}<wbr>@{DOMAIN}", page)
        return me

    async def arrives(self, me: tuple[str, str]) -> Person:
        """Log in at the server itself, past us."""
        there: Any = self.server  # which has ports and a certificate, as a service has
        person = Person(there, me)
        self.addAsyncCleanup(person.leave)
        await person.arrive()
        return person


class Tests(WebsiteOnlyCase):
    """What holds for each server."""

    __test__ = False

    async def test_registers_and_logs_in(self) -> None:
        """An account that was made on the site works at the server at once."""
        person = await self.arrives(await self.register())
        person.disconnect()

    async def test_contact(self) -> None:
        """The inviter is in the newcomer's contacts at the server."""
        inviter = self.account()
        me = await self.register("--inviter", inviter[0], "--contact")
        person = await self.arrives(me)
        await person.contact_of(inviter[0])
        person.disconnect()

    async def test_check(self) -> None:
        """The check finds nothing to complain of, while the service runs."""
        done = await asyncio.to_thread(command, self.service, "check", "--online")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


@for_each_release
class ProsodyTests(Tests):
    kind = servers.Prosody


@for_each_release
class EjabberdTests(Tests):
    kind = servers.Ejabberd


class ProsodyWithChecksTests(ProsodyTests):
    """And passwords are checked by a login at the server, which leads nobody there."""

    __test__ = True

    @classmethod
    def c2s(cls) -> str:
        return f"c2s: {{upstream: {upstream(cls.server)}}}"


class ProsodyByNameTests(ProsodyTests):
    """The server has a name, as in another container, whose addresses are judged."""

    __test__ = True

    @classmethod
    def accounts(cls) -> str:
        return accounts(cls.server).replace("tcp:127.0.0.1:", "tcp:localhost:")


class EjabberdByNameTests(EjabberdTests):
    """And so by its API."""

    __test__ = True

    @classmethod
    def accounts(cls) -> str:
        return accounts(cls.server).replace("//127.0.0.1:", "//localhost:")
