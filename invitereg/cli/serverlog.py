"""The log of a server on this machine, where who calls a command may read it."""

import re
from collections.abc import Iterator
from pathlib import Path

EJABBERD_LOG = Path("/var/log/ejabberd/ejabberd.log")
MOST_BYTES = 4 * 1024 * 1024
_PASSWORD = re.compile(rb'<<"(?:password|newpass)">>,\s*<<"(?!hidden_by_ejabberd)')
_LOGGED = (
    "{path} has the passwords of who registers, as ejabberd writes all arguments of its API "
    "there: set hide_sensitive_log_data: true, and remove that log"
)


class ServerLog:
    """What a server has written into its log since this was made."""

    def __init__(self, path: Path = EJABBERD_LOG) -> None:
        self._path = path
        self._start = _size(path)

    def complaints(self) -> Iterator[str]:
        """Yield what it should not have written; nothing where it cannot be read."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._start if _size(self._path) >= self._start else 0)
                written = log.read(MOST_BYTES)
        except OSError:
            return
        if _PASSWORD.search(written):
            yield _LOGGED.format(path=self._path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
