"""Newcomers, each from a network of their own, who come at a fixed rate.

Each opens the invite's page, registers in an app, and logs in.
"""

import asyncio
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field

from bench.clients import Client, RefusedError, address, fetch, request
from bench.doors import Target

PATIENCE_SECONDS = 15
"""When a newcomer gives up."""


@dataclass
class Arrivals:
    """What came of some newcomers.

    Attributes:
        seconds: how long each took who got in.
        refused: why the others did not.
        late: how many seconds each began after it should: our own delay.
    """

    seconds: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)


class Newcomers:
    """Lets newcomers come to a service."""

    def __init__(self, target: Target, context: ssl.SSLContext) -> None:
        self._target = target
        self._context = context
        self._come = 0

    async def arrive(self, tokens: list[str], rate: float) -> Arrivals:
        """Let one come for each token, ``rate`` a second, however long those before take."""
        arrivals = Arrivals()
        begin, coming = time.perf_counter(), []
        for number, token in enumerate(tokens):
            due = begin + number / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
            arrivals.late.append(time.perf_counter() - due)
            coming.append(asyncio.create_task(self._come_in(token, arrivals)))
        await asyncio.gather(*coming)
        return arrivals

    async def _come_in(self, token: str, arrivals: Arrivals) -> None:
        begin = time.perf_counter()
        source = address(self._come)
        self._come += 1
        client = Client(self._target.clients, self._context, source)
        name = f"n{token.lower()}"
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._look(token, source)
                await client.register(name, token)
                await client.log_in(name)
        except (RefusedError, AssertionError, EOFError, OSError) as error:  # and TimeoutError
            arrivals.refused[f"{type(error).__name__} {error}".strip()] += 1
        else:
            arrivals.seconds.append(time.perf_counter() - begin)
        finally:
            client.leave()

    async def _look(self, token: str, source: str) -> None:
        """Open the invite's page, as a browser does that has the link."""
        page = request("GET", f"/invite/{token}", "Connection: close")
        status, _page = await fetch(self._target.web, page, source)
        assert status == 200, f"status {status} for the invite's page"
