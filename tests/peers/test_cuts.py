"""The way to real servers fails at every step of a registration: it happens once, or not."""

import asyncio
from collections.abc import Iterator, Sequence

from tests.peers.cutline import Fault
from tests.peers.manyhosts import KINDS, Guest, Kind, ManyHostsCase, register

PASSWORD = "a password, correct"


def cuts(kind: Kind) -> Iterator[tuple[int, Fault] | None]:
    """What fails at each host: every step, in every way as long as it is not decided."""
    for step in range(1, kind.steps + 1):
        yield step, Fault.RESET
        yield step, Fault.HOLD
        if step % 2:  # After an answer it is as if the next request was lost.
            yield step, Fault.END
    for step in range(kind.steps + 1, kind.steps + kind.contact_steps + 1):
        yield step, list(Fault)[step % len(Fault)]
    yield None


PLAN = [(kind, cut) for kind in KINDS for cut in cuts(kind)]


class CutTests(ManyHostsCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.start([kind for kind, _cut in PLAN])

    def tearDown(self) -> None:
        for front in self.fronts:
            front.line.plan(None)
        self.service.check_log()

    async def made(self, guests: Sequence[Guest]) -> list[bool]:
        """Which accounts are there, with the right password."""
        return await asyncio.gather(*[guest.may_log_in(PASSWORD) for guest in guests])

    async def assert_once(self, guests: Sequence[Guest], answers: Sequence[str]) -> None:
        """Nothing is left half-done, and what has failed can be done again, and once only."""
        await self.settled()
        made = await self.made(guests)
        for guest, answer, there in zip(guests, answers, made, strict=True):
            self.assertEqual(self.uses(guest), int(there), guest.front.name)
            self.assertTrue(there or answer != "result", guest.front.name)
        again = await register(guests, PASSWORD)
        self.assertEqual(again, ["item-not-found" if there else "result" for there in made])
        await self.settled()
        self.assertEqual(await self.made(guests), [True] * len(guests))
        for guest in guests:
            self.assertEqual(self.uses(guest), 1, guest.front.name)
            if guest.front.kind.contact_steps:
                self.assertTrue(guest.is_contact(), guest.front.name)

    async def test_line_cut(self) -> None:
        """The line is cut, or is dead, at every step; the next connection works."""
        guests = self.guests(self.fronts, "juliet")
        for front, (_kind, cut) in zip(self.fronts, PLAN, strict=True):
            front.line.plan(*(cut or (None,)))
        answers = await register(guests, PASSWORD)
        await self.settled()
        for front, answer, (kind, cut) in zip(self.fronts, answers, PLAN, strict=True):
            if cut is not None:
                self.assertTrue(front.line.happened.is_set(), (front.name, cut))
            else:
                self.assertEqual(front.line.pieces, kind.steps + kind.contact_steps)
                self.assertEqual(answer, "result", front.name)
        await self.assert_once(guests, answers)

    async def test_account_before(self) -> None:
        """An account that was there is not taken for a new one, nor changed, in any case."""
        old = "a password of long ago"
        guests = [
            guest
            for guest, (kind, cut) in zip(
                self.guests(self.fronts, "mercutio"), PLAN, strict=True
            )
            if cut is None or (cut[0] <= kind.steps // 3 and cut[1] is Fault.RESET)
        ]
        for guest in guests:
            guest.front.server.register_at(guest.front.host, guest.username, old)
        for guest in guests:
            guest.front.line.plan(*self.cut_of(guest))
        answers = await register(guests, PASSWORD)
        await self.settled()
        for guest, answer in zip(guests, answers, strict=True):
            uncut = not guest.front.line.happened.is_set()
            expected = ("conflict",) if uncut else ("conflict", "resource-constraint")
            self.assertIn(answer, expected, guest.front.name)
            self.assertTrue(await guest.may_log_in(old), guest.front.name)
            self.assertEqual(self.uses(guest), 0, guest.front.name)

    def cut_of(self, guest: Guest) -> tuple[int | None] | tuple[int, Fault]:
        _kind, cut = PLAN[self.fronts.index(guest.front)]
        return cut or (None,)

    # --- what is between two steps of many registrations

    def each_at_a_step(self, username: str) -> list[Guest]:
        """Guests of whom each will be held up at another step, before it is decided."""
        guests = []
        for guest, (kind, cut) in zip(self.guests(self.fronts, username), PLAN, strict=True):
            if cut is not None and cut[0] <= kind.steps and cut[1] is Fault.HOLD:
                guest.front.line.plan(*cut)
                guests.append(guest)
        return guests

    async def held_up(self, guests: Sequence[Guest]) -> "asyncio.Future[list[str]]":
        """All of them register, and have come to where they are held up."""
        answers = asyncio.ensure_future(register(guests, PASSWORD))
        for guest in guests:
            await asyncio.to_thread(guest.front.line.wait)
        return answers

    async def test_servers_killed(self) -> None:
        """Servers crash with a registration at every step, and come back."""
        guests = self.each_at_a_step("nurse")
        answers = await self.held_up(guests)
        for server in self.servers.values():
            server.kill()
        for guest in guests:
            guest.front.line.cut()
        self.assertEqual(set(await answers), {"resource-constraint"})
        for server in self.servers.values():
            await asyncio.to_thread(server.start)
        await self.assert_once(guests, await answers)

    async def test_servers_hang(self) -> None:
        """Servers hang at every step: people are told so soon, and it goes on from there."""
        guests = self.each_at_a_step("tybalt")
        answers = await self.held_up(guests)
        for server in self.servers.values():
            server.freeze()
        try:
            for guest in guests:
                guest.front.line.let_go()
            for guest, answer in zip(guests, await answers, strict=True):
                # The last answer may have come in time.
                if self.cut_of(guest)[0] != guest.front.kind.steps:
                    self.assertEqual(answer, "resource-constraint", guest.front.name)
        finally:
            for server in self.servers.values():
                server.thaw()
        await self.assert_once(guests, await answers)

    async def test_service_killed(self) -> None:
        """The service crashes with a registration at every step, and is started again."""
        guests = self.each_at_a_step("paris")
        answers = await self.held_up(guests)
        self.service.kill()
        for guest in guests:
            guest.front.line.cut()
        with self.assertRaises(ConnectionError):
            await answers
        self.service.start()
        await self.assert_once(guests, [""] * len(guests))


del ManyHostsCase
