"""The records of a store about work at the server that keeps a domain's accounts.

A *lease* is what a registration reserves before its account is made there: a use of the invite,
a hit on a counter, a name. It is completed or released exactly once. A *job* is work at the
server that is tried until it is done, whoever asked for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from invitereg.interfaces.queries import Redemption


class Task(StrEnum):
    """The kind of a job; the names of its ``details`` are in brackets."""

    CONTACTS = "contacts"  # make the account and another one contacts (contact)
    END_SESSIONS = "end-sessions"  # end the account's sessions
    EXISTS = "exists"  # tell whether the account exists (learn: and let the store know of it)
    KEY = "key"  # tell the public key of the service, to seal secrets for it
    CREATE = "create"  # make the account (password, sealed; roles)
    DELETE = "delete"  # delete the account (until)
    CHECK = "check"  # tell what the server does not let us do
    # The name in the databases of earlier releases.
    WARNINGS = "doubts"  # tell what the server's operator may not intend
    ABILITY = "ability"  # tell why contacts cannot be made


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Hold what is reserved for a registration, or a reset, whose outcome is open.

    Attributes:
        number: the lease's key, which increases.
        redemption: what is written when the lease is completed; for a reset, its use alone. It
            has no counters, as the store knows what was counted.
        at: when the lease was made.
    """

    number: int
    redemption: Redemption
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Hold a piece of work to be done at the server.

    Attributes:
        number: the job's key; 0 before it is stored.
        node: the only process that may do it; None for any.
        at: when it was asked for.
        expires: from when on it is not taken any more; None for never.
        tries: how often it was taken, this time included.
        answer: the answer for who has asked; None before there is one.
    """

    domain: str
    username: str
    task: Task
    at: datetime
    number: int = 0
    details: Mapping[str, str] = field(default_factory=dict, repr=False)
    node: str | None = None
    expires: datetime | None = None
    tries: int = 0
    answer: str | None = None
