"""What is left of rosters after a crash in the middle of subscriptions."""

import asyncio
import os
import random
from collections import Counter
from xml.etree.ElementTree import Element

from invitereg.model.invites import Kind
from invitereg.model.roster import RosterItem
from tests.service.running import DOMAIN, ServiceCase, outcome
from tests.service.wire import Wire

ROUNDS = 6
PEOPLE = 6
SEED = int(os.environ.get("INVITEREG_TEST_SEED", random.randrange(2**32)))
GET_ROSTER = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"
ITEM = "{jabber:iq:roster}query/{jabber:iq:roster}item"

Rosters = dict[str, dict[str, RosterItem]]


def jid(name: str) -> str:
    return f"{name}@{DOMAIN}"


class ContactKillTests(ServiceCase):
    async def test_kill(self) -> None:
        """Both sides agree, what was told is so, no use is lost, and requests still wait."""
        print(f"INVITEREG_TEST_SEED={SEED}")  # noqa: T201 - to do a failed run again
        chance = random.Random(SEED)
        self.passwords: dict[str, str] = {}
        for number in range(ROUNDS):
            names = [f"user{number}-{place}" for place in range(PEOPLE)]
            tokens = self.prepare(names)
            told = await self.subscribe_and_kill(names, tokens, chance.uniform(0, 0.08))
            self.service.start()
            rosters = self.check_books(names)
            for owner, pushed in told.items():
                for contact, subscription in pushed.items():
                    # Only more can have come of it since.
                    now = rosters[owner][contact].subscription
                    self.assertIn(now, {subscription, "both"}, (owner, contact))
            await self.check_requests(names, rosters)

    async def test_kill_registering(self) -> None:
        """Whoever has an account by invitation has the inviter, and the other way round."""
        print(f"INVITEREG_TEST_SEED={SEED}")  # noqa: T201 - to do a failed run again
        chance = random.Random(SEED)
        with self.service.operator() as operator:
            made = operator.registrar.create_account(DOMAIN, "host", self.service.secret())
            outcome(made)
        for number in range(4):
            names = [f"new{number}-{place}" for place in range(PEOPLE)]
            await self.register_and_kill(names, chance.uniform(0.01, 0.15))
            self.service.start()
            with self.service.operator() as operator:
                made = sorted(name for name in operator.usernames() if name in names)
                host = outcome(operator.store.get_roster(DOMAIN, "host"))
                theirs = [outcome(operator.store.get_roster(DOMAIN, name)) for name in made]
            both = [one for one, item in host.items() if item.subscription == "both"]
            self.assertEqual([one for one in both if f"new{number}-" in one], [*map(jid, made)])
            for roster in theirs:
                self.assertEqual(roster[jid("host")].subscription, "both")

    async def register_and_kill(self, names: list[str], delay: float) -> None:
        """Let them register with invitations of the host's, and kill it meanwhile."""
        wires = [await Wire.connect(self.service) for _ in names]
        for wire in wires:
            token = self.service.invite(inviter="host", contact=True)
            self.assertEqual(await wire.preauth(token), "result")
        for wire, name in zip(wires, names, strict=True):
            wire.send_registration(name, self.service.secret())
        await asyncio.sleep(delay)  # the moment of the crash: any will do
        self.service.kill()
        for wire in wires:
            wire.close()

    def prepare(self, names: list[str]) -> list[str]:
        """Accounts, and for each but the first an invitation of the first one's."""
        with self.service.operator() as operator:
            for name in names:
                self.passwords[name] = self.service.secret()
                made = operator.registrar.create_account(DOMAIN, name, self.passwords[name])
                outcome(made)
            contact = {"inviter": names[0], "registration": False}
            return [operator.invite(**contact) for _ in names[1:]]

    async def session(self, name: str) -> Wire:
        """A stream that is told of its roster."""
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.login(name, self.passwords[name]), "success")
        await wire.ask(GET_ROSTER)
        return wire

    async def subscribe_and_kill(
        self, names: list[str], tokens: list[str], delay: float
    ) -> dict[str, dict[str, str]]:
        """Let all use their invitations, and ask their neighbours; what each was told."""
        wires = [await self.session(name) for name in names]
        listening = [asyncio.ensure_future(self.listen(wire)) for wire in wires]
        for place, (wire, token) in enumerate(zip(wires[1:], tokens, strict=True), 1):
            invited = f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>"
            neighbour = jid(names[place % (PEOPLE - 1) + 1])
            wire.send(
                f"<presence type='subscribe' to='{jid(names[0])}'>{invited}</presence>"
                f"<presence type='subscribe' to='{neighbour}'/>"
            )
        await asyncio.sleep(delay)  # the moment of the crash: any will do
        self.service.kill()
        pushed = await asyncio.gather(*listening)
        return dict(zip(map(jid, names), pushed, strict=True))

    async def listen(self, wire: Wire) -> dict[str, str]:
        """Read to the crash; the last push for each contact."""
        pushed: dict[str, str] = {}
        try:
            while (stanza := await wire.read()) is not None:
                item = stanza.find(ITEM)
                if item is not None:
                    pushed[item.get("jid", "")] = item.get("subscription", "")
        except OSError:
            wire.close()
        return pushed

    def check_books(self, names: list[str]) -> Rosters:
        """Rosters agree with each other, and uses with rosters."""
        with self.service.operator() as operator:
            rosters: Rosters = {
                jid(name): outcome(operator.store.get_roster(DOMAIN, name)) for name in names
            }
            uses = outcome(operator.store.list_uses(DOMAIN))
            invites = outcome(operator.store.list_invites(DOMAIN, operator.now(), limit=1000))
        for owner, roster in rosters.items():
            for contact, item in roster.items():
                theirs = rosters[contact][owner]
                self.assertEqual((item.sees, item.seen), (theirs.seen, theirs.sees))
                self.assertEqual(item.ask, theirs.request is not None)
        mutual = [one for one in rosters[jid(names[0])].values() if one.subscription == "both"]
        used = [use.username for use in uses if use.kind is Kind.CONTACT]
        self.assertEqual(
            sorted(one.jid for one in mutual), sorted(jid(u) for u in used if u in names)
        )
        of_invite = Counter(use.invite_id for use in uses if use.invite_id)
        self.assertEqual(of_invite, Counter({i.id: i.uses for i in invites if i.uses}))
        return rosters

    async def check_requests(self, names: list[str], rosters: Rosters) -> None:
        """What waits for an answer is delivered at the next login, once each."""
        for name in names:
            wire = await self.session(name)
            waiting = {i.jid for i in rosters[jid(name)].values() if i.request is not None}
            wire.send("<presence/>")
            asked = [self.asks(await wire.read()) for _ in range(1 + len(waiting))]
            self.assertEqual(sorted(one for one in asked if one), sorted(waiting))
            wire.close()

    def asks(self, stanza: Element | None) -> str | None:
        """Who asks, if it is a request."""
        assert stanza is not None
        return stanza.get("from") if stanza.get("type") == "subscribe" else None
