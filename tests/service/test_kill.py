"""What is left after a crash in the middle of registrations."""

import asyncio
import os
import random
from collections import Counter

from invitereg.store.notices import SQLNoticeStore
from tests.service.running import DOMAIN, ServiceCase, outcome
from tests.service.wire import Wire, can_login

ROUNDS = 12
CLIENTS = 16
SHARED = 8
"""So many of the clients share one invite; the others have one each."""
SEED = int(os.environ.get("INVITEREG_TEST_SEED", random.randrange(2**32)))


class KillTests(ServiceCase):
    settings = "welcome_message: Welcome!"

    async def test_kill(self) -> None:
        """Whoever was told that they are registered is, and every use has its account."""
        print(f"INVITEREG_TEST_SEED={SEED}")  # noqa: T201 - to do a failed run again
        chance = random.Random(SEED)
        promised: dict[str, str] = {}
        for number in range(ROUNDS):
            wires, entries = await self.prepare(number)
            # From none to nearly all: every stage of the group commit is met in some round.
            told = chance.randrange(CLIENTS - 1)
            delay = chance.uniform(0, 0.02)
            said = await self.register_and_kill(wires, entries, told, delay)
            self.service.start()
            new = {name: password for name, password in entries if said[name] == "result"}
            logins = (can_login(self.service, *credentials) for credentials in new.items())
            self.assertTrue(all(await asyncio.gather(*logins)))
            promised |= new
            self.check_books(set(promised))
        self.assertGreater(len(promised), 0)

    async def prepare(self, number: int) -> tuple[list[Wire], list[tuple[str, str]]]:
        """Streams that have presented their tokens, with the names and passwords to take."""
        with self.service.operator() as operator:
            shared = operator.invite(uses=CLIENTS)
            tokens = [shared] * SHARED
            tokens += [operator.invite() for _ in range(CLIENTS - SHARED)]
        wires = await asyncio.gather(*(Wire.connect(self.service) for _ in tokens))
        for wire, token in zip(wires, tokens, strict=True):
            self.assertEqual(await wire.preauth(token), "result")
        names = [f"user{number}-{place}" for place in range(CLIENTS)]
        return wires, [(name, self.service.secret()) for name in names]

    async def register_and_kill(
        self, wires: list[Wire], entries: list[tuple[str, str]], told: int, delay: float
    ) -> dict[str, str]:
        """Submit all at once, and kill once so many are answered; what each name was told."""
        said = dict.fromkeys((name for name, _password in entries), "")
        enough = asyncio.Event()

        async def listen(wire: Wire, name: str) -> None:
            try:
                said[name] = await wire.read_verdict()
            except OSError:
                said[name] = "lost"
            if sum(map(bool, said.values())) > told:
                enough.set()

        for wire, (name, password) in zip(wires, entries, strict=True):
            wire.send_registration(name, password)
        listening = [
            asyncio.ensure_future(listen(wire, name))
            for wire, (name, _password) in zip(wires, entries, strict=True)
        ]
        if told:
            await enough.wait()
        await asyncio.sleep(delay)  # the moment of the crash: any will do
        self.service.kill()
        await asyncio.gather(*listening)
        for wire in wires:
            wire.close()
        self.assertLessEqual(set(said.values()), {"result", "lost"})
        return said

    def check_books(self, promised: set[str]) -> None:
        """Accounts, uses, counters and welcomes agree, and are what was promised."""
        with self.service.operator() as operator:
            accounts = Counter(operator.usernames())
            uses = outcome(operator.store.list_uses(DOMAIN))
            invites = outcome(operator.store.list_invites(DOMAIN, operator.now(), limit=1000))
            welcomes = outcome(SQLNoticeStore(operator.database).notices_after(0, 1000))
        self.assertEqual(Counter(use.username for use in uses), accounts)
        self.assertEqual(Counter(notice.username for notice in welcomes), accounts)
        of_invite = Counter(use.invite_id for use in uses)
        self.assertEqual(of_invite, Counter({i.id: i.uses for i in invites if i.uses}))
        self.assertLessEqual(promised, set(accounts))
