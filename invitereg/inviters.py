"""What is known about those who want to invite, for the policy to judge."""

from collections.abc import Callable, Mapping
from datetime import datetime

from invitereg.interfaces.accounts import IAccounts
from invitereg.interfaces.queries import Query
from invitereg.interfaces.stores import IStore
from invitereg.model.names import prepare_localpart
from invitereg.policy.counters import user_invites_counter
from invitereg.policy.inviting import Inviter
from invitereg.policy.values import Domain


class Inviters:
    """Asks the store and the accounts about a user."""

    def __init__(
        self,
        domains: Mapping[str, Domain],
        store: IStore,
        accounts: Mapping[str, IAccounts],
        now: Callable[[], datetime],
    ) -> None:
        self._domains = domains
        self._store = store
        self._accounts = accounts
        self._now = now

    async def known(self, domain: str, username: str) -> Inviter:
        """What is known about a user now.

        Raises:
            InvalidUsername: nobody can be called so.
        """
        localpart, now = prepare_localpart(username), self._now()
        counter = user_invites_counter(self._domains[domain].policy, localpart)
        query = Query(domain=domain, now=now, counters=(counter,), inviter=localpart)
        findings = await self._store.look_up(query)
        account = await self._store.get_account(domain, localpart)
        return Inviter(
            username=localpart,
            now=now,
            exists=account is not None or await self._accounts[domain].exists(localpart),
            roles=frozenset(account.roles if account else ()),
            created_at=findings.registered_at,
            open_invites=findings.open_invites,
            made=findings.tallies[0],
        )
