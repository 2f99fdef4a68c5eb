"""Opens the store, the accounts and the use cases for one command, all in this thread.

A service may run beside it on the same database; nothing here listens or needs a reactor.
"""

import os
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

from invitereg.accounts.delegated import DelegatedAccounts
from invitereg.cli.output import print_text
from invitereg.config import Config, load
from invitereg.config.messages import user_name
from invitereg.errors import NotFound, StoreError, Unavailable
from invitereg.interfaces.accounts import IAccounts
from invitereg.model.names import prepare_domain, prepare_localpart, strip_blanks
from invitereg.policy.values import Domain
from invitereg.runtime.threads import Inline
from invitereg.service.assembly import Assembly
from invitereg.store.database import Database, open_database
from invitereg.store.store import Store

T = TypeVar("T")
P = ParamSpec("P")


@implementer(ILogObserver)
class Workspace:
    """Everything that commands need, opened for one of them.

    Attributes:
        store: all that is kept; its ``database`` is for what is done to all of it.
        accounts: each domain's account backend.
    """

    def __init__(self, config: Config, database: Database, work: Inline) -> None:
        self.store = Store(database)
        delegated = {
            domain: DelegatedAccounts(domain, self.store, self.now, time.sleep)
            for domain, keys in config.accounts.items()
            if not keys.embedded
        }
        parts = Assembly(config, config.domains, self.store, work, self.now, delegated)
        self.accounts: Mapping[str, IAccounts] = parts.accounts
        self.issuer, self.registrar = parts.issuer, parts.registrar
        self._domains = config.domains
        self._kept = config.accounts
        self._sites = config.sites
        self._errors: list[str] = []

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["Workspace"]:
        """Open the workspace of the configuration file ``path``, and close it in the end.

        Raises:
            ConfigError, StoreError: what keeps it from being opened.
        """
        config = load(path, serving=False, common_passwords=False)
        work = Inline()
        was_there = os.path.lexists(config.data_dir)
        database = open_database(config.data_dir, work)
        if not was_there:
            print_text(
                f"data_dir {config.data_dir} was not there: it was made, with an empty "
                f"database, for the user {user_name()}.",
                err=True,
            )
        workspace = cls(config, database, work)
        globalLogPublisher.addObserver(workspace)
        try:
            yield workspace
        finally:
            globalLogPublisher.removeObserver(workspace)
            database.close()

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC)

    def run(self, work: Coroutine[Any, Any, T] | Deferred[T]) -> T:
        """Return the outcome of a use case or of the store, which comes before this returns.

        Raises:
            Refused: as the use case says.
            StoreError: instead of `Unavailable`; it says the cause, as there is no log here.
        """
        outcomes: list[T] = []
        errors: list[BaseException] = []
        done = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
        done.addCallbacks(outcomes.append, lambda failure: errors.append(failure.value))
        try:
            for error in errors:
                raise error
        except Unavailable as error:
            raise StoreError(self._errors[-1] if self._errors else str(error)) from None
        return outcomes[0]

    def is_remote(self, domain: str) -> bool:
        """Whether another server keeps a domain's accounts."""
        return not self._kept[domain].embedded

    def headline(self, domain: str) -> Mapping[str, str]:
        """Return the operator's headline for a domain's site, by language; empty for none."""
        site = self._sites.get(domain)
        return {} if site is None else site.texts.headline

    def domains(self) -> Iterable[Domain]:
        return self._domains.values()

    def domain(self, name: str | None = None) -> Domain:
        """Return the domain of that name; for None, the only one that is served.

        Raises:
            NotFound: no such domain is served.
            UsageError: there are several, and none was named.
        """
        served = ", ".join(self._domains)
        if name is None:
            if len(self._domains) > 1:
                raise click.UsageError(f"Which domain? Add --domain, with one of {served}.")
            return next(iter(self._domains.values()))
        try:
            return self._domains[prepare_domain(name)]
        except (ValueError, KeyError):
            raise NotFound(f"There is no domain {name}, only {served}.") from None

    def user(self, name: str, domain: str | None = None) -> tuple[str, str]:
        """Return the domain and username that ``romeo`` or ``romeo@example.com`` names.

        Args:
            name: as it was typed.
            domain: the only domain that it may be at; None for any.

        Raises:
            NotFound: the domain is not served, or another one.
            InvalidUsername: the rest is no username.
        """
        found, username = self.typed_user(strip_blanks(name), domain)
        return found, prepare_localpart(username)

    def typed_user(self, name: str, domain: str | None = None) -> tuple[str, str]:
        """Return as `user`, but leave the username as it was typed, valid or not."""
        username, at, host = name.rpartition("@")
        found = self.domain(host if at else domain).name
        if domain is not None and found != self.domain(domain).name:
            raise NotFound(f"{name} is not at {domain}.")
        return found, username if at else name

    def users(self, domain: str | None, *names: str | None) -> tuple[str, list[str | None]]:
        """Return the one domain that an option or addresses name, and the usernames there.

        Raises as `user` and `domain`.
        """
        hosts = [name.rpartition("@")[2] for name in names if name is not None and "@" in name]
        found = self.domain(next(iter(hosts), None) if domain is None else domain).name
        return found, [None if name is None else self.user(name, found)[1] for name in names]

    def __call__(self, event: LogEvent) -> None:
        """Keep the errors of the log, for `run` to tell."""
        if event["log_level"] >= LogLevel.error:
            self._errors.append(formatEvent(event))


def pass_workspace(
    function: Callable[Concatenate[Workspace, P], None],
) -> Callable[P, None]:
    """Give a command the workspace as its first argument."""

    @wraps(function)
    def with_workspace(*args: P.args, **kwargs: P.kwargs) -> None:
        ctx = click.get_current_context()
        function(ctx.with_resource(Workspace.open(ctx.obj)), *args, **kwargs)

    return with_workspace
