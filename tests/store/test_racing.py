"""Many who want the same at once: exactly as many get it as may."""

from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredList, gatherResults

from invitereg.errors import InvalidInvite, Throttled, UsernameTaken
from invitereg.interfaces.queries import Subscribing
from invitereg.model.invites import Kind, token_digest
from invitereg.model.subscribing import Stanza
from invitereg.store.store import Store
from tests.contracts.store_case import DOMAIN, counter
from tests.store.database_case import DatabaseCase

TAKERS = 50
RUNS = 5


class RacingTests(DatabaseCase):
    def setUp(self):
        super().setUp()
        self.use_store(self.open_threaded())

    async def race(self, redemptions, stores):
        """The errors of all redemptions that were refused, by class, and how many won."""
        running = [
            stores[place % len(stores)].redeem(redemption)
            for place, redemption in enumerate(redemptions)
        ]
        results = await DeferredList(running, consumeErrors=True)
        errors = {type(result.value) for success, result in results if not success}
        return sum(success for success, _ in results), errors

    async def check_uses(self, allowed, stores):
        for run in range(RUNS):
            invite = await self.invite(uses_allowed=allowed)
            redemptions = [self.redemption(f"{run}-{n}", invite) for n in range(TAKERS)]
            won, errors = await self.race(redemptions, stores)
            self.assertEqual((won, errors), (allowed, {InvalidInvite}))
            uses = await self.store.list_uses(DOMAIN, invite.id)
            made = {name for name in await self.usernames() if name.startswith(f"{run}-")}
            self.assertEqual({use.username for use in uses}, made)
            self.assertEqual((len(made), (await self.get(invite)).uses), (allowed, allowed))

    async def test_single_use(self):
        """Fifty who share a link for one at the same moment make one account."""
        await self.check_uses(1, [self.store])

    async def test_three_uses(self):
        """Fifty who share a link for three at the same moment make three accounts."""
        await self.check_uses(3, [self.store])

    async def test_two_processes(self):
        """A link for three makes three accounts also where two processes share the store."""
        other = Store(self.open_threaded())
        await self.check_uses(3, [self.store, other])

    async def test_two_processes_single_use(self):
        """A link for one that two processes redeem at the same moment makes one account."""
        await self.check_uses(1, [self.store, Store(self.open_threaded())])

    async def test_one_name(self):
        """Of many who want the same name, one gets it, and no invite of the others is spent."""
        stores = [self.store, Store(self.open_threaded())]
        invites = await gatherResults(self.invite_each(n) for n in range(10))
        redemptions = [self.redemption("romeo", invite) for invite in invites]
        won, errors = await self.race(redemptions, stores)
        self.assertEqual((won, errors), (1, {UsernameTaken}))
        uses = [(await self.get(invite)).uses for invite in invites]
        self.assertEqual(sum(uses), 1)

    def invite_each(self, number):
        return Deferred.fromCoroutine(self.invite(f"token {number}"))

    async def test_invitation(self):
        """Of many who ask with one invitation for three, three become contacts at once."""
        await self.redeem("host")
        invite = await self.invite("t", kind=Kind.CONTACT, inviter="host", uses_allowed=3)
        for number in range(20):
            await self.redeem(f"guest{number}")
        stores = [self.store, Store(self.open_threaded())]
        asking = [
            stores[number % 2].subscribe(self.asking(f"guest{number}")) for number in range(20)
        ]
        # Each guest asks twice, as one app does, and at the same moment.
        asking += [self.store.subscribe(self.asking(f"guest{number}")) for number in range(20)]
        await gatherResults(asking)
        roster = await self.store.get_roster(DOMAIN, "host")
        mutual = {jid for jid, item in roster.items() if item.subscription == "both"}
        uses = await self.store.list_uses(DOMAIN, invite.id)
        self.assertEqual({f"{use.username}@{DOMAIN}" for use in uses}, mutual)
        self.assertEqual((len(uses), (await self.get(invite)).uses), (3, 3))
        self.assertEqual(sum(item.request is not None for item in roster.values()), 17)

    def asking(self, username):
        return Subscribing(
            stanza=Stanza.SUBSCRIBE,
            domain=DOMAIN,
            username=username,
            contact=f"host@{DOMAIN}",
            roster_limit=99,
            requests_limit=99,
            request="<presence/>",
            digest=token_digest("t"),
            use=self.use(username, kind=Kind.CONTACT),
        )

    async def test_crossing(self):
        """Two who ask and answer each other at the same moment agree afterwards."""
        other = Store(self.open_threaded())
        for username in ("juliet", "romeo"):
            await self.redeem(username)
        for _ in range(RUNS):
            crossing = []
            for stanza in (Stanza.SUBSCRIBE, Stanza.SUBSCRIBED, Stanza.UNSUBSCRIBE):
                for store, one, contact in (
                    (self.store, "juliet", "romeo"),
                    (other, "romeo", "juliet"),
                ):
                    asked = replace(
                        self.asking(one), stanza=stanza, contact=f"{contact}@{DOMAIN}"
                    )
                    crossing.append(store.subscribe(asked))
            await gatherResults(crossing)
            mine = (await self.store.get_roster(DOMAIN, "juliet"))[f"romeo@{DOMAIN}"]
            theirs = (await self.store.get_roster(DOMAIN, "romeo"))[f"juliet@{DOMAIN}"]
            self.assertEqual((mine.sees, mine.seen), (theirs.seen, theirs.sees))
            self.assertEqual(mine.ask, theirs.request is not None)

    async def test_limit(self):
        """A limit per network holds also for those who come at the same moment."""
        redemptions = [self.redemption(f"{n}", counter=counter(most=4)) for n in range(TAKERS)]
        stores = [self.store, Store(self.open_threaded())]
        won, errors = await self.race(redemptions, stores)
        self.assertEqual((won, errors), (4, {Throttled}))
