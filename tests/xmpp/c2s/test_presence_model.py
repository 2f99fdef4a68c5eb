"""Whatever people do in whatever order, they see whom they may, and nobody else.

The store answers late, so everything also happens while a roster is being read.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import Deferred

from invitereg.embedded.addresses import parse_jid
from tests.xmpp.door import Listener
from tests.xmpp.messages import DOMAIN
from tests.xmpp.rosterstore import Book

pytestmark = pytest.mark.slow

NAMES = ("juliet", "romeo", "nurse")
PAIRS = st.permutations(NAMES).map(lambda names: names[:2])


class Viewer:
    """A session, and whom its client takes for available."""

    def __init__(self, client, name):
        self.client = client
        self.name = name
        self.address = client.stream.session.address
        self.asked_to_be = False
        self.seen = set()

    def read(self):
        """Look at what has come."""
        for stanza in self.client.receive():
            assert stanza.name == "presence", stanza.toXml()
            change = self.seen.discard if stanza.getAttribute("type") else self.seen.add
            change(stanza["from"])


class Town(RuleBasedStateMachine):
    """A few people with a few devices, who come, go, and change their minds."""

    def __init__(self):
        super().__init__()
        self.listener = Listener(wrap_store=self.wrap)
        self.waiting = []
        self.book.reading = self.wait
        self.viewers = []
        self.logins = 0
        self.allowed = set()  # (whose presence, who sees it)
        for name in NAMES:
            self.listener.add_account(name)

    def wrap(self, store):
        """What the door sees of the store."""
        self.book = Book(store)
        return self.book

    async def wait(self):
        """The store takes its time."""
        self.waiting.append(Deferred())
        await self.waiting[-1]

    @rule(name=st.sampled_from(NAMES))
    @precondition(lambda self: len(self.viewers) < 6)
    def log_in(self, name):
        """Somebody connects another device."""
        self.logins += 1
        client = self.listener.logged_in(name, f"r{self.logins}")
        self.viewers.append(Viewer(client, name))

    @rule(number=st.integers(0, 5), show=st.sampled_from(("", "away")))
    @precondition(lambda self: self.viewers)
    def become_available(self, number, show):
        """A client sends presence."""
        viewer = self.viewers[number % len(self.viewers)]
        viewer.client.send(f"<presence><show>{show}</show></presence>")
        viewer.asked_to_be = True

    @rule(number=st.integers(0, 5))
    @precondition(lambda self: self.viewers)
    def become_unavailable(self, number):
        """A client takes its presence back, after what it sent before."""
        viewer = self.viewers[number % len(self.viewers)]
        while viewer.asked_to_be and self.waiting:
            self.answer()
        viewer.client.send("<presence type='unavailable'/>")
        viewer.asked_to_be = False
        viewer.client.receive()
        viewer.seen = set()

    @rule(number=st.integers(0, 5))
    @precondition(lambda self: self.viewers)
    def vanish(self, number):
        """A connection is lost."""
        self.viewers.pop(number % len(self.viewers)).client.lose()

    @rule(pair=PAIRS, allow=st.booleans())
    def change_subscription(self, pair, allow):
        """Somebody lets another see their presence, or does so no longer."""
        owner, viewer = pair
        (self.allowed.add if allow else self.allowed.discard)((owner, viewer))
        for one, other in (pair, pair[::-1]):
            seen, sees = (one, other) in self.allowed, (other, one) in self.allowed
            kind = {(True, True): "both", (True, False): "from", (False, True): "to"}
            self.book.put(
                f"{one}@{DOMAIN}", f"{other}@{DOMAIN}", kind.get((seen, sees), "none")
            )
        delivery = self.listener.embedded.delivery
        tell = delivery.show if allow else delivery.hide
        tell(DOMAIN, owner, self.jid(viewer))

    @rule()
    def answer(self):
        """The store answers what it was asked first."""
        if self.waiting:
            self.waiting.pop(0).callback(None)

    def jid(self, name):
        """A bare JID."""
        return next(
            (v.client.stream.session.jid for v in self.viewers if v.name == name),
            parse_jid(f"{name}@{DOMAIN}"),
        )

    @invariant()
    def all_see_whom_they_may(self):
        """Everybody who is seen allows it, and nobody is missed once the store has answered."""
        there = {viewer.address: viewer for viewer in self.viewers}
        for viewer in self.viewers:
            viewer.read()
            may = {
                o.address for o in there.values() if o.asked_to_be and self.may_see(viewer, o)
            }
            assert viewer.seen <= may, f"{viewer.address} sees {viewer.seen - may}"
            if not self.waiting and viewer.asked_to_be:
                assert viewer.seen == may, f"{viewer.address} misses {may - viewer.seen}"

    def teardown(self):
        """Leave nothing unanswered."""
        while self.waiting:
            self.answer()

    def may_see(self, viewer, other):
        """Whether one may see another's presence."""
        return viewer.name == other.name or (other.name, viewer.name) in self.allowed


TownTests = Town.TestCase
TownTests.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
