"""What becomes of a database that an earlier release wrote."""

import sqlite3
from typing import Any

from alembic import command
from alembic.config import Config

from invitereg.store import schema
from tests.store.database_case import DatabaseCase

MOMENT = 1_767_225_600_000_000


class UpgradeTests(DatabaseCase):
    def write_first_release(self) -> None:
        """A database as 0001 made it: two came by invite, of which one was purged."""

        def upgrade_to_first(connection: Any) -> None:
            config = Config()
            config.set_main_option("script_location", schema.__path__[0])
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")

        patch = self.patch(schema, "_migrate", upgrade_to_first)
        self.open_inline().close()
        patch.restore()
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
