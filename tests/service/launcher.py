"""Starts the real service over and over: `tests.service.crashing` runs this as a program.

It imports what the service needs once, and forks a process for each start, so that a restart
takes a fraction of a second. That process is twistd with its ordinary arguments.

Standard input has a JSON object on a line for each start: ``arguments`` of twistd, ``folder``,
``log``, ``dies``, which is null or where to crash, as ``before COMMIT``, and how many
``redemptions`` are let through before. Standard output has two lines for each: the number of
the process, and how it has ended, as `subprocess` counts.
"""

import json
import os
import signal
import sys
import threading
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from twisted.plugins import invitereg_plugin  # noqa: F401 - imported once, for all
from twisted.scripts import twistd

# Likewise: all that takes long, but for Klein, which makes a reactor.
import invitereg.embedded.domain
import invitereg.store.store
import invitereg.xmpp.adhoc.invites  # noqa: F401

# A reactor must be made after the fork: two processes cannot share what it waits with. And
# threads are lost by it.
assert "twisted.internet.reactor" not in sys.modules
assert threading.active_count() == 1


def die(where: str, redemptions: int) -> None:
    """Crash ``before`` or ``after`` a statement of the transaction that takes a use.

    So many transactions that take a use are let through first.
    """
    when, _, begins = where.partition(" ")
    left, takes_use = redemptions, False

    def watch(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        nonlocal left, takes_use
        if statement.startswith("BEGIN"):
            takes_use = False
        elif statement.startswith("UPDATE invites"):
            takes_use = True
        if takes_use and statement.startswith(begins):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    event.listen(Engine, f"{when}_cursor_execute", watch)


def become_service(order: dict[str, Any]) -> None:
    """Run twistd in this process; does not return before it ends."""
    os.chdir(order["folder"])
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    if order["dies"]:
        die(order["dies"], order["redemptions"])
    sys.argv = ["twistd", *order["arguments"]]
    twistd.run()


def main() -> None:
    """Serve orders until standard input ends."""
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            become_service(json.loads(line))
            return
        say(process)
        _, status = os.waitpid(process, 0)
        say(os.waitstatus_to_exitcode(status))


def say(number: int) -> None:
    """One line of standard output."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
