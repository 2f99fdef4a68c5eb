"""Whatever is done in whatever order, what the store holds belongs together."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from twisted.python.failure import Failure

from invitereg.errors import Refused, Unavailable
from invitereg.interfaces.leases import Lease
from invitereg.interfaces.queries import (
    InviteChanges,
    LoginAttempt,
    Query,
    Redemption,
    Subscribing,
)
from invitereg.model.invites import Invite, Kind, Status, Use, token_digest
from invitereg.model.subscribing import Stanza
from invitereg.policy.notices import Notice, NoticeKind
from invitereg.testing import START, make_account, make_credentials, make_invite, memory_store
from tests.contracts.store_case import DOMAIN, HOUR, counter

pytestmark = pytest.mark.slow

NAMES = ("romeo", "juliet", "nurse", "tybalt")
USERNAMES = st.sampled_from(NAMES)
TIMES = st.sampled_from([None, timedelta(0), HOUR, 3 * HOUR])
JIDS = st.sampled_from([*(f"{name}@{DOMAIN}" for name in ("romeo", "juliet")), "example.org"])
COUNTERS = (counter("a", 2), counter("b", 1))
COUNTED = st.sampled_from([(), COUNTERS[:1], COUNTERS[1:], COUNTERS])


REFUSED = object()


def outcome(deferred):
    """What a Deferred has fired with: a value or `REFUSED`, and never a fault."""
    found = []
    deferred.addBoth(found.append)
    [result] = found
    if not isinstance(result, Failure):
        return result
    assert result.check(Refused), result
    assert not result.check(Unavailable), result
    return REFUSED


class Workings(RuleBasedStateMachine):
    """Does one thing after the other, and looks at all that is there in between."""

    invites = Bundle("invites")

    def __init__(self):
        super().__init__()
        self.store = memory_store()
        self.now = START
        self.made = 0
        self.hits = []  # what can be taken back, with what it counted
        self.leases = []
        self.counted = []  # counters, each with the time of a hit

    def teardown(self):
        self.store.database.close()

    def ask(self, question, *args, **options):
        """The outcome of a method of the store."""
        return outcome(getattr(self.store, question)(*args, **options))

    def do(self, question, *args, **options):
        """As `ask`; what is refused changes nothing."""
        before = self.everything()
        done = self.ask(question, *args, **options)
        assert done is not REFUSED or self.everything() == before, question
        return done

    def everything(self):
        """All that can be seen of the store."""
        return (
            self.ask("list_invites", DOMAIN, self.now),
            self.ask("list_uses", DOMAIN),
            self.ask("list_accounts", DOMAIN),
            [self.found(username) for username in NAMES],
            [self.ask("get_roster", DOMAIN, username) for username in NAMES],
            [outcome(self.store.notices_of(DOMAIN, username)) for username in NAMES],
            self.ask("open_leases", DOMAIN, self.now),
            self.ask("session_ends", 0),
            self.ask("roster_changes", 0),
        )

    def found(self, username):
        return self.ask(
            "look_up",
            Query(domain=DOMAIN, now=self.now, username=username, counters=COUNTERS),
        )

    def later(self, time):
        return None if time is None else self.now + time

    def use(self, username, invite=None):
        return Use(
            domain=DOMAIN,
            username=username,
            kind=Kind.ACCOUNT,
            at=self.now,
            door="c2s",
            invite_id=invite and invite.id,
            inviter=invite and invite.inviter,
        )

    @rule(
        target=invites,
        kind=st.sampled_from(list(Kind)),
        username=st.none() | st.none() | USERNAMES,
        uses=st.sampled_from([1, 2, None]),
        expiry=TIMES,
        inviter=st.none() | USERNAMES,
    )
    def create(self, kind, inviter, username, uses, expiry):
        username = username or ("romeo" if kind is Kind.RESET else None)
        self.made += 1
        invite = make_invite(
            id=f"i{self.made}",
            kind=kind,
            username=username,
            uses_allowed=1 if username else uses,
            created_at=self.now,
            expires_at=self.later(expiry),
            inviter=inviter,
        )
        created = self.do("create_invite", invite, token_digest(invite.id))
        return multiple() if created is REFUSED else invite

    @initialize(names=st.sets(USERNAMES, max_size=2))
    def begin(self, names):
        for name in sorted(names):
            self.redeem(None, name, False, (), True, [])

    @rule(
        target=invites,
        kind=st.sampled_from([Kind.ACCOUNT, Kind.ACCOUNT_AND_CONTACT]),
        username=st.none() | USERNAMES,
        uses=st.sampled_from([1, 2, None]),
        inviter=USERNAMES,
        by=COUNTED,
    )
    def create_and_reserve(self, kind, username, uses, inviter, by):
        """Two steps, which chance would seldom put together."""
        invite = self.create(kind, inviter, username, uses, HOUR)
        if isinstance(invite, Invite):
            for name in [username] if username else NAMES:
                self.reserve(invite, name, False, by)
        return invite

    def took(self, before, done, counters):
        """What was taken was there to be taken."""
        if done is REFUSED:
            return
        if before is not None:
            assert before.revoked_at is None
            assert not before.used_up
        self.counted += [(counter, self.now) for counter in counters]

    def now_as(self, invite):
        """An invite as it is stored."""
        return invite and self.ask("get_invite", DOMAIN, invite.id)

    @rule(
        invite=st.none() | invites,
        username=USERNAMES,
        fixed=st.booleans(),
        by=COUNTED,
        operator=st.booleans(),
        watchers=st.lists(USERNAMES, unique=True),
    )
    def redeem(self, invite, username, fixed, by, operator, watchers):
        if fixed and invite is not None and invite.username is not None:
            username = invite.username
        use = self.use(username, invite)
        redemption = Redemption(
            account=make_account(username=username, created_at=self.now),
            use=use,
            counters=by,
            operator=operator,
            contact=invite.inviter if invite is not None and invite.subscribe else None,
            roster_limit=2,
            notices=tuple(
                Notice(domain=DOMAIN, username=watcher, kind=NoticeKind.REGISTRATION, use=use)
                for watcher in watchers
            ),
        )
        before = self.now_as(invite)
        self.took(before, self.do("redeem", redemption), redemption.counters)

    @rule(invite=st.none() | invites, username=USERNAMES, operator=st.booleans(), by=COUNTED)
    def reserve(self, invite, username, operator, by):
        if invite is not None and invite.username is not None:
            username = invite.username
        use = self.use(username, invite)
        if invite is not None:
            use = replace(use, kind=invite.kind)
        account = make_account(username=username, created_at=self.now, credentials=None)
        redemption = Redemption(account=account, use=use, counters=by, operator=operator)
        before = self.now_as(invite)
        lease = self.do("reserve", redemption, self.now)
        counted = by if use.kind is not Kind.RESET else ()
        self.took(before, lease, counted)
        if isinstance(lease, Lease):
            self.leases.append((lease.number, use, [(each, self.now) for each in counted]))

    @precondition(lambda self: self.leases)
    @rule(place=st.integers(0, 9), done=st.booleans())
    def settle(self, place, done):
        number, use, counted = self.leases.pop(place % len(self.leases))
        assert self.do("complete" if done else "release", number) is True
        assert self.do("complete", number) is False
        for each in () if done else counted:
            self.counted.remove(each)
        if done and use.kind is Kind.RESET:
            self.assert_ended(use.username)

    def assert_ended(self, username):
        last = self.ask("session_ends", None)[-1]
        assert (last.username, last.at) == (username, self.now)

    @rule(username=USERNAMES)
    def learn(self, username):
        account = make_account(username=username, created_at=self.now, credentials=None)
        before = self.found(username)
        learnt = self.do("learn", account)
        assert (learnt is False) is before.account_exists
        held = before.deleted or before.reserved_for is not None
        assert (learnt is REFUSED) is held

    @rule(username=USERNAMES, contact=USERNAMES, stanza=st.sampled_from(Stanza))
    def send(self, username, contact, stanza):
        self.subscribe(username, contact, stanza, None)

    @rule(username=USERNAMES, invite=invites)
    def send_invited(self, username, invite):
        self.subscribe(username, invite.inviter, Stanza.SUBSCRIBE, token_digest(invite.id))

    def subscribe(self, username, contact, stanza, digest):
        if username == contact:
            return
        asked = Subscribing(
            stanza=stanza,
            domain=DOMAIN,
            username=username,
            contact=f"{contact}@{DOMAIN}",
            roster_limit=2,
            requests_limit=1,
            request=f"<presence n='{self.made}'/>",
            digest=digest,
            use=self.use(username, None),
        )
        self.do("subscribe", asked)

    @rule(username=USERNAMES, jid=JIDS, name=st.sampled_from(["", "a"]))
    def set_item(self, username, jid, name):
        if not jid.startswith(username):
            self.do("set_item", DOMAIN, username, jid, name, (name,), 2)

    @rule(username=USERNAMES, jid=JIDS)
    def remove_item(self, username, jid):
        self.do("remove_item", DOMAIN, username, jid)

    @rule(invite=invites)
    def reset(self, invite):
        use = self.use(invite.username or "romeo", invite)
        before = self.now_as(invite)
        done = self.do("reset", use, make_credentials(changed_at=self.now))
        self.took(before, done, ())
        if done is not REFUSED:
            assert before.kind is Kind.RESET
            self.assert_ended(use.username)

    @rule(invite=invites)
    def revoke(self, invite):
        self.do("revoke_invite", DOMAIN, invite.id, self.now)

    @rule(invite=invites, expiry=TIMES)
    def edit_expiry(self, invite, expiry):
        changes = InviteChanges(values={"expires_at": self.later(expiry)})
        self.do("edit_invite", DOMAIN, invite.id, changes, self.now, "cli")

    @rule(invite=invites, uses=st.sampled_from([None, 0, 1, 3]))
    def edit_uses(self, invite, uses):
        changes = InviteChanges(values={"uses_allowed": uses, "note": f"{uses}"})
        self.do("edit_invite", DOMAIN, invite.id, changes, self.now, "cli")

    @rule(invite=invites)
    def renew(self, invite):
        self.made += 1
        digest = token_digest(f"renewed {self.made}")
        renewed = self.do("renew_invite", DOMAIN, invite.id, digest, self.now, "cli")
        found = self.ask("look_up", Query(domain=DOMAIN, now=self.now, digest=digest)).invite
        assert found == (None if renewed is REFUSED else renewed)

    @rule(time=st.sampled_from([0 * HOUR, HOUR]))
    def purge(self, time):
        undecided = {use.invite_id for _number, use, _counted in self.leases}
        undecided &= {invite.id for invite in self.ask("list_invites", DOMAIN, self.now)}
        self.do("purge_invites", DOMAIN, self.now - time, 9)
        assert undecided <= {i.id for i in self.ask("list_invites", DOMAIN, self.now)}
        self.do("purge_names", DOMAIN, self.now, 9)

    @rule(username=USERNAMES, keep=st.sampled_from([None, HOUR]))
    def delete(self, username, keep):
        until = keep and self.now + keep
        if self.do("delete_account", DOMAIN, username, self.now, until=until) is REFUSED:
            return
        self.assert_ended(username)
        for invite in self.ask("list_invites", DOMAIN, self.now):
            theirs = invite.kind is Kind.RESET and invite.username == username
            if theirs or invite.inviter == username:
                assert invite.revoked_at or invite.status(self.now) is Status.USED

    @rule(username=USERNAMES, known=st.booleans())
    def set_credentials(self, username, known):
        """Only who knows which password there is sets another."""
        account = self.ask("get_account", DOMAIN, username)
        set_at = account and account.credentials and account.credentials.changed_at
        since = set_at if set_at and known else self.now - 9 * HOUR
        credentials = make_credentials(changed_at=self.now)
        done = self.do("set_credentials", DOMAIN, username, credentials, since)
        assert (done is REFUSED) is (since != set_at)
        if done is not REFUSED:
            self.assert_ended(username)

    @rule(username=USERNAMES)
    def revoke_branch(self, username):
        self.do("revoke_branch", DOMAIN, username, self.now)

    @rule(username=USERNAMES)
    def tell(self, username):
        found = outcome(self.store.notices_of(DOMAIN, username))
        outcome(self.store.remove_notices([notice.number for notice in found[1:]]))

    @rule(time=st.sampled_from([0 * HOUR, HOUR]))
    def purge_notices(self, time):
        outcome(self.store.purge_notices(self.now - time, 99))

    @rule(username=USERNAMES, role=st.sampled_from("ab"), more=st.booleans())
    def change_roles(self, username, role, more):
        role, none = frozenset(role), frozenset()
        add, remove = (role, none) if more else (none, role)
        self.do("change_roles", DOMAIN, username, add, remove)

    @rule(which=st.sampled_from([COUNTERS, COUNTERS[:1], COUNTERS[1:], ()]))
    def hit(self, which):
        full = [
            tally.count >= c.limit.max
            for c, tally in zip(COUNTERS, self.tallies(), strict=True)
        ]
        numbers = self.do("hit", DOMAIN, which, self.now)
        assert (numbers is None) is any(full[COUNTERS.index(counted)] for counted in which)
        if numbers is not None:
            counted = [(counter, self.now) for counter in which]
            self.hits.append((numbers, counted))
            self.counted += counted

    def tallies(self):
        return self.found("romeo").tallies

    @rule()
    def succeed(self):
        if self.hits:
            numbers, counted = self.hits.pop()
            attempt = LoginAttempt(
                domain=DOMAIN,
                username="romeo",
                network="192.0.2.0/24",
                counters=(),
                elsewhere=COUNTERS[0],
            )
            self.ask("login_succeeded", attempt, numbers, self.now)
            for one in counted:
                self.counted.remove(one)

    @rule(time=st.sampled_from([HOUR / 2, HOUR, 2 * HOUR]))
    def advance(self, time):
        self.now += time

    @invariant()
    def names_have_one_holder(self):
        """Whoever holds a name holds it alone, and it is an account, an invite or neither."""
        accounts = [account.username for account in self.ask("list_accounts", DOMAIN)]
        assert accounts == self.ask("list_usernames", DOMAIN) == sorted(accounts)
        leased = {use.username for _, use, _ in self.leases if use.kind is not Kind.RESET}
        assert not leased & set(accounts)
        for username in NAMES:
            found = self.found(username)
            assert found.account_exists is (username in leased.union(accounts))
            held_by = (found.account_exists, found.reserved_for is not None, found.deleted)
            assert sum(held_by) <= 1
        pending = self.ask("list_invites", DOMAIN, self.now, Status.PENDING)
        reserving = {self.found(username).reserved_for for username in NAMES} - {None}
        assert reserving <= {invite.id for invite in pending}
        for invite in pending:
            if invite.username is not None and invite.kind is not Kind.RESET:
                assert self.found(invite.username).reserved_for == invite.id

    @invariant()
    def uses_add_up(self):
        """An invite has as many uses as the history and the open leases say, and may have."""
        history = self.ask("list_uses", DOMAIN)
        taken = Counter(use.invite_id for use in history)
        taken.update(use.invite_id for _number, use, _counted in self.leases)
        invites = self.ask("list_invites", DOMAIN, self.now)
        for invite in invites:
            # The use of a reset whose account was deleted meanwhile is not given back.
            assert invite.uses == taken[invite.id] or (
                invite.kind is Kind.RESET and invite.uses > taken[invite.id]
            )
            assert invite.uses_allowed is None or invite.uses <= invite.uses_allowed
        by_status = {s: self.ask("list_invites", DOMAIN, self.now, s) for s in Status}
        listed = [invite.id for some in by_status.values() for invite in some]
        assert sorted(listed) == sorted(invite.id for invite in invites)
        counts = self.ask("count_invites", DOMAIN, self.now)
        assert counts == {status: len(some) for status, some in by_status.items() if some}
        for username in NAMES:
            for notice in outcome(self.store.notices_of(DOMAIN, username)):
                assert notice.use in history

    @invariant()
    def limits_hold(self):
        """As many hits count as there were in the period, and never too many."""
        recent = Counter(one for one, at in self.counted if at > self.now - HOUR)
        for one, tally in zip(COUNTERS, self.tallies(), strict=True):
            assert tally.count == recent[one] <= one.limit.max

    @invariant()
    def both_sides_agree(self):
        """Both sides of a subscription know of it, and no roster is fuller than it may be."""
        rosters = {f"{n}@{DOMAIN}": self.ask("get_roster", DOMAIN, n) for n in NAMES}
        for owner, roster in rosters.items():
            assert sum(item.listed for item in roster.values()) <= 2
            assert sum(item.request is not None for item in roster.values()) <= 1
            for jid, item in roster.items():
                theirs = rosters.get(jid, {}).get(owner)
                assert item.sees == (theirs is not None and theirs.seen)
                assert item.seen == (theirs is not None and theirs.sees)


Workings.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
StoreTests = Workings.TestCase
