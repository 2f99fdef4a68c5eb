"""The accounts of one domain, which another server keeps."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from invitereg.accounts.provisioning import Provisioner
from invitereg.accounts.scram import scram_mechanisms
from invitereg.accounts.servercalls import GoneAccounts, ServerCalls
from invitereg.config.servers import Accounts
from invitereg.errors import NotFound, Unavailable, UsernameReserved
from invitereg.interfaces.accounts import IAccounts, ILogins, IPasswords
from invitereg.interfaces.queries import Redemption
from invitereg.interfaces.server import CheckPassword, IServer, ServerUnreachable
from invitereg.interfaces.stores import IStore
from invitereg.model.accounts import Account, ScramKeys
from invitereg.model.invites import Use

_SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_NO_LOGIN = (
    "a client of {domain} has tried to log in here, but its accounts are at another server: "
    "hand clients over to that (c2s.upstream), or let them connect to it"
)

_DOUBT = (
    "{domain} says that it has no account {username}, but tells of no other that must be "
    "there, so it may be wrong. Nothing was changed here. See whether that server works, and "
    "try again when somebody has registered or logged in there"
)


@implementer(IAccounts, IPasswords)
class RemoteAccounts:
    """The accounts of one domain, which ``server`` keeps."""

    def __init__(
        self,
        server: IServer,
        store: IStore,
        clock: IReactorTime,
        now: Callable[[], datetime],
        check: CheckPassword,
    ) -> None:
        """``clock`` must be one that never jumps; ``now`` may."""
        self._calls = calls = ServerCalls(server, clock)
        self.server = server
        self.domain: str = server.domain
        self.faults = calls.faults
        self._gone = GoneAccounts(calls, store, now)
        self.provisioner = Provisioner(calls, self._gone, store, clock, now)
        self._store = store
        self._now = now
        self._check = check

    def redeem(self, redemption: Redemption, password: str) -> Deferred[None]:
        """See `IAccounts.redeem`."""
        return Deferred.fromCoroutine(self.provisioner.redeem(redemption, password))

    def reset(self, use: Use, password: str) -> Deferred[None]:
        """See `IAccounts.reset`."""
        return Deferred.fromCoroutine(self.provisioner.reset(use, password))

    def exists(self, username: str) -> Deferred[bool]:
        """See `IAccounts.exists`."""
        return Deferred.fromCoroutine(self._gone.exists(username))

    def recognise(self, username: str) -> Deferred[bool]:
        """See `IAccounts.recognise`."""
        return Deferred.fromCoroutine(self._recognise(username))

    async def _recognise(self, username: str) -> bool:
        if not await self._gone.exists(username):
            return False
        account = Account(domain=self.domain, username=username, created_at=self._now())
        await self._store.learn(account)
        return True

    def contacts_problem(self) -> Deferred[str | None]:
        """See `IAccounts.contacts_problem`."""
        return Deferred.fromCoroutine(self._calls.ask(self.server.contacts_problem()))

    def check_password(self, username: str, password: str) -> Deferred[datetime | None]:
        """See `IPasswordCheck.check_password`; nobody says since when it is right."""
        return Deferred.fromCoroutine(self._check_password(username, password))

    async def _check_password(self, username: str, password: str) -> datetime | None:
        if not await self._calls.ask(self._check(username, password)):
            return None
        self._gone.confirm(username)
        return _SINCE_EVER

    def change_password(
        self,
        username: str,
        password: str,
        since: datetime,  # noqa: ARG002
    ) -> Deferred[datetime]:
        """See `IPasswords.change_password`; the server does not say what was set since."""
        return Deferred.fromCoroutine(self._change_password(username, password))

    async def _change_password(self, username: str, password: str) -> datetime:
        await self._calls.ask(self.server.set_password(username, password))
        self._gone.confirm(username)
        now = self._now()
        await self._store.end_resets(self.domain, username, now)
        return now

    def delete(
        self,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,  # noqa: ARG002
    ) -> Deferred[None]:
        """See `IAccounts.delete`; the server does not say what was set since."""
        return Deferred.fromCoroutine(self._delete(username, now, until))

    async def _delete(self, username: str, now: datetime, until: datetime | None) -> None:
        """At the server first: until that is done, a second attempt finds all as it was."""
        domain = self.domain
        if await self._gone.exists(username):
            # So that its name is kept, as that of any account that was deleted.
            account = Account(domain=domain, username=username, created_at=now)
            with suppress(UsernameReserved):
                await self._store.learn(account)
            await self._calls.ask(self.server.delete(username))
            self._gone.forget(username)
            if await self._gone.is_told_of_control(username) is False:
                raise self._calls.unavailable(ServerUnreachable(self._doubt(username)))
        elif await self._store.get_account(domain, username) is None:
            raise NotFound(f"There is no account {username}@{domain}.")
        elif not await self._gone.is_gone(username):
            raise self._calls.unavailable(ServerUnreachable(self._doubt(username)))
        if await self._store.get_account(domain, username) is not None:
            await self._store.delete_account(domain, username, now, until=until)

    def _doubt(self, username: str) -> str:
        return _DOUBT.format(username=username, domain=self.domain)

    def no_login(self) -> Unavailable:
        """Note that a client has tried to log in here, and return what it is told."""
        return self._calls.unavailable(ServerUnreachable(_NO_LOGIN.format(domain=self.domain)))

    def is_gone(self, username: str) -> Deferred[bool]:
        """Whether there is no such account beyond doubt; then what is left of it ends.

        Raises:
            Unavailable: the server does not tell, or the store does not answer.
        """
        return Deferred.fromCoroutine(self._gone.is_gone(username))


@implementer(ILogins)
class NoLogins:
    """Refuses logins to accounts that are at another server, and tells the operator why.

    SCRAM is offered nonetheless, as a stream needs a mechanism (RFC 6120 §6.4.1); keys that fit
    no password would tell people that theirs is wrong. PLAIN is not: no password is taken here.
    """

    def __init__(self, accounts: RemoteAccounts, keys: Accounts) -> None:
        self._accounts = accounts
        self.mechanisms = scram_mechanisms(keys)

    def get_scram_keys(
        self,
        username: str,  # noqa: ARG002
        mechanism: str,  # noqa: ARG002
    ) -> Deferred[tuple[ScramKeys, datetime | None]]:
        """Fail with Unavailable."""
        return fail(self._accounts.no_login())

    def check_password(
        self,
        username: str,  # noqa: ARG002
        password: str,  # noqa: ARG002
    ) -> Deferred[datetime | None]:
        """Fail with Unavailable."""
        return fail(self._accounts.no_login())
