"""How fast the landing page and the API's create are, beside Prosody's, in the same run.

Prosody serves them with mod_invites_page and mod_invites_api, on SQLite. Both run as processes
of their own with everything on disk, and are loaded by turns; the load runs beside them on the
same machine, over connections that are kept open. Needs Debian's prosody and prosody-modules;
without them, only our own figures are printed.

    python bench/web.py --pending 1000000 --requests 1000
"""

import argparse
import asyncio
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.clients import address, connect, read_answer, request
from bench.registrations import Server, load_server
from bench.stored import make_key
from invitereg.interfaces.apikeys import Scope
from invitereg.model.invites import generate_token

WEB_PORT = 18080
PROSODY_PORT = 15280
MODULES = Path("/usr/lib/prosody/modules/mod_invites_page")


class Ours(Server):
    """The service with a site."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with (folder / "config.yaml").open("a") as config:
            config.write(
                f"web:\n  external_url: http://127.0.0.1:{WEB_PORT}/\n"
                f'  listen: ["tcp:{WEB_PORT}:interface=127.0.0.1"]\n'
                "  api: {rate: {max: 1000000, period: 1s}}\n"
            )

    def make_key(self) -> str:
        """The secret of a key that may make invites."""
        return make_key(self.folder / "config.yaml", [Scope.INVITES_CREATE])


class Prosody:
    """Debian's Prosody with its modules for invites, on SQLite."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "prosody.cfg.lua"
        data = folder / "data"
        data.mkdir()
        self.database = data / "prosody.sqlite"
        self.config.write_text(
            f'pidfile = "{folder}/prosody.pid"\ndata_path = "{data}"\nrun_as_root = true\n'
            'modules_enabled = { "http", "invites", "invites_page", "invites_api" }\n'
            'modules_disabled = { "s2s", "c2s" }\nc2s_ports = {}\ns2s_ports = {}\n'
            f'http_ports = {{ {PROSODY_PORT} }}\nhttp_interfaces = {{ "127.0.0.1" }}\n'
            'https_ports = {}\nhttp_default_host = "localhost"\n'
            'storage = "sql"\nsql = { driver = "SQLite3", database = "prosody.sqlite" }\n'
            f'log = {{ warn = "{folder}/log" }}\nVirtualHost "localhost"\n'
        )

    def make_key(self) -> str:
        """A key of mod_invites_api."""
        command = ["prosodyctl", "--root", "--config", str(self.config)]
        made = subprocess.run(
            [*command, "mod_invites_api", "create", "localhost", "bench"],
            capture_output=True,
            text=True,
        )
        found = re.search(r"^\S+/\S+$", made.stdout, re.MULTILINE)
        assert found, made.stdout + made.stderr
        return found[0]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            ["prosody", "--config", str(self.config), "-F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PROSODY_PORT}/invites_page?x")
                return
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.1)

    def make_invites(self, count: int) -> None:
        """Copy the only invite that there is; Prosody must be stopped."""
        connection = sqlite3.connect(self.database)
        columns = '"host", "user", "store", "key", "type", "value"'
        query = f"SELECT {columns} FROM prosody WHERE store = 'invite_token'"
        row = connection.execute(query).fetchone()
        token = row[3]

        def copies() -> Iterable[tuple[str, ...]]:
            for _ in range(count):
                other = generate_token()
                yield (*row[:3], other, row[4], row[5].replace(token, other))

        insert = f"INSERT INTO prosody ({columns}) VALUES (?, ?, ?, ?, ?, ?)"
        with connection:
            connection.executemany(insert, copies())
        connection.close()

    cpu_seconds = Server.cpu_seconds
    resident_mib = Server.resident_mib
    stop = Server.stop


@dataclass
class Figures:
    """What a load came to."""

    each_second: float
    cpu_ms: float
    p50: float
    p99: float

    def columns(self) -> tuple[float, ...]:
        """As they are printed."""
        return self.each_second, self.cpu_ms, self.p50 * 1000, self.p99 * 1000


async def _client(
    number: int, port: int, requests: list[bytes], status: int, seconds: list[float]
) -> None:
    plain = await connect(port, address(number))
    reader, writer = await asyncio.open_connection(sock=plain)
    while requests:
        begin = time.perf_counter()
        writer.write(requests.pop())
        found, body = await read_answer(reader)
        assert found == status, body.decode()
        seconds.append(time.perf_counter() - begin)
    writer.close()


async def _load(port: int, requests: list[bytes], status: int, at_once: int) -> list[float]:
    seconds: list[float] = []
    clients = (_client(n, port, requests, status, seconds) for n in range(at_once))
    await asyncio.gather(*clients)
    return seconds


def measure(
    server: "Ours | Prosody", port: int, requests: list[bytes], status: int, at_once: int
) -> Figures:
    """Send all ``requests``, ``at_once`` at a time, after some to get warm."""
    asyncio.run(_load(port, requests[:100], status, at_once))
    requests = requests[100:]
    count, cpu, begin = len(requests), server.cpu_seconds(), time.perf_counter()
    seconds = asyncio.run(_load(port, requests, status, at_once))
    wall, cpu = time.perf_counter() - begin, server.cpu_seconds() - cpu
    quantiles = statistics.quantiles(seconds, n=100)
    return Figures(count / wall, cpu / count * 1000, quantiles[49], quantiles[98])


Load = tuple[str, "Ours | Prosody", int, list[bytes], int]
"""A name, who is asked, at which port, for what, and the status that is right."""


def ours(server: Ours, tokens: list[str]) -> list[Load]:
    """What is asked of the service."""
    key = f"Authorization: Bearer {server.make_key()}"
    pages = [request("GET", f"/invite/{token}") for token in tokens]
    phone = "User-Agent: Mozilla/5.0 (Linux; Android 14; Pixel) Mobile"
    phones = [request("GET", f"/invite/{token}", phone) for token in tokens]
    creates = [request("POST", "/api/v1/invites", key, body="{}")] * len(tokens)
    likewise = [request("GET", "/invites_api", key)] * len(tokens)
    return [
        ("landing page, desktop", server, WEB_PORT, pages, 200),
        ("landing page, phone", server, WEB_PORT, phones, 200),
        ("POST /api/v1/invites", server, WEB_PORT, creates, 201),
        ("GET /invites_api", server, WEB_PORT, likewise, 201),
    ]


def prosody(server: Prosody, pending: int, count: int) -> list[Load]:
    """What is asked of Prosody; makes its invites."""
    creates = [request("GET", f"/invites_api?key={server.make_key()}")] * count
    server.start()
    asyncio.run(_load(PROSODY_PORT, creates[:1], 201, 1))
    server.stop()
    server.make_invites(pending)
    connection = sqlite3.connect(server.database)
    query = "SELECT key FROM prosody WHERE store = 'invite_token' LIMIT ?"
    tokens = [token for (token,) in connection.execute(query, (count,))]
    connection.close()
    pages = [request("GET", f"/invites_page?{token}") for token in tokens]
    return [
        ("Prosody mod_invites_page", server, PROSODY_PORT, pages, 200),
        ("Prosody mod_invites_api", server, PROSODY_PORT, creates, 201),
    ]


def compare(loads: list[Load], at_once: int, rounds: int) -> None:
    """One load after the other, again and again: so a busy neighbour troubles all alike."""
    print(f"{'':26} {'/s':>8} {'CPU ms':>8} {'p50 ms':>8} {'p99 ms':>8}   (medians)")
    figures: dict[str, list[Figures]] = {load[0]: [] for load in loads}
    for _ in range(rounds):
        for name, server, port, requests, status in loads:
            figures[name].append(measure(server, port, list(requests), status, at_once))
    for name, found in figures.items():
        columns = zip(*(each.columns() for each in found), strict=True)
        print(f"{name:26} " + " ".join(f"{statistics.median(one):8.2f}" for one in columns))


def _registering(server: Ours, tokens: list[str]) -> Callable[[], float]:
    """Register in a process of its own, until asked how many a second there were."""

    def registrations() -> int:
        connection = sqlite3.connect(server.folder / "data" / "invitereg.db")
        ((count,),) = connection.execute("SELECT count(*) FROM uses")
        connection.close()
        return int(count)

    def register() -> None:
        asyncio.run(load_server(server.port, tokens, 4))

    before, begin = registrations(), time.perf_counter()
    process = Process(target=register)
    process.start()

    def stop() -> float:
        assert process.is_alive(), "there were too few guests: more --requests"
        done, seconds = registrations() - before, time.perf_counter() - begin
        process.terminate()
        process.join()
        return done / seconds

    return stop


def main() -> None:
    """Prepare both, load them by turns, and print what they did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000, help="of each kind, each time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--pending", type=int, default=1000, help="other pending invites")
    arguments = parser.parse_args()
    folder = os.environ.get("BENCH_DIR")
    with (
        tempfile.TemporaryDirectory(dir=folder) as here,
        tempfile.TemporaryDirectory(dir=folder) as there,
    ):
        server = Ours(Path(here))
        tokens = server.make_invites(arguments.requests)
        guests = server.make_invites(4 * arguments.requests)
        server.make_invites(arguments.pending)
        loads, servers = ours(server, tokens), [server]
        if shutil.which("prosody") and MODULES.exists():
            other = Prosody(Path(there))
            loads += prosody(other, arguments.pending, arguments.requests)
            servers.append(other)
        else:
            print("Prosody or its modules are not here: apt-get install prosody-modules")
        try:
            for each in servers:
                each.start()
            compare(loads, arguments.at_once, arguments.rounds)
            print("\nwhile registrations go on:")
            registering = _registering(server, guests)
            compare(loads[:4], arguments.at_once, 1)
            print(f"registrations {registering():.1f}/s")
            for each in servers:
                print(f"resident, {type(each).__name__}: {each.resident_mib():.0f} MiB")
        finally:
            for each in servers:
                each.stop()


if __name__ == "__main__":
    main()
