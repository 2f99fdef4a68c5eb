"""Servers that fail as they are told, for the contract of the backends."""

from enum import StrEnum
from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue, fail, succeed
from zope.interface import implementer

from invitereg.interfaces.server import (
    AlreadyThere,
    IServer,
    NotThere,
    OutcomeUnknown,
    ServerRefused,
    ServerUnreachable,
)


class Fault(StrEnum):
    """What can go wrong with a request."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"  # it never arrives
    CUT_BEFORE = "cut before"  # the line is cut before the server acts
    CUT_AFTER = "cut after"  # the server acts, and its answer is lost
    LATE = "late"  # the server acts after nobody waits any more
    KILLED_BEFORE = "killed before"  # we are killed before the server acts
    KILLED_AFTER = "killed after"  # we are killed before the answer comes


KILLS = (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)
UNKNOWN = (Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.LATE)


@implementer(IServer)
class MemoryServer:
    """A server of accounts in memory.

    Attributes:
        passwords: of the accounts, by username.
        friends: pairs of contacts.
        ended: whose sessions were ended.
    """

    own_username: str | None = None

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.passwords: dict[str, str] = {}
        self.friends: set[frozenset[str]] = set()
        self.ended: list[str] = []
        self.problem: str | None = None

    def exists(self, username):
        return succeed(username in self.passwords)

    def create(self, username, password):
        if username in self.passwords:
            return fail(AlreadyThere("exists"))
        self.passwords[username] = password
        return succeed(None)

    def set_password(self, username, password):
        if username not in self.passwords:
            return fail(NotThere("no such account"))
        self.passwords[username] = password
        return succeed(None)

    def delete(self, username):
        if self.passwords.pop(username, None) is None:
            return fail(NotThere("no such account"))
        return succeed(None)

    def end_sessions(self, username):
        self.ended.append(username)
        return succeed(None)

    def make_contacts(self, username, contact):
        if not {username, contact} <= self.passwords.keys():
            return fail(NotThere("no such account"))
        self.friends.add(frozenset({username, contact}))
        return succeed(None)

    def contacts_problem(self):
        return succeed(self.problem)

    def warnings(self):
        return succeed(())

    def try_privileges(self):
        return succeed(())


@implementer(IServer)
class FaultyServer:
    """Another server, between which and us something goes wrong when it is told to.

    Attributes:
        down: nothing can be asked.
        late: what the server will yet do.
        killed: has what killed us, each time.
    """

    def __init__(self, server: Any, domain: str) -> None:
        """``domain`` is what the server is said to serve."""
        self.server = server
        self.own_username = server.own_username
        self.domain = domain
        self.killed: DeferredQueue[Fault] = DeferredQueue()
        self.down = False
        self.faults: dict[str, Fault] = {}
        self.late: list[Any] = []

    def exists(self, username):
        return self._ask("exists", username)

    def create(self, username, password):
        return self._ask("create", username, password)

    def set_password(self, username, password):
        return self._ask("set_password", username, password)

    def delete(self, username):
        return self._ask("delete", username)

    def end_sessions(self, username):
        return self._ask("end_sessions", username)

    def make_contacts(self, username, contact):
        return self._ask("make_contacts", username, contact)

    def contacts_problem(self):
        return self._ask("contacts_problem")

    def warnings(self):
        return self._ask("warnings")

    def try_privileges(self):
        return self._ask("try_privileges")

    def _ask(self, what: str, *args: Any) -> Deferred[Any]:
        fault = self.faults.pop(what, None)

        def act() -> Deferred[Any]:
            return getattr(self.server, what)(*args)

        def lost(_result: Any) -> None:
            raise OutcomeUnknown("no answer")

        if self.down or fault is Fault.UNREACHABLE:
            return fail(ServerUnreachable("not connected"))
        if fault is None:
            return act()
        if fault is Fault.REFUSED:
            return fail(ServerRefused("no"))
        if fault in KILLS:
            acting = act() if fault is Fault.KILLED_AFTER else succeed(None)
            acting.addCallback(lambda _result: self.killed.put(fault))
            return Deferred()
        if fault is Fault.LATE:
            self.late.append(act)
        return (act() if fault is Fault.CUT_AFTER else succeed(None)).addBoth(lost)
