"""Tells a server who a connection is for: the PROXY protocol, versions 1 and 2.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

import socket
import struct
from typing import Any, Literal

from invitereg.policy.values import Address, parse_address

Version = Literal["off", "v1", "v2"]

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXIED = 0x21  # version 2, on behalf of somebody
_STREAM = {4: 0x11, 6: 0x21}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def proxy_header(version: Version, source: Any, destination: Any) -> bytes:
    """What comes before the first byte of a connection; nothing for ``off``.

    Args:
        version: of the protocol.
        source: Twisted's address of the client.
        destination: Twisted's address that the client has connected to.
    """
    if version == "off":
        return b""
    ends = _address(source), _address(destination)
    ports = getattr(source, "port", 0), getattr(destination, "port", 0)
    if ends[0] is None or ends[1] is None or ends[0].version != ends[1].version:
        # As for a UNIX socket; or behind a balancer that speaks IPv4 for an IPv6 client.
        return _unknown(version)
    return _write(version, (ends[0], ends[1]), ports)


def _address(end: Any) -> Address | None:
    return parse_address(getattr(end, "host", None) or "")


def _unknown(version: Version) -> bytes:
    if version == "v1":
        return b"PROXY UNKNOWN\r\n"
    return _SIGNATURE + struct.pack("!BBH", _PROXIED, 0, 0)


def _write(version: Version, ends: tuple[Address, Address], ports: tuple[int, int]) -> bytes:
    family = ends[0].version
    if version == "v1":
        text = f"PROXY TCP{family} {ends[0]} {ends[1]} {ports[0]} {ports[1]}\r\n"
        return text.encode("ascii")
    body = b"".join(socket.inet_pton(_FAMILY[family], str(end)) for end in ends)
    body += struct.pack("!HH", *ports)
    return _SIGNATURE + struct.pack("!BBH", _PROXIED, _STREAM[family], len(body)) + body
