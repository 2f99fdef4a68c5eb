"""The embedded domain as a whole: invitereg as the server that people meet on."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from invitereg.domain.contacts import Contacts
from invitereg.domain.delivery import Delivery
from invitereg.domain.presence import Presence
from invitereg.domain.sessions import Sessions
from invitereg.policy.values import Domain


class EmbeddedDomain:
    """The parts of it, put together; one for all domains that are served.

    It is for a handful of people: it speaks to no other domain, keeps no message for later,
    and lives in one process.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        store: Any,
        now: Callable[[], datetime],
        sessions_per_account: int = 20,
    ) -> None:
        self.domains = domains
        self.sessions = Sessions(store, sessions_per_account)
        self.delivery = Delivery(self.sessions)
        self.contacts = Contacts(domains, store, self.delivery, now)
        self.presence = Presence(self.sessions, self.delivery, self.contacts)
