"""Looks into a database without opening it for a service: nothing is made or upgraded."""

import sqlite3
from contextlib import closing
from pathlib import Path

from invitereg.store.names import State
from invitereg.store.opening import FILE_NAME

_STATE = "SELECT state FROM names WHERE domain = ? AND username = ?"


def has_account(data_dir: Path, domain: str, username: str) -> bool | None:
    """Whether an account is known; None if the database cannot tell."""
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            return False
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            row = db.execute(_STATE, (domain, username)).fetchone()
    except (OSError, sqlite3.Error):
        return None
    return row is not None and row[0] == State.ACCOUNT
