"""Who is connected, and how that ends."""

from datetime import timedelta

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.jid import JID

from invitereg.embedded.sessions import Session, Sessions
from invitereg.errors import Unavailable
from invitereg.interfaces.queries import Redemption
from invitereg.model.invites import Kind, Use
from invitereg.testing import START, make_account, make_credentials, memory_store


class Connection:
    """A session that remembers how it was ended."""

    outbox = None

    def __init__(self, resource="balcony", set_at=START):
        self.ended = None
        self.session = Session(JID(f"juliet@example.com/{resource}"), set_at, self)

    def send(self, text):
        """Nobody reads it."""

    def end(self, condition, text=None):
        self.ended = condition


class SessionsTests(SynchronousTestCase):
    def setUp(self):
        self.store = memory_store()
        self.sessions = Sessions(self.store)
        use = Use(
            domain="example.com", username="juliet", kind=Kind.ACCOUNT, at=START, door="cli"
        )
        redemption = Redemption(account=make_account(), use=use)
        self.successResultOf(self.store.redeem(redemption))
        self.look()

    def add(self, connection):
        self.successResultOf(Deferred.fromCoroutine(self.sessions.add(connection.session)))
        return connection

    def look(self):
        """What the service does every second."""
        self.successResultOf(Deferred.fromCoroutine(self.sessions.carry_out_ends()))

    def delete(self):
        deleted = self.store.delete_account("example.com", "juliet", START + timedelta(hours=1))
        self.successResultOf(deleted)

    def reset(self, at):
        """Another process sets the password."""
        redemption = Redemption(
            account=make_account(credentials=make_credentials(changed_at=at)),
            use=Use(
                domain="example.com", username="juliet", kind=Kind.ACCOUNT, at=at, door="cli"
            ),
            operator=True,
        )
        self.delete()
        self.successResultOf(self.store.redeem(redemption))

    def test_same_resource(self):
        """A phone that comes back takes the place of its dead connection."""
        first, second, other = self.add(Connection()), Connection(), Connection("chamber")
        self.add(other)
        self.add(second)
        self.assertEqual((first.ended, second.ended, other.ended), ("conflict", None, None))
        self.sessions.remove(first.session)
        self.assertEqual(
            set(self.sessions.of("juliet@example.com")),
            {second.session, other.session},
            "by its successor",
        )

    def test_forgotten(self):
        """Nothing is kept of those who have gone."""
        connection = self.add(Connection())
        for _ in range(2):
            self.sessions.remove(connection.session)
        self.assertEqual(list(self.sessions.of("juliet@example.com")), [])
        self.assertEqual(self.sessions._sessions, {})

    def test_deleted(self):
        """Deleting an account ends its sessions, whoever deletes it."""
        connection = self.add(Connection())
        self.delete()
        self.look()
        self.assertEqual(connection.ended, "not-authorized")

    def test_reset(self):
        """A new password ends the sessions opened with the old one, and no others."""
        later = START + timedelta(hours=2)
        old = self.add(Connection("old"))
        self.reset(later)
        fresh = self.add(Connection("new", set_at=later))
        self.look()
        self.assertEqual((old.ended, fresh.ended), ("not-authorized", None))
        self.look()
        self.assertIsNone(fresh.ended)

    def test_changed_during_login(self):
        """Whoever logged in while the account was deleted does not stay."""
        self.delete()
        self.look()
        self.assertEqual(self.add(Connection()).ended, "not-authorized")

    def test_store_unreachable(self):
        """A session that cannot be checked does not stay, half-open and unchecked."""
        connection = Connection()
        self.patch(self.store, "get_account", lambda *_: fail(Unavailable("x")))
        adding = Deferred.fromCoroutine(self.sessions.add(connection.session))
        self.failureResultOf(adding, Unavailable)
        self.assertEqual(connection.ended, "resource-constraint")

    def test_history(self):
        """What ended before the service started ends nothing now."""
        self.delete()
        fresh = Sessions(self.store)
        self.successResultOf(Deferred.fromCoroutine(fresh.carry_out_ends()))
        self.assertIsNotNone(fresh._last_end)

    def test_too_many(self):
        """One session more than an account may have ends its oldest, and no other."""
        self.sessions = Sessions(self.store, per_account=2)
        self.look()
        first, second = self.add(Connection("a")), self.add(Connection("b"))
        again = self.add(Connection("a"))
        self.assertEqual((first.ended, second.ended), ("conflict", None))
        third = self.add(Connection("c"))
        self.assertEqual((second.ended, again.ended, third.ended), ("conflict", None, None))
        self.sessions.remove(second.session)
        left = self.sessions.of("juliet@example.com")
        self.assertEqual(left, [again.session, third.session])
