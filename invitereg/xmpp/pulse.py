"""Finds out that the other end of a connection is gone although nothing has said so.

A line that is dead, or a program that hangs, closes no connection: TCP would go on for hours.
"""

from collections.abc import Callable
from typing import Any

SILENCE_SECONDS = 60.0
"""After so long without a word it is asked for one."""
ANSWER_SECONDS = 5.0
"""How long it has for that word, whatever it is."""


class Pulse:
    """Watches one connection."""

    def __init__(self, clock: Any, ask: Callable[[], None], dead: Callable[[], None]) -> None:
        """``ask`` makes the other end say something; ``dead`` is called if it says nothing."""
        self._clock = clock
        self._ask = ask
        self._dead = dead
        self._heard_at = clock.seconds()
        self._timer = clock.callLater(SILENCE_SECONDS, self._doubt)
        self._doubted = False

    def heard(self) -> None:
        """Something has come."""
        self._heard_at = self._clock.seconds()
        if self._doubted:
            self._doubted = False
            self._timer.cancel()
            self._timer = self._clock.callLater(SILENCE_SECONDS, self._doubt)
        else:
            self._timer.reset(SILENCE_SECONDS)

    def unanswered(self, seconds: float) -> None:
        """What was asked so long ago has no answer: that may have a reason of its own."""
        if not self._doubted and self._heard_at <= self._clock.seconds() - seconds:
            self._timer.cancel()
            self._doubt()

    def stop(self) -> None:
        """Watch no more."""
        if self._timer.active():
            self._timer.cancel()

    def _doubt(self) -> None:
        self._doubted = True
        self._timer = self._clock.callLater(ANSWER_SECONDS, self._dead)
        self._ask()
