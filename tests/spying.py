"""Sees what is asked of a store."""

from typing import Any


def note_calls(case: Any, store: Any, *names: str) -> list[str]:
    """What is asked of ``store`` from now on in a test, by the names of these methods."""
    calls: list[str] = []
    for name in names:
        asked = getattr(type(store), name)

        def noted(*args: Any, name: str = name, asked: Any = asked) -> Any:
            calls.append(name)
            return asked(store, *args)

        case.patch(store, name, noted)
    return calls
