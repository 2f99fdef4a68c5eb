"""Run twistd with a service that tidies up each minute, and keeps what is over for a minute.

So half an hour sees as many rounds of its upkeep as a day does. SIGUSR2 writes to the file
"objects" how many objects Python's garbage collector tracks.
"""

import gc
import importlib
import signal
from datetime import timedelta
from pathlib import Path
from pkgutil import iter_modules
from types import FrameType

from twisted.scripts.twistd import run

import invitereg.embedded
import invitereg.store
from invitereg.service import maintenance

MINUTE = timedelta(minutes=1)
PACKAGES = (invitereg.store, invitereg.embedded)
"""Whose modules say with ``KEPT`` how long something is kept."""


def hurry() -> None:
    """Set how long things are kept, and how often the service tidies up."""
    assert maintenance.STEADY_SECONDS > MINUTE.total_seconds() < maintenance.ROUND_SECONDS
    maintenance.STEADY_SECONDS = maintenance.ROUND_SECONDS = MINUTE.total_seconds()
    maintenance.SESSION_ENDS_KEPT = MINUTE
    for package in PACKAGES:
        for found in iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            if "KEPT" in vars(module):
                vars(module)["KEPT"] = MINUTE


def count_objects(_number: int, _frame: FrameType | None) -> None:
    """Write the number of tracked objects, without garbage that was not collected yet."""
    gc.collect()
    Path("objects").write_text(str(len(gc.get_objects())))


if __name__ == "__main__":
    hurry()
    signal.signal(signal.SIGUSR2, count_objects)
    run()
