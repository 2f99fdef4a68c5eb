"""What pydantic finds wrong, in words for an operator."""

import difflib
from collections.abc import Mapping

from pydantic_core import ErrorDetails

from invitereg.config.mistakes import KeyPath, dotted
from invitereg.config.section import KeyTree, key_paths

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


def worded(error: ErrorDetails, keys: KeyTree, top_level: KeyTree) -> str:
    """One sentence for ``error``, found where ``keys`` are known, in a file with others."""
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(error["loc"], keys, top_level)
    if kind == "missing":
        return "is missing: it must be given"
    if given is None and kind in (*_WANTED, "value_error", "literal_error"):
        return _EMPTY
    if kind in _WANTED:
        return _WANTED[kind] + _hint(kind, given)
    return _bound(kind, context) or _own(kind, error["msg"], context)


def _bound(kind: str, context: Mapping[str, object]) -> str | None:
    if kind == "greater_than_equal":
        return f"must be at least {context['ge']}"
    if kind == "less_than_equal":
        return f"must be at most {context['le']}"
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", "")
    return None


def _own(kind: str, message: str, context: Mapping[str, object]) -> str:
    """The text that a validator of ours gave, or else pydantic's."""
    if kind == "value_error":
        return str(context["error"])
    return message[:1].lower() + message[1:]


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
    return f"unknown key; {_suggestion(str(path[-1]), here, keys)}"


def _suggestion(name: str, here: KeyTree, keys: KeyTree) -> str:
    """The key that was meant: of this name elsewhere, of a near name here, or any of these."""
    elsewhere = [known for known in key_paths(keys) if known[-1] == name]
    if len(elsewhere) == 1:
        return f"did you mean {dotted(elsewhere[0])}?"
    if near := difflib.get_close_matches(name, here, 1):
        return f"did you mean {near[0]}?"
    return f"known here are {', '.join(here)}"
