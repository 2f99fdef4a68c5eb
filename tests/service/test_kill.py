"""What is left after a crash in the middle of registrations."""

import asyncio
import os
import random
from collections import Counter

from tests.service.crashing import CrashingService
from tests.service.running import DOMAIN, ServiceCase, outcome
from tests.service.wire import Wire, can_login

ROUNDS = 50
CLIENTS = 16
SHARED = 8
"""So many of the clients share one invite; the others have one each."""
SEED = int(os.environ.get("INVITEREG_TEST_SEED", random.randrange(2**32)))
Entry = tuple[str, str]
"""A name and the password to take it with."""


class CrashCase(ServiceCase):
    """Clients that register at a service, which crashes over it.

    Attributes:
        tokens: which token each name was registered with, or would have been.
        promised: the password of each name whose client was told that it is registered.
    """

    settings = "welcome_message: Welcome!"
    service: CrashingService

    @classmethod
    def setUpClass(cls) -> None:
        cls.service = CrashingService(cls.settings)
        cls.addClassCleanup(cls.service.remove)

    def setUp(self) -> None:
        self.tokens: dict[str, str] = {}
        self.promised: dict[str, str] = {}

    async def prepare(self, prefix: str) -> tuple[list[Wire], list[Entry]]:
        """Streams that have presented their tokens, with the names and passwords to take."""
        with self.service.operator() as operator:
            shared = operator.invite(uses=CLIENTS)
            tokens = [shared] * SHARED
            tokens += [operator.invite() for _ in range(CLIENTS - SHARED)]
        wires = await asyncio.gather(*(Wire.connect(self.service) for _ in tokens))
        for wire, token in zip(wires, tokens, strict=True):
            self.assertEqual(await wire.preauth(token), "result")
        names = [f"{prefix}-{place}" for place in range(CLIENTS)]
        self.tokens |= dict(zip(names, tokens, strict=True))
        return wires, [(name, self.service.secret()) for name in names]

    def submit(
        self, wires: list[Wire], entries: list[Entry], said: dict[str, str], enough: int
    ) -> tuple[asyncio.Event, "asyncio.Future[list[None]]"]:
        """Submit all at once, and fill in ``said``.

        Returns:
            What is set once ``enough`` are answered, and what fires once all are, or lost.
        """
        answered = asyncio.Event()

        async def listen(wire: Wire, name: str) -> None:
            try:
                said[name] = await wire.read_verdict()
            except OSError:
                said[name] = "lost"
            if len(said) >= enough:
                answered.set()
            wire.close()

        for wire, (name, password) in zip(wires, entries, strict=True):
            wire.send_registration(name, password)
        names = [name for name, _password in entries]
        return answered, asyncio.gather(*map(listen, wires, names))

    async def check(self, said: dict[str, str], entries: list[Entry]) -> set[str]:
        """The service is up again: nothing is there by halves; returns who has an account."""
        self.assertLessEqual(set(said.values()), {"result", "lost"})
        passwords = dict(entries)
        new = {name: passwords[name] for name in said if said[name] == "result"}
        self.promised |= new
        accounts = self.check_books()
        self.assertLessEqual(set(self.promised), accounts)
        # Who was not told may be registered too: then with the password that they chose.
        there = {name: password for name, password in entries if name in accounts}
        logins = (can_login(self.service, *credentials) for credentials in there.items())
        self.assertTrue(all(await asyncio.gather(*logins)))
        return set(there)

    def check_books(self) -> set[str]:
        """Accounts, uses, counters and welcomes agree with each other; returns all names."""
        with self.service.operator() as operator:
            accounts = Counter(operator.usernames())
            uses = outcome(operator.store.list_uses(DOMAIN))
            invites = outcome(operator.store.list_invites(DOMAIN, operator.now(), limit=9999))
            welcomes = outcome(operator.store.notices_after(0, 9999))
        self.assertEqual(Counter(use.username for use in uses), accounts)
        self.assertEqual(Counter(notice.username for notice in welcomes), accounts)
        of_invite = Counter(use.invite_id for use in uses)
        self.assertEqual(of_invite, Counter({i.id: i.uses for i in invites if i.uses}))
        return set(accounts)


class AnyMomentTests(CrashCase):
    async def test_kill(self) -> None:
        """Whoever was told that they are registered is, and every use has its account."""
        print(f"INVITEREG_TEST_SEED={SEED}")  # noqa: T201 - to do a failed run again
        chance = random.Random(SEED)
        self.service.start()
        for number in range(ROUNDS):
            wires, entries = await self.prepare(f"user{number}")
            said: dict[str, str] = {}
            # From none to nearly all: every stage of the group commit is met in some round.
            told = chance.randrange(CLIENTS - 1)
            answered, all_over = self.submit(wires, entries, said, told)
            if told:
                await answered.wait()
            await asyncio.sleep(chance.uniform(0, 0.02))  # the moment: any will do
            self.service.kill()
            await all_over
            self.service.start()
            await self.check(said, entries)
        self.assertGreater(len(self.promised), 0)
        self.assertLess(len(self.promised), len(self.tokens))


class ChosenMomentTests(CrashCase):
    """Crashes where they would hurt most, if anything were not in one transaction."""

    async def crash(self, where: str) -> tuple[set[str], dict[str, str]]:
        """Let one client register, then all others at once, which crashes the service.

        Returns:
            Who has an account after a restart, but the first, and what each was told.
        """
        self.service.start_to_die(where)
        prefix = where.lower().replace(" ", "-")
        (first, *wires), (entry, *entries) = await self.prepare(prefix)
        self.assertEqual(await first.register(*entry), "result")
        first.close()
        self.promised |= [entry]
        said: dict[str, str] = {}
        await self.submit(wires, entries, said, CLIENTS)[1]
        self.service.wait_for_crash()
        self.assertIn("lost", said.values())
        self.service.start()
        there = await self.check(said, entries)
        await self.retry(entries, there)
        self.assertLessEqual({name for name, _password in entries}, self.check_books())
        self.service.stop()
        return there, said

    async def retry(self, entries: list[Entry], there: set[str]) -> None:
        """Who did not get in tries again with the same token, and gets in."""
        for name, password in entries:
            if name not in there:
                wire = await Wire.connect(self.service)
                self.assertEqual(await wire.preauth(self.tokens[name]), "result")
                self.assertEqual(await wire.register(name, password), "result")
                wire.close()

    async def assertNothingDone(self, where: str) -> None:
        there, said = await self.crash(where)
        self.assertEqual((there, set(said.values())), (set(), {"lost"}))

    async def test_use_taken(self) -> None:
        """Between the use of the invite and the account, nothing has happened."""
        await self.assertNothingDone("after UPDATE invites")

    async def test_account_made(self) -> None:
        """Between the account and its place in the history, nothing has happened."""
        await self.assertNothingDone("before INSERT INTO uses")

    async def test_savepoint_released(self) -> None:
        """After a savepoint, with others of the same commit to come, nothing has happened."""
        await self.assertNothingDone("after RELEASE")

    async def test_before_commit(self) -> None:
        """After all savepoints and before the commit, nothing has happened."""
        await self.assertNothingDone("before COMMIT")

    async def test_after_commit(self) -> None:
        """What is committed has happened, although nobody was told."""
        there, said = await self.crash("after COMMIT")
        self.assertEqual(set(said.values()), {"lost"})
        self.assertGreater(len(there), 0)
