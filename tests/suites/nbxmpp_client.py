"""Registers by token and logs in with nbxmpp, Gajim's library: PORT TOKEN NAME PASSWORD.

Debian's Python runs it, which has nbxmpp's GObject libraries; so it imports nothing of the
project. The exit status is 0 when the new account has logged in and printed its roster.
"""

import sys
from typing import Any

from gi.repository import GLib
from nbxmpp.client import Client
from nbxmpp.const import ConnectionProtocol, ConnectionType, Mode

DOMAIN = "localhost"
SECONDS = 30


class Newcomer:
    """One who registers on a first connection and logs in on a second.

    nbxmpp keeps callbacks weakly: each is a method of this object.
    """

    def __init__(self, port: str, token: str, name: str, password: str) -> None:
        self._address = f"127.0.0.1:{port}"
        self._token, self._name, self._password = token, name, password
        self._loop = GLib.MainLoop()
        self._client: Any = None

    def run(self) -> None:
        """Do it all.

        Raises:
            SystemExit: something was refused or took too long; says what.
        """
        GLib.timeout_add_seconds(SECONDS, sys.exit, "no answer came")
        self._connect(Mode.REGISTER, self._preauthorise)
        self._loop.run()

    def _connect(self, mode: Mode, then: Any) -> None:
        self._client = client = Client()
        client.set_domain(DOMAIN)
        client.set_username(self._name)
        client.set_password(self._password)
        client.set_custom_host(self._address, ConnectionProtocol.TCP, ConnectionType.START_TLS)
        client.set_ignore_tls_errors(True)
        client.set_mode(mode)
        client.subscribe("connected", then)
        client.subscribe("connection-failed", self._lost)
        client.subscribe("disconnected", self._lost)
        client.connect()

    def _lost(self, client: Any, _signal: str) -> None:
        if client is self._client:
            sys.exit(f"the connection ended: {client.get_error()}")

    def _preauthorise(self, client: Any, _signal: str) -> None:
        register = client.get_module("Register")
        register.send_preauth(self._token, callback=self._ask_form)

    def _ask_form(self, task: Any) -> None:
        task.finish()  # raises what was refused
        register = self._client.get_module("Register")
        register.request_register_form(callback=self._fill_in)

    def _fill_in(self, task: Any) -> None:
        form = task.finish().form
        form["username"].value = self._name
        form["password"].value = self._password
        form.type_ = "submit"
        register = self._client.get_module("Register")
        register.submit_register_form(form, callback=self._log_in)

    def _log_in(self, task: Any) -> None:
        task.finish()
        registered, self._client = self._client, None
        registered.disconnect()
        self._connect(Mode.CLIENT, self._ask_roster)

    def _ask_roster(self, client: Any, _signal: str) -> None:
        client.get_module("Roster").request_roster("", callback=self._finish)

    def _finish(self, task: Any) -> None:
        for item in task.finish().items:
            sys.stdout.write(f"{item.jid} {item.subscription}\n")
        self._loop.quit()


if __name__ == "__main__":
    Newcomer(*sys.argv[1:]).run()
