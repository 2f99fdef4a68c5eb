"""What becomes of a database that an earlier release wrote."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, event

from invitereg.errors import StoreError
from invitereg.interfaces.queries import Redemption
from invitereg.model.invites import Kind, Use
from invitereg.policy.counters import Counter
from invitereg.policy.values import Limit
from invitereg.store import schema
from invitereg.store.rows import redemption_text
from invitereg.testing import make_account
from tests.store.database_case import DatabaseCase

MOMENT = 1_767_225_600_000_000
THEN = datetime.fromtimestamp(MOMENT / 1_000_000, UTC)


class ReleaseCase(DatabaseCase):
    """Writes databases as earlier releases did."""

    def write_release(self, revision: str) -> None:
        """Write an empty database as the release with that revision made it."""

        def upgrade(connection: Any) -> None:
            config = Config()
            config.set_main_option("script_location", schema.__path__[0])
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

        patch = self.patch(schema, "_migrate", upgrade)
        self.open_inline().close()
        patch.restore()


class UpgradeTests(ReleaseCase):
    def write_first_release(self) -> None:
        """Write a database as 0001 made it: two came by invite, of which one was purged."""
        self.write_release("0001")
        with sqlite3.connect(self.path) as connection:
            connection.execute(
                "INSERT INTO invites (domain, id, digest, kind, source, inviter, roles, groups,"
                " note, uses_allowed, uses, created_at)"
                " VALUES ('example.com', 'kept', x'00', 'account', 'cli', 'romeo', '[]', '[]',"
                f" '', 1, 1, {MOMENT})"
            )
            for username, invite in (("romeo", None), ("juliet", "kept"), ("nurse", "purged")):
                connection.execute(
                    "INSERT INTO uses (domain, username, kind, at, door, invite_id)"
                    f" VALUES ('example.com', ?, 'account', {MOMENT}, 'c2s', ?)",
                    (username, invite),
                )
        connection.close()

    def test_inviters(self) -> None:
        """Of whom an invite is still there, it is known through whom they came."""
        self.write_first_release()
        self.use_store(self.open_inline())
        uses = self.successResultOf(self.store.list_uses("example.com"))
        found = {use.username: (use.invite_id, use.inviter) for use in uses}
        self.assertEqual(
            found,
            {"romeo": (None, None), "juliet": ("kept", "romeo"), "nurse": ("purged", None)},
        )

    def test_leases(self) -> None:
        """A registration that was under way during an upgrade gives back what it counted."""
        self.write_release("0005")
        limit = Limit(max=1, period=timedelta(hours=1))
        counter = Counter(name="registration", key="192.0.2.1/32", limit=limit)
        redemption = redemption_text(
            Redemption(
                account=make_account(username="romeo", created_at=THEN),
                use=Use(
                    domain="example.com",
                    username="romeo",
                    kind=Kind.ACCOUNT,
                    at=THEN,
                    door="c2s",
                ),
            )
        )
        with sqlite3.connect(self.path) as connection:
            connection.execute(
                "INSERT INTO hits (seq, domain, name, key, at)"
                f" VALUES (7, 'example.com', 'registration', '192.0.2.1/32', {MOMENT})"
            )
            for number, hit in ((1, 7), (2, None)):
                connection.execute(
                    "INSERT INTO leases (number, domain, username, at, hit, redemption)"
                    f" VALUES (?, 'example.com', 'romeo', {MOMENT}, ?, ?)",
                    (number, hit, json.dumps(redemption)),
                )
        connection.close()
        self.use_store(self.open_inline())
        count = partial(self.store.hit, "example.com", (counter,), THEN)
        self.assertIsNone(self.successResultOf(count()))
        for number in (2, 1):
            self.assertTrue(self.successResultOf(self.store.release(number)))
        self.assertIsNotNone(self.successResultOf(count()))


OLD, NEW = "xn--mnchen-3ya.example", "m\u00fcnchen.example"


class DomainTests(ReleaseCase):
    """A domain that was stored in A-labels."""

    def write(self, *statements: str) -> None:
        """Write a database as revision 0010 made it, with what statements put into it."""
        self.write_release("0010")
        with sqlite3.connect(self.path) as connection:
            for statement in statements:
                connection.execute(statement.format(old=OLD, new=NEW, at=MOMENT))
        connection.close()

    def read(self, statement: str) -> list[tuple[Any, ...]]:
        """Open the database, as a new release does, and return what a statement finds."""
        self.use_store(self.open_inline())
        with sqlite3.connect(self.path) as connection:
            self.assertEqual(connection.execute("PRAGMA foreign_key_check").fetchall(), [])
            found = connection.execute(statement.format(old=OLD, new=NEW)).fetchall()
        connection.close()
        return found

    def account(self, domain: str, username: str, role: str = "") -> tuple[str, str]:
        """The statements that make an account."""
        return (
            "INSERT INTO names (domain, username, state)"
            f" VALUES ('{domain}', '{username}', 'account')",
            "INSERT INTO accounts (domain, username, created_at, roles, groups, details)"
            f" VALUES ('{domain}', '{username}', {MOMENT}, '[\"{role}\"]', '[]', '{{{{}}}}')",
        )

    def contact(self, domain: str, username: str, jid: str, request: str = "NULL") -> str:
        """The statement that adds a contact."""
        return (
            "INSERT INTO roster_items (domain, username, jid, name, groups, subscription, ask,"
            f" approved, request, listed) VALUES ('{domain}', '{username}', '{jid}', '', '[]',"
            f" 'both', 0, 0, {request}, 1)"
        )

    def invite(self, domain: str, name: str, source: str = "cli") -> str:
        """The statement that makes an invite."""
        return (
            "INSERT INTO invites (domain, id, digest, kind, source, roles, groups, note,"
            f" uses_allowed, uses, created_at) VALUES ('{domain}', '{name}', CAST('{name}' AS"
            f" BLOB), 'account', '{source}', '[]', '[]', '', 1, 0, {MOMENT})"
        )

    def test_renamed(self) -> None:
        """All that is kept of it is found by its name, and addresses at it are at that."""
        request = f"'<presence from=''romeo@{OLD}''/>'"
        self.write(
            *self.account(OLD, "juliet", "team"),
            *self.account(OLD, "romeo"),
            *self.account("example.com", "nurse"),
            self.contact(OLD, "juliet", f"romeo@{OLD}", request),
            self.contact("example.com", "nurse", f"juliet@{OLD}"),
            self.invite(OLD, "made", f"adhoc:juliet@{OLD}"),
            "INSERT INTO uses (domain, username, kind, at, door)"
            " VALUES ('{old}', 'juliet', 'account', {at}, 'c2s')",
            "INSERT INTO hits (domain, name, key, at) VALUES ('{old}', 'n', 'juliet@{old}', 1)",
            "INSERT INTO api_keys (id, digest, name, scopes, domain, created_at)"
            " VALUES ('k', x'00', 'k', '[]', '{old}', {at})",
            "INSERT INTO errands (domain, username, task, details, at, due, tries)"
            " VALUES ('{old}', 'juliet', 'contacts', '{{}}', {at}, {at}, 0)",
        )
        self.use_store(self.open_inline())
        account = self.successResultOf(self.store.get_account(NEW, "juliet"))
        assert account is not None
        self.assertEqual(account.roles, ("team",))
        roster = self.successResultOf(self.store.get_roster(NEW, "juliet"))
        self.assertEqual(list(roster), [f"romeo@{NEW}"])
        self.assertEqual(roster[f"romeo@{NEW}"].request, f"<presence from='romeo@{NEW}'/>")
        others = self.successResultOf(self.store.get_roster("example.com", "nurse"))
        self.assertEqual(list(others), [f"juliet@{NEW}"])
        invite = self.successResultOf(self.store.get_invite(NEW, "made"))
        assert invite is not None
        self.assertEqual(invite.source, f"adhoc:juliet@{NEW}")
        for table in ("uses", "hits", "api_keys", "errands"):
            self.assertEqual(self.read(f"SELECT domain FROM {table}"), [(NEW,)])
        self.assertEqual(self.read("SELECT key FROM hits"), [(f"juliet@{NEW}",)])

    def test_usernames(self) -> None:
        """A contact is never somebody else afterwards, whatever the username looks like."""
        jid = f"{OLD}@example.com"
        self.write(
            *self.account(OLD, "juliet"),
            *self.account("example.com", "nurse"),
            self.contact("example.com", "nurse", jid),
            self.invite(OLD, "made", f"adhoc:{OLD}+x@example.com"),
        )
        self.assertEqual(self.read("SELECT jid FROM roster_items"), [(jid,)])
        source = f"adhoc:{OLD}+x@example.com"
        self.assertEqual(self.read("SELECT source FROM invites"), [(source,)])

    def test_lease(self) -> None:
        """A registration that was under way is settled at the domain by its name."""
        use = Use(domain=OLD, username="romeo", kind=Kind.ACCOUNT, at=THEN, door="c2s")
        account = make_account(domain=OLD, username="romeo", created_at=THEN)
        written = json.dumps(redemption_text(Redemption(account=account, use=use)))
        text = written.replace("{", "{{").replace("}", "}}")
        self.write(
            "INSERT INTO names (domain, username, state) VALUES ('{old}', 'romeo', 'leased')",
            "INSERT INTO leases (domain, username, at, redemption)"
            f" VALUES ('{{old}}', 'romeo', {{at}}, '{text}')",
        )
        self.use_store(self.open_inline())
        later = THEN + timedelta(hours=1)
        (lease,) = self.successResultOf(self.store.open_leases(NEW, later))
        self.assertEqual(lease.redemption.account.domain, NEW)

    def test_both_spellings(self) -> None:
        """Who was served by both names gets the accounts of both."""
        self.write(
            *self.account(NEW, "juliet", "new"),
            *self.account(OLD, "romeo", "old"),
            *self.account(OLD, "nurse", "old"),
            *self.account(NEW, "tybalt", "new"),
            "INSERT INTO names (domain, username, state) VALUES ('{new}', 'nurse', 'reserved')",
            "INSERT INTO names (domain, username, state) VALUES ('{old}', 'tybalt', 'deleted')",
            self.contact(OLD, "romeo", f"nurse@{OLD}"),
            self.contact(OLD, "romeo", f"nurse@{NEW}").replace("'both'", "'none'"),
            self.contact(NEW, "juliet", f"nurse@{OLD}").replace("'both'", "'none'"),
            self.contact(NEW, "juliet", f"nurse@{NEW}"),
            self.invite(OLD, "a"),
            self.invite(NEW, "b"),
        )
        found = self.read(
            "SELECT username, roles FROM accounts WHERE domain = '{new}' ORDER BY 1"
        )
        roles = {"juliet": "new", "nurse": "old", "romeo": "old", "tybalt": "new"}
        self.assertEqual(found, [(name, f'["{role}"]') for name, role in roles.items()])
        self.assertEqual(
            self.read("SELECT DISTINCT jid, subscription FROM roster_items"),
            [(f"nurse@{NEW}", "both")],
        )
        self.assertEqual(self.read("SELECT DISTINCT domain FROM invites"), [(NEW,)])
        # What holds a name more stays: an account, and neither a deleted nor a reserved name.
        self.assertEqual(
            self.read("SELECT DISTINCT domain, state FROM names"), [(NEW, "account")]
        )

    def test_three_spellings(self) -> None:
        """Of one contact in several spellings the item with more stays, whichever it was."""
        one, other = "xn--mnchen-3ya", "m\u00fcnchen"
        both, none = self.contact, lambda *who: self.contact(*who).replace("'both'", "'none'")
        self.write(
            *self.account(OLD, "juliet"),
            none(OLD, "juliet", f"a@{other}.{other}"),
            none(OLD, "juliet", f"a@{one}.{other}"),
            both(OLD, "juliet", f"a@{other}.{one}"),
            none(OLD, "juliet", f"a@{one}.{one}"),
        )
        found = self.read("SELECT jid, subscription FROM roster_items")
        self.assertEqual(found, [(f"a@{other}.{other}", "both")])

    def test_many(self) -> None:
        """A big database is not asked about each contact: that takes minutes."""
        contacts = (self.contact(OLD, "juliet", f"c{number}@{OLD}") for number in range(500))
        self.write(*self.account(OLD, "juliet"), *contacts)
        statements: list[str] = []
        event.listen(
            Engine, "before_cursor_execute", note := lambda *a: statements.append(a[2])
        )
        self.addCleanup(event.remove, Engine, "before_cursor_execute", note)
        self.assertEqual(len(self.read("SELECT * FROM roster_items")), 500)
        self.assertLess(len(statements), 300)

    def test_one_name_of_two(self) -> None:
        """Two accounts with one name stay two: the upgrade is refused, and changes nothing."""
        self.write(
            *self.account(OLD, "juliet", "old"),
            *self.account(NEW, "juliet", "new"),
            *self.account(OLD, "romeo", "old"),
            self.invite(OLD, "reset"),
        )
        refused = self.assertRaises(StoreError, self.open_inline)
        for part in (OLD, NEW, "juliet", "account delete NAME --domain DOMAIN"):
            self.assertIn(part, str(refused))
        self.assertNotIn("romeo", str(refused))
        with sqlite3.connect(self.path) as connection:
            for table, expected in (("accounts", 2), ("invites", 1)):
                statement = f"SELECT count(*) FROM {table} WHERE domain = '{OLD}'"
                self.assertEqual(connection.execute(statement).fetchall(), [(expected,)])
        connection.close()

    def test_cut_off(self) -> None:
        """Whatever ends the upgrade half-way, the next one finds it as it was."""
        self.write(*self.account(OLD, "juliet"), self.contact(OLD, "juliet", f"romeo@{OLD}"))

        def upgrade(connection: Any) -> None:
            migrate(connection)
            raise KeyboardInterrupt

        migrate = schema._migrate
        patch = self.patch(schema, "_migrate", upgrade)
        self.assertRaises(KeyboardInterrupt, self.open_inline)
        patch.restore()
        with sqlite3.connect(self.path) as connection:
            found = connection.execute("SELECT domain FROM accounts").fetchall()
        connection.close()
        self.assertEqual(found, [(OLD,)])
        self.assertEqual(
            self.read("SELECT domain, jid FROM roster_items"), [(NEW, f"romeo@{NEW}")]
        )

    def test_kept(self) -> None:
        """What is no other domain's spelling keeps its name."""
        kept = ("xn--strae-oqa.example", "example.com", "xn--a.example", f"x{OLD}", NEW)
        self.write(*(self.invite(name, f"i{number}") for number, name in enumerate(kept)))
        found = self.read("SELECT DISTINCT domain FROM invites")
        self.assertEqual({name for (name,) in found}, set(kept))
