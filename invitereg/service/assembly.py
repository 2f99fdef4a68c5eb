"""Put the store, the accounts and the use cases together, for the service and for commands.

Nothing here needs a reactor, listens or connects.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.accounts.scram import scram_mechanisms
from invitereg.config import Config
from invitereg.config.servers import Accounts
from invitereg.interfaces.accounts import IAccounts, ILogins
from invitereg.policy.values import Domain
from invitereg.runtime.meter import Meter
from invitereg.runtime.threads import Executor
from invitereg.store.store import Store
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.registrar import Registrar


class Assembly:
    """The accounts and the use cases of all domains.

    Attributes:
        domains: those that are served, by name; may be updated while running.
        store: everything that is kept.
        now: the time.
        accounts: each domain's account backend.
        logins: what verifies the logins of each domain that takes some.
        registrar: lets people register.
        issuer: makes and changes invites.
    """

    def __init__(
        self,
        config: Config,
        domains: Mapping[str, Domain],
        store: Store,
        executor: Executor,
        now: Callable[[], datetime],
        remote: Mapping[str, IAccounts],
        meter: Meter | None = None,
    ) -> None:
        """Make the use cases; ``remote`` are the accounts that other servers keep, by domain.

        ``executor`` is where passwords are hashed.
        """
        self.domains = domains
        self.store = store
        self.now = now
        self.accounts: dict[str, IAccounts] = dict(remote)
        self.logins: dict[str, ILogins] = {}
        self._executor = executor
        self._meter = meter or Meter()
        self.add_accounts(config.accounts)
        use_cases = domains, store, self.accounts, now
        self.registrar = Registrar(*use_cases, config.keep_names, self._meter)
        self.issuer = Issuer(*use_cases, self.registrar.refusals)

    def add_accounts(self, configured: Mapping[str, Accounts]) -> None:
        """Make the embedded accounts of those domains that have no accounts yet."""
        for domain in configured.keys() - self.accounts.keys():
            keys = configured[domain]
            parts = self.store, self._executor, self.now, keys.scram_iterations
            embedded = EmbeddedAccounts(domain, *parts, scram_mechanisms(keys), self._meter)
            self.accounts[domain] = self.logins[domain] = embedded
