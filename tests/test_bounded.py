"""Nothing that the service remembers grows for ever: each collection, and what bounds it."""

import ast
from collections.abc import Iterator

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber import jid

from invitereg.embedded import addresses
from invitereg.embedded.addresses import bare_jid
from invitereg.errors import Throttled
from invitereg.testing import make_invite
from invitereg.usecases.registrar import Grant
from invitereg.xmpp.component.admission import ConcurrencyLimit, FairRateLimit, RateLimit
from invitereg.xmpp.component.door import MOST_REMEMBERED, REMEMBERED_SECONDS, GrantCache
from tests.test_structure import MODULES, PACKAGE

# By what they grow with. Whoever adds one says here what bounds it, and tests that.
BOUNDS = {
    "the configuration, or the code": """
        service/remote.RemoteServers._apis service/remote.RemoteServers._jobs
        service/remote.RemoteServers._notices service/remote.RemoteServers._register_from
        service/remote.RemoteServers.accounts service/remote.RemoteServers.checks
        service/remote.RemoteServers.components service/remote.RemoteServers.logins
        service/assembly.Assembly.logins service/service.InviteregService._domains
        runtime/ports.Ports._open runtime/threads.Threads._batches
        xmpp/c2s/listener.C2SFactory._features
        web/site.WebDoor._everywhere web/site.WebDoor._resources
        """,
    "one call, or one object that is soon gone": """
        model/subscribing._Exchange._effects model/tree.Tree._bearers model/tree.Tree.roots
        runtime/trustedendpoint._Receiver._found
        """,
    "connections that are open, which are limited": """
        accounts/ejabberdapi.ApiConnections._open embedded/sessions.Sessions._sessions
        embedded/sessions.Sessions._spared policy/networks.Occupancy._open
        web/connections.WebConnections._open runtime/deferreds.SharedCall._waiting
        web/connections.RoundRobin._groups web/connections.RoundRobin._items
        xmpp/c2s/flow.UnreadLedger._sizes
        xmpp/c2s/listener.StreamCount._unauthenticated xmpp/c2s/listener.StreamCount.open
        """,
    "one connection's buffers, which are limited": """
        xmpp/parser.SkippingElementStream.localPrefixes
        xmpp/component/connection._ComponentXmlStream.initializers xmpp/c2s/flow.Outbox._pieces
        xmpp/c2s/flow.Outbox._taken xmpp/c2s/flow.Deadlines._calls xmpp/c2s/flow.Inbox._elements
        xmpp/parser.RecordingElementStream._kept xmpp/parser.WholeTokens._kept
        """,
    "one session's contacts, and accounts that are there": """
        embedded/sessions.Session.audience embedded/sessions.Session.directed
        """,
    "what is under way, which is limited": """
        runtime/workqueue.Backlog._of embedded/contacts.Contacts._reading
        embedded/contacts.Contacts._pushed embedded/notices.SessionNotices._told
        xmpp/component/connection.ComponentStream._asked
        xmpp/component/admission.ConcurrencyLimit._counts
        xmpp/component/notices.ComponentNotices._sent
        """,
    "registrations whose outcome is open": """
        accounts/provisioning.Provisioner._absent_since accounts/provisioning.Provisioner._busy
        accounts/provisioning.Provisioner._refused accounts/provisioning.Provisioner._unknown
        """,
    "what there is to remove, an hour's each": "service/maintenance.Maintenance._removals",
    "keys that the operator has made": """
        web/api/auth.Authorization._known web/api/auth.Rates._paid_until
        """,
    "a minute's lines, of places in the code, rules and domains": """
        runtime/logs.LogGuard._left_out runtime/logs.LogGuard._logged
        runtime/logs.RefusalLog._addresses runtime/logs.RefusalLog._left_out
        runtime/logs.RefusalLog._rules web/monitoring.AccessLog._left_out
        web/monitoring.AccessLog._lines
        """,
    "accounts, ten of each, for so long": """
        xmpp/adhoc/commands.CommandSessions._of_users xmpp/adhoc/commands.CommandSessions._open
        """,
    "a number of its own": """
        runtime/connections.ConnectionRate._paid_until runtime/fairness.TimeBudgets._even_at
        runtime/logs.FaultLog._told usecases/throttles.TokenThrottle._turns
        web/forms.SubmissionCache._known web/invitation.KeptPages._sites
        xmpp/component/door.GrantCache._by_account xmpp/component/admission.RateLimit._counts
        xmpp/component/notices.ComponentNotices._awaited
        """,
}
_EMPTY = ("{}", "[]", "set()", "OrderedDict()", "deque()", "Counter()", "bytearray()")
_GROWING = (*_EMPTY, "WeakSet()", "WeakKeyDictionary()", "defaultdict(", "dict()")
_APART = ("cli", "config", "prosody", "testing")
"""What is over when a command is, or the configuration has been read."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        name = str(path.relative_to(PACKAGE)).removesuffix(".py")
        if name.split("/")[0] not in _APART:
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def collections() -> Iterator[str]:
    """Every attribute of an object that begins as an empty collection."""
    for name, tree in trees():
        for owner in ast.walk(tree):
            if isinstance(owner, ast.ClassDef):
                for attribute, begins in attributes(owner):
                    if begins.startswith(_GROWING):
                        yield f"{name}.{owner.name}.{attribute}"


def attributes(owner: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """What is assigned to the attributes of a class's objects."""
    for node in ast.walk(owner):
        if isinstance(node, ast.AnnAssign | ast.Assign) and node.value is not None:
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            for target in map(ast.unparse, targets):
                if target.startswith("self."):
                    yield target.removeprefix("self."), ast.unparse(node.value)


class ListTests(SynchronousTestCase):
    def test_listed(self) -> None:
        """Whoever adds a collection to an object says what bounds it."""
        listed = " ".join(BOUNDS.values()).split()
        there = set(collections())
        self.assertEqual((sorted(there - set(listed)), sorted(set(listed) - there)), ([], []))

    def test_caches(self) -> None:
        """A cache of a function's results has a size, or the function has no arguments."""
        unbounded = [
            f"{name}.{node.name}"
            for name, tree in trees()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
            for decorator in node.decorator_list
            if ast.unparse(decorator) in ("cache", "functools.cache")
            or "maxsize=None" in ast.unparse(decorator)
        ]
        self.assertEqual(unbounded, ["store/lookup._statement", "store/sqlite._template"])

    def test_never_interned(self) -> None:
        """No address is given to Twisted to be kept for ever."""
        interning = ("internJID", "userhostJID")
        found = [
            name
            for name, tree in trees()
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute | ast.Name)
            and ast.unparse(node).rpartition(".")[2] in interning
        ]
        self.assertEqual(found, [])


class AddressTests(SynchronousTestCase):
    def test_parsed(self) -> None:
        """Of addresses that are parsed, short ones are remembered, and so many."""
        cache = addresses._remembered_jid
        cache.cache_clear()
        for number in range(addresses.REMEMBERED_JIDS + 100):
            addresses.parse_jid(f"u{number}@example.com/x")
        self.assertEqual(cache.cache_info().currsize, addresses.REMEMBERED_JIDS)
        cache.cache_clear()
        for number in range(100):
            addresses.parse_jid(
                f"u@example.com/{number}" + "x" * addresses.REMEMBERED_CHARACTERS
            )
        self.assertEqual(cache.cache_info().currsize, 0)

    def test_bare(self) -> None:
        """An address without its resource is made anew each time."""
        interned = jid.__dict__["__internJIDs"]
        before = len(interned)
        for number in range(100):
            full = addresses.parse_jid(f"u{number}@example.com/x")
            self.assertEqual(bare_jid(full), jid.JID(f"u{number}@example.com"))
        self.assertEqual(len(interned), before)


class RateTests(SynchronousTestCase):
    """What the component remembers of who has asked."""

    def setUp(self) -> None:
        self.clock = Clock()

    def test_keys(self) -> None:
        """Whoever makes up senders makes no more than so many be remembered, nor long ones."""
        rate = RateLimit(1, self.clock.seconds, keys=100)
        for number in range(1000):
            rate.add("x" * 3000 + str(number))
        self.assertEqual(len(rate), 100)
        self.assertLessEqual(max(map(len, rate._counts)), 64)
        fair = FairRateLimit(1, 10, 1, self.clock.seconds)
        for number in range(20_000):
            fair.add(str(number))
        self.assertEqual(len(fair), 10_000)

    def test_under_way(self) -> None:
        """Of work that is done nothing is remembered, nor of work that was refused."""
        under_way = ConcurrencyLimit()
        for number in range(100):
            with under_way.one_more([(str(number), 1), ("all", 2)]):
                self.assertEqual(len(under_way), 2)
                with self.assertRaises(Throttled), under_way.one_more([(str(number), 1)]):
                    pass
        self.assertEqual(len(under_way), 0)

    def test_grants(self) -> None:
        """One account's sessions take one place, and all accounts so many."""
        grants = GrantCache(self.clock.seconds)
        grant = Grant("example.com", make_invite())
        first = addresses.parse_jid("romeo@example.com/x")
        for number in range(100):
            grants.remember(addresses.parse_jid(f"romeo@example.com/{number}"), grant)
        self.assertEqual(len(grants), 1)
        grants.remember(first, grant)
        self.assertIs(grants.get(first), grant)
        for number in range(2 * MOST_REMEMBERED):
            grants.remember(addresses.parse_jid(f"u{number}@example.com/x"), grant)
        self.assertEqual(len(grants), MOST_REMEMBERED)
        self.assertIsNone(grants.get(first))
        last = addresses.parse_jid(f"u{2 * MOST_REMEMBERED - 1}@example.com/x")
        self.assertIs(grants.get(last), grant)
        self.clock.advance(REMEMBERED_SECONDS)
        self.assertIsNone(grants.get(last))
