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
import base64
import os
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.peers.behind import in_front
from tests.peers.servers import Prosody
from tests.service.running import DOMAIN, Service, free_ports, wait_until

HEADER = (
    f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' "
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
).encode()
FEATURES = (
    HEADER.replace(b" to=", b" from=")
    + b"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    b"<mechanism>PLAIN</mechanism></mechanisms></stream:features>"
)
NAME, PASSWORD = "romeo", "a long password"
LOGIN = (
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
    + base64.b64encode(f"\0{NAME}\0{PASSWORD}".encode()).decode()
    + "</auth>"
).encode()
DIRECTLY, AT_ONCE = "directly", "directly, acknowledged at once"
BIND = b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 20
HAPROXY = """
global
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend clients
  bind 127.0.0.1:{listen} ssl crt {folder}/both.pem
  default_backend servers
backend servers
  server one 127.0.0.1:{server} {how}
"""


def connect(port: int, certificate: Path) -> ssl.SSLSocket:
    """A connection with TLS."""
    context = ssl.create_default_context(cafile=certificate)
    plain = socket.create_connection(("127.0.0.1", port), 60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=DOMAIN)


def ask(wire: ssl.SSLSocket, data: bytes, until: bytes, at_once: bool = False) -> None:
    """Write, and read up to the end of the answer; see `log_in`."""
    wire.sendall(data)
    answer = b""
    while until not in answer:
        if at_once:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        chunk = wire.recv(65536)
        assert chunk, f"closed after {answer!r}"
        answer += chunk


def log_in(port: int, certificate: Path, at_once: bool = False) -> ssl.SSLSocket:
    """A session; ``at_once`` acknowledges what comes, which TCP else puts off for 40 ms.

    Prosody waits for that in the middle of its first answer. Clients cannot know it.
    """
    wire = connect(port, certificate)
    for data, until in (
        (HEADER, b"</stream:features>"),
        (LOGIN, b"<success"),
        (HEADER, b"</stream:features>"),
        (BIND, b"</iq>"),
    ):
        ask(wire, data, until, at_once)
    return wire


class Balancer:
    """HAProxy, with the certificate of a gateway."""

    def __init__(self, service: Service, server: int, how: str = "") -> None:
        """Take connections for the port ``server``, which is reached in the way of ``how``."""
        self._folder = Path(tempfile.mkdtemp())
        (self.port,) = free_ports(1)
        both = service.certificate.read_text() + (service.folder / "privkey.pem").read_text()
        (self._folder / "both.pem").write_text(both)
        places = {"listen": self.port, "folder": self._folder, "server": server, "how": how}
        config = self._folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(**places))
        program = shutil.which("haproxy", path="/usr/sbin:/usr/bin") or "haproxy"
        self._process = subprocess.Popen([program, "-db", "-f", str(config)])
        wait_until(self._listens, "haproxy does not start")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)


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


class Flood:
    """A server that sends without end once somebody has logged in, and reads what comes."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _address = self._socket.accept()
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        chunk = b"x" * (1 << 18)
        try:
            connection.recv(65536)
            connection.sendall(FEATURES)
            asked = connection.recv(65536)
            if b"<query" in asked:  # the gateway asks whether it registers people
                connection.close()
            elif b"up" in asked:
                while connection.recv(1 << 18):
                    pass
            else:
                while True:
                    connection.sendall(chunk)
        except OSError:
            pass


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
        before = resident(process)
        for _ in range(count):
            wires.append(log_in(service.tls_port, service.certificate))
        each = (resident(process) - before) / count / 1024
        used = cpu(process)
        time.sleep(IDLE_SECONDS)
        share = (cpu(process) - used) / IDLE_SECONDS
        print(f"{count} idle sessions: {each:.0f} KiB each, {share:.1%} of a core")
    finally:
        for wire in wires:
            wire.close()
        if service is not None:
            service.remove()
        server.remove()


def resident(process: int) -> int:
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu(process: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


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
