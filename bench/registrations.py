"""How fast invited people get in: complete registrations, each on a connection of its own.

Every client opens TCP, negotiates STARTTLS, presents its own token, and registers. The service
runs as its own process with everything on disk; the load runs beside it on the same machine.

    python bench/registrations.py --registrations 2000 --pending 1000
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.clients import Client, address, trusting
from bench.processes import cpu_seconds, resident_mib
from bench.stored import make_invites
from invitereg.runtime.tls import write_certificate


class Server:
    """The service in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_certificate(folder, "localhost")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        (folder / "config.yaml").write_text(
            "domain: localhost\ndata_dir: data\n"
            "tls: {certificate: fullchain.pem, private_key: privkey.pem}\n"
            f'c2s: {{listen: ["tcp:{self.port}:interface=127.0.0.1"], listen_tls: []}}\n'
            "policy: {limits: {connections: {per_network: 100000}}}\n"
        )

    def make_invites(self, count: int) -> list[str]:
        """Make pending invites with one use each; returns their tokens."""
        return make_invites(self.folder / "config.yaml", count)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile="]
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*command, "invitereg", "--config", str(self.folder / "config.yaml")],
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + 30
        while b"serving" not in (self.folder / "log").read_bytes():
            assert time.monotonic() < deadline, "it does not start"
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return cpu_seconds(self.process.pid)

    def resident_mib(self) -> float:
        """Resident memory now."""
        return resident_mib(self.process.pid)

    def stop(self) -> None:
        """Stop it in the ordinary way."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


async def load_server(port: int, tokens: list[str], at_once: int) -> list[float]:
    """Register one newcomer per token, ``at_once`` at a time; returns seconds for each."""
    context = trusting()
    waiting, seconds = list(enumerate(tokens)), []

    async def work() -> None:
        while waiting:
            number, token = waiting.pop()
            begin = time.perf_counter()
            client = Client(port, context, address(number))
            await client.register(f"user{number}-{token[:6].lower()}", token)
            seconds.append(time.perf_counter() - begin)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return seconds


async def idle_streams(server: Server, count: int) -> float:
    """Open idle TLS streams; returns the KiB of resident memory that each costs the server."""
    context = trusting()
    before, clients = server.resident_mib(), []
    for number in range(count):
        client = Client(server.port, context, address(number))
        await client.connect()
        clients.append(client)
    return (server.resident_mib() - before) * 1024 / count


def main() -> None:
    """Run the load and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--registrations", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--pending", type=int, default=1000, help="other pending invites")
    parser.add_argument("--idle", type=int, default=90, help="idle TLS streams to weigh")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        server = Server(Path(folder))
        print(f"making {arguments.pending + arguments.registrations:,} invites …", flush=True)
        tokens = server.make_invites(arguments.registrations)
        server.make_invites(arguments.pending)
        server.start()
        try:
            report(server, tokens, arguments)
        finally:
            server.stop()


def report(server: Server, tokens: list[str], arguments: argparse.Namespace) -> None:
    """Load a running server, and print the figures."""
    at_rest = server.resident_mib()
    warm, tokens = tokens[:50], tokens[50:]
    asyncio.run(load_server(server.port, warm, arguments.at_once))
    cpu, begin = server.cpu_seconds(), time.perf_counter()
    seconds = asyncio.run(load_server(server.port, tokens, arguments.at_once))
    wall, cpu = time.perf_counter() - begin, server.cpu_seconds() - cpu
    quantiles = statistics.quantiles(seconds, n=100)
    print(f"registrations/s      {len(tokens) / wall:8.1f}  ({arguments.at_once} at once)")
    print(f"server CPU each      {cpu / len(tokens) * 1000:8.2f} ms")
    for percent in (50, 90, 99):
        print(f"latency p{percent}          {quantiles[percent - 1] * 1000:8.1f} ms")
    print(f"resident at rest     {at_rest:8.1f} MiB")
    print(f"resident after load  {server.resident_mib():8.1f} MiB")
    each = asyncio.run(idle_streams(server, arguments.idle))
    print(f"idle TLS stream      {each:8.1f} KiB each ({arguments.idle} streams)")


if __name__ == "__main__":
    main()
