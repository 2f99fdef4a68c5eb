"""Every domain with the account backend that it has."""

from collections.abc import Mapping
from datetime import datetime

from twisted.internet.defer import Deferred
from zope.interface import implementer

from invitereg.interfaces import IAccounts, Redemption
from invitereg.model.accounts import ScramKeys
from invitereg.model.invites import Use


@implementer(IAccounts)
class AccountsByDomain:
    """Hands each question to the backend of its domain.

    Attributes:
        backends: by domain; one may be added while running. A domain that has none is not
            served: to ask about it fails, and nothing is made for it anywhere.
    """

    def __init__(self, backends: Mapping[str, IAccounts]) -> None:
        self.backends = dict(backends)

    def _of(self, domain: str) -> IAccounts:
        return self.backends[domain]

    def redeem(self, redemption: Redemption, password: str) -> Deferred[None]:
        """See `IAccounts.redeem`."""
        return self._of(redemption.use.domain).redeem(redemption, password)

    def reset(self, use: Use, password: str) -> Deferred[None]:
        """See `IAccounts.reset`."""
        return self._of(use.domain).reset(use, password)

    def exists(self, domain: str, username: str) -> Deferred[bool]:
        """See `IAccounts.exists`."""
        return self._of(domain).exists(domain, username)

    def recognise(self, domain: str, username: str) -> Deferred[bool]:
        """See `IAccounts.recognise`."""
        return self._of(domain).recognise(domain, username)

    def contacts_problem(self, domain: str) -> Deferred[str | None]:
        """See `IAccounts.contacts_problem`."""
        return self._of(domain).contacts_problem(domain)

    def get_scram_keys(
        self, domain: str, username: str, mechanism: str
    ) -> Deferred[tuple[ScramKeys, datetime | None]]:
        """See `IAccounts.get_scram_keys`."""
        return self._of(domain).get_scram_keys(domain, username, mechanism)

    def check_password(
        self, domain: str, username: str, password: str
    ) -> Deferred[datetime | None]:
        """See `IAccounts.check_password`."""
        return self._of(domain).check_password(domain, username, password)

    def change_password(
        self, domain: str, username: str, password: str, since: datetime
    ) -> Deferred[datetime]:
        """See `IAccounts.change_password`."""
        return self._of(domain).change_password(domain, username, password, since)

    def delete(
        self,
        domain: str,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> Deferred[None]:
        """See `IAccounts.delete`."""
        return self._of(domain).delete(domain, username, now, until=until, since=since)
