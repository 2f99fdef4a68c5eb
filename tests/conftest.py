"""Which tests talk to peers or are slow, and how tests are run side by side."""

import os
from pathlib import Path

import pytest

MARKS = {"peers": "peers", "service": "slow"}
"""What all tests of a folder are marked with."""


def pytest_xdist_auto_num_workers() -> int:
    """Use more workers than processors: half of the time a server starts, or a client waits."""
    return (os.cpu_count() or 1) + 1


# Before tests are chosen by their markers.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in MARKS:
            item.add_marker(MARKS[folder])
    if hasattr(config, "workerinput"):
        # What takes long comes first, so that no worker is left with it at the end.
        items.sort(key=lambda item: not {"peers", "slow"} & set(item.keywords))
