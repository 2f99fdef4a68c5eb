"""People who are logged in at Prosody and at ejabberd use invitereg's component there."""

import asyncio
from typing import Any, ClassVar
from unittest import IsolatedAsyncioTestCase
from xml.etree.ElementTree import fromstring

from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatcherId

from tests.peers.servers import COMPONENT, SECRET, Ejabberd, Prosody, Server
from tests.peers.test_invites import Inviter
from tests.service.running import DOMAIN, Service, until, within_bounds
from tests.service.test_upstream import command
from tests.service.wire import Wire
from tests.xmpp.adhoc.execution import CREATE_ACCOUNT, INVITE, LIST, RENEW, RESET, REVOKE

PASSWORD = "a password of long ago"
REGISTER, PREAUTH = "jabber:iq:register", "urn:xmpp:pars:0"
SETTINGS = (
    f"admins: [romeo@{DOMAIN}]\n"
    f"registration_watchers: [romeo@{DOMAIN}]\n"
    "welcome_message: 'Welcome, {username}!'\n"
    "contact_addresses: {abuse: ['mailto:abuse@example.com']}\n"
    "policy: {invites: {allow_user_invites_by_roles: [team], "
    "users: {max_open: 2, min_account_age: 1d}}}\n"
)


class Person(Inviter):
    """Somebody at the server, who keeps the messages that come."""

    at = COMPONENT

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.messages: list[tuple[str, str]] = []
        self.add_event_handler("message", self._keep)

    def _keep(self, message: Any) -> None:
        self.messages.append((message["from"].full, message["body"]))

    async def heard(self, text: str) -> None:
        """Wait for a message of the component."""

        def found() -> bool:
            return any(who == COMPONENT and text in what for who, what in self.messages)

        await until(found, f"nobody says {text}: {self.messages}")

    async def send_iq(self, kind: str, payload: str) -> Any:
        """The answer to a request to the component that is written here."""
        iq = self.make_iq(ito=COMPONENT, itype=kind)
        iq.set_payload(fromstring(payload))
        try:
            return await within_bounds(iq.send())
        except IqError as error:
            return error.iq


class ComponentCase(IsolatedAsyncioTestCase):
    """A server, and a service that is a component of it."""

    kind: ClassVar[type[Server]]
    server: Server
    service: Service

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = cls.kind()
        cls.addClassCleanup(cls.server.remove)
        cls.prepare(cls.server)
        cls.server.start()
        for name in ("romeo", "juliet", "benvolio"):
            cls.server.register(name, PASSWORD)
        port = cls.server.component_port
        cls.service = Service(
            f"component: {{connect: 'tcp:127.0.0.1:{port}', jid: {COMPONENT}, "
            f"secret_file: component}}\n{cls.backend(cls.server)}\n{SETTINGS}"
        )
        cls.addClassCleanup(cls.service.remove)
        (cls.service.folder / "component").write_text(SECRET)
        cls.service.start()

    @classmethod
    def prepare(cls, server: Any) -> None:
        """Let it keep messages for who is away."""
        raise NotImplementedError

    @classmethod
    def backend(cls, server: Any) -> str:
        """Where the accounts are, as configured."""
        raise NotImplementedError

    async def asyncSetUp(self) -> None:
        await self.service.logged(f"component {COMPONENT} connected")

    def tearDown(self) -> None:
        self.service.check_log()

    async def person(self, name: str, password: str = PASSWORD) -> Person:
        """Somebody who has logged in at the server itself, and is there to read."""
        person = Person(self.server, (name, password))
        self.addAsyncCleanup(person.leave)
        self.assertEqual(await person.run(), "session_start")
        person.send_presence()
        return person

    def run_command(self, *words: str) -> str:
        done = command(self.service, *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return str(done.stdout)

    def token(self, answer: Any) -> str:
        token: str = answer["form"].get_values()["uri"].partition("preauth=")[2]
        token = token.partition(";")[0]
        self.service.secrets.append(token)
        return token

    async def register(self, name: str, token: str) -> str:
        """Take up a link at the door for clients; returns the password."""
        password = self.service.secret()
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.preauth(token), "result")
        self.assertEqual(await wire.register(name, password), "result")
        return password


class ComponentTests(ComponentCase):
    """What holds for each server."""

    async def test_discovered(self) -> None:
        """A client sees what the component is, and that it is there."""
        juliet = await self.person("juliet")
        info = (await juliet.plugin["xep_0030"].get_info(jid=COMPONENT))["disco_info"]
        self.assertIn(
            ("automation", "command-node", None, f"Invitations to {DOMAIN}"), info["identities"]
        )
        expected = {REGISTER, PREAUTH, "http://jabber.org/protocol/commands", "urn:xmpp:ping"}
        self.assertLessEqual(expected, set(info["features"]))
        self.assertIn("mailto:abuse@example.com", str(info))
        items = await juliet.plugin["xep_0030"].get_items(jid=DOMAIN)
        self.assertIn(COMPONENT, {str(jid) for jid, *_ in items["disco_items"]["items"]})
        await juliet.plugin["xep_0199"].send_ping(COMPONENT)
        version = await juliet.plugin["xep_0092"].get_version(COMPONENT)
        self.assertEqual(version["software_version"]["name"], "invitereg")
        self.assertEqual((await juliet.send_iq("get", "<x xmlns='urn:x'/>"))["type"], "error")

    async def test_user_invites(self) -> None:
        """By a role somebody of the server invites, up to the limits; both are told."""
        juliet, romeo = await self.person("juliet"), await self.person("romeo")
        await juliet.get_roster()
        self.assertEqual(set(await juliet.commands()), {INVITE, LIST, RENEW, REVOKE})
        uri = (await juliet.perform(INVITE))["form"].get_values()["uri"]
        self.assertRegex(uri, rf"^xmpp:juliet@{DOMAIN}\?roster;preauth=\w+$")

        said = self.run_command("account", "role", "juliet", "--add", "team")
        self.assertEqual(said, f"juliet@{DOMAIN}\tteam\t-\t-\n")
        self.assertIn(CREATE_ACCOUNT, await juliet.commands())
        made = await juliet.perform(INVITE)
        self.assertRegex(made["form"].get_values()["uri"], rf"^xmpp:juliet@{DOMAIN}\?.*;ibr=y$")
        refused = await juliet.perform(INVITE)
        self.assertEqual(refused["condition"], "resource-constraint")

        password = await self.register("nurse", self.token(made))
        await romeo.heard(f"nurse@{DOMAIN} has registered; door: c2s; address: 127.0.0.1")
        nurse = await self.person("nurse", password)
        await nurse.heard("Welcome, nurse!")

        # juliet is told by a push, nurse perhaps so.
        await nurse.get_roster()
        for one, other in ((nurse, "juliet"), (juliet, "nurse")):
            entry = one.client_roster[f"{other}@{DOMAIN}"]
            await until(lambda entry=entry: entry["subscription"] == "both", "no contacts")

    async def test_admin(self) -> None:
        """An admin's link has a role; a friend takes it up for the newcomer, who may invite."""
        romeo, benvolio = await self.person("romeo"), await self.person("benvolio")
        self.assertIn(RESET, await romeo.commands())
        fields = {"username": "mercutio", "expiry": "1d", "role": ["team"], "note": "witty"}
        token = self.token(await romeo.perform(CREATE_ACCOUNT, lambda _form: fields))

        form = await benvolio.send_iq("get", f"<query xmlns='{REGISTER}'/>")
        self.assertEqual(form["type"], "result")
        preauth = f"<preauth xmlns='{PREAUTH}' token='{token}'/>"
        self.assertEqual((await benvolio.send_iq("set", preauth))["type"], "result")
        password = self.service.secret()
        query = (
            f"<query xmlns='{REGISTER}'><username>mercutio</username>"
            f"<password>{password}</password></query>"
        )
        self.assertEqual((await benvolio.send_iq("set", query))["type"], "result")
        again = await benvolio.send_iq("set", query)
        self.assertEqual(again["error"]["condition"], "forbidden")
        await romeo.heard("mercutio@localhost has registered; door: component; invite:")
        # A role that came by the invite decides, as one that the operator gave; and what is
        # asked of new accounts holds for those made here alone.
        mercutio = await self.person("mercutio", password)
        self.assertNotIn(CREATE_ACCOUNT, await mercutio.commands())
        said = command(self.service, "policy", "explain", "--inviter", "mercutio").stdout
        self.assertIn("account-too-young", said)

    async def test_reset(self) -> None:
        """An admin makes a link for somebody whose account is none of invitereg's."""
        self.server.register("paris", "forgotten")
        romeo = await self.person("romeo")
        account = {"accountjid": f"paris@{DOMAIN}"}
        token = self.token(await romeo.perform(RESET, lambda _form: account))
        await self.person("paris", await self.register("paris", token))

    async def test_forged(self) -> None:
        """Nobody gives commands as somebody else: the server sees to that."""
        benvolio = await self.person("benvolio")
        payload = f"<command xmlns='http://jabber.org/protocol/commands' node='{RESET}'/>"
        iq = benvolio.make_iq(ito=COMPONENT, itype="set", ifrom=f"romeo@{DOMAIN}/x")
        iq.set_payload(fromstring(payload))
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        benvolio.add_event_handler(
            "disconnected", lambda _event: answered.done() or answered.set_result(None)
        )
        benvolio.register_handler(Callback("answer", MatcherId(iq["id"]), answered.set_result))
        benvolio.send(iq)
        answer = await within_bounds(answered)
        self.assertTrue(answer is None or answer["error"]["condition"] == "forbidden", answer)


class ProsodyTests(ComponentTests):
    kind = Prosody

    @classmethod
    def prepare(cls, server: Any) -> None:
        """See `ComponentCase`; Prosody does so by itself."""

    @classmethod
    def backend(cls, server: Any) -> str:
        """See `ComponentCase`."""
        return "accounts: {backend: xmpp}"


class EjabberdTests(ComponentTests):
    kind = Ejabberd

    @classmethod
    def prepare(cls, server: Any) -> None:
        """See `ComponentCase`."""
        server.settings["modules"]["mod_offline"] = {}

    @classmethod
    def backend(cls, server: Any) -> str:
        """See `ComponentCase`."""
        return (
            f"accounts: {{backend: ejabberd, url: 'http://127.0.0.1:{server.http_port}/api'}}"
        )


class EjabberdByComponentTests(ComponentCase):
    """ejabberd, whose rosters cannot be set by a component."""

    kind = Ejabberd
    prepare = EjabberdTests.prepare

    @classmethod
    def backend(cls, server: Any) -> str:
        """See `ComponentCase`."""
        return "accounts: {backend: xmpp}"

    async def test_without_contacts(self) -> None:
        """A user's invite lets somebody register, and promises nothing that cannot be."""
        self.run_command("account", "role", "juliet", "--add", "team")
        juliet = await self.person("juliet")
        made = await juliet.perform(INVITE)
        self.assertRegex(made["form"].get_values()["uri"], rf"^xmpp:{DOMAIN}\?register;")
        fields = {"username": "", "roster-subscription": True}
        refused = await juliet.perform(CREATE_ACCOUNT, lambda _form: fields)
        self.assertEqual(
            refused["text"], "This server can make nobody your contact by an invitation."
        )
        await self.person("nurse", await self.register("nurse", self.token(made)))


del ComponentTests
