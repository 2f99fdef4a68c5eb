"""Changing and removing an account over the wire, with several clients and the command line."""

import asyncio

from tests.service.running import DOMAIN, ServiceCase, outcome, until
from tests.service.wire import NS_REGISTER, Wire, can_login

REMOVE = f"<query xmlns='{NS_REGISTER}'><remove/></query>"
NOT_AUTHORIZED = "not-authorized"


class AccountCase(ServiceCase):
    async def logged_in(self, username: str, password: str) -> Wire:
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.login(username, password), "success")
        return wire

    async def account(self, username: str) -> str:
        """Make an account; returns its password."""
        password = self.service.secret()
        with self.service.operator() as operator:
            outcome(operator.registrar.create_account(DOMAIN, username, password))
        return password


class AccountTests(AccountCase):
    async def test_change_password(self) -> None:
        """The other streams end, the one that asked stays, and the new password is right."""
        old, new = await self.account("romeo"), self.service.secret()
        asking, other = [await self.logged_in("romeo", old) for _ in range(2)]
        self.assertEqual(await asking.register("romeo", new), "result")
        self.assertEqual(await other.goodbye(), NOT_AUTHORIZED)
        await asyncio.sleep(2.5)  # the service looks each second: the one that asked must stay
        self.assertEqual(await asking.register("romeo", new + "er"), "result")
        self.service.secrets.append(new + "er")
        self.assertTrue(await can_login(self.service, "romeo", new + "er"))
        self.assertFalse(await can_login(self.service, "romeo", old))

    async def test_many_change_at_once(self) -> None:
        """Of several clients that change one password at once, one does, and it alone stays."""
        old = await self.account("nurse")
        wires = [await self.logged_in("nurse", old) for _ in range(6)]
        passwords = [self.service.secret() for _ in wires]

        async def change(wire: Wire, password: str) -> str:
            try:
                return await wire.register("nurse", password)
            except ConnectionError:
                return "lost"

        said = await asyncio.gather(*map(change, wires, passwords))
        self.assertEqual(list(said).count("result"), 1, said)
        winner = list(said).index("result")
        for place, password in enumerate(passwords):
            right = await can_login(self.service, "nurse", password)
            self.assertEqual(right, place == winner)
        self.assertEqual(
            await wires[winner].iq(f"<query xmlns='{NS_REGISTER}'/>", "get"), "result"
        )

    async def test_remove(self) -> None:
        """All streams of a removed account end, and its name stays its own."""
        password = await self.account("tybalt")
        asking, other = [await self.logged_in("tybalt", password) for _ in range(2)]
        self.assertEqual(await asking.iq(REMOVE), "result")
        self.assertEqual(await asking.goodbye(), NOT_AUTHORIZED)
        self.assertEqual(await other.goodbye(), NOT_AUTHORIZED)
        wire = await Wire.connect(self.service)
        self.addCleanup(wire.close)
        self.assertEqual(await wire.login("tybalt", password), NOT_AUTHORIZED)
        self.assertEqual(await wire.preauth(self.service.invite()), "result")
        self.assertEqual(await wire.register("tybalt", password), "not-allowed")


class NoticeTests(AccountCase):
    settings = (
        f"registration_watchers: [watcher@{DOMAIN}]\n"
        "welcome_message: 'Hello {username}'\n"
        "policy: {registration_invite_only: false}\n"
    )

    async def told(self, wire: Wire) -> str:
        """The text of the next message."""
        message = await wire.read()
        while message is not None and message.tag == "{jabber:client}presence":
            message = await wire.read()
        assert message is not None
        assert message.tag == "{jabber:client}message"
        return message.findtext("{jabber:client}body") or ""

    async def register(self, username: str) -> str:
        password = self.service.secret()
        wire = await Wire.connect(self.service)
        self.assertEqual(await wire.register(username, password), "result")
        wire.close()
        return password

    def waiting(self, username: str) -> int:
        """How many notices are kept for an account."""
        with self.service.operator() as operator:
            notices = operator.store
            return len(outcome(notices.notices_of(DOMAIN, username)))

    async def available(self, username: str, password: str) -> Wire:
        wire = await self.logged_in(username, password)
        wire.send("<presence/>")
        return wire

    async def test_notices(self) -> None:
        """Watchers hear of every door, newcomers are welcomed, before and after a crash.

        Nothing is lost by it, and nothing comes twice.
        """
        password = await self.account("watcher")
        watcher = await self.available("watcher", password)
        self.assertEqual(await self.told(watcher), "Hello watcher")
        await self.register("juliet")
        said = await self.told(watcher)
        self.assertIn(f"juliet@{DOMAIN} has registered; door: c2s; address: 127.0.0.1", said)
        await self.account("friar")
        self.assertIn("door: cli", await self.told(watcher))
        await until(lambda: not self.waiting("watcher"), "what was told is kept")
        watcher.close()

        paris = await self.register("paris")
        self.service.kill()
        await self.account("abram")
        self.service.start()
        newcomer = await self.available("paris", paris)
        self.assertEqual(await self.told(newcomer), "Hello paris")
        watcher = await self.available("watcher", password)
        for username in ("paris", "abram"):
            self.assertIn(f"{username}@", await self.told(watcher))
        await until(lambda: not self.waiting("watcher"), "what was told is kept")

        self.service.kill()
        self.service.start()
        watcher = await self.available("watcher", password)
        await self.register("sampson")
        self.assertIn("sampson@", await self.told(watcher))
        self.assertEqual(self.waiting("paris"), 0)
