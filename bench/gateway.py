"""What the gateway costs: logins, bulk, and streams that say nothing.

Logins go to Debian's Prosody, directly (as clients do it, and by one that acknowledges at once
what Prosody holds back for it), through the gateway, and through Debian's HAProxy with
TLS on both sides, in turn; bulk comes from a server that only sends, through the gateway and
through HAProxy, which ends TLS as the gateway does; idle streams are sessions at Prosody, which
the gateway reaches by STARTTLS.
Everything runs on this machine, and shares its cores.

    python bench/gateway.py --logins 300 --megabytes 512 --idle 2000
"""

import argparse
import resource
import ssl
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.gatewaysides import HEADER, NAME, PASSWORD, Balancer, Flood, ask, connect, log_in
from bench.processes import cpu_seconds, resident_mib
from tests.peers.gateway import in_front
from tests.peers.servers import Prosody
from tests.service.running import DOMAIN, Service

DIRECTLY, AT_ONCE = "directly", "directly, acknowledged at once"
IDLE_SECONDS = 20


# --- logins


def logins(count: int) -> None:
    """Compare logins that go directly to the server with those through the gateway."""
    server = Prosody()
    services: dict[str, Service] = {}
    try:
        server.start()
        server.register(NAME, PASSWORD)
        for tls, port in (("starttls", server.port), ("direct", server.tls_port)):
            services[tls] = started(port, tls, server.certificate)
        gateway = services["direct"]
        verified = f"ssl verify required ca-file {server.certificate} verifyhost {DOMAIN}"
        balancer = Balancer(gateway, server.tls_port, verified)
        ways = [(way, server.tls_port, server.certificate) for way in (DIRECTLY, AT_ONCE)]
        ways += [("HAProxy, TLS", balancer.port, gateway.certificate)]
        ways += [
            (f"gateway, {tls}", one.tls_port, one.certificate) for tls, one in services.items()
        ]
        times: dict[str, list[float]] = {name: [] for name, _port, _certificate in ways}
        for number in range(count + 10):
            for name, port, certificate in ways:
                began = time.perf_counter()
                wire = log_in(port, certificate, at_once=name == AT_ONCE)
                took = (time.perf_counter() - began) * 1000
                wire.close()
                if number >= 10:
                    times[name].append(took)
        report_logins(times)
        balancer.remove()
    finally:
        for service in services.values():
            service.remove()
        server.remove()


def report_logins(times: dict[str, list[float]]) -> None:
    """Print the percentiles, and what the gateway adds to them."""
    base = percentiles(times[DIRECTLY])
    print("login and bind:")
    for way, values in times.items():
        p50, p99 = percentiles(values)
        print(
            f"  {way}: p50 {p50:.1f} ms ({p50 - base[0]:+.1f}), "
            f"p99 {p99:.1f} ms ({p99 - base[1]:+.1f})"
        )


def percentiles(values: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    cuts = statistics.quantiles(values, n=100)
    return cuts[49], cuts[98]


def started(port: int, tls: str, certificate: Path | None = None) -> Service:
    """A gateway in front of a server."""
    where = f"{{connect: 'tcp:127.0.0.1:{port}', tls: {tls}}}"
    if certificate is not None:
        where = where.replace("}", f", ca: {certificate}}}")
    # Nobody registers here, so that no backend need be there.
    backend = "accounts: {backend: ejabberd, url: 'http://127.0.0.1:9/api'}"
    service = Service(backend, upstream=where)
    service.start()
    return service


# --- bulk


def bulk(megabytes: int) -> None:
    """Compare how much gets through to a client, and from it."""
    flood = Flood()
    service = started(flood.port, "none")
    balancer = Balancer(service, flood.port)
    try:
        ways = (("gateway", service.tls_port), ("haproxy", balancer.port))
        for direction, one in (("to the client", receive), ("from the client", send)):
            rates = {name: one(port, service.certificate, megabytes) for name, port in ways}
            share = rates["gateway"] / rates["haproxy"]
            print(
                f"bulk {direction}: gateway {rates['gateway']:.0f} MB/s, "
                f"haproxy {rates['haproxy']:.0f} MB/s ({share:.0%})"
            )
    finally:
        balancer.remove()
        service.remove()


def receive(port: int, certificate: Path, megabytes: int) -> float:
    """How many megabytes a second come."""
    wire = connect(port, certificate)
    ask(wire, HEADER, b"</stream:features>")
    wire.sendall(b"<down/>")
    left, buffer = megabytes * 1_000_000, bytearray(1 << 18)
    began = time.perf_counter()
    while left > 0:
        left -= wire.recv_into(buffer)
    took = time.perf_counter() - began
    wire.close()
    return megabytes / took


def send(port: int, certificate: Path, megabytes: int) -> float:
    """How many megabytes a second go."""
    wire = connect(port, certificate)
    ask(wire, HEADER, b"</stream:features>")
    wire.sendall(b"<up/>")
    chunk = b"x" * (1 << 18)
    began = time.perf_counter()
    for _ in range(megabytes * 1_000_000 // len(chunk)):
        wire.sendall(chunk)
    took = time.perf_counter() - began
    wire.close()
    return megabytes / took


# --- idle


def idle(count: int) -> None:
    """What sessions cost that say nothing."""
    server = Prosody()
    service = None
    wires: list[ssl.SSLSocket] = []
    try:
        server.start()
        server.register(NAME, PASSWORD)
        service = in_front(server)
        service.start()
        for _ in range(20):  # what is there once for all
            log_in(service.tls_port, service.certificate).close()
        process = service.pid
        before = resident_mib(process)
        for _ in range(count):
            wires.append(log_in(service.tls_port, service.certificate))
        each = (resident_mib(process) - before) * 1024 / count
        used = cpu_seconds(process)
        time.sleep(IDLE_SECONDS)
        share = (cpu_seconds(process) - used) / IDLE_SECONDS
        print(f"{count} idle sessions: {each:.0f} KiB each, {share:.1%} of a core")
    finally:
        for wire in wires:
            wire.close()
        if service is not None:
            service.remove()
        server.remove()


def main() -> None:
    """Measure it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logins", type=int, default=300)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--idle", type=int, default=2000)
    arguments = parser.parse_args()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments.logins:
        logins(arguments.logins)
    if arguments.megabytes:
        bulk(arguments.megabytes)
    if arguments.idle:
        idle(arguments.idle)


if __name__ == "__main__":
    main()
