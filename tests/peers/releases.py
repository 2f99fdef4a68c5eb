"""The releases of Debian whose Prosody and ejabberd are tried.

``INVITEREG_SERVERS`` names those that the tests of every release are run with, by their code
names: ``installed`` is this machine's own, and all that is tried by default. The others lie in
roots of their own, which ``tests/peers/roots`` makes.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.peers import missing_peer, require_program

ROOTS = Path(
    os.environ.get("INVITEREG_ROOTS")
    or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "invitereg/roots"
)

_ENTER = """
mount --rbind /proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs none "$1/tmp"
mkdir -p "$1$3"
mount --bind "$3" "$1$3"
root=$1 user=$2 folder=$3
shift 3
exec chroot --userspec="$user" "$root" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""
"""Runs a program in a root, where the folder that it works in has the same name.

All that is mounted is gone with it.
"""


@dataclass(frozen=True)
class Release:
    """A release of Debian with its servers.

    Attributes:
        name: its code name, or ``installed``.
        root: where its files are; None for this machine's own.
    """

    name: str
    root: Path | None = None

    def __str__(self) -> str:
        """Its name, as tests show it."""
        return self.name

    def program(self, name: str, package: str) -> str:
        """Find a program of a Debian ``package``, or do as `missing_peer` does."""
        if self.root is None:
            return require_program(name, package)
        path = shutil.which(name, path=f"{self.root}/usr/sbin:{self.root}/usr/bin")
        if path is None:
            missing_peer(f"there is no {name} in {self.root}: tests/peers/roots {self.name}")
        return "/" + str(Path(path).relative_to(self.root))

    def version(self, package: str) -> str:
        """Return the version of a Debian ``package`` as its makers call it, such as 13.0.1."""
        words = ["dpkg-query", f"--root={self.root or '/'}", "-W", "-f", "${Version}", package]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return re.split("[-+~]", done.stdout)[0]

    def own(self, folder: Path, user: str) -> None:
        """Give a folder and all in it to a user of the release, as no server runs as root."""
        who = self._user(user)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *who, follow_symlinks=False)

    def command(self, folder: Path, user: str, words: list[str]) -> list[str]:
        """Make the words that run a program as ``user`` in a ``folder`` of a test's own."""
        if self.root is None:
            return words if os.geteuid() else ["setpriv", *_privileges(user), *words]
        private = ["unshare", "--mount", "--propagation", "private"]
        return [
            *private,
            "sh",
            "-euc",
            _ENTER,
            "enter",
            str(self.root),
            user,
            str(folder),
            *words,
        ]

    def _user(self, name: str) -> tuple[int, int]:
        if self.root is None:
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
        for line in (self.root / "etc/passwd").read_text().splitlines():
            user, _password, number, group, *_more = line.split(":")
            if user == name:
                return int(number), int(group)
        raise LookupError(f"there is no user {name} in {self.root}")


INSTALLED = Release("installed")


def release(name: str) -> Release:
    """Find a release by its code name."""
    return INSTALLED if name == "installed" else Release(name, ROOTS / name)


def chosen() -> list[Release]:
    """List the releases that tests of all of them are run with."""
    return [release(name) for name in os.environ.get("INVITEREG_SERVERS", "installed").split()]


def for_each_release(case: type) -> type:
    """Make a test case for each of the `chosen` releases, named after it, in the case's module.

    Each has its release as ``release``. The ``case`` itself is what they share, and is not run.
    """
    case.__test__ = False  # type: ignore[attr-defined]
    module = sys.modules[case.__module__]
    for one in chosen():
        name = f"{case.__name__}_{one}"
        members = {"release": one, "__test__": True, "__module__": case.__module__}
        setattr(module, name, type(name, (case,), members))
    return case


def _privileges(user: str) -> list[str]:
    return [f"--reuid={user}", f"--regid={user}", "--init-groups"]
