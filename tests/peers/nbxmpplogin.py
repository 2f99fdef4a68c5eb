"""Logs in by Gajim's library, and says how that went: `nbxmpplogin.py PORT NAME DOMAIN`.

The password comes from standard input. It is a program of its own, as it needs GLib's main
loop, and GLib for Python, which Debian's own Python alone has.
"""

import sys

from gi.repository import GLib
from nbxmpp.client import Client
from nbxmpp.const import ConnectionProtocol, ConnectionType, Mode

SECONDS = 20
_EVENTS = ("connected", "connection-failed", "disconnected")


def main(port: str, username: str, domain: str) -> None:
    """Connect to this machine, whatever its certificate."""
    loop = GLib.MainLoop()
    client = Client(log_context="test")
    client.set_domain(domain)
    client.set_username(username)
    client.set_password(sys.stdin.readline().rstrip("\n"))
    client.set_mode(Mode.CLIENT)
    address = f"127.0.0.1:{port}"
    client.set_custom_host(address, ConnectionProtocol.TCP, ConnectionType.START_TLS)
    client.set_ignore_tls_errors(True)

    def end(event: str) -> None:
        sys.stdout.write(f"{event} {client.get_error() or ''}\n")
        loop.quit()

    for event in _EVENTS:
        client.subscribe(event, lambda *_arguments, event=event: end(event))
    GLib.timeout_add_seconds(SECONDS, end, "nothing")
    client.connect()
    loop.run()


main(*sys.argv[1:])
