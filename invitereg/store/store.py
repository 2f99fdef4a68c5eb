"""The store: a table of its methods, each with the interaction that answers it.

An interaction takes a connection, documents what it does and raises, and is run as a read or
as a write (see `invitereg.store.database`). A method has its interaction's signature, less the
connection, and returns a Deferred of what the interaction returns or raises.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import Connection
from twisted.internet.defer import Deferred
from zope.interface import implementer

from invitereg.interfaces.stores import IStore
from invitereg.store import (
    accounts,
    apikeys,
    branches,
    changes,
    hits,
    idempotency,
    invites,
    jobs,
    leases,
    logins,
    lookup,
    notices,
    purging,
    redeeming,
    rosters,
)
from invitereg.store.database import Database

P = ParamSpec("P")
T = TypeVar("T")
Interaction = Callable[Concatenate[Connection, P], T]
Method = Callable[Concatenate["Store", P], Deferred[T]]


def read(interaction: Interaction[P, T]) -> Method[P, T]:
    """Return a method that runs an interaction as a read; raises as `Database.read`, too."""

    @wraps(interaction)
    def method(store: "Store", /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return store.database.read(lambda connection: interaction(connection, *args, **kwargs))

    return method


def write(interaction: Interaction[P, T]) -> Method[P, T]:
    """Return a method that runs an interaction as a write; raises as `Database.write`, too."""

    @wraps(interaction)
    def method(store: "Store", /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return store.database.write(lambda connection: interaction(connection, *args, **kwargs))

    return method


@implementer(IStore)
class Store:
    """All that invitereg keeps, in a `Database`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # Invites, the names they reserve, their uses, and what is counted about them.
    create_invite = write(invites.create)
    create_invites = write(invites.create_all)
    find_request = read(idempotency.find_request)
    look_up = read(lookup.look_up)
    get_invite = read(invites.get)
    list_invites = read(invites.list_page)
    count_invites = read(invites.count)
    edit_invite = write(invites.edit)
    renew_invite = write(invites.renew)
    revoke_invite = write(invites.revoke)
    revoke_branch = write(branches.revoke_branch)
    revoke_source = write(branches.revoke_source)
    redeem = write(redeeming.redeem)
    reset = write(redeeming.reset)
    has_open_reset = read(redeeming.has_open_reset)
    list_uses = read(redeeming.list_uses)
    forget_addresses = write(purging.forget_addresses)
    list_domains = read(purging.list_domains)
    purge_invites = write(purging.purge_invites)
    purge_names = write(purging.purge_names)
    purge_hits = write(purging.purge_hits)
    purge_requests = write(purging.purge_requests)
    hit = write(hits.add_all)

    # Accounts.
    get_account = read(accounts.get)
    list_accounts = read(accounts.list_page)
    list_usernames = read(accounts.list_names)
    set_credentials = write(accounts.set_credentials)
    end_resets = write(redeeming.end_resets)
    delete_account = write(accounts.remove)
    change_roles = write(accounts.change_roles)
    session_ends = read(changes.list_session_ends)
    purge_session_ends = write(purging.purge_session_ends)
    server_key = read(logins.server_key)
    signing_key = write(logins.signing_key)
    count_login = write(logins.count)
    login_succeeded = write(logins.succeeded)
    purge_used_networks = write(purging.purge_used_networks)

    # Rosters.
    get_roster = read(rosters.get)
    set_item = write(rosters.set_item)
    remove_item = write(rosters.remove_item)
    subscribe = write(rosters.subscribe)
    roster_changes = read(changes.list_roster_changes)

    # Accounts at another server: what is open there, and what is to be done.
    reserve = write(leases.reserve)
    complete = write(leases.complete)
    release = write(leases.release)
    open_leases = read(leases.open_leases)
    learn = write(leases.learn)
    traces = read(accounts.traces)
    end_gone = write(accounts.end_gone)
    add_job = write(jobs.add)
    take_jobs = write(jobs.take)
    postpone_job = write(jobs.postpone)
    finish_job = write(jobs.finish)
    get_job = read(jobs.get)
    withdraw_job = write(jobs.withdraw)
    purge_jobs = write(purging.purge_jobs)

    # What accounts are to be told.
    notices_after = read(notices.after)
    notices_of = read(notices.of)
    try_notices = write(notices.count_try)
    remove_notices = write(notices.remove)
    purge_notices = write(purging.purge_notices)

    # Keys of the HTTP API.
    create_key = write(apikeys.create)
    find_key = read(apikeys.find)
    list_keys = read(apikeys.list_all)
    revoke_key = write(apikeys.revoke)
