"""Read and write the PROXY protocol, versions 1 and 2, in which a proxy names its client.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt

It replaces Twisted's ``haproxy:`` endpoint, which closes connections that begin with just
``PROXY UNKNOWN`` or arrive in short pieces, accepts any text as an address, and logs nothing.
"""

import re
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Literal

from twisted.internet.address import IPv4Address as TwistedIPv4Address
from twisted.internet.address import IPv6Address as TwistedIPv6Address
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from invitereg.policy.values import Address, parse_address
from invitereg.runtime.logs import FaultLog

Version = Literal["off", "v1", "v2"]

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_LOCAL, _PROXIED = 0x20, 0x21  # version 2: for ourselves, on behalf of somebody
_STREAM = {4: 0x11, 6: 0x21}
_HIGHEST_PORT = 65535
_PREFIX = b"PROXY "
_LONGEST_LINE = 107  # version 1, with its end
_LONGEST_BODY = 4096  # version 2; addresses have 36 bytes, and proxies add little
_LINE = re.compile(
    rb"PROXY TCP([46]) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) ([0-9]{1,5}) ([0-9]{1,5})"
)
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def proxy_header(version: Version, *ways: tuple[Any, Any]) -> bytes:
    """Return the header that begins a connection; nothing for ``off``.

    Args:
        version: of the protocol.
        ways: Twisted's addresses of a client and of what it has connected to; the first
            that can be told is. Servers take a header without addresses for an error.
    """
    if version == "off":
        return b""
    for source, destination in ways:
        ends = address_of(source), address_of(destination)
        if ends[0] is not None and ends[1] is not None:
            return _write(version, (ends[0], ends[1]), (source.port, destination.port))
    return b"PROXY UNKNOWN\r\n" if version == "v1" else _version_2(_LOCAL, 0, b"")


def address_of(end: Any) -> Address | None:
    """Return the IP address of one of Twisted's addresses; None if it has none."""
    return parse_address(getattr(end, "host", None) or "")


def _write(version: Version, ends: tuple[Address, Address], ports: tuple[int, int]) -> bytes:
    if ends[0].version != ends[1].version:
        # Behind a balancer that speaks IPv4 to us for an IPv6 client.
        ends = _as_ipv6(ends[0]), _as_ipv6(ends[1])
    family = ends[0].version
    if version == "v1":
        # Not as `str` writes it, which differs between Pythons for a mapped IPv4 address.
        names = (socket.inet_ntop(_FAMILY[family], end.packed) for end in ends)
        text = f"PROXY TCP{family} {' '.join(names)} {ports[0]} {ports[1]}\r\n"
        return text.encode("ascii")
    body = ends[0].packed + ends[1].packed + struct.pack("!HH", *ports)
    return _version_2(_PROXIED, _STREAM[family], body)


def _as_ipv6(address: Address) -> Address:
    return IPv6Address(f"::ffff:{address}") if address.version == 4 else address


def _version_2(command: int, family: int, body: bytes) -> bytes:
    return _SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


# --- the other side


SocketAddress = TwistedIPv4Address | TwistedIPv6Address


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """Addresses as a proxy's header has them.

    Attributes:
        size: of the header, in bytes.
        source: the client; None where the connection is the proxy's own, or of no kind that
            has such addresses.
        destination: what the client has connected to, likewise.
    """

    size: int
    source: SocketAddress | None = None
    destination: SocketAddress | None = None


def read_header(data: bytes) -> ProxyHeader | None:
    """Read the header with which a connection begins; None if it is not complete yet.

    Raises:
        ValueError: it begins with none.
    """
    if _begins(data, _PREFIX):
        return _read_version_1(data)
    if _begins(data, _SIGNATURE):
        return _read_version_2(data)
    raise ValueError("no PROXY header")


def _begins(data: bytes, expected: bytes) -> bool:
    """Return whether the bytes so far are the beginning of what is expected."""
    size = len(expected)
    return data[:size] == expected[: len(data)]


def _read_version_1(data: bytes) -> ProxyHeader | None:
    line, end, _rest = data[:_LONGEST_LINE].partition(b"\r\n")
    if not end:
        if len(data) < _LONGEST_LINE:
            return None
        raise ValueError("the line of the PROXY protocol is too long")
    size = len(line) + len(end)
    if line.split(b" ")[1] == b"UNKNOWN":
        return ProxyHeader(size)
    told = _LINE.fullmatch(line)
    if told is None:
        raise ValueError("no line of the PROXY protocol")
    family = int(told[1])
    ends = [ip_address(text.decode()) for text in (told[2], told[3])]
    return ProxyHeader(size, *_ends(family, ends, [int(told[4]), int(told[5])]))


def _read_version_2(data: bytes) -> ProxyHeader | None:
    start = len(_SIGNATURE) + 4
    if len(data) < start:
        return None
    command, kind, length = struct.unpack("!BBH", data[len(_SIGNATURE) : start])
    if command not in (_LOCAL, _PROXIED) or length > _LONGEST_BODY:
        raise ValueError("no header of the PROXY protocol")
    if len(data) < start + length:
        return None
    family = next((version for version, code in _STREAM.items() if code == kind), None)
    if command == _LOCAL or family is None:
        return ProxyHeader(start + length)
    body, width = data[start : start + length], 4 if family == 4 else 16
    if length < 2 * width + 4:
        raise ValueError("addresses are missing in the PROXY header")
    ends = [ip_address(body[:width]), ip_address(body[width : 2 * width])]
    ports = struct.unpack_from("!HH", body, 2 * width)
    return ProxyHeader(start + length, *_ends(family, ends, ports))


def _ends(
    family: int, ends: Sequence[Address], ports: Sequence[int]
) -> tuple[SocketAddress, SocketAddress]:
    if any(end.version != family for end in ends) or max(ports) > _HIGHEST_PORT:
        raise ValueError("the addresses of the PROXY header are of another kind")
    kind = TwistedIPv4Address if family == 4 else TwistedIPv6Address
    source, destination = (
        kind("TCP", str(end), port) for end, port in zip(ends, ports, strict=True)
    )
    return source, destination


_log = Logger("invitereg.proxied.ProxiedFactory")


class ProxiedConnection(ProtocolWrapper):
    """Have the addresses that the PROXY header tells as one's own.

    If the header has none, as on the proxy's own connections, they are the proxy's.
    """

    factory: "ProxiedFactory"

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self._head = b""
        self._header: ProxyHeader | None = None

    def dataReceived(self, data: bytes) -> None:
        if self._header is None:
            if self.disconnecting:
                return
            self._head += data
            try:
                self._header = read_header(self._head)
            except ValueError:
                self.factory.without_header(self)
                return
            if self._header is None:
                return
            data, self._head = self._head[self._header.size :], b""
            self.factory.faults.worked()
        # Even without data: the address is known from now on.
        super().dataReceived(data)

    def getPeer(self) -> IAddress:
        """Return the client's address; the proxy's if the header has none."""
        told = self._header and self._header.source
        return told or self.transport.getPeer()  # type: ignore[union-attr]

    def getHost(self) -> IAddress:
        """Return the address that the client connected to; ours if the header has none."""
        told = self._header and self._header.destination
        return told or self.transport.getHost()  # type: ignore[union-attr]


class ProxiedFactory(WrappingFactory):
    """Make the protocols of another factory for connections that come through a proxy.

    Attributes:
        faults: logs connections without a valid header.
    """

    protocol = ProxiedConnection
    noisy = False

    def __init__(self, factory: Any, endpoint: str) -> None:
        """Name ``endpoint`` in the log if connections have no header."""
        super().__init__(factory)
        self.faults = FaultLog(_log, f"PROXY protocol at {endpoint}")

    def without_header(self, connection: ProxiedConnection) -> None:
        """Close a connection that does not begin with a valid header."""
        self.faults.failed(
            "a connection was closed that has no valid PROXY header: does the proxy send it "
            "(HAProxy: send-proxy-v2), and does nobody else reach this port?"
        )
        connection.loseConnection()
