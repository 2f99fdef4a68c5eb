"""The records of a store about work at the server that keeps a domain's accounts.

A *lease* is what a registration has taken before its account is made there: a use of the
invite, a hit on a counter, a name. It is completed or released exactly once. A *job* is
something to be done at the server until it is done, whoever asked for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from invitereg.interfaces.queries import Redemption


class Task(StrEnum):
    """The kind of a job; the names of its ``details`` are in brackets."""

    CONTACTS = "contacts"  # make the account and another contacts (contact)
    END_SESSIONS = "end-sessions"  # of the account
    EXISTS = "exists"  # whether there is the account (learn: to know of it)
    KEY = "key"  # the public key of the service that answers, to seal secrets for it
    CREATE = "create"  # make an account (password, sealed; roles)
    DELETE = "delete"  # delete it (until)
    CHECK = "check"  # what the server does not let us do
    # The name in the databases of earlier releases.
    WARNINGS = "doubts"  # what may be no intention of the server's operator
    ABILITY = "ability"  # why contacts cannot be made


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The means taken for a registration, or a reset, whose outcome is open.

    Attributes:
        number: names it; increases.
        redemption: what will be written when it is completed. For a reset only its use
            counts. It has no counters: what was counted is known to the store.
        at: when it was made.
    """

    number: int
    redemption: Redemption
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of work to be done at the server.

    Attributes:
        number: names it; 0 before it is stored.
        node: the one process that may do it; None for any.
        at: when it was asked for.
        expires: it is not taken up at that moment or later; None is never.
        tries: how often it was taken up, this time included.
        answer: what came of it, for who asked; None as long as nothing did.
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
