"""Many people at the same door at the same moment."""

import asyncio
from collections import Counter

from invitereg.policy.inviting import OPERATOR
from tests.service.running import DOMAIN, ServiceCase, outcome
from tests.service.wire import Wire, can_login

STREAMS = 50
ROUNDS = 3


class RaceTests(ServiceCase):
    async def race(self, entries: list[tuple[str, str]]) -> list[str]:
        """What each stream is told that takes a name with a token, all at once."""
        wires = await asyncio.gather(*(Wire.connect(self.service) for _ in entries))
        try:
            for wire, (_name, token) in zip(wires, entries, strict=True):
                self.assertEqual(await wire.preauth(token), "result")
            password = self.service.secret()
            for wire, (name, _token) in zip(wires, entries, strict=True):
                wire.send_registration(name, password)
            verdicts = list(await asyncio.gather(*(wire.read_verdict() for wire in wires)))
            names = [name for name, _token in entries]
            for name, said in set(zip(names, verdicts, strict=True)):
                if said == "result":
                    self.assertTrue(await can_login(self.service, name, password))
            return verdicts
        finally:
            for wire in wires:
                wire.close()

    def names(self) -> list[str]:
        with self.service.operator() as operator:
            return operator.usernames()

    async def race_for_uses(self, uses: int) -> None:
        for number in range(ROUNDS):
            token, names_before = self.service.invite(uses=uses), self.names()
            entries = [(f"u{uses}r{number}n{name}", token) for name in range(STREAMS)]
            verdicts = Counter(await self.race(entries))
            self.assertEqual(verdicts, {"result": uses, "item-not-found": STREAMS - uses})
            self.assertEqual(len(self.names()), len(names_before) + uses)

    async def test_single_use(self) -> None:
        """A link that fifty people open at the same moment lets one of them in."""
        await self.race_for_uses(1)

    async def test_three_uses(self) -> None:
        """An invite for three lets three in, however many come at once."""
        await self.race_for_uses(3)

    async def test_same_name(self) -> None:
        """One of fifty gets the name; to the others it is taken, and their links stay good."""
        for number in range(ROUNDS):
            with self.service.operator() as operator:
                tokens = [operator.invite() for _ in range(STREAMS)]
            name = f"popular{number}"
            verdicts = await self.race([(name, token) for token in tokens])
            self.assertEqual(Counter(verdicts), {"result": 1, "conflict": STREAMS - 1})
            self.assertEqual(self.names().count(name), 1)
            with self.service.operator() as operator:
                self.assertEqual(len(operator.pending_invites()), STREAMS - 1)
            await self.try_again(f"{name}-too", tokens[verdicts.index("conflict")])
            self.revoke_all()

    async def try_again(self, name: str, token: str) -> None:
        wire = await Wire.connect(self.service)
        self.assertEqual(await wire.preauth(token), "result")
        self.assertEqual(await wire.register(name, self.service.secret()), "result")
        wire.close()

    def revoke_all(self) -> None:
        with self.service.operator() as operator:
            for invite in operator.pending_invites():
                outcome(operator.issuer.revoke(DOMAIN, invite.id, OPERATOR))
