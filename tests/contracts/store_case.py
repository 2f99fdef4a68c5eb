"""What every test of a store begins with."""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from invitereg.interfaces.queries import Findings, LoginAttempt, Query, Redemption
from invitereg.model.accounts import Account, Credentials
from invitereg.model.invites import Invite, Kind, Use, token_digest
from invitereg.policy.counters import Counter
from invitereg.policy.values import Limit
from invitereg.testing import clock_now, make_account, make_credentials, make_invite

DOMAIN = "example.com"
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


def counter(key: str = "192.0.2.1/32", most: int = 2, name: str = "registration") -> Counter:
    """Counts at most ``most`` an hour."""
    return Counter(name=name, key=key, limit=Limit(max=most, period=HOUR))


class FolderCase(TestCase):
    """A test case that puts files somewhere."""

    def folder(self) -> Path:
        """A new folder of its own, gone after the test."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return Path(folder.name)


class StoreCase(FolderCase):
    """A test case with ``self.store``, and the words to say what happens to it."""

    store: Any

    def setUp(self) -> None:
        self.clock = Clock()
        self._clock_now = clock_now(self.clock)

    @property
    def now(self) -> datetime:
        return self._clock_now()

    def advance(self, time: timedelta) -> None:
        self.clock.advance(time.total_seconds())

    async def refused(self, deferred: Deferred[Any], error: type[Exception]) -> Any:
        """The error with which ``deferred`` failed: exactly ``error``."""
        failed = await self.assertFailure(deferred, error)
        self.assertIs(type(failed), error)
        return failed

    async def invite(self, token: str | None = None, **changes: Any) -> Invite:
        """Store an invite made now, good for a week."""
        made = {"created_at": self.now, "expires_at": self.now + WEEK}
        invite = make_invite(**(made | changes))
        await self.store.create_invite(invite, token_digest(token or invite.id))
        return invite

    def use(self, username: str, invite: Invite | None = None, **changes: Any) -> Use:
        values: dict[str, Any] = {
            "domain": DOMAIN,
            "username": username,
            "kind": Kind.ACCOUNT if invite is None else invite.kind,
            "at": self.now,
            "door": "c2s",
            "invite_id": None if invite is None else invite.id,
            "inviter": None if invite is None else invite.inviter,
            "address": "192.0.2.1",
        }
        return Use(**(values | changes))

    def redemption(
        self,
        username: str = "juliet",
        invite: Invite | None = None,
        counter: Counter | None = None,
        operator: bool = False,
        contact: str | None = None,
        roster_limit: int = 1000,
        **changes: Any,
    ) -> Redemption:
        account = make_account(username=username, created_at=self.now, **changes)
        use = self.use(username, invite)
        return Redemption(
            account=account,
            use=use,
            counters=() if counter is None else (counter,),
            operator=operator,
            contact=contact,
            roster_limit=roster_limit,
        )

    async def take_back(self, numbers: tuple[int, ...]) -> None:
        """Take hits back, as those of a login that has succeeded."""
        attempt = LoginAttempt(
            domain=DOMAIN,
            username="juliet",
            network="192.0.2.0/24",
            counters=(),
            elsewhere=counter(),
        )
        await self.store.login_succeeded(attempt, numbers, self.now)

    def redeem(self, *args: Any, **changes: Any) -> Deferred[None]:
        """Redeem as `redemption` says."""
        return self.store.redeem(self.redemption(*args, **changes))

    def reset(self, username: str, invite: Invite) -> Deferred[None]:
        return self.store.reset(self.use(username, invite), self.credentials())

    def credentials(self) -> Credentials:
        return make_credentials(changed_at=self.now)

    async def look_up(self, **asked: Any) -> Findings:
        return await self.store.look_up(Query(domain=DOMAIN, now=self.now, **asked))

    async def get(self, invite: Invite) -> Invite:
        """The invite as it is stored now."""
        return await self.store.get_invite(DOMAIN, invite.id)

    async def account(self, username: str = "juliet") -> Account | None:
        return await self.store.get_account(DOMAIN, username)

    async def usernames(self) -> list[str]:
        return [account.username for account in await self.store.list_accounts(DOMAIN)]
