"""Whatever is done in whatever order, the use cases come to what a simple model says."""

import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.task import Clock

from invitereg import errors
from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.errors import (
    InvalidInvite,
    InvalidRequest,
    InvalidUsername,
    NotFound,
    Throttled,
    UsernameReserved,
    UsernameTaken,
)
from invitereg.interfaces.queries import InviteChanges
from invitereg.model.invites import Kind, Status
from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Domain, Limit, Limits, Policy, UsernameRules
from invitereg.runtime.threads import Inline
from invitereg.store.database import open_database
from invitereg.store.store import Store
from invitereg.testing import clock_now, make_submission, memory_store
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.registrar import Registrar
from tests.service.running import outcome
from tests.usecases.case import DOMAIN, new

pytestmark = pytest.mark.slow

PERIOD = timedelta(hours=1)
GUESSES, SHARED = 2, 2
POLICY = Policy(
    admins=frozenset({"romeo"}),
    usernames=UsernameRules(min_length=3),
    limits=Limits(token_guesses=Limit(max=GUESSES, period=PERIOD),
                  shared_invite=Limit(max=SHARED, period=PERIOD)),
)  # fmt: skip
PREPARED = {
    "nurse": "nurse",
    "Juliet": "juliet",
    "romeo": "romeo",  # the admin's
    "admin": "admin",  # reserved by the policy
    "ab": "ab",  # too short
    "a b": None,
    "": None,
}
"""Names as they are typed, and as they are stored."""
NAMES = st.sampled_from([*PREPARED, "nurse", "Juliet", "nurse", "Juliet"])
VALID = st.sampled_from(["nurse", "Juliet", "romeo"])
PASSWORDS = st.sampled_from(["wherefore art thou", "what's in a name", "short", "Juliet"])
ADDRESSES = st.sampled_from([ip_address("192.0.2.1"), ip_address("2001:db8::1")])
USES = st.sampled_from([1, 1, 1, 2, 3, None, 0])
EXPIRIES = st.sampled_from([timedelta(minutes=30), timedelta(days=1), None])


@dataclass(eq=False)
class Entry:
    """What the model knows of an invite."""

    id: str
    kind: Kind
    token: str
    username: str | None
    allowed: int | None
    expires: object
    inviter: str | None = None
    uses: int = 0
    revoked: object = None
    registered: list = field(default_factory=list)

    def status(self, now):
        if self.revoked and not self.expired(self.revoked):
            return Status.REVOKED
        if self.allowed is not None and self.uses >= self.allowed:
            return Status.USED
        return Status.EXPIRED if self.revoked or self.expired(now) else Status.PENDING

    def expired(self, now):
        return self.expires is not None and self.expires <= now

    def open(self, now):
        return not self.revoked and self.status(now) in (Status.PENDING, Status.EXPIRED)

    def revoke(self, now):
        if self.open(now):
            self.revoked = now

    def reserves(self, now):
        name = self.username if self.kind is not Kind.RESET else None
        return name if self.status(now) is Status.PENDING else None


class Town(RuleBasedStateMachine):
    """The use cases on one store, and beside them the model."""

    invites = Bundle("invites")
    grants = Bundle("grants")

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.now = clock_now(self.clock)
        self.store = self.make_store()
        accounts = EmbeddedAccounts(DOMAIN, self.store, Inline(), self.now, 4096)
        domains = {DOMAIN: Domain(name=DOMAIN, policy=POLICY)}
        self.registrar = Registrar(domains, self.store, {DOMAIN: accounts}, self.now)
        self.issuer = Issuer(domains, self.store, {DOMAIN: accounts}, self.now)
        self.backend = accounts
        self.accounts = {}
        self.deleted = set()
        self.entries = []
        self.history = []
        self.guesses = {}

    def make_store(self):
        return memory_store()

    # --- what the model knows

    def holder(self, name, entry=None):
        """The error for whoever wants a name: None if it is free, or reserved by ``entry``."""
        if name in self.accounts:
            return UsernameTaken
        others = (other for other in self.entries if other is not entry)
        if name in self.deleted or any(o.reserves(self.now()) == name for o in others):
            return UsernameReserved
        return None

    def recent(self, times):
        return [at for at in times if at > self.now() - PERIOD]

    def throttled(self, entry, address):
        if entry.kind is Kind.RESET or entry.allowed == 1:
            return False
        times = [at for where, at in entry.registered if where == address]
        return len(self.recent(times)) >= SHARED

    def expect(self, error, working):
        """The outcome of a use case, which must be this error, or none."""
        found, refused = None, None
        try:
            found = outcome(working)
        except errors.Refused as refusal:
            refused = type(refusal)
        assert refused is error
        return found

    # --- the operator

    @rule(
        target=invites,
        username=st.none() | st.none() | st.sampled_from(["nurse", "Juliet", "romeo", "a b"]),
        inviter=st.none() | st.none() | VALID,
        contact=st.booleans(),
        registration=st.sampled_from([True, True, True, False]),
        uses=USES,
        expiry=EXPIRIES,
    )
    def create_any(self, username, inviter, contact, registration, uses, expiry):
        return self.create(username, inviter, contact, registration, uses, expiry)

    def create(self, username, inviter, contact, registration, uses, expiry):
        error, name = None, PREPARED[username] if username else None
        if (
            uses == 0
            or (username and (uses != 1 or not registration))
            or ((contact or not registration) and not inviter)
        ):
            error = InvalidRequest
        elif inviter and PREPARED[inviter] not in self.accounts:
            error = NotFound
        elif username:
            error = self.holder(name) if name else InvalidUsername
        asked = new(username=username, inviter=inviter, contact=contact, uses=uses,
                    registration=registration, expiry=expiry)  # fmt: skip
        made = self.expect(error, self.issuer.create(asked))
        return self.entered(made) if made else None

    @rule(target=invites, username=VALID, expiry=EXPIRIES)
    def create_for(self, username, expiry):
        return self.create(username, None, False, True, 1, expiry)

    @rule(target=invites, uses=st.sampled_from([1, 2, None]), expiry=EXPIRIES)
    def create_open(self, uses, expiry):
        return self.create(None, None, False, True, uses, expiry)

    @rule(target=invites, username=VALID, expiry=EXPIRIES)
    def create_reset(self, username, expiry):
        error = None if PREPARED[username] in self.accounts else NotFound
        working = self.issuer.create_reset(DOMAIN, username, OPERATOR, expiry)
        made = self.expect(error, working)
        return self.entered(made) if made else None

    def entered(self, made):
        invite, token = made
        entry = Entry(
            id=invite.id,
            kind=invite.kind,
            token=token,
            username=invite.username,
            allowed=invite.uses_allowed,
            expires=invite.expires_at,
            inviter=invite.inviter,
        )
        self.entries.append(entry)
        return entry

    @rule(
        entry=invites.filter(bool),
        uses=st.sampled_from(["same", 0, 1, 2, 5, None]),
        expires=st.sampled_from(["same", timedelta(0), PERIOD, None]),
    )
    def edit(self, entry, uses, expires):
        values = {} if uses == "same" else {"uses_allowed": uses}
        if expires != "same":
            values["expires_at"] = None if expires is None else self.now() + expires
        error = None
        status = entry.status(self.now())
        if (
            not entry.open(self.now())
            # A reset that has expired is never opened again.
            or (entry.kind is Kind.RESET and status is Status.EXPIRED)
            or (isinstance(uses, int) and uses <= entry.uses)
            or (uses not in ("same", 1) and entry.username)
        ):
            error = InvalidRequest
        elif expires not in ("same", timedelta(0)) and entry.username:
            error = None if entry.kind is Kind.RESET else self.holder(entry.username, entry)
        self.expect(
            error, self.issuer.edit(DOMAIN, entry.id, InviteChanges(values=values), OPERATOR)
        )
        if error is None:
            entry.allowed = values.get("uses_allowed", entry.allowed)
            entry.expires = values.get("expires_at", entry.expires)

    @rule(entry=invites.filter(bool))
    def renew(self, entry):
        pending = entry.status(self.now()) is Status.PENDING
        error = None if pending else InvalidRequest
        made = self.expect(error, self.issuer.renew(DOMAIN, entry.id, OPERATOR))
        if made:
            entry.token = made[1]

    @rule(entry=invites.filter(bool))
    def revoke(self, entry):
        used = entry.status(self.now()) is Status.USED
        self.expect(
            InvalidRequest if used else None, self.issuer.revoke(DOMAIN, entry.id, OPERATOR)
        )
        entry.revoke(self.now())

    @precondition(lambda self: len(self.accounts) < 2)
    @rule(username=VALID)
    def create_account(self, username):
        """The operator may take a deleted account's name, and no other that is held."""
        name = PREPARED[username]
        error = None if name in self.deleted else self.holder(name)
        password = "the operator's choice"
        self.expect(error, self.registrar.create_account(DOMAIN, username, password))
        if error is None:
            self.deleted.discard(name)
            self.accounts[name] = password
            self.history.append((name, Kind.ACCOUNT, None, "cli"))

    @rule(username=VALID)
    def delete_account(self, username):
        name = PREPARED[username]
        error = None if name in self.accounts else NotFound
        self.expect(error, self.registrar.delete_account(DOMAIN, username))
        if error is None:
            del self.accounts[name]
            self.deleted.add(name)
            for entry in self.entries:
                of_reset = entry.kind is Kind.RESET and entry.username == name
                if of_reset or entry.inviter == name:
                    entry.revoke(self.now())

    @rule(duration=st.sampled_from([1, 600, 1800, 3600, 86400]))
    def time_passes(self, duration):
        self.clock.advance(duration)

    # --- the newcomers

    @rule(target=grants, entry=invites.filter(bool), address=ADDRESSES)
    def preauthorise(self, entry, address):
        """A stream presents a token; it keeps the grant, whatever comes."""
        error = None
        if entry.status(self.now()) is not Status.PENDING or entry.kind is Kind.CONTACT:
            full = len(self.recent(self.guesses.get(address, []))) >= GUESSES
            error = Throttled if full else InvalidInvite
        elif self.throttled(entry, address):
            error = Throttled
        working = self.registrar.preauthorise(DOMAIN, address, entry.token)
        grant = self.expect(error, working)
        return (grant, entry, entry.token) if grant else None

    @rule(address=ADDRESSES)
    def guess(self, address):
        times = self.guesses.setdefault(address, [])
        full = len(self.recent(times)) >= GUESSES
        error = Throttled if full else InvalidInvite
        self.expect(error, self.registrar.preauthorise(DOMAIN, address, "guess"))
        if not full:
            times.append(self.now())

    @rule(held=grants.filter(bool), username=NAMES, password=PASSWORDS, address=ADDRESSES)
    def redeem(self, held, username, password, address):
        self.submit(held, username, password, address)

    @rule(held=grants.filter(bool), address=ADDRESSES)
    def redeem_well(self, held, address):
        """With the name that the invite asks for, or else a free one."""
        free = (name for name in ("nurse", "juliet") if self.holder(name) is None)
        name = held[1].username or next(free, "nurse")
        self.submit(held, name, "a rose by any other name", address)

    def submit(self, held, username, password, address):
        grant, entry, token = held
        error = self.refusal(entry, token, username, password, address)
        request = make_submission(
            username=username, password=password, address=address, grant=grant
        )
        self.expect(error, self.registrar.redeem(request))
        if error is not None:
            return
        name = PREPARED.get(username, username)
        if entry.kind is not Kind.RESET and entry.allowed != 1:
            entry.registered.append((address, self.now()))
        entry.uses += 1
        if entry.kind is Kind.RESET:
            for other in self.entries:
                if other.kind is Kind.RESET and other.username == name:
                    other.revoke(self.now())
        self.accounts[name] = password
        self.history.append((name, entry.kind, entry.id, "c2s"))
        checked = outcome(self.backend.check_password(name, password))
        assert checked == self.now()

    def refusal(self, entry, token, username, password, address):
        """The rules in their order."""
        name, reset = PREPARED.get(username, username), entry.kind is Kind.RESET
        if token != entry.token or not entry.open(self.now()):
            return InvalidInvite
        if entry.username and name and name != entry.username:
            return UsernameReserved
        if self.throttled(entry, address):
            return Throttled
        if username == "":
            return errors.FieldMissing
        if name is None:
            return InvalidUsername
        if not entry.username and len(name) < POLICY.usernames.min_length:
            return errors.UnacceptableUsername
        if not entry.username and name in ("romeo", "admin"):
            return UsernameReserved
        if not reset and (held_by := self.holder(name, entry)):
            return held_by
        if len(password) < 8 or password == username:
            return errors.WeakPassword
        return InvalidInvite if reset and name not in self.accounts else None

    @rule(username=VALID, address=ADDRESSES)
    def register_uninvited(self, username, address):
        request = make_submission(username=username, address=address)
        self.expect(errors.InviteRequired, self.registrar.redeem(request))

    # --- several steps at once, which chance would seldom put together

    @rule(
        target=grants,
        username=st.none() | VALID,
        uses=st.sampled_from([1, 2, None]),
        address=ADDRESSES,
    )
    def invite_and_preauthorise(self, username, uses, address):
        entry = self.create(username, None, False, True, 1 if username else uses, None)
        return self.preauthorise(entry, address) if entry else None

    @rule(target=grants, username=st.none() | VALID, address=ADDRESSES)
    def invite_and_register(self, username, address):
        held = self.invite_and_preauthorise(username, 2, address)
        if held:
            self.redeem_well(held, address)
        return held

    @rule(username=VALID)
    def reserve_and_revoke(self, username):
        entry = self.create(username, None, False, True, 1, None)
        if entry:
            self.revoke(entry)

    # --- what must hold at any time

    @invariant()
    def accounts_agree(self):
        names = [account.username for account in outcome(self.store.list_accounts(DOMAIN))]
        assert names == sorted(self.accounts)

    @invariant()
    def history_is_complete(self):
        uses = outcome(self.store.list_uses(DOMAIN))
        found = [(use.username, use.kind, use.invite_id, use.door) for use in uses]
        assert found == self.history

    @invariant()
    def invites_agree(self):
        now = self.now()
        stored = outcome(self.store.list_invites(DOMAIN, now))
        for invite, entry in zip(stored, self.entries, strict=True):
            assert invite.uses_allowed is None or invite.uses <= invite.uses_allowed
            found = (invite.id, invite.status(now), invite.uses, invite.expires_at)
            assert found == (entry.id, entry.status(now), entry.uses, entry.expires)
        taken = Counter(invite_id for _name, _kind, invite_id, _door in self.history)
        assert all(taken[entry.id] == entry.uses for entry in self.entries)

    @precondition(lambda self: self.accounts)
    @rule(data=st.data())
    def log_in(self, data):
        """Everybody gets in with the password that they set last, and with no other."""
        name = data.draw(st.sampled_from(sorted(self.accounts)))
        for password in ("some other password", self.accounts[name]):
            checked = outcome(self.backend.check_password(name, password))
            assert (checked is not None) is (password == self.accounts[name])


class SQLTown(Town):
    """The same on SQLite."""

    def make_store(self):
        self.folder = TemporaryDirectory()
        shutil.copytree(empty_database().name, self.folder.name, dirs_exist_ok=True)
        self.database = open_database(Path(self.folder.name), Inline())
        return Store(self.database)

    def teardown(self):
        self.database.close()
        self.folder.cleanup()


@cache
def empty_database():
    """A folder to copy from: to make a database takes ten times as long."""
    folder = TemporaryDirectory()
    open_database(Path(folder.name), Inline()).close()
    return folder


def bounded(examples):
    return settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


MemoryTests = Town.TestCase
MemoryTests.settings = bounded(100)
SQLTests = SQLTown.TestCase
SQLTests.settings = bounded(40)
