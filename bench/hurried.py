"""Run twistd with a service that tidies up each minute, and keeps what is over for a minute.

So half an hour sees as many rounds of its upkeep as a day does. SIGUSR2 writes to the file
"objects" how many objects Python's garbage collector tracks.
"""

import gc
import importlib
import signal
from datetime import timedelta
from pathlib import Path
from types import FrameType

from twisted.scripts.twistd import run

MINUTE = timedelta(minutes=1)
HURRIED = {
    "invitereg.upkeep": {
        "STEADY_SECONDS": MINUTE.total_seconds(),
        "ROUND_SECONDS": MINUTE.total_seconds(),
    },
    "invitereg.store.rosterchanges": {"KEPT": MINUTE},
    "invitereg.store.errands": {"KEPT": MINUTE},
}


def hurry() -> None:
    """Set the constants; raises AttributeError for one that is not there any more."""
    for name, constants in HURRIED.items():
        module = importlib.import_module(name)
        for constant, value in constants.items():
            getattr(module, constant)
            setattr(module, constant, value)


def count_objects(_number: int, _frame: FrameType | None) -> None:
    """Write the number of tracked objects."""
    Path("objects").write_text(str(len(gc.get_objects())))


if __name__ == "__main__":
    hurry()
    signal.signal(signal.SIGUSR2, count_objects)
    run()
