"""The servers that keep the accounts of some domains, with all that goes with each."""

import os
import secrets
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from wokkel.generic import VersionHandler
from wokkel.ping import PingHandler

from invitereg._version import __version__
from invitereg.accounts.ejabberd import Ejabberd
from invitereg.accounts.errands import Errands
from invitereg.accounts.httpapi import Access
from invitereg.accounts.remote import RemoteAccounts
from invitereg.accounts.xmpp import XMPPServer
from invitereg.config import Backend
from invitereg.config.backendkeys import Accounts, secret_in
from invitereg.policy.values import Domain
from invitereg.registrar import Registrar
from invitereg.server import ServerUnreachable
from invitereg.xmpp.adhoc import AdHocCommands
from invitereg.xmpp.component import ComponentDoor
from invitereg.xmpp.componentstream import ComponentStream
from invitereg.xmpp.disco import SessionDiscoHandler

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
        self._register_from: dict[str, tuple[str, ...]] = {}
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
                self._register_from[domain] = component.register_from
            server = self._server(domain, backend.accounts, reactor)
            if server is not None:
                accounts = RemoteAccounts(server, store, reactor, now, _unchecked)
                self.accounts[domain] = accounts
                errands = Errands(accounts, store, node, now)
                accounts.carry_out = errands.carry_out
                self._errands.append(errands)

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

    def open_doors(
        self,
        domains: Mapping[str, Domain],
        registrar: Registrar,
        commands: AdHocCommands,
        seconds: Callable[[], float],
    ) -> None:
        """Let people register, and give commands, through the components."""
        for name, component in self.components.items():
            door = ComponentDoor(
                partial(domains.__getitem__, name),
                registrar,
                commands,
                self._register_from[name],
                seconds,
            )
            version = VersionHandler("invitereg", __version__)
            for handler in (door, SessionDiscoHandler(), PingHandler(), version):
                handler.setHandlerParent(component)

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
