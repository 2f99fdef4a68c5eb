"""A network that opens one connection after the other, at the doors of a running service."""

import asyncio
import contextlib
import ssl
from unittest import IsolatedAsyncioTestCase

from tests.service.running import DOMAIN, Service, free_ports, within_bounds

PER_NETWORK = 4
# Of the longest period, so that nothing is let through again while a network is tested.
LIMIT = f"policy: {{limits: {{connections: {{per_network: {PER_NETWORK}, period: 1m}}}}}}"
HEADER = (
    "<?xml version='1.0'?><stream:stream to='" + 2035 * "\ufdfa" + "' version='1.0' "
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
).encode()


def client_hello() -> bytes:
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context = ssl.create_default_context()
        context.wrap_bio(incoming, outgoing, server_hostname=DOMAIN).do_handshake()
    return outgoing.read()


async def is_answered(port: int, said: bytes, address: str = "127.0.0.1") -> bool:
    """Whether there is any answer to what is said first."""
    where = asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    reader, writer = await within_bounds(where)
    try:
        writer.write(said)
        return bool(await within_bounds(reader.read(1)))
    except ConnectionError:
        return False
    finally:
        writer.close()


class ConnectionTests(IsolatedAsyncioTestCase):
    async def test_all_doors(self) -> None:
        """So many connections are answered at all doors together; other networks go on."""
        web, web_tls = free_ports()
        service = Service(
            f"web: {{external_url: 'http://{DOMAIN}:{web}/', "
            f"listen: ['tcp:{web}:interface=127.0.0.1'], "
            f"listen_tls: ['tcp:{web_tls}:interface=127.0.0.1']}}\n{LIMIT}",
            limited=True,
        )
        self.addCleanup(service.remove)
        service.start()
        request = f"GET /healthz HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode()
        doors = (
            (service.port, HEADER),
            (service.tls_port, client_hello()),
            (web, request),
            (web_tls, client_hello()),
        )
        for address in ("127.0.0.1", "127.0.0.2"):
            answered = [
                await is_answered(port, said, address) for _ in range(2) for port, said in doors
            ]
            self.assertEqual(answered, [True] * PER_NETWORK + [False] * PER_NETWORK)
        await service.logged("closed a connection from 127.0.0.1: too many connections")
        service.check_log()
