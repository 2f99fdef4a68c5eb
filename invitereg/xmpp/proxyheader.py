"""Tells a server who a connection is for: the PROXY protocol, versions 1 and 2.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

import socket
import struct
from ipaddress import IPv6Address
from typing import Any, Literal

from invitereg.policy.values import Address, parse_address

Version = Literal["off", "v1", "v2"]

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_LOCAL, _PROXIED = 0x20, 0x21  # version 2: for ourselves, on behalf of somebody
_STREAM = {4: 0x11, 6: 0x21}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def proxy_header(version: Version, *ways: tuple[Any, Any]) -> bytes:
    """What comes before the first byte of a connection; nothing for ``off``.

    Args:
        version: of the protocol.
        ways: Twisted's addresses of a client and of what it has connected to; the first
            that can be told is. Servers take a header without addresses for an error.
    """
    if version == "off":
        return b""
    for source, destination in ways:
        ends = _address(source), _address(destination)
        if ends[0] is not None and ends[1] is not None:
            return _write(version, _alike(ends[0], ends[1]), (source.port, destination.port))
    return b"PROXY UNKNOWN\r\n" if version == "v1" else _version_2(_LOCAL, 0, b"")


def _address(end: Any) -> Address | None:
    return parse_address(getattr(end, "host", None) or "")


def _alike(source: Address, destination: Address) -> tuple[Address, Address]:
    # They differ behind a balancer that speaks IPv4 to us for an IPv6 client.
    if source.version == destination.version:
        return source, destination
    return _as_ipv6(source), _as_ipv6(destination)


def _as_ipv6(address: Address) -> Address:
    return IPv6Address(f"::ffff:{address}") if address.version == 4 else address


def _write(version: Version, ends: tuple[Address, Address], ports: tuple[int, int]) -> bytes:
    family = ends[0].version
    if version == "v1":
        # Not as `str` writes it, which differs between Pythons for a mapped IPv4 address.
        names = (socket.inet_ntop(_FAMILY[family], end.packed) for end in ends)
        text = f"PROXY TCP{family} {' '.join(names)} {ports[0]} {ports[1]}\r\n"
        return text.encode("ascii")
    body = ends[0].packed + ends[1].packed + struct.pack("!HH", *ports)
    return _version_2(_PROXIED, _STREAM[family], body)


def _version_2(command: int, family: int, body: bytes) -> bytes:
    return _SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body
