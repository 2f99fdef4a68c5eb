"""What people cost who are connected: presence and messages a second, and memory.

Every client logs in on a TLS connection of its own, asks for its roster and sends presence;
contacts are the neighbours in a ring. Then all change their presence, and all write to each of
their contacts. The service runs as its own process with everything on disk; the load runs
beside it on the same machine.

    python bench/sessions.py --accounts 1000 --contacts 20
"""

import argparse
import asyncio
import base64
import os
import resource
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.clients import BIND, DOMAIN, HEADER, NS_SASL, Client, address, trusting
from bench.registrations import Server
from invitereg.accounts.scram import derive_keys
from invitereg.config import load
from invitereg.interfaces.queries import Redemption
from invitereg.model.accounts import SCRAM_SHA_256, Account, Credentials
from invitereg.model.invites import Kind, Use
from invitereg.model.roster import RosterItem, Subscription
from invitereg.runtime.threads import Inline
from invitereg.store.database import open_database
from invitereg.store.rows import row_of
from invitereg.store.store import Store
from invitereg.store.tables import roster_items

PASSWORD = "a-long-password"
ROSTER = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"


def name_of(number: int) -> str:
    """The localpart of an account."""
    return f"user{number}"


def make_accounts(configuration: Path, count: int, contacts: int) -> None:
    """Make accounts with one password, and mutual contacts."""
    config = load(configuration, serving=False)
    database = open_database(config.data_dir, Inline())
    store, now = Store(database), datetime.now(UTC)
    keys = derive_keys(SCRAM_SHA_256, PASSWORD, config.accounts[DOMAIN].scram_iterations)
    credentials = Credentials(keys=(keys,), changed_at=now)
    rows = []
    for number in range(count):
        name = name_of(number)
        account = Account(domain=DOMAIN, username=name, created_at=now, credentials=credentials)
        use = Use(domain=DOMAIN, username=name, kind=Kind.ACCOUNT, at=now, door="cli")
        store.redeem(Redemption(account=account, use=use, operator=True))
        for other in neighbours(number, count, contacts):
            item = RosterItem(jid=f"{name_of(other)}@{DOMAIN}", subscription=Subscription.BOTH)
            rows.append({"domain": DOMAIN, "username": name, **row_of(item)})
    database.write(lambda connection: connection.execute(roster_items.insert(), rows))
    database.close()


def neighbours(number: int, count: int, contacts: int) -> Iterable[int]:
    """Whom an account has as contacts: as many before it as after it in the ring."""
    half = contacts // 2
    return ((number + step) % count for step in range(-half, half + 1) if step)


class Person(Client):
    """One who is connected; counts what comes.

    Attributes:
        presences, messages: how many have come.
        on_message: called for each piece of data with messages.
    """

    def __init__(self, port: int, context: ssl.SSLContext, number: int) -> None:
        super().__init__(port, context, address(number))
        self.name = name_of(number)
        self.presences = self.messages = 0
        self.on_message: Callable[[], None] | None = None

    async def arrive(self) -> None:
        """Log in and become available."""
        await self.connect()
        secret = base64.b64encode(f"\0{self.name}\0{PASSWORD}".encode()).decode()
        auth = f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>{secret}</auth>"
        await self._ask(auth.encode(), b"<success")
        await self._ask(HEADER, b"</stream:features>")
        await self.iq(BIND)
        await self._ask(ROSTER.encode(), b"</iq>")
        self._writer.write(b"<presence/>")
        self._listening = asyncio.ensure_future(self._listen())

    def depart(self) -> None:
        """Listen no more, and end the stream."""
        self._listening.cancel()
        self.leave()

    async def _listen(self) -> None:
        rest = b""
        while data := await self._reader.read(262144):
            data = rest + data
            whole = data.rfind(b">") + 1
            data, rest = data[:whole], data[whole:]
            self.presences += data.count(b"<presence ")
            messages = data.count(b"</message>")
            self.messages += messages
            if messages and self.on_message is not None:
                self.on_message()
        raise ConnectionError(f"the server closed the connection of {self.name}")


class Load:
    """All clients, and what they cost the server."""

    def __init__(self, server: Server, people: list[Person], contacts: int) -> None:
        self._server = server
        self._people = people
        self._contacts = contacts

    async def arrive(self, at_once: int) -> None:
        """Let everybody log in."""
        at_rest, count = self._server.resident_mib(), len(self._people)
        waiting = list(self._people)

        async def work() -> None:
            while waiting:
                await waiting.pop().arrive()

        seconds, cpu = await self._measure(
            asyncio.gather(*(work() for _ in range(at_once))),
            lambda: self._presences >= count + count * self._contacts,
        )
        each = (self._server.resident_mib() - at_rest) * 1024 / count
        report("arrivals/s", count / seconds)
        report("  server CPU each", cpu / count * 1000, "ms")
        report("resident at rest", at_rest, "MiB")
        report("  each session", each, "KiB")

    async def presence(self, rounds: int) -> None:
        """Let everybody change their presence, a few times."""
        count = len(self._people) * rounds
        wanted = self._presences + count * (self._contacts + 1)
        seconds, cpu = await self._measure(
            self._change(rounds), lambda: self._presences >= wanted
        )
        report("presence changes/s", count / seconds)
        report("  deliveries/s", count * (self._contacts + 1) / seconds)
        report("  server CPU each", cpu / count * 1000, "ms")
        report("  CPU a delivery", cpu / count / (self._contacts + 1) * 1e6, "us")

    async def _change(self, rounds: int) -> None:
        for number in range(rounds):
            wanted = self._presences + len(self._people) * (self._contacts + 1)
            for person in self._people:
                person.send(f"<presence><show>away</show><status>{number}</status></presence>")
            await until(lambda wanted=wanted: self._presences >= wanted)

    async def messages(self) -> None:
        """Let everybody write to all their contacts."""
        count = len(self._people) * self._contacts
        seconds, cpu = await self._measure(self._write(), lambda: self._messages >= count)
        report("messages/s", count / seconds)
        report("  server CPU each", cpu / count * 1000, "ms")

    async def _write(self) -> None:
        everybody = len(self._people)
        around = [list(neighbours(n, everybody, self._contacts)) for n in range(everybody)]
        for place in range(self._contacts):
            wanted = self._messages + everybody
            for number, person in enumerate(self._people):
                person.send(chat(around[number][place]))
            await until(lambda wanted=wanted: self._messages >= wanted)

    async def latency(self, count: int) -> None:
        """Let one write to another while all others are silent."""
        writer, seconds = self._people[0], []
        for _ in range(count):
            arrived = asyncio.Event()
            self._people[1].on_message = arrived.set
            begin = time.perf_counter()
            writer.send(chat(1))
            await arrived.wait()
            seconds.append(time.perf_counter() - begin)
        quantiles = statistics.quantiles(seconds, n=100)
        report("latency p50", quantiles[49] * 1000, "ms")
        report("latency p99", quantiles[98] * 1000, "ms")

    @property
    def _presences(self) -> int:
        return sum(person.presences for person in self._people)

    @property
    def _messages(self) -> int:
        return sum(person.messages for person in self._people)

    async def _measure(
        self, work: Awaitable[object], done: Callable[[], bool]
    ) -> tuple[float, float]:
        cpu, begin = self._server.cpu_seconds(), time.perf_counter()
        await work
        await until(done)
        return time.perf_counter() - begin, self._server.cpu_seconds() - cpu


def chat(number: int) -> str:
    """A message to somebody."""
    to = f"{name_of(number)}@{DOMAIN}"
    return f"<message to='{to}' type='chat' id='m'><body>Good morrow, cousin.</body></message>"


async def until(done: Callable[[], bool]) -> None:
    """Wait, without much work, for what the server does."""
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline, "not everything arrives"
        await asyncio.sleep(0.01)


def report(what: str, value: float, unit: str = "") -> None:
    """Print a figure."""
    print(f"{what:22}{value:10.2f} {unit}".rstrip(), flush=True)


async def run(server: Server, arguments: argparse.Namespace) -> None:
    """Load a running server, and print the figures."""
    context = trusting()
    people = [Person(server.port, context, number) for number in range(arguments.accounts)]
    load = Load(server, people, arguments.contacts)
    await load.arrive(arguments.at_once)
    await load.presence(arguments.rounds)
    await load.messages()
    await load.latency(500)
    report("resident after load", server.resident_mib(), "MiB")


def main() -> None:
    """Run the load and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--contacts", type=int, default=20, help="of each account; even")
    parser.add_argument("--rounds", type=int, default=3, help="presence changes of each")
    parser.add_argument("--at-once", type=int, default=16, help="logins")
    arguments = parser.parse_args()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        server = Server(Path(folder))
        print(f"making {arguments.accounts:,} accounts …", flush=True)
        make_accounts(server.folder / "config.yaml", arguments.accounts, arguments.contacts)
        server.start()
        try:
            asyncio.run(run(server, arguments))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
