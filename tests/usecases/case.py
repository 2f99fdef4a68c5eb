"""What the tests of the use cases begin with: one domain, on each kind of store."""

from collections.abc import Coroutine
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.model.invites import Invite
from invitereg.policy.values import Domain, Policy
from invitereg.runtime.threads import Inline
from invitereg.store.database import open_database
from invitereg.store.store import Store
from invitereg.testing import clock_now, make_submission, memory_store
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.newinvites import NewInvite
from invitereg.usecases.registrar import Grant, Registrar, Submission

DOMAIN = "example.com"
HOME = ip_address("192.0.2.1")
PASSWORD = "wherefore art thou"


class UseCase(SynchronousTestCase):
    """A registrar and an issuer over a fresh store, without a door."""

    policy = Policy(admins=frozenset({"romeo"}))

    def setUp(self) -> None:
        self.clock = Clock()
        self.now = clock_now(self.clock)
        self.store = self.make_store()
        self.accounts = EmbeddedAccounts(DOMAIN, self.store, Inline(), self.now, 4096)
        domains = {DOMAIN: Domain(name=DOMAIN, policy=self.policy)}
        accounts = {DOMAIN: self.accounts}
        self.registrar = Registrar(domains, self.store, accounts, self.now)
        self.issuer = Issuer(domains, self.store, accounts, self.now)

    def make_store(self) -> Any:
        return memory_store()

    def make_sql_store(self) -> Store:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        database = open_database(Path(folder.name), Inline())
        self.addCleanup(database.close)
        return Store(database)

    def done(self, working: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine returns, without waiting for anything."""
        return self.successResultOf(Deferred.fromCoroutine(working))

    def refused(self, error: type[Exception], working: Coroutine[Any, Any, Any]) -> Any:
        """The error that a coroutine raises: exactly ``error``."""
        failure = self.failureResultOf(Deferred.fromCoroutine(working), error)
        self.assertIs(failure.type, error)
        return failure.value

    def invite(self, **asked: Any) -> tuple[Invite, str]:
        return self.done(self.issuer.create(new(**asked)))

    def account(self, username: str) -> None:
        self.done(self.registrar.create_account(DOMAIN, username, PASSWORD))

    def preauthorise(self, token: str, address: Any = HOME) -> Grant:
        return self.done(self.registrar.preauthorise(DOMAIN, address, token))

    def submission(self, username: str | None = "juliet", **changes: Any) -> Submission:
        values: dict[str, Any] = {"address": HOME, "password": PASSWORD, "username": username}
        return make_submission(**(values | changes))

    def password_of(self, username: str, password: str) -> bool:
        """Whether that is the account's password."""
        checked = self.accounts.check_password(username, password)
        return self.successResultOf(checked) is not None

    def usernames(self) -> list[str]:
        accounts = self.successResultOf(self.store.list_accounts(DOMAIN))
        return [account.username for account in accounts]


def new(**asked: Any) -> NewInvite:
    """What the command line asks for."""
    return NewInvite(**({"domain": DOMAIN, "source": "cli"} | asked))
