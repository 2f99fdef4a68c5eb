"""Which tests talk to peers or are slow, and how tests are run side by side."""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

MARKS = {"peers": "peers", "service": "slow"}
"""What all tests of a folder are marked with."""
DOOR, ROOM = Path(__file__), Path(__file__).with_name("__init__.py")
"""What workers lock: each test goes through the door into the room; some are alone there."""


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that measures processor time run while no other does."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with ExitStack() as inside:
        # Whoever waits in the door lets nobody pass, and so it waits for one test at most.
        with locked(DOOR, fcntl.LOCK_EX):
            alone = item.get_closest_marker("alone")
            inside.enter_context(locked(ROOM, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        return (yield)


@contextmanager
def locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock as other processes see it."""
    with path.open() as file:
        fcntl.flock(file, how)
        yield
