"""Mistakes in a configuration file: where each is, and what would be right instead."""

import re
from dataclasses import dataclass
from pathlib import Path

from invitereg.model.fields import escaped

KeyPath = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
_SHOWN_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong.

    Attributes:
        line: counted from 1; None where there is none, as for a file that does not exist.
        key_path: as in ``policy.limits.blocklist[0]``; empty for the file as a whole.
        text: what is wrong and what would be right, on one line.
    """

    line: int | None
    key_path: str
    text: str

    def located(self, file: Path) -> str:
        """The whole line that an operator reads: ``FILE:LINE: key.path: text``.

        What the file has in it that cannot be shown, such as in a path, is escaped.
        """
        place = str(file) if self.line is None else f"{file}:{self.line}"
        line = ": ".join(part for part in (place, self.key_path, self.text) if part)
        return escaped(line)


class ConfigError(Exception):
    """A configuration that cannot be used.

    Attributes:
        path: the file.
        mistakes: all that was found, in the order of their lines.
    """

    def __init__(self, path: Path, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__(path, mistakes)
        self.path = path
        self.mistakes = mistakes

    def __str__(self) -> str:
        return "\n".join(mistake.located(self.path) for mistake in self.mistakes)

    def told_by(self, program: str) -> str:
        """Return the text; where there is no file, with how ``program`` is told of another."""
        try:
            is_there = self.path.exists()
        except OSError:  # such as in a folder that may not be entered
            is_there = True
        if is_there:
            return str(self)
        return f"{self}. Say where it is: {program} --config FILE, or INVITEREG_CONFIG=FILE"


def dotted(path: KeyPath) -> str:
    """A path of keys and indexes as text: ``a.b[0].c``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else quoted(part)
            text += f".{key}" if text else key
    return text


def quoted(text: str) -> str:
    """What somebody wrote, safe and short enough for a message of one line."""
    cut = text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…"
    return f'"{cut}"' if cut.isprintable() else ascii(cut)
