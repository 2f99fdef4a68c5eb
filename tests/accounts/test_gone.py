"""What an account leaves here that was deleted at its server, not through invitereg."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from invitereg.accounts.jobs import ServerJobs
from invitereg.accounts.remote import RemoteAccounts
from invitereg.errors import InvalidInvite, NotFound, Refused, Unavailable
from invitereg.interfaces.leases import Job, Task
from invitereg.interfaces.queries import Redemption
from invitereg.interfaces.server import (
    NotThere,
    OutcomeUnknown,
    ServerRefused,
    ServerUnreachable,
)
from invitereg.model.invites import Invite, Kind, Status, Use, token_digest
from invitereg.service.remote import ServerChecks
from invitereg.testing import clock_now, make_account, make_invite, memory_store
from tests.contracts.backend_contract import SERVED
from tests.contracts.servers import MemoryServer
from tests.contracts.store_case import DOMAIN

FAULTS = (ServerUnreachable, ServerRefused, OutcomeUnknown)


class Town:
    """juliet has roles, and has made invites and resets; romeo has an account, too."""

    def __init__(self, case: Any, known: bool = True, control: bool = True) -> None:
        self.case = case
        self.clock = Clock()
        self.now = clock_now(self.clock)
        self.store = memory_store()
        self.server = MemoryServer(DOMAIN)
        self.remote = RemoteAccounts(
            self.server, self.store, self.clock, self.now, lambda *_: Deferred()
        )
        checks = ServerChecks(self.server, self.remote.faults, by_component=False)
        self.jobs = ServerJobs(self.remote, self.store, "node", self.now, SERVED, checks)
        for username in ("juliet", "romeo"):
            self.server.passwords[username] = "wherefore"
            if known or username == "romeo":
                self.learn(username)
        source = f"adhoc:juliet@{DOMAIN}"
        self.left = [
            self.invite(inviter="juliet", source=source, username="nurse"),
            self.invite(inviter="juliet"),
            self.invite(kind=Kind.RESET, username="romeo", source=source),
        ]
        self.kept = [
            self.invite(inviter="romeo"),
            self.invite(kind=Kind.RESET, username="romeo"),
        ]
        if known:
            self.left.append(self.invite(kind=Kind.RESET, username="juliet"))
        if control:
            case.assertTrue(case.successResultOf(self.remote.exists("romeo")))

    def learn(self, username: str) -> None:
        account = make_account(username=username, credentials=None, roles=("team",))
        self.case.successResultOf(self.store.learn(account))

    def invite(self, **values: Any) -> Invite:
        invite = make_invite(created_at=self.now(), **values)
        self.case.successResultOf(self.store.create_invite(invite, token_digest(invite.id)))
        return invite

    def statuses(self, invites: list[Invite]) -> set[Status]:
        found = (self.store.get_invite(DOMAIN, invite.id) for invite in invites)
        return {self.case.successResultOf(one).status(self.now()) for one in found}

    def roles(self, username: str = "juliet") -> tuple[str, ...] | None:
        account = self.case.successResultOf(self.store.get_account(DOMAIN, username))
        return account and account.roles

    def use(self, kind: Kind, invite: Invite | None = None, username: str = "juliet") -> Use:
        invite_id = invite and invite.id
        return Use(
            domain=DOMAIN,
            username=username,
            kind=kind,
            at=self.now(),
            door="c2s",
            invite_id=invite_id,
        )

    def reset(self) -> Deferred[Any]:
        return self.remote.reset(self.use(Kind.RESET, self.left[3]), "a new password")

    def register(self) -> Deferred[Any]:
        account = make_account(credentials=None, created_at=self.now())
        redemption = Redemption(account=account, use=self.use(Kind.ACCOUNT))
        return self.remote.redeem(redemption, "wherefore")

    def make_contacts(self) -> Deferred[Any]:
        """What makes romeo and juliet contacts, who has invited him."""
        details = {"contact": "juliet"}
        job = Job(
            domain=DOMAIN,
            username="romeo",
            task=Task.CONTACTS,
            at=self.now(),
            details=details,
        )
        self.case.successResultOf(self.store.add_job(job))
        return Deferred.fromCoroutine(self.jobs.run())


class GoneTests(SynchronousTestCase):
    ways = st.sampled_from(
        [
            ("exists", lambda town: town.remote.exists("juliet"), None),
            ("recognise", lambda town: town.remote.recognise("juliet"), None),
            ("reset", Town.reset, InvalidInvite),
            ("contacts", Town.make_contacts, None),
        ]
    )

    @settings(max_examples=20, deadline=None)
    @given(ways)
    def test_noticed(self, way):
        """Wherever the server says that it is gone, the account's links and rights end."""
        _name, ask, error = way
        town = Town(self)
        del town.server.passwords["juliet"]
        asked = ask(town)
        if error is None:
            self.successResultOf(asked)
        else:
            self.failureResultOf(asked, error)
        self.assertEqual(town.statuses(town.left), {Status.REVOKED})
        self.assertEqual(town.statuses(town.kept), {Status.PENDING})
        self.assertEqual((town.roles(), town.roles("romeo")), ((), ("team",)))

    def test_next_account(self) -> None:
        """Who gets the name at the server later finds nothing of who had it."""
        town = Town(self)
        del town.server.passwords["juliet"]
        self.assertFalse(self.successResultOf(town.remote.recognise("juliet")))
        town.server.passwords["juliet"] = "somebody else"
        self.assertTrue(self.successResultOf(town.remote.recognise("juliet")))
        self.assertEqual(town.roles(), ())
        self.assertEqual(town.statuses(town.left), {Status.REVOKED})
        reset = town.invite(kind=Kind.RESET, username="juliet")
        self.successResultOf(town.remote.reset(town.use(Kind.RESET, reset), "o happy dagger"))
        self.assertEqual(town.server.passwords["juliet"], "o happy dagger")

    def test_registered_anew(self) -> None:
        """Who registers a name that an account had which was never known here is new."""
        town = Town(self, known=False)
        del town.server.passwords["juliet"]
        town.clock.advance(1)
        self.successResultOf(town.register())
        self.assertEqual(town.statuses(town.left), {Status.REVOKED})
        self.assertEqual(town.statuses(town.kept), {Status.PENDING})
        # What the new account makes is its own, and stays.
        invite = town.invite(inviter="juliet", source=f"adhoc:juliet@{DOMAIN}")
        self.assertTrue(self.successResultOf(town.remote.exists("juliet")))
        self.assertEqual(town.statuses([invite]), {Status.PENDING})

    def test_name_given_anew(self) -> None:
        """That the server has given a name anew is proof; that it only says so is none."""
        for accepts in (True, False):
            town = Town(self, known=False, control=False)
            del town.server.passwords["juliet"]
            town.clock.advance(1)
            if not accepts:
                town.server.create = lambda *_: fail(ServerRefused("no"))
            town.register().addErrback(lambda failure: failure.trap(Refused))
            self.flushLoggedErrors()
            ended = {Status.REVOKED} if accepts else {Status.PENDING}
            self.assertEqual(town.statuses(town.left), ended)
            self.assertEqual(town.statuses(town.kept), {Status.PENDING})

    def test_deleted_here_as_well(self) -> None:
        """An account that is deleted here after it is gone there keeps its name from others."""
        town = Town(self)
        del town.server.passwords["juliet"]
        self.successResultOf(town.remote.delete("juliet", town.now()))
        self.assertEqual(town.statuses(town.left), {Status.REVOKED})
        self.failureResultOf(town.remote.delete("juliet", town.now()), NotFound)
        self.failureResultOf(town.register(), Refused)

    @settings(max_examples=30, deadline=None)
    @given(ways, st.sampled_from(FAULTS), st.booleans())
    def test_no_answer(self, way, fault, there):
        """A server that does not answer, or refuses, has not said that anybody is gone."""
        _name, ask, _error = way
        town = Town(self)
        if not there:
            del town.server.passwords["juliet"]
        for method in ("exists", "set_password", "make_contacts", "end_sessions"):
            setattr(town.server, method, lambda *_: fail(fault("no")))
        ask(town).addErrback(lambda failure: failure.trap(Refused))
        self.flushLoggedErrors()
        self.assertNotIn(Status.REVOKED, town.statuses([*town.left, *town.kept]))
        self.assertEqual(town.roles(), ("team",))

    @settings(max_examples=150, deadline=None)
    @given(ways, st.lists(st.booleans(), max_size=12), st.integers(0, 3))
    def test_in_trouble(self, way, answers, others):
        """However a server errs, it must deny, tell of another account, and deny again."""
        _name, ask, _error = way
        town = Town(self)
        for number in range(others):
            town.server.passwords[f"user{number}"] = "x"
            self.successResultOf(town.remote.exists(f"user{number}"))
        said: list[tuple[str, bool]] = []

        def exists(username: str) -> Deferred[bool]:
            said.append((username, bool(answers) and answers.pop()))
            return succeed(said[-1][1])

        town.server.exists = exists
        town.server.set_password = lambda *_: fail(NotThere("no"))
        town.server.make_contacts = lambda *_: fail(NotThere("no"))
        ask(town).addErrback(lambda failure: failure.trap(Refused))
        for username, invite in (("juliet", town.left[1]), ("romeo", town.kept[0])):
            gone = any(
                (username, False) in said[:number] and told and control != username
                for number, (control, told) in enumerate(said)
                if said[number + 1 : number + 2] == [(username, False)]
            )
            status = Status.REVOKED if gone else Status.PENDING
            self.assertEqual(town.statuses([invite]), {status}, said)
            self.assertEqual(town.roles(username), () if gone else ("team",), said)

    def test_own_account(self) -> None:
        """The account by which we act at the server vouches for what it says."""
        town = Town(self, control=False)
        del town.server.passwords["juliet"]
        self.assertFalse(self.successResultOf(town.remote.exists("juliet")))
        self.assertEqual(town.statuses(town.left), {Status.PENDING})
        town.server.own_username = "invitereg"
        self.assertFalse(self.successResultOf(town.remote.exists("juliet")))
        self.assertEqual(town.statuses(town.left), {Status.PENDING})
        self.assertEqual(len(self.flushLoggedErrors()), 0)
        town.server.passwords["invitereg"] = "x"
        self.assertFalse(self.successResultOf(town.remote.exists("juliet")))
        self.assertEqual(town.statuses(town.left), {Status.REVOKED})

    def test_delete_in_trouble(self) -> None:
        """Nothing is forgotten of an account that the server has, but denies for now."""
        for control in (True, False):
            town = Town(self, control=control)
            really, town.server.exists = town.server.exists, lambda _name: succeed(False)
            deleting = town.remote.delete("juliet", town.now())
            cause = self.failureResultOf(deleting, Unavailable).value.cause
            self.assertIn("Nothing was changed", cause)
            self.assertEqual(town.statuses(town.left), {Status.PENDING})
            self.assertEqual(town.roles(), ("team",))
            town.server.exists = really
            self.successResultOf(town.remote.delete("juliet", town.now()))
            self.assertEqual(town.statuses(town.left), {Status.REVOKED})
            self.assertIsNone(town.roles())

    def test_delete_and_trouble(self) -> None:
        """A deletion is not believed of a server that denies all others, too."""
        town = Town(self)
        really = town.server.exists

        def delete(_name: str) -> Deferred[None]:
            town.server.exists = lambda _name: succeed(False)
            return succeed(None)

        town.server.delete = delete
        self.failureResultOf(town.remote.delete("juliet", town.now()), Unavailable)
        self.assertEqual(town.statuses(town.left), {Status.PENDING})
        town.server.exists = really
        self.assertTrue(self.successResultOf(town.remote.exists("juliet")))

    def test_contacts_in_trouble(self) -> None:
        """Contacts are made once the server can read its accounts again."""
        town = Town(self)
        really = town.server.exists, town.server.make_contacts
        town.server.exists = lambda _name: succeed(False)
        town.server.make_contacts = lambda *_: fail(NotThere("no"))
        self.successResultOf(town.make_contacts())
        town.server.exists, town.server.make_contacts = really
        town.clock.advance(60)
        self.successResultOf(Deferred.fromCoroutine(town.jobs.run()))
        self.assertEqual(town.server.friends, {frozenset({"romeo", "juliet"})})

    def test_registration_in_trouble(self) -> None:
        """A registration whose outcome is unknown takes its invite for good if it was made."""
        town = Town(self)
        invite = town.invite()
        account = make_account(username="tybalt", credentials=None, created_at=town.now())
        use = town.use(Kind.ACCOUNT, invite, "tybalt")
        really = town.server.exists

        def create(username: str, password: str) -> Deferred[None]:
            town.server.passwords[username] = password
            town.server.exists = lambda _name: succeed(False)
            return fail(OutcomeUnknown("no answer"))

        town.server.create = create
        redemption = Redemption(account=account, use=use)
        self.failureResultOf(town.remote.redeem(redemption, "wherefore"), Unavailable)
        for trouble in (True, False):
            for _ in range(30):
                town.clock.advance(1)
                self.successResultOf(Deferred.fromCoroutine(town.remote.provisioner.settle()))
            self.assertEqual(town.roles("tybalt"), None if trouble else ())
            town.server.exists = really
        used = self.successResultOf(town.store.get_invite(DOMAIN, invite.id))
        self.assertEqual(used.uses, 1)

    def test_never_answers(self) -> None:
        """Nor has one that takes its time."""
        town = Town(self)
        town.server.exists = lambda *_: Deferred()
        self.assertNoResult(town.remote.exists("juliet"))
        self.assertEqual(town.statuses(town.left), {Status.PENDING})

    def test_old_answer(self) -> None:
        """An answer from before an account was made ends nothing of it."""
        town = Town(self, known=False)
        del town.server.passwords["juliet"]
        answer: Deferred[bool] = Deferred()
        really, town.server.exists = town.server.exists, lambda *_: answer
        asking = town.remote.exists("juliet")
        town.server.exists = really
        self.successResultOf(town.register())
        invite = town.invite(inviter="juliet")
        answer.callback(False)
        self.assertFalse(self.successResultOf(asking))
        self.assertEqual(town.statuses([invite]), {Status.PENDING})

    def test_being_made(self) -> None:
        """An account that the server is just making is not gone."""
        town = Town(self, known=False)
        del town.server.passwords["juliet"]
        made: Deferred[None] = Deferred()
        town.server.create = lambda *_: made
        registering = town.register()
        self.assertNoResult(registering)
        early = town.invite(inviter="juliet")
        self.assertFalse(self.successResultOf(town.remote.exists("juliet")))
        self.assertEqual(town.statuses([early]), {Status.PENDING})
        town.server.passwords["juliet"] = "wherefore"
        made.callback(None)
        self.successResultOf(registering)
        self.assertEqual(town.statuses([early]), {Status.PENDING})

    def test_nothing_left(self) -> None:
        """To ask for a name of which nothing is here writes nothing."""
        town = Town(self)
        written = []
        end_gone = town.store.end_gone
        town.store.end_gone = lambda *args: written.append(args) or end_gone(*args)
        self.assertFalse(self.successResultOf(town.remote.exists("tybalt")))
        self.assertEqual(written, [])
