"""Accounts at real servers over a component: what every backend is held to."""

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from invitereg.accounts.remote import RemoteAccounts
from invitereg.accounts.xmppserver import XMPPServer
from invitereg.errors import Unavailable
from invitereg.interfaces.server import (
    AlreadyThere,
    IServer,
    MissingPrivilege,
    NotThere,
    ServerUnreachable,
)
from invitereg.runtime.deferreds import Deadline
from invitereg.testing import clock_now, make_account, memory_store
from tests.accounts.connecting import connected
from tests.contracts import backend_contract
from tests.peers.servers import COMPONENT, DOMAIN, Ejabberd, Prosody, started

USED = ("juliet", "romeo", "nurse", "u0", "u1", "mercutio")


async def subscription(server, owner, other):
    """What an account's roster says of another."""
    known = await server.rosters.known(owner, f"{other}@{DOMAIN}", Deadline(reactor, 5))
    return known.subscription


class ServerCase(TestCase):
    """A server that runs already, with none of the accounts that are used here."""

    kind = Prosody
    timeout = 90

    @inlineCallbacks
    def setUp(self):
        self.peer = started(self.kind)
        self.line = yield connected(self, self.peer)
        self.server = XMPPServer(DOMAIN, self.line, reactor)
        for name in USED:
            yield self.server.delete(name).addErrback(lambda f: f.trap(NotThere))


class ProsodyTests(ServerCase):
    async def test_accounts(self):
        """Accounts come and go, and the server's word on each of them is true."""
        verifyObject(IServer, self.server)
        self.assertFalse(await self.server.exists("juliet"))
        await self.server.create("juliet", "pass <&> wörd")
        self.assertTrue(await self.server.exists("juliet"))
        await self.assertFailure(self.server.create("juliet", "other"), AlreadyThere)
        await self.server.set_password("juliet", "another word")
        await self.server.end_sessions("juliet")
        await self.server.delete("juliet")
        self.assertFalse(await self.server.exists("juliet"))
        for asked in (
            self.server.delete("juliet"),
            self.server.set_password("juliet", "x"),
            self.server.make_contacts("juliet", "romeo"),
        ):
            await self.assertFailure(asked, NotThere)

    async def test_no_connection(self):
        """Without a connection nothing is done, which is known at once."""
        await self.line.stop()
        await self.assertFailure(self.server.create("juliet", "x"), ServerUnreachable)
        await self.assertFailure(self.server.exists("juliet"), ServerUnreachable)


class TroubleTests(ServerCase):
    async def test_cannot_read(self):
        """A server that cannot read its accounts denies them; they lose nothing by that."""
        store, clock = memory_store(), Clock()
        now = clock_now(clock)
        remote = RemoteAccounts(self.server, store, clock, now, lambda *_: None)
        for name in ("juliet", "romeo"):
            await self.server.create(name, "pass word")
            await store.learn(make_account(domain=DOMAIN, username=name, roles=("team",)))
            self.assertTrue(await remote.exists(name))
        (stored,) = self.peer.folder.rglob("accounts")
        away = stored.rename(stored.with_name("away"))
        self.addCleanup(lambda: away.exists() and away.rename(stored))
        self.assertFalse(await self.server.exists("juliet"))
        self.assertFalse(await remote.exists("juliet"))
        deleting = remote.delete("juliet", now())
        await self.assertFailure(deleting, Unavailable)
        away.rename(stored)
        self.assertTrue(await remote.exists("juliet"))
        self.assertEqual((await store.get_account(DOMAIN, "juliet")).roles, ("team",))
        await self.server.delete("juliet")
        self.assertFalse(await remote.exists("juliet"))
        self.assertEqual((await store.get_account(DOMAIN, "juliet")).roles, ())


class ProsodyRosterTests(ServerCase):
    async def test_contacts(self):
        """Two accounts become contacts, again and again, and keep what they were called."""
        for name in ("juliet", "romeo"):
            await self.server.create(name, "pass word")
        self.assertIsNone(await self.server.contacts_problem())
        for _ in range(2):
            await self.server.make_contacts("juliet", "romeo")
        for one, other in (("juliet", "romeo"), ("romeo", "juliet")):
            self.assertEqual(await subscription(self.server, one, other), "both")

    async def test_check(self):
        """All that is needed is granted, and trying it leaves nothing behind."""
        self.assertEqual(await self.server.try_privileges(), [])


class EjabberdTests(ProsodyTests):
    kind = Ejabberd

    async def test_many_accounts(self):
        """Among many accounts, which ejabberd lists in ranges, each is found, and no other."""
        names = [f"many{number:03}" for number in range(150)]
        for name in names:
            self.peer.api("register", user=name, host=DOMAIN, password="pass word")
        try:
            for name in (*names[::10], names[-1]):
                self.assertTrue(await self.server.exists(name), name)
            for name in ("a", "many", "many000x", "many0750", "zzz"):
                self.assertFalse(await self.server.exists(name), name)
        finally:
            for name in names:
                self.peer.api("unregister", user=name, host=DOMAIN)

    async def test_rosters_are_refused(self):
        """That ejabberd 23.01 sets no rosters is told before anybody waits for contacts."""
        problem = await self.server.contacts_problem()
        self.assertIn("backend: ejabberd", problem)
        self.assertEqual(await self.server.try_privileges(), [problem])


class MissingPrivilegeTests(TestCase):
    """A Prosody that has the component, but does not trust it."""

    timeout = 90

    async def test_says_what_to_change(self):
        """The lines of the configuration that are missing are told."""
        peer = Prosody()
        self.addCleanup(peer.remove)
        peer.settings, peer.host = [], []
        peer.start()
        line = await connected(self, peer)
        server = XMPPServer(DOMAIN, line, reactor)
        error = await self.assertFailure(server.exists("juliet"), MissingPrivilege)
        self.assertIn(f'admins = {{ "{COMPONENT}" }}', error.text)
        self.assertIn("privileged_entities", await server.contacts_problem())
        self.assertEqual(await server.try_privileges(), [error.text])

    async def test_as_documented(self):
        """The lines of the operators' guide grant all that is needed, and no more."""
        peer = Prosody()
        self.addCleanup(peer.remove)
        peer.settings = []
        peer.host = [
            f'admins = {{ "{COMPONENT}" }}',
            f'privileged_entities = {{ ["{COMPONENT}"] = {{ roster = "both" }} }}',
        ]
        peer.start()
        line = await connected(self, peer)
        self.assertEqual(await XMPPServer(DOMAIN, line, reactor).try_privileges(), [])


class OverComponent:
    """What the contract of all backends needs, over a real connection."""

    kind = Prosody
    timeout = 120

    @inlineCallbacks
    def setUp(self):
        line = yield connected(self, started(self.kind))
        self.real = XMPPServer(DOMAIN, line, reactor)
        super().setUp()
        for name in USED:
            yield self.real.delete(name).addErrback(lambda f: f.trap(NotThere))

    def make_server(self):
        return self.real

    async def are_contacts(self):
        return all(
            [
                await subscription(self.real, one, other) == "both"
                for one, other in (("juliet", "romeo"), ("romeo", "juliet"))
            ]
        )


class ProsodyContractTests(OverComponent, backend_contract.BackendContract):
    pass


class EjabberdContractTests(OverComponent, backend_contract.BackendContract):
    kind = Ejabberd
    test_clock_set_back = None
    test_contacts_in_the_end = None  # see EjabberdTests.test_rosters_are_refused
