"""The other sides of the gateway's bench: clients, HAProxy, and a server that only sends."""

import base64
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from itertools import count
from pathlib import Path

from bench.clients import address
from tests.service.running import DOMAIN, Service, free_ports, wait_until

_numbers = count()
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
BIND = b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
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
    source = address(next(_numbers))
    plain = socket.create_connection(("127.0.0.1", port), 60, source_address=(source, 0))
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
                return
            # Before that the gateway reads along.
            connection.sendall(b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            if b"up" in asked:
                while connection.recv(1 << 18):
                    pass
            else:
                while True:
                    connection.sendall(chunk)
        except OSError:
            pass
