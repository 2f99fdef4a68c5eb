"""Which tests talk to peers, and in which order tests are run side by side."""

from pathlib import Path

import pytest

PEERS = Path(__file__).parent / "peers"


# Before tests are chosen by their markers.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(PEERS):
            item.add_marker("peers")
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Put what takes longest first, so that no worker is left with it at the end."""
    return ("slow" not in item.keywords) + ("peers" not in item.keywords)
