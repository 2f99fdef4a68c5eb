"""Mistakes in a configuration file: where each is, what is wrong and what would be right."""

import difflib
import os
import pwd
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import ErrorDetails

from invitereg.model.fields import escaped

KeyPath = tuple[str | int, ...]
KeyTree = dict[str, "KeyTree"]

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
        """Return the whole line that an operator reads: ``FILE:LINE: key.path: text``.

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
    """Return a path of keys and indexes as text: ``a.b[0].c``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else quoted(part)
            text += f".{key}" if text else key
    return text


def quoted(text: str) -> str:
    """Return foreign text so that it is safe and short enough for a message of one line."""
    cut = text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…"
    return f'"{cut}"' if cut.isprintable() else ascii(cut)


def key_paths(tree: KeyTree, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key in ``tree``, sections included, as the models order them."""
    for name, below in tree.items():
        yield (*above, name)
        yield from key_paths(below, (*above, name))


def user_name(number: int | None = None) -> str:
    """Return the name of a user, or else the number; by default whom this process runs as."""
    number = os.geteuid() if number is None else number
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def why_unreadable(error: OSError) -> str:
    """Return the system's error text; about permissions, with the name of our user."""
    reason = error.strerror or "no usable file"
    if isinstance(error, PermissionError):
        return f"{reason} for the user {user_name()}"
    return reason


_EMPTY = "is empty: give it a value, or leave the key out"
_WANTED = {
    "bool_type": "must be true or false (without quotes)",
    "int_type": "must be a whole number",
    "string_type": "must be text",
    "tuple_type": "must be a list, such as [one, two]",
    "model_type": "must be a section, with keys of its own",
    "mapping_type": "must be a section, with keys of its own",
    "dict_type": "must be a section, with keys of its own",
}
_BOUNDS = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


def message_of(error: ErrorDetails, keys: KeyTree, top_level: KeyTree) -> str:
    """Return one sentence for ``error``, found where ``keys`` are known."""
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(error["loc"], keys, top_level)
    if kind == "missing":
        return "is missing: it must be given"
    if given is None and kind in (*_WANTED, "value_error", "literal_error"):
        return _EMPTY
    if kind in _WANTED:
        return _WANTED[kind] + _hint(kind, given)
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context).replace("'", "")
    if kind == "value_error":  # by a validator of ours
        return str(context["error"])
    return error["msg"][:1].lower() + error["msg"][1:]


def _hint(kind: str, given: object) -> str:
    if kind == "string_type" and isinstance(given, bool | int | float):
        return ": put it in quotes"
    if kind == "int_type" and isinstance(given, str) and given.strip("+-").isdigit():
        return ", without quotes"
    if isinstance(given, Mapping):
        return ", not keys and values"
    if isinstance(given, tuple) and kind != "tuple_type":
        return ", not a list"
    return ""


def _unknown(path: KeyPath, keys: KeyTree, top_level: KeyTree) -> str:
    if path in list(key_paths(top_level)):
        return f"unknown key; {dotted(path)} is for all domains: write it at the top level"
    here = keys
    for part in path[:-1]:
        here = here.get(str(part), {})
    name = str(path[-1])
    # Of this name elsewhere, or of a near name here.
    elsewhere = [known for known in key_paths(keys) if known[-1] == name]
    if len(elsewhere) == 1:
        return f"unknown key; did you mean {dotted(elsewhere[0])}?"
    if near := difflib.get_close_matches(name, here, 1):
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; known here are {', '.join(here)}"
