"""Invited people behind the gateway, whose accounts Prosody and ejabberd keep."""

import asyncio
import http.cookiejar
import urllib.error
import urllib.parse
import urllib.request
from typing import ClassVar
from xml.etree import ElementTree

from tests.peers.gateway import BehindCase, command, in_link, made
from tests.peers.servers import Ejabberd, Prosody
from tests.peers.test_people import Person
from tests.peers.test_slixmpp import Client
from tests.service.running import DOMAIN, within_bounds
from tests.service.wire import NS_REGISTER, can_login, verdict
from tests.web.person import inputs

FORM = (
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
    f"<value>{NS_REGISTER}</value></field><field var='username'><value>{{}}</value></field>"
    "<field var='password'><value>{}</value></field></x>"
)
PREAUTH = "<preauth xmlns='urn:xmpp:pars:0' token='{}'/>"
FIELDS = "<username>{}</username><password>{}</password>"


class Browsing:
    """Has people use the site.

    Attributes:
        site: its address.
    """

    site: ClassVar[str]

    def browser(self) -> urllib.request.OpenerDirector:
        """Somebody's browser, which keeps cookies."""
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        return urllib.request.build_opener(cookies)

    async def send(
        self, browser: urllib.request.OpenerDirector, path: str, **filled: str
    ) -> str:
        """Open a form, fill it in, and send it; returns the page to which that leads."""
        return await asyncio.to_thread(self._send, browser, path, filled)

    def _send(
        self, browser: urllib.request.OpenerDirector, path: str, filled: dict[str, str]
    ) -> str:
        with browser.open(self.site + path, timeout=30) as shown:
            fields = {
                name: field.get("value", "")
                for name, field in inputs(shown.read().decode()).items()
            }
        data = urllib.parse.urlencode({**fields, **filled}).encode()
        try:
            with browser.open(self.site + path, data, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()


class Registering(Browsing, BehindCase):
    """Everybody gets an account at the server, whichever way, and logs in there."""

    async def test_forms(self) -> None:
        """What clients send, with and without an address, is answered; each then logs in."""
        for number, query in enumerate((FORM, FIELDS, FORM, FIELDS)):
            to = f" to='{DOMAIN}'" if number < 2 else ""
            me, wire = (self.name(), self.service.secret()), await self.wire()
            invite = self.service.invite()
            for kind, payload in (
                ("get", f"<query xmlns='{NS_REGISTER}'/>"),
                ("set", PREAUTH.format(invite)),
                ("set", f"<query xmlns='{NS_REGISTER}'>{query.format(*me)}</query>"),
            ):
                answer = await wire.ask(f"<iq type='{kind}' id='x'{to}>{payload}</iq>")
                self.assertEqual(verdict(answer), "result", payload)
                self.assertEqual(answer.get("from"), DOMAIN if to else None)
            # On the same stream, as yaxim and slixmpp, or on a new one.
            if number % 2:
                self.assertEqual(await wire.login(*me), "success")
            else:
                self.assertTrue(await can_login(self.service, *me))

    async def test_taken_name(self) -> None:
        """A name that only the server knows is a conflict; then another is good."""
        taken, password = self.account()
        wire, invite = await self.wire(), self.service.invite()
        self.assertEqual(await wire.preauth(invite), "result")
        self.assertEqual(await wire.register(taken, self.service.secret()), "conflict")
        other = await self.wire()
        self.assertEqual(await other.preauth(invite), "result")
        name = self.name()
        self.assertEqual(await other.register(name, password), "result")
        self.assertEqual(await wire.register(self.name(), password), "item-not-found")
        for username in (taken, name):
            self.assertTrue(await can_login(self.service, username, password))

    async def test_reset(self) -> None:
        """Who forgot a password sets another by a link, and it alone is good then."""
        before, registered = self.account(), await self.register()
        for username, old in (before, registered):
            await self.assert_reset(username, old)

    async def test_website(self) -> None:
        """Who registers in the browser logs in through the gateway, and may come back."""
        taken, _password = self.account()
        name, password = self.name(), self.service.secret()
        path, browser = f"invite/{self.service.invite()}/register", self.browser()
        page = await self.send(browser, path, username=taken, password=password)
        self.assertIn("Somebody has this username already", page)
        page = await self.send(browser, path, username=name, password=password)
        self.assertIn(f"{name}<wbr>@{DOMAIN}", page)
        client = Client(self.service, (name, password), mechanism="SCRAM-SHA-1")
        self.assertEqual(await client.run(), "session_start")
        await client.leave()
        link = await asyncio.to_thread(made, self.service, "reset", "create", name)
        new = self.service.secret()
        path = f"invite/{in_link(self.service, link['uri'])}/reset"
        await self.send(browser, path, password=new)
        self.assertFalse(await can_login(self.service, name, password))
        self.assertTrue(await can_login(self.service, name, new))

    async def test_deleted(self) -> None:
        """An account that the operator deletes is gone with its session; its name is kept."""
        before, registered = self.account(), await self.register()
        for username, password in (before, registered):
            client = Client(self.service, (username, password))
            self.assertEqual(await client.run(), "session_start")
            gone = asyncio.get_running_loop().create_future()
            client.add_event_handler(
                "disconnected", lambda _why, gone=gone: gone.done() or gone.set_result(None)
            )
            done = await asyncio.to_thread(command, self.service, "account", "delete", username)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            await within_bounds(gone)
            await client.leave()
            self.assertFalse(await can_login(self.service, username, password))
            wire = await self.wire()
            self.assertEqual(await wire.preauth(self.service.invite()), "result")
            self.assertEqual(await wire.register(username, password), "not-allowed")


class Contacts(BehindCase):
    """Who comes by somebody's invite has them as a contact, and the other way round."""

    async def test_contacts(self) -> None:
        """Invited on one stream: both rosters, presence, and messages both ways."""
        for direct in (False, True):
            inviter = Person(self.service, self.account(), mechanism="SCRAM-SHA-1")
            self.addAsyncCleanup(inviter.leave)
            await inviter.arrive()
            host = str(inviter.boundjid.user)
            me = (self.name(), self.service.secret())
            invite = await self.token("--inviter", host, "--contact")
            guest = Person(
                self.service,
                me,
                tokens=[invite],
                forms=[me],
                direct=direct,
                mechanism="SCRAM-SHA-1",
            )
            self.addAsyncCleanup(guest.leave)
            await guest.arrive()
            self.assertEqual(guest.answers, ["result", "result"])
            self.ask_again(guest, host, invite)
            await guest.contact_of(host)
            await inviter.contact_of(me[0])
            await guest.heard(host, "available")
            await inviter.heard(me[0], "available")
            await self.converse(inviter, guest)
            self.assertNotIn((guest.boundjid.bare, "subscribe"), inviter.log)
            for one, other in ((inviter, me[0]), (guest, host)):
                await one.get_roster()
                self.assertEqual(one.subscription(other), "both")

    def ask_again(self, guest: Person, host: str, invite: str) -> None:
        """What clients send after a registration by a link of somebody, as they see it."""
        asking = guest.make_presence(pto=f"{host}@{DOMAIN}", ptype="subscribe")
        asking.append(ElementTree.fromstring(PREAUTH.format(invite)))
        asking.send()
        guest.send_presence(pto=f"{host}@{DOMAIN}", ptype="subscribed")

    async def converse(self, one: Person, other: Person) -> None:
        """Both write, and read."""
        for sender, reader in ((one, other), (other, one)):
            sender.send_message(mto=reader.boundjid.bare, mbody="hark", mtype="chat")
            await reader.heard(str(sender.boundjid.user), "hark")


class ProsodyTests(Registering, Contacts):
    kind = Prosody


class EjabberdTests(Registering, Contacts):
    kind = Ejabberd


class EjabberdComponentTests(Registering):
    kind = Ejabberd
    backend = "xmpp"

    async def test_contacts_refused(self) -> None:
        """An invite with contacts that could never be made is refused when it is made."""
        username, _password = self.account()
        words = ("invite", "create", "--inviter", username, "--contact")
        refused = await asyncio.to_thread(command, self.service, *words)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        why = "fails to set them (as ejabberd 23.01 does): use accounts: {backend: ejabberd}"
        self.assertIn(f"Nobody can be made a contact at {DOMAIN}: ", refused.stderr)
        self.assertIn(why, refused.stderr)
        checked = await asyncio.to_thread(command, self.service, "check", "--online")
        self.assertEqual(checked.returncode, 2)
        self.assertIn(why, checked.stderr)
        with self.service.operator() as operator:
            pending = operator.pending_invites()
        self.assertEqual([invite for invite in pending if invite.inviter], [])


del Registering, Contacts
