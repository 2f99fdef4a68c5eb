"""The events that are counted for monitoring, and a meter that ignores them."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Meter:
    """Ignore all events, so that every part has a meter; `Prometheus` counts them.

    Every method returns at once, and may be called from any thread.
    """

    def registered(self, door: str, outcome: str) -> None:
        """Count a submission through ``door``: ``registered``, ``reset`` or ``refused``."""

    def refused(self, rule: str) -> None:
        """Count a refusal by a rule of the policy, or by a later check."""

    def turned_away(self, limit: str) -> None:
        """Count a connection closed by ``limits.connections`` or ``limits.web``."""

    def answered(self, route: str, method: str, status: int) -> None:
        """Count an answer to a web request."""

    def hashing(self) -> AbstractContextManager[Any]:
        """Measure the hashing of a password."""
        return nullcontext()

    def reading(self) -> AbstractContextManager[Any]:
        """Measure a read of the database."""
        return nullcontext()

    def writing(self) -> AbstractContextManager[Any]:
        """Measure a write of some jobs to the database, with its commit."""
        return nullcontext()
