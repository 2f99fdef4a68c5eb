"""The servers that keep the accounts of some domains, with all that goes with each."""

import os
import secrets
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred

from invitereg.accounts.ejabberd import Ejabberd
from invitereg.accounts.errands import Errands
from invitereg.accounts.httpapi import Access
from invitereg.accounts.remote import RemoteAccounts
from invitereg.accounts.xmpp import XMPPServer
from invitereg.config import Backend
from invitereg.config.backendkeys import Accounts, secret_in
from invitereg.server import ServerUnreachable
from invitereg.xmpp.componentstream import ComponentStream

Chore = Callable[[], Coroutine[Any, Any, None]]


class ServersBehind:
    """Each domain's server, the component that we are there, and the accounts that it keeps.

    Attributes:
        components: by domain; connected once `start` is called.
        accounts: the remote backends, by domain.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        store: Any,
        reactor: Any,
        now: Callable[[], datetime],
    ) -> None:
        """Connect to nothing yet.

        Raises:
            OSError, ValueError: a file that is named in the configuration.
        """
        self.components: dict[str, ComponentStream] = {}
        self.accounts: dict[str, RemoteAccounts] = {}
        self._apis: list[Ejabberd] = []
        self._errands: list[Errands] = []
        # No two processes are named alike, ever.
        node = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        for domain, backend in backends.items():
            component = backend.component
            if component is not None:
                self.components[domain] = ComponentStream(
                    reactor, component.connect, component.jid, secret_in(component.secret_file)
                )
            server = self._server(domain, backend.accounts, reactor)
            if server is not None:
                accounts = RemoteAccounts(server, store, reactor, now, _unchecked)
                self.accounts[domain] = accounts
                self._errands.append(Errands(accounts, store, node, now))

    def _server(self, domain: str, keys: Accounts, reactor: Any) -> Any:
        if keys.backend == "ejabberd":
            api = Ejabberd(domain, _access(keys), reactor)
            self._apis.append(api)
            return api
        if keys.backend == "xmpp":
            return XMPPServer(domain, self.components[domain], reactor)
        return None

    def chores(self) -> Iterator[Chore]:
        """What is to be done every second."""
        for accounts in self.accounts.values():
            yield accounts.settle
        for errands in self._errands:
            yield errands.carry_out

    def old_errands(self) -> Iterator[Callable[[int], Deferred[int]]]:
        """What removes answers that nobody has come for, so many at a time."""
        for errands in self._errands:
            yield errands.forget_old

    def start(self) -> None:
        """Connect the components, and keep them connected."""
        for component in self.components.values():
            component.start()

    def stop(self) -> Deferred[Any]:
        """Close all connections; fires when they are."""
        closing = [maybeDeferred(component.stop) for component in self.components.values()]
        closing += [maybeDeferred(api.close) for api in self._apis]
        return DeferredList(closing, consumeErrors=True)


def _access(keys: Accounts) -> Access:
    return Access(
        url=keys.url,
        user=keys.user or None,
        password=secret_in(keys.password_file) if keys.password_file else None,
        token=secret_in(keys.token_file) if keys.token_file else None,
        ca=keys.ca,
    )


async def _never() -> bool:
    raise ServerUnreachable("passwords are not checked by this server's connection")


def _unchecked(_username: str, _password: str) -> Deferred[bool]:
    return Deferred.fromCoroutine(_never())
