"""What the service does by itself while it runs."""

from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from invitereg.domain.sessions import Sessions
from invitereg.errors import Refused
from invitereg.interfaces import IInviteStore
from invitereg.keys import REPEATABLE, IKeyStore

SESSIONS_SECONDS = 1.0
ADDRESSES_SECONDS = 3600.0
ADDRESSES_AT_ONCE = 500
REPEATS_SECONDS = 3600.0
REPEATS_AT_ONCE = 500


class Upkeep:
    """Ends the sessions that are over, and forgets old addresses and requests.

    Attributes:
        keep_addresses: how long the history keeps the addresses of clients; None is for ever.
            May be replaced while running.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        now: Callable[[], datetime],
        store: Any,
        keys: Any,
        sessions: Sessions,
        domains: Iterable[str],
        keep_addresses: timedelta | None,
    ) -> None:
        self.keep_addresses = keep_addresses
        self._clock = clock
        self._now = now
        self._store = IInviteStore(store)
        self._keys = IKeyStore(keys)
        self._sessions = sessions
        self._domains = domains
        self._calls: list[LoopingCall] = []

    def start(self) -> None:
        """Do everything now, and then each in its interval."""
        self._repeat(SESSIONS_SECONDS, self._sessions.carry_out_ends)
        self._repeat(ADDRESSES_SECONDS, self.forget_addresses)
        self._repeat(REPEATS_SECONDS, self.purge_repeats)

    def stop(self) -> None:
        """Begin nothing more."""
        for call in self._calls:
            if call.running:
                call.stop()

    async def forget_addresses(self) -> None:
        """Remove the addresses that have been kept long enough, in small steps."""
        if self.keep_addresses is None:
            return
        before = self._now() - self.keep_addresses
        for domain in tuple(self._domains):  # a reload may add one meanwhile
            while (
                await self._store.forget_addresses(domain, before, ADDRESSES_AT_ONCE)
                == ADDRESSES_AT_ONCE
            ):
                pass

    async def purge_repeats(self) -> None:
        """Forget the API's requests that may not be repeated any more, in small steps."""
        before = self._now() - REPEATABLE
        while await self._keys.purge_repeats(before, REPEATS_AT_ONCE) == REPEATS_AT_ONCE:
            pass

    def _repeat(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        call = LoopingCall(lambda: Deferred.fromCoroutine(self._try(work)))
        call.clock = self._clock
        self._calls.append(call)
        call.start(seconds)

    async def _try(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Refused as refusal:
            # The store says in the log what is wrong; this has only to go on.
            self._log.debug("upkeep is put off: {refusal}", refusal=refusal)
        except Exception:
            self._log.failure("upkeep failed, and goes on")
