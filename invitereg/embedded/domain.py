"""Put the parts of the embedded domain together."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

from invitereg.embedded.contacts import Contacts
from invitereg.embedded.delivery import Delivery
from invitereg.embedded.notices import SessionNotices
from invitereg.embedded.presence import Presence
from invitereg.embedded.sessions import Sessions
from invitereg.interfaces.stores import IStore
from invitereg.policy.values import Domain

PeriodicTask = Callable[[], Coroutine[Any, Any, None]]


class EmbeddedDomain:
    """All parts of the embedded domain; one object serves all domains of a process.

    It is made for a few people: it has no federation, keeps no message for offline accounts,
    and runs in one process.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        store: IStore,
        now: Callable[[], datetime],
        sessions_per_account: int = 20,
    ) -> None:
        self.domains = domains
        self.sessions = Sessions(store, sessions_per_account)
        self.delivery = Delivery(self.sessions)
        self.contacts = Contacts(domains, store, self.delivery, now)
        self.notices = SessionNotices(domains, store, self.delivery, now)
        self.presence = Presence(
            self.sessions, self.delivery, self.contacts, self.notices.arrived
        )
        self.sessions.left = self.presence.leave

    def chores(self) -> tuple[PeriodicTask, ...]:
        """Return the functions to call every second, to act on other processes' changes."""
        return (
            self.sessions.carry_out_ends,
            self.contacts.carry_out_changes,
            self.notices.send_new,
        )
