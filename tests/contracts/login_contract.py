"""What any store does about logins that may fail, and where accounts have been used."""

from datetime import timedelta

from twisted.internet.defer import gatherResults

from invitereg.interfaces.queries import LoginAttempt
from tests.contracts.store_case import DOMAIN, HOUR, StoreCase, counter

MINUTE = timedelta(minutes=1)
MOST, MOST_ELSEWHERE = 2, 5


class LoginContract(StoreCase):
    def attempt(self, network="192.0.2.0/24", username="juliet", domain=DOMAIN, host="1"):
        """An attempt from a host of a network; each host is counted by itself as well."""
        name = f"{username} {network} {host}"
        return LoginAttempt(
            domain=domain,
            username=username,
            network=network,
            counters=(counter(name, MOST, "logins"),),
            elsewhere=counter(username, MOST_ELSEWHERE, "logins_account"),
        )

    async def fail_login(self, *args, **changes):
        """Whether an attempt that fails may be made."""
        counted = self.store.count_login(self.attempt(*args, **changes), self.now)
        return await counted is not None

    async def log_in(self, *args, **changes):
        """Whether an attempt that succeeds may be made."""
        attempt = self.attempt(*args, **changes)
        numbers = await self.store.count_login(attempt, self.now)
        if numbers is not None:
            await self.store.login_succeeded(attempt, numbers, self.now)
        return numbers is not None

    async def guess(self, **changes):
        """Fail from ever new networks until no more is let through; returns how often."""
        for count in range(1000):
            if not await self.fail_login(f"198.51.{count}.0/24", **changes):
                return count
        return None

    async def test_failures(self):
        """A network fails so often; each network does."""
        for network in ("192.0.2.0/24", "198.51.100.0/24"):
            allowed = [await self.fail_login(network) for _ in range(3)]
            self.assertEqual(allowed, [True, True, False])

    async def test_successes(self):
        """Who has the password may log in as often as they like."""
        for _ in range(20):
            self.assertTrue(await self.log_in())

    async def test_many_networks(self):
        """An account fails so often in all networks together; other accounts go on."""
        self.assertEqual(await self.guess(), MOST_ELSEWHERE)
        self.assertFalse(await self.log_in())
        self.assertTrue(await self.log_in(username="romeo"))
        self.assertTrue(await self.log_in(domain="example.org"))
        self.advance(HOUR)
        self.assertTrue(await self.log_in())

    async def test_used_network(self):
        """Where an account was used its owner logs in, whoever guesses elsewhere."""
        await self.log_in()
        self.assertEqual(await self.guess(), MOST_ELSEWHERE)
        self.assertTrue(await self.log_in())
        self.assertTrue(await self.log_in(host="another"))
        self.assertFalse(await self.log_in("203.0.113.0/24"))

    async def test_guesses_in_a_used_network(self):
        """In a used network all hosts together fail so often, and shut out nobody else."""
        await self.log_in()
        allowed = [await self.fail_login(host=str(number)) for number in range(10)]
        self.assertEqual(sum(allowed), MOST_ELSEWHERE)
        self.assertTrue(await self.log_in("203.0.113.0/24"))
        self.assertEqual(await self.guess(), MOST_ELSEWHERE)

    async def test_used_by_another(self):
        """A network that another account was used in is none of this account's."""
        await self.log_in(username="romeo")
        await self.log_in(domain="example.org")
        await self.guess()
        self.assertFalse(await self.log_in())

    async def test_latest(self):
        """Of an account the networks of the latest twenty are known."""
        for number in range(25):
            await self.log_in(f"10.0.{number}.0/24")
            self.advance(MINUTE)
        await self.log_in("10.0.7.0/24")
        self.advance(MINUTE)
        await self.log_in("10.0.25.0/24")
        await self.guess()
        known = [number for number in range(26) if await self.log_in(f"10.0.{number}.0/24")]
        self.assertEqual(known, [*range(6, 26)])

    async def test_purged(self):
        """Where an account was not used for long is forgotten, a few at a time."""
        for number in range(4):
            await self.log_in(f"10.0.{number}.0/24")
            self.advance(MINUTE)
        before = self.now - 2 * MINUTE
        self.assertEqual(await self.store.purge_used_networks("example.org", before, 9), 0)
        removed = [await self.store.purge_used_networks(DOMAIN, before, 2) for _ in range(2)]
        self.assertEqual(removed, [2, 1])
        await self.guess()
        known = [number for number in range(4) if await self.log_in(f"10.0.{number}.0/24")]
        self.assertEqual(known, [3])

    async def test_used_network_of_a_deleted_account(self):
        """Who gets the name of a deleted account has been used nowhere."""
        await self.redeem("juliet")
        await self.log_in()
        await self.store.delete_account(DOMAIN, "juliet", self.now, until=self.now)
        await self.guess()
        self.assertFalse(await self.log_in())

    async def test_logins_at_once(self):
        """A hundred attempts at once are no better than one after the other."""
        attempts = [self.attempt(f"198.51.{number}.0/24") for number in range(100)]
        counted = await gatherResults(
            [self.store.count_login(attempt, self.now) for attempt in attempts]
        )
        self.assertEqual(sum(each is not None for each in counted), MOST_ELSEWHERE)
