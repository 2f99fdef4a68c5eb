"""The accounts of one domain at another server."""

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
from invitereg.runtime.deferreds import deferred

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
    """Make, check and delete the accounts of one domain at its server.

    Attributes:
        server: the server.
        domain: the domain's name.
        faults: the log of whether the server works.
        provisioner: what makes the accounts.
    """

    def __init__(
        self,
        server: IServer,
        store: IStore,
        clock: IReactorTime,
        now: Callable[[], datetime],
        check: CheckPassword,
    ) -> None:
        """``check`` checks passwords, at the upstream server or by ejabberd's API."""
        self._calls = calls = ServerCalls(server, clock)
        self.server = server
        self.domain: str = server.domain
        self.faults = calls.faults
        self._gone = GoneAccounts(calls, store, now)
        self.provisioner = Provisioner(calls, self._gone, store, clock, now)
        self._store = store
        self._now = now
        self._check = check

    @deferred
    async def redeem(self, redemption: Redemption, password: str) -> None:
        await self.provisioner.redeem(redemption, password)

    @deferred
    async def reset(self, use: Use, password: str) -> None:
        await self.provisioner.reset(use, password)

    @deferred
    async def exists(self, username: str) -> bool:
        return await self._gone.exists(username)

    @deferred
    async def recognise(self, username: str) -> bool:
        if not await self._gone.exists(username):
            return False
        account = Account(domain=self.domain, username=username, created_at=self._now())
        await self._store.learn(account)
        return True

    @deferred
    async def contacts_problem(self) -> str | None:
        return await self._calls.answer(self.server.contacts_problem())

    @deferred
    async def check_password(self, username: str, password: str) -> datetime | None:
        if not await self._calls.answer(self._check(username, password)):
            return None
        self._gone.confirm(username)
        return _EPOCH  # The server does not say when it was set.

    @deferred
    async def change_password(
        self,
        username: str,
        password: str,
        since: datetime,  # noqa: ARG002 - the server does not say when the old one was set
    ) -> datetime:
        await self._calls.answer(self.server.set_password(username, password))
        self._gone.confirm(username)
        now = self._now()
        await self._store.end_resets(self.domain, username, now)
        return now

    @deferred
    async def delete(
        self,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,  # noqa: ARG002 - as in `change_password`
    ) -> None:
        """Delete an account at the server, then here, so that a second attempt can go on."""
        domain = self.domain
        if await self._gone.exists(username):
            # Known to the store, its name is kept as that of any deleted account.
            account = Account(domain=domain, username=username, created_at=now)
            with suppress(UsernameReserved):
                await self._store.learn(account)
            await self._calls.answer(self.server.delete(username))
            self._gone.forget(username)
            if await self._gone.confirms_control(username) is False:
                raise self._doubtful(username)
        elif await self._store.get_account(domain, username) is None:
            raise NotFound(f"There is no account {username}@{domain}.")
        elif not await self._gone.is_gone(username):
            raise self._doubtful(username)
        if await self._store.get_account(domain, username) is not None:
            await self._store.delete_account(domain, username, now, until=until)

    def _doubtful(self, username: str) -> Unavailable:
        return self._unavailable(_DOUBT.format(username=username, domain=self.domain))

    def _unavailable(self, text: str) -> Unavailable:
        return self._calls.unavailable(ServerUnreachable(text))

    def login_refused(self) -> Unavailable:
        """Log that a client has tried to log in here, and return the refusal for it."""
        return self._unavailable(_NO_LOGIN.format(domain=self.domain))

    async def is_gone(self, username: str) -> bool:
        """Return whether the server certainly has no such account; then end what is left.

        Raises:
            Unavailable: the server does not tell, or the store does not answer.
        """
        return await self._gone.is_gone(username)


@implementer(ILogins)
class NoLogins:
    """Refuse logins to accounts that are at another server, and tell the operator why.

    SCRAM is offered nonetheless, as a server must offer a mechanism (RFC 6120 §6.4.1). Its
    attempts fail: keys that fit no password would tell people that theirs is wrong. PLAIN is
    not offered, so no client sends a password.
    """

    def __init__(self, accounts: RemoteAccounts, keys: Accounts) -> None:
        self._accounts = accounts
        self.mechanisms = scram_mechanisms(keys)

    def get_scram_keys(
        self,
        username: str,  # noqa: ARG002
        mechanism: str,  # noqa: ARG002
    ) -> Deferred[tuple[ScramKeys, datetime | None]]:
        return fail(self._accounts.login_refused())

    def check_password(
        self,
        username: str,  # noqa: ARG002
        password: str,  # noqa: ARG002
    ) -> Deferred[datetime | None]:
        return fail(self._accounts.login_refused())
