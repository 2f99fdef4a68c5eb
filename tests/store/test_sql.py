"""What is in the file, and how it is found there."""

import re
from datetime import timedelta

from sqlalchemy import event, text

from invitereg.interfaces.queries import Subscribing
from invitereg.model.invites import Kind, Status, token_digest
from invitereg.model.subscribing import Stanza
from invitereg.store.tables import metadata
from invitereg.testing import make_invite
from tests.contracts.quota_contract import quota
from tests.contracts.store_case import DOMAIN, HOUR, counter
from tests.store.database_case import DatabaseCase


class SQLTests(DatabaseCase):
    def setUp(self):
        super().setUp()
        self.use_store(self.open_inline())

    def count(self, table):
        job = self.database.read(lambda c: c.scalar(text(f"SELECT count(*) FROM {table}")))
        return self.successResultOf(job)

    async def test_no_token(self):
        """A stolen database opens no door: it has the tokens' digests only."""
        token = "Th1sIsTheT0kenOfAnInvite"
        await self.invite(token, note="findable")
        self.database.close()
        content = self.path.read_bytes()
        self.assertIn(b"findable", content)
        self.assertIn(token_digest(token), content)
        self.assertNotIn(token.encode(), content)

    async def test_old_hits_are_forgotten(self):
        """Those who came once, from ever new networks, leave nothing for good."""
        for n in range(30):
            await self.store.hit(DOMAIN, (counter(f"192.0.2.{n}/32"),), self.now)
        await self.store.hit(DOMAIN, (counter("other", name="logins"),), self.now)
        self.advance(HOUR - timedelta(seconds=1))
        await self.store.hit(DOMAIN, (counter("late"),), self.now)
        self.assertEqual(self.count("hits"), 32)
        self.advance(timedelta(seconds=1))
        for _ in range(3):
            await self.store.hit(DOMAIN, (counter("later", 9),), self.now)
        self.assertEqual(self.count("hits"), 5)

    async def test_take_back_only_what_was_counted(self):
        """A number is given once: what was forgotten and taken back hits nobody else's."""
        one = counter(most=9)
        numbers = await self.store.hit(DOMAIN, (one,), self.now)
        await self.take_back(numbers)
        await self.store.hit(DOMAIN, (one,), self.now)
        await self.take_back(numbers)
        self.assertEqual((await self.look_up(counters=(one,))).tallies[0].count, 1)

    async def list_own(self):
        """What is asked when a user makes an invite and looks at those they have."""
        own = make_invite(inviter="nurse", source=f"adhoc:nurse@{DOMAIN}", created_at=self.now)
        await self.store.create_invite(own, token_digest(own.id), quota("nurse"))
        await self.look_up(inviter="nurse", counters=(quota("nurse").made,))
        await self.store.list_invites(DOMAIN, self.now, Status.PENDING, made_by="nurse")

    async def test_found_by_index(self):
        """No answer takes longer because the database has grown: nothing reads all of it."""
        steps = []

        def explain(_connection, cursor, statement, parameters, *rest):
            if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
                cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
                steps.extend(row[3] for row in cursor.fetchall())

        event.listen(self.database.engine, "before_cursor_execute", explain)
        invite = await self.invite(username="romeo", uses_allowed=1)
        found = await self.look_up(
            digest=token_digest(invite.id), username="romeo", counters=(counter(),)
        )
        await self.store.list_invites(DOMAIN, self.now, Status.REVOKED, after=invite.id)
        await self.list_own()
        await self.redeem("romeo", found.invite, counter())
        await self.store.list_uses(DOMAIN, invite.id)
        await self.redeem("juliet")
        await self.invite("t", kind=Kind.CONTACT, inviter="romeo")
        await self.invite("k", source="api:key")
        asked = Subscribing(
            stanza=Stanza.SUBSCRIBE,
            domain=DOMAIN,
            username="juliet",
            contact=f"romeo@{DOMAIN}",
            roster_limit=9,
            requests_limit=9,
            digest=token_digest("t"),
            use=self.use("juliet"),
        )
        await self.store.subscribe(asked)
        await self.store.set_item(DOMAIN, "juliet", "a@example.org", "", (), 9)
        await self.store.get_roster(DOMAIN, "juliet")
        await self.store.roster_changes(0)
        await self.store.has_open_reset(DOMAIN, self.now)
        await self.store.end_resets(DOMAIN, "juliet", self.now)
        await self.store.traces(DOMAIN, "juliet")
        await self.store.revoke_source(DOMAIN, "api:key", self.now)
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        await self.store.purge_invites(DOMAIN, self.now, 10)
        await self.store.purge_names(DOMAIN, self.now, 10)
        await self.store.purge_hits(DOMAIN, "registration", self.now, 10)
        self.assertTrue([step for step in steps if step.startswith("SEARCH invites")])
        for index in ("expiry", "revocation", "used_up", "open_resets"):
            used = [step for step in steps if f"INDEX invites_{index} " in step]
            self.assertEqual(len(used), 1, index)
        slow = re.compile("TEMP B-TREE|SCAN (" + "|".join(metadata.tables) + ")")
        self.assertEqual([step for step in steps if slow.search(step)], [])
