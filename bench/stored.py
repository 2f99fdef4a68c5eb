"""Put into a service's store what a load needs beforehand, as its operator could."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from invitereg.config import load
from invitereg.interfaces.apikeys import Scope, issue_key
from invitereg.model.invites import Kind, generate_invite_id, generate_token, token_digest
from invitereg.runtime.threads import Inline
from invitereg.store.database import open_database
from invitereg.store.store import Store
from invitereg.store.tables import invites


def make_key(configuration: Path, scopes: Iterable[Scope]) -> str:
    """Make a key of the HTTP API; returns its secret."""
    config = load(configuration, serving=False)
    database = open_database(config.data_dir, Inline())
    key, secret = issue_key("bench", list(scopes), datetime.now(UTC))
    Store(database).create_key(key, token_digest(secret))
    database.close()
    return secret


def make_invites(configuration: Path, count: int) -> list[str]:
    """Make pending invites with one use each, in the store; returns their tokens."""
    config = load(configuration, serving=False)
    database = open_database(config.data_dir, Inline())
    now = datetime.now(UTC)
    tokens = [generate_token() for _ in range(count)]
    rows = [_row(token, now) for token in tokens]
    for start in range(0, count, 10_000):
        part = rows[start : start + 10_000]
        database.write(lambda c, part=part: c.execute(invites.insert(), part))
    database.close()
    return tokens


def _row(token: str, now: datetime) -> dict[str, object]:
    return {
        "id": generate_invite_id(),
        "domain": "localhost",
        "digest": token_digest(token),
        "kind": Kind.ACCOUNT,
        "source": "cli",
        "roles": (),
        "groups": (),
        "note": "",
        "uses_allowed": 1,
        "uses": 0,
        "created_at": now,
        "expires_at": now + timedelta(days=7),
    }
