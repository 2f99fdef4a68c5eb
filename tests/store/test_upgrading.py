"""What becomes of a database that an earlier release wrote."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from alembic import command
from alembic.config import Config

from invitereg.model import Kind, Use
from invitereg.policy.counters import Counter
from invitereg.policy.values import Limit
from invitereg.questions import Redemption
from invitereg.store import schema
from invitereg.store.redemptions import redemption_text
from invitereg.testing import make_account
from tests.store.database_case import DatabaseCase

MOMENT = 1_767_225_600_000_000
THEN = datetime.fromtimestamp(MOMENT / 1_000_000, UTC)


class UpgradeTests(DatabaseCase):
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
