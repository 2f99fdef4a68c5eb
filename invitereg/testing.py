"""Fakes and sample values for tests, ours and those of others: no disk, no real time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.interfaces import IReactorTime

from invitereg.model.accounts import Account, Credentials, ScramKeys
from invitereg.model.invites import Invite, Kind, generate_invite_id
from invitereg.store.database import open_memory
from invitereg.store.store import Store
from invitereg.usecases.registrar import Submission

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The moment at which a `twisted.internet.task.Clock` begins."""


def memory_store() -> Store:
    """Return an empty store in memory, whose Deferreds have fired; close its ``database``."""
    return Store(open_memory())


def clock_now(clock: IReactorTime) -> Callable[[], datetime]:
    """Return a function that tells the time: `START` plus the seconds of ``clock``."""
    return lambda: START + timedelta(seconds=clock.seconds())


def make_invite(**changes: Any) -> Invite:
    """Return an operator's account invite for example.com, valid for a week from `START`."""
    values: dict[str, Any] = {
        "id": generate_invite_id(),
        "domain": "example.com",
        "kind": Kind.ACCOUNT,
        "source": "cli",
        "created_at": START,
        "expires_at": START + timedelta(days=7),
    }
    return Invite(**(values | changes))


def make_credentials(**changes: Any) -> Credentials:
    """Return credentials set at `START`, which no password fits."""
    keys = ScramKeys(
        mechanism="SCRAM-SHA-1",
        iterations=4096,
        salt=b"salt" * 4,
        stored_key=b"stored" * 3,
        server_key=b"server" * 3,
    )
    values: dict[str, Any] = {"keys": (keys,), "changed_at": START}
    return Credentials(**(values | changes))


def make_account(**changes: Any) -> Account:
    """Return the account juliet@example.com, made at `START`."""
    values: dict[str, Any] = {
        "domain": "example.com",
        "username": "juliet",
        "created_at": START,
        "credentials": make_credentials(),
    }
    return Account(**(values | changes))


def make_submission(**changes: Any) -> Submission:
    """Return a submission by which juliet registers at example.com."""
    values: dict[str, Any] = {
        "domain": "example.com",
        "door": "c2s",
        "address": None,
        "username": "juliet",
        "password": "wherefore art thou",
    }
    return Submission(**(values | changes))
