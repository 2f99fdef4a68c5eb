"""Notify the service manager of the service's state (sd_notify(3) of systemd)."""

import os
import socket
import time
from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

_log = Logger("invitereg.notify.ServiceManager")

SEND_SECONDS = 1.0


class ServiceManager:
    """Send notifications to the service manager; do nothing if there is none.

    ``NOTIFY_SOCKET`` names its socket. ``WATCHDOG_USEC`` is the longest time between two
    keep-alives in microseconds, for the process ``WATCHDOG_PID`` if that is set.
    """

    def __init__(self, clock: IReactorTime, environ: Mapping[str, str] = os.environ) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        # Linux has names of sockets that are in no folder: they begin with a zero byte.
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._microseconds = environ.get("WATCHDOG_USEC", "")
        self._watched = environ.get("WATCHDOG_PID", "")
        self._alive = LoopingCall(self._tell, "WATCHDOG=1")
        self._alive.clock = clock

    def ready(self) -> None:
        """Notify that the service is ready, or ready again, and begin with keep-alives."""
        self._tell("READY=1")
        # Asked only now, as a daemon that has forked is another process.
        ours = self._watched in ("", str(os.getpid()))
        seconds = int(self._microseconds) / 1e6 if self._microseconds.isdecimal() else 0
        if self._address and ours and seconds and not self._alive.running:
            self._alive.start(seconds / 2)

    def reloading(self) -> None:
        """Notify that the configuration is being reloaded, until `ready`."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """Notify that the service stops; keep-alives go on until `stopped`."""
        self._tell("STOPPING=1")

    def stopped(self) -> None:
        """Send no more keep-alives."""
        if self._alive.running:
            self._alive.stop()

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(SEND_SECONDS)
                manager.connect(self._address)
                manager.send(state.encode())
        except OSError as error:
            name = state.partition("=")[0]
            _log.warn(
                "the service manager was not told {name}: {error}", name=name, error=error
            )
