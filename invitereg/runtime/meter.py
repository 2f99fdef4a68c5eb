"""What is worth counting, told by the parts that know it; here nobody listens."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Meter:
    """Told what happens. This one forgets it at once, so no part needs to ask for a meter.

    Every method returns at once, and may be called from any thread.
    """

    def registered(self, door: str, outcome: str) -> None:
        """A submission through ``door`` was ``registered``, ``reset`` or ``refused``."""

    def refused(self, rule: str) -> None:
        """``rule`` of the policy, or what came after it, has refused somebody."""

    def turned_away(self, limit: str) -> None:
        """A connection was closed as too many, by ``limits.connections`` or ``limits.web``."""

    def answered(self, route: str, method: str, status: int) -> None:
        """A request of the web was answered."""

    def hashing(self) -> AbstractContextManager[Any]:
        """While a password is hashed."""
        return nullcontext()

    def reading(self) -> AbstractContextManager[Any]:
        """While the database is asked."""
        return nullcontext()

    def writing(self) -> AbstractContextManager[Any]:
        """While some jobs are written to the database, and their commit is waited for."""
        return nullcontext()
