"""The part of the SQL store that is about accounts at another server."""

from collections.abc import Sequence
from datetime import datetime

from twisted.internet.defer import Deferred

from invitereg.interfaces import Redemption
from invitereg.leases import Errand, Lease
from invitereg.model import Account
from invitereg.store import errands, leasing
from invitereg.store.database import Database


class SQLLeases:
    """Leases and errands in a `Database`; `ILeaseStore` describes each method."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._read = database.read
        self._write = database.write

    def reserve(self, redemption: Redemption, now: datetime) -> Deferred[Lease]:
        """See `ILeaseStore`."""
        return self._write(lambda c: leasing.reserve(c, redemption, now))

    def complete(self, number: int) -> Deferred[bool]:
        """See `ILeaseStore`."""
        return self._write(lambda c: leasing.complete(c, number))

    def release(self, number: int) -> Deferred[bool]:
        """See `ILeaseStore`."""
        return self._write(lambda c: leasing.release(c, number))

    def open_leases(self, domain: str, before: datetime) -> Deferred[Sequence[Lease]]:
        """See `ILeaseStore`."""
        return self._read(lambda c: leasing.open_leases(c, domain, before))

    def learn(self, account: Account) -> Deferred[bool]:
        """See `ILeaseStore`."""
        return self._write(lambda c: leasing.learn(c, account))

    def add_errand(self, errand: Errand) -> Deferred[int]:
        """See `ILeaseStore`."""
        return self._write(lambda c: errands.add(c, errand))

    def take_errands(
        self, domain: str, node: str, now: datetime, again: datetime
    ) -> Deferred[Sequence[Errand]]:
        """See `ILeaseStore`."""
        return self._write(lambda c: errands.take(c, domain, node, now, again))

    def put_off(self, number: int, until: datetime) -> Deferred[None]:
        """See `ILeaseStore`."""
        return self._write(lambda c: errands.put_off(c, number, until))

    def finish_errand(self, number: int, answer: str | None = None) -> Deferred[None]:
        """See `ILeaseStore`."""
        return self._write(lambda c: errands.finish(c, number, answer))

    def get_errand(self, number: int) -> Deferred[Errand | None]:
        """See `ILeaseStore`."""
        return self._read(lambda c: errands.get(c, number))

    def withdraw(self, number: int) -> Deferred[bool]:
        """See `ILeaseStore`."""
        return self._write(lambda c: errands.withdraw(c, number))

    def purge_errands(self, domain: str, now: datetime, at_most: int) -> Deferred[int]:
        """See `ILeaseStore`."""
        return self._write(lambda c: errands.purge(c, domain, now, at_most))
