"""The folder that the database lies in; free of imports that take time."""

import os
import pwd
from pathlib import Path

from invitereg.config.reading import user_name, why_unreadable
from invitereg.errors import StoreError


def make_folder(data_dir: Path) -> None:
    """Make a folder that only its owner may enter, if there is none.

    Raises:
        StoreError: it cannot be made, or written; or see `require_owner`.
    """
    if not os.path.lexists(data_dir) and os.path.exists(data_dir.parent):
        require_owner(data_dir.parent)
    try:
        data_dir.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unusable(data_dir, why_unreadable(error)) from None
    check_folder(data_dir)


def check_folder(data_dir: Path) -> None:
    """Find out whether `make_folder` would succeed, and change nothing.

    Raises:
        StoreError: it would not.
    """
    there = os.path.lexists(data_dir)
    if there and not data_dir.is_dir():
        raise _unusable(data_dir, "Not a directory")
    written = data_dir if there else data_dir.parent
    if not os.access(written, os.W_OK | os.X_OK):
        raise _unusable(data_dir, _why_closed(written))


def require_owner(folder: Path) -> None:
    """See that root makes no database that the owner of its folder could not write.

    Raises:
        StoreError: it would.
    """
    owner = folder.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    raise StoreError(
        f"{folder} is the user {name}'s, who could not write a database that root makes there. "
        f"Run this as {name}: runuser -u {name} -- COMMAND"
    )


def _why_closed(folder: Path) -> str:
    """Return why nothing can be written into a folder, which is so."""
    try:
        folder.stat()
    except FileNotFoundError:
        return f"no {folder}"
    except OSError as error:  # such as within one that may not be entered
        return why_unreadable(error)
    return f"Permission denied for the user {user_name()}"


def _unusable(data_dir: Path, reason: str) -> StoreError:
    return StoreError(
        f"data_dir {data_dir} is not a folder that can be written ({reason}): "
        "create it and give it to the user that runs invitereg"
    )
