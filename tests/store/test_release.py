"""A whole database of an earlier release (commit 302dab2, schema 0005) goes on in this one."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.errors import InvalidInvite, InvalidRequest, OtherRequest, UsernameTaken
from invitereg.interfaces.apikeys import IdempotencyKey, Scope
from invitereg.interfaces.leases import Task
from invitereg.model.invites import Kind, Status, token_digest
from invitereg.model.roster import Subscription
from invitereg.policy.counters import Counter
from invitereg.policy.notices import NoticeKind
from invitereg.policy.values import Limit
from invitereg.runtime.threads import Inline
from invitereg.testing import START, make_invite, memory_store
from invitereg.transfer.exporting import export_all
from invitereg.transfer.importing import import_all
from tests.contracts.store_case import DOMAIN
from tests.store.database_case import DatabaseCase

DUMP = Path(__file__).with_name("schema-0005.sql")
"""What ``iterdump`` says of it: invites of every kind and state, and something of all else.

A token is ``token`` and the invite's id; a password, ``password of`` and the username.
"""
OTHER_DOMAIN = "m\u00fcnchen.example"
DOMAIN_USERS = ("romeo", "juliet", "mercutio", "benvolio", "peter")
WHENEVER = START + timedelta(hours=1)


class ReleaseTests(DatabaseCase):
    def setUp(self):
        super().setUp()
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(DUMP.read_text(encoding="utf-8"))
        self.use_store(self.open_inline())
        self.accounts = self.accounts_at(DOMAIN)

    def accounts_at(self, domain):
        return EmbeddedAccounts(domain, self.store, Inline(), lambda: self.now, 4096)

    def token_opens(self, name):
        return self.look_up(digest=token_digest(f"token {name}"))

    async def test_invites(self):
        """Invites of every kind are listed in the state that they had."""
        for status in Status:
            listed = await self.store.list_invites(DOMAIN, START, status)
            found = {invite.kind: invite.id for invite in reversed(listed)}
            self.assertEqual(found, {kind: f"{kind}-{status}" for kind in Kind})
        counted = await self.store.count_invites(DOMAIN, START)
        self.assertEqual([counted[status] for status in Status], [7, 4, 4, 4])

    async def test_invite(self):
        """An invite is shown with all that it has, and found by its token."""
        expected = make_invite(
            id="account-pending",
            created_at=START - timedelta(days=40),
            expires_at=START + timedelta(days=4000),
            username="paris",
            roles=("guest",),
            groups=("verona", "prince's"),
            note="for the count\nof Paris",
        )
        self.assertEqual(await self.store.get_invite(DOMAIN, "account-pending"), expected)
        self.assertEqual((await self.token_opens("account-pending")).invite, expected)
        reset = await self.store.get_invite(DOMAIN, "reset-pending")
        self.assertEqual((reset.source, reset.username), ("api:keykeykey1", "juliet"))
        unlimited = await self.store.get_invite(DOMAIN, "unlimited")
        shown = (unlimited.uses_allowed, unlimited.uses, unlimited.expires_at)
        self.assertEqual(shown, (None, 1, None))

    async def test_history(self):
        """Who came by which invite is still told."""
        uses = await self.store.list_uses(DOMAIN)
        found = [(use.username, use.kind, use.invite_id, use.inviter) for use in uses]
        self.assertEqual(
            found[-5:],
            [
                ("mercutio", Kind.ACCOUNT, "account-used", None),
                ("mercutio", Kind.CONTACT, "contact-used", "romeo"),
                ("benvolio", Kind.ACCOUNT_AND_CONTACT, "account-and-contact-used", "romeo"),
                ("benvolio", Kind.RESET, "reset-used", None),
                ("peter", Kind.ACCOUNT, "shared", None),
            ],
        )
        self.assertEqual({use.at for use in uses}, {START})

    async def test_redeem(self):
        """A pending invite is redeemed, once, by whom it is for."""
        invite = await self.store.get_invite(DOMAIN, "account-pending")
        await self.accounts.redeem(self.redemption("paris", invite), "a new password")
        self.assertEqual((await self.get(invite)).status(WHENEVER), Status.USED)
        shared = await self.store.get_invite(DOMAIN, "shared")
        await self.redeem("abram", shared)
        for username, over in (("paris", invite), ("balthasar", shared)):
            await self.refused(self.redeem(username, over), InvalidInvite)

    async def test_log_in(self):
        """Everybody logs in with the password that they had, and those deleted do not."""
        nurse = self.accounts_at(OTHER_DOMAIN)
        here = ((self.accounts, name) for name in DOMAIN_USERS)
        for accounts, username in (*here, (nurse, "nurse")):
            since = await accounts.check_password(username, f"password of {username}")
            self.assertEqual(since, START)
            self.assertIsNone(await accounts.check_password(username, "another"))
        gone = self.accounts.check_password("tybalt", "password of tybalt")
        self.assertIsNone(await gone)
        romeo = await self.account("romeo")
        self.assertEqual((romeo.roles, romeo.groups), (("team", "admin"), ("montague",)))
        juliet = await self.account("juliet")
        details = {"email": "juliet@example.com", "nick": "J\u00fclchen"}
        self.assertEqual(dict(juliet.details), details)

    async def test_reset(self):
        """A link that sets a password sets it."""
        invite = await self.store.get_invite(DOMAIN, "reset-pending")
        await self.accounts.reset(self.use("juliet", invite), "a new password")
        juliet = self.accounts.check_password("juliet", "a new password")
        self.assertEqual(await juliet, self.now)

    async def test_rosters(self):
        """Contacts, and requests that wait, are as they were."""
        roster = await self.store.get_roster(DOMAIN, "juliet")
        romeo = roster["romeo@example.com"]
        self.assertEqual((romeo.name, romeo.groups), ("Romeo", ("Lovers", "Friends")))
        self.assertEqual(romeo.subscription, Subscription.TO)
        self.assertIn("from='peter@example.com'", roster["peter@example.com"].request)
        self.assertIn(f"nurse@{OTHER_DOMAIN}", roster)

    async def test_keys(self):
        """A key opens what it opened, and a request that is repeated makes nothing new."""
        key = await self.store.find_key(token_digest("key one"))
        self.assertEqual(key.scopes, (Scope.INVITES_CREATE, Scope.RESETS_CREATE))
        self.assertTrue(key.valid(WHENEVER))
        self.assertFalse((await self.store.find_key(token_digest("key two"))).valid(WHENEVER))
        once = IdempotencyKey(key_id="keykeykey1", name=b"n" * 32, request=b"r" * 32)
        found = await self.store.find_request(once, WHENEVER)
        self.assertEqual(found, (DOMAIN, "once"))
        other = IdempotencyKey(key_id="keykeykey1", name=b"n" * 32, request=b"s" * 32)
        await self.refused(self.store.find_request(other, WHENEVER), OtherRequest)

    async def test_leases(self):
        """What was under way at a server is taken up: one gets an account, one gets nothing."""
        one, other = await self.store.open_leases(DOMAIN, WHENEVER)
        self.assertEqual(one.redemption.use.username, "sampson")
        self.assertTrue(await self.store.complete(one.number))
        self.assertTrue(await self.store.release(other.number))
        self.assertEqual((await self.account("sampson")).roles, ("guest",))
        self.assertIsNone(await self.account("gregory"))
        self.assertEqual((await self.store.get_invite(DOMAIN, "shared")).uses, 1)
        self.assertEqual((await self.store.get_invite(DOMAIN, "unlimited")).uses, 1)
        limit = Limit(max=2, period=timedelta(hours=2))
        counter = Counter(name="registration", key="192.0.2.7/32", limit=limit)
        hit = [await self.store.hit(DOMAIN, (counter,), WHENEVER) for _ in range(2)]
        self.assertIsNotNone(hit[0])
        self.assertIsNone(hit[1])
        taken = await self.store.take_jobs(DOMAIN, "component.example.com", START, WHENEVER)
        self.assertEqual(
            [(job.username, job.task) for job in taken],
            [
                ("benvolio", Task.CONTACTS),
                ("abram", Task.EXISTS),
                ("sampson", Task.CONTACTS),
            ],
        )

    async def test_notices(self):
        """Who was still to be told of registrations is told."""
        notices = await self.store.notices_of(DOMAIN, "romeo")
        told = [(notice.kind, notice.use.username) for notice in notices]
        kind = NoticeKind.REGISTRATION
        self.assertEqual(told, [(kind, "mercutio"), (kind, "benvolio")])
        (welcome,) = await self.store.notices_of(DOMAIN, "mercutio")
        self.assertEqual(welcome.kind, NoticeKind.WELCOME)
        numbers = [notice.number for notice in (*notices, welcome)]
        self.assertEqual(set(await self.store.try_notices(numbers)), set(numbers))

    async def test_names(self):
        """A name that was reserved, deleted or taken is so still."""
        deleted = await self.store.list_usernames(DOMAIN, deleted=True)
        self.assertEqual(list(deleted), ["tybalt"])
        found = await self.look_up(username="paris")
        self.assertEqual(found.reserved_for, "account-pending")
        await self.refused(self.redeem("sampson"), UsernameTaken)

    async def test_export(self):
        """It is exported when nothing is under way, and read in again as it is."""
        lines = []
        export = self.database.read(lambda c: export_all(c, lines.append))
        await self.refused(export, InvalidRequest)
        for lease in await self.store.open_leases(DOMAIN, WHENEVER):
            await self.store.release(lease.number)
        for number in (1, 2):
            await self.store.finish_job(number)
        lines.clear()
        counts = dict(await self.database.read(lambda c: export_all(c, lines.append)))
        self.assertEqual(
            counts,
            {
                "accounts": 6,
                "deleted": 1,
                "roster_items": 9,
                "invites": 19,
                "uses": 9,
                "notices": 3,
                "keys": 2,
            },
        )
        other = memory_store()
        self.addCleanup(other.database.close)
        read = await other.database.write(lambda c: import_all(c, lines, START))
        self.assertEqual(read, counts | {"unchanged": 0})
        again = []
        await other.database.read(lambda c: export_all(c, again.append))
        self.assertEqual(again, lines)
