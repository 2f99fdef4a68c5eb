"""What a subscription stanza makes of both rosters, and what is sent for it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.model.roster import RosterItem
from invitereg.model.subscribing import (
    Deliver,
    Hide,
    Push,
    RosterPair,
    Show,
    Side,
    Stanza,
    SubscriptionState,
    inbound,
    outbound,
    state_of,
)

USER, CONTACT = "juliet@example.com", "romeo@example.com"
REQUEST = "<presence type='subscribe'/>"


def item(jid, state, **more):
    subscription, ask, pending = state.value
    request = "<presence/>" if pending else None
    return RosterItem(jid=jid, subscription=subscription, ask=ask, request=request, **more)


def pair(mine=None, theirs=None, **more):
    """Two accounts in these states; None is no item at all."""
    return RosterPair(
        user_jid=USER,
        contact_jid=CONTACT,
        user=mine and item(CONTACT, mine),
        contact=theirs and item(USER, theirs),
        **more,
    )


def after(change, user_jid=USER, contact_jid=CONTACT):
    """The pair as a change leaves it."""
    return RosterPair(
        user_jid=user_jid,
        contact_jid=contact_jid,
        user=change.user,
        contact=change.contact,
    )


def turned(one):
    """The same from the other's side."""
    return RosterPair(
        user_jid=one.contact_jid,
        contact_jid=one.user_jid,
        user=one.contact,
        contact=one.user,
    )


class ExchangeTests(SynchronousTestCase):
    def assertStates(self, change, mine, theirs):
        self.assertEqual((state_of(change.user), state_of(change.contact)), (mine, theirs))

    def test_request(self):
        """A request waits for an answer: the sender sees it as asked, the other not at all."""
        change = pair().send(Stanza.SUBSCRIBE, REQUEST)
        self.assertStates(change, SubscriptionState.NONE_OUT, SubscriptionState.NONE_IN)
        self.assertEqual(change.contact.request, REQUEST)
        self.assertFalse(change.contact.listed)
        effects = (
            Push(Side.USER, change.user),
            Deliver(Side.CONTACT, Stanza.SUBSCRIBE),
        )
        self.assertEqual(change.effects, effects)

    def test_approval(self):
        """Who approves has the other in the roster from then on, and is seen."""
        asked = turned(after(pair().send(Stanza.SUBSCRIBE, REQUEST)))
        change = asked.send(Stanza.SUBSCRIBED)
        self.assertStates(change, SubscriptionState.FROM, SubscriptionState.TO)
        effects = (
            Push(Side.USER, change.user),
            Deliver(Side.CONTACT, Stanza.SUBSCRIBED),
            Push(Side.CONTACT, change.contact),
            Show(Side.USER),
        )
        self.assertEqual(change.effects, effects)

    def test_refusal(self):
        """Who refuses keeps nothing of a stranger."""
        asked = turned(after(pair().send(Stanza.SUBSCRIBE, REQUEST)))
        change = asked.send(Stanza.UNSUBSCRIBED)
        self.assertIsNone(change.user)
        self.assertIs(state_of(change.contact), SubscriptionState.NONE)

    def test_again(self):
        """A request sent twice is one request: it is neither delivered again nor stored."""
        once = pair().send(Stanza.SUBSCRIBE, REQUEST)
        again = after(once).send(Stanza.SUBSCRIBE, "<presence id='2'/>")
        self.assertEqual((again.user, again.contact), (once.user, once.contact))
        self.assertEqual(again.effects, ())

    def test_crossing(self):
        """Two who ask each other both have to answer, and are mutual then."""
        both = turned(after(pair().send(Stanza.SUBSCRIBE, REQUEST)))
        both = after(both.send(Stanza.SUBSCRIBE, REQUEST), CONTACT, USER)
        both = after(both.send(Stanza.SUBSCRIBED), CONTACT, USER)
        change = turned(both).send(Stanza.SUBSCRIBED)
        self.assertStates(change, SubscriptionState.BOTH, SubscriptionState.BOTH)

    def test_approval_in_advance(self):
        """Section 3.4: noted and told to nobody; then a request is granted at once."""
        for before in (
            None,
            SubscriptionState.NONE,
            SubscriptionState.NONE_OUT,
            SubscriptionState.TO,
        ):
            change = pair(before).send(Stanza.SUBSCRIBED)
            self.assertTrue(change.user.approved)
            self.assertIs(state_of(change.user), before or SubscriptionState.NONE)
            self.assertIsNone(change.contact)
            self.assertEqual(change.effects, (Push(Side.USER, change.user),))
        approved = turned(after(pair().send(Stanza.SUBSCRIBED)))
        change = approved.send(Stanza.SUBSCRIBE, REQUEST)
        self.assertStates(change, SubscriptionState.TO, SubscriptionState.FROM)
        self.assertNotIn(Deliver(Side.CONTACT, Stanza.SUBSCRIBE), change.effects)
        self.assertIn(Deliver(Side.USER, Stanza.SUBSCRIBED), change.effects)
        self.assertIn(Show(Side.CONTACT), change.effects)

    def test_approval_taken_back(self):
        """An approval in advance can be taken back, and a cancelled contact has none."""
        approved = after(pair().send(Stanza.SUBSCRIBED))
        taken_back = approved.send(Stanza.UNSUBSCRIBED)
        self.assertFalse(taken_back.user.approved)
        self.assertEqual(taken_back.effects, (Push(Side.USER, taken_back.user),))
        seen = replace(item(CONTACT, SubscriptionState.FROM), approved=True)
        cancelled = replace(pair(SubscriptionState.FROM, SubscriptionState.TO), user=seen).send(
            Stanza.UNSUBSCRIBED
        )
        self.assertFalse(cancelled.user.approved)

    def test_end(self):
        """Who ends a subscription is, or is seen, no more."""
        change = pair(SubscriptionState.BOTH, SubscriptionState.BOTH).send(Stanza.UNSUBSCRIBED)
        self.assertStates(change, SubscriptionState.TO, SubscriptionState.FROM)
        self.assertEqual(change.effects[-1], Hide(Side.USER))
        change = pair(SubscriptionState.BOTH, SubscriptionState.BOTH).send(Stanza.UNSUBSCRIBE)
        self.assertStates(change, SubscriptionState.FROM, SubscriptionState.TO)
        self.assertEqual(change.effects[-1], Hide(Side.CONTACT))

    def test_stranger(self):
        """Nothing is kept or sent for an answer that nobody asked for, or an end of nothing."""
        for stanza in (Stanza.UNSUBSCRIBE, Stanza.UNSUBSCRIBED):
            change = pair().send(stanza)
            self.assertEqual((change.user, change.contact), (None, None))
            self.assertEqual(change.effects, ())

    def test_nobody(self):
        """A request to nobody waits for ever."""
        change = pair(contact_exists=False).send(Stanza.SUBSCRIBE, REQUEST)
        self.assertIs(state_of(change.user), SubscriptionState.NONE_OUT)
        self.assertIsNone(change.contact)
        self.assertEqual(change.effects, (Push(Side.USER, change.user),))

    def test_removal(self):
        """Removing a contact ends everything, and the contact learns of it (section 2.5.2)."""
        change = pair(SubscriptionState.BOTH, SubscriptionState.BOTH).remove()
        self.assertIsNone(change.user)
        self.assertIs(state_of(change.contact), SubscriptionState.NONE)
        effects = (
            Deliver(Side.CONTACT, Stanza.UNSUBSCRIBE),
            Push(Side.CONTACT, item(USER, SubscriptionState.TO)),
            Deliver(Side.CONTACT, Stanza.UNSUBSCRIBED),
            Push(Side.CONTACT, change.contact),
            Push(Side.USER, None),
            Hide(Side.USER),
            Hide(Side.CONTACT),
        )
        self.assertEqual(change.effects, effects)

    def test_every_state_is_told(self):
        """A request granted at once is pushed as asked first, then as granted (§3.1.2)."""
        for invited in (False, True):
            granted = pair(SubscriptionState.NONE, SubscriptionState.NONE)
            granted = replace(
                granted, contact=item(USER, SubscriptionState.NONE, approved=True)
            )
            change = granted.send(Stanza.SUBSCRIBE, REQUEST, invited=invited)
            pushes = [one for one in change.effects if isinstance(one, Push)]
            mine = [push.item for push in pushes if push.to is Side.USER]
            states = [state_of(pushed) for pushed in mine]
            self.assertEqual(states[:2], [SubscriptionState.NONE_OUT, SubscriptionState.TO])
            self.assertEqual(mine[-1], change.user)

    def test_invited(self):
        """Who comes by invitation is approved, asked back, and mutual, in one go (XEP-0379)."""
        change = pair().send(Stanza.SUBSCRIBE, REQUEST, invited=True)
        self.assertStates(change, SubscriptionState.BOTH, SubscriptionState.BOTH)
        effects = (
            Push(Side.USER, item(CONTACT, SubscriptionState.NONE_OUT)),
            Push(Side.CONTACT, item(USER, SubscriptionState.FROM)),
            Deliver(Side.USER, Stanza.SUBSCRIBED),
            Push(Side.USER, item(CONTACT, SubscriptionState.TO)),
            Push(Side.CONTACT, item(USER, SubscriptionState.FROM_OUT)),
            Deliver(Side.USER, Stanza.SUBSCRIBE),
            Push(Side.USER, change.user),
            Deliver(Side.CONTACT, Stanza.SUBSCRIBED),
            Push(Side.CONTACT, change.contact),
            Show(Side.USER),
            Show(Side.CONTACT),
        )
        self.assertEqual(change.effects, effects)

    def test_invited_from_anywhere(self):
        """However they stood before, they are mutual afterwards."""
        for mine, theirs in CONSISTENT:
            for invited in (pair(mine, theirs), turned(pair(theirs, mine))):
                change = invited.send(Stanza.SUBSCRIBE, REQUEST, invited=True)
                self.assertStates(change, SubscriptionState.BOTH, SubscriptionState.BOTH)

    def test_joined(self):
        """Contacts made by a registration have nothing to approve."""
        change = pair().join()
        self.assertStates(change, SubscriptionState.BOTH, SubscriptionState.BOTH)
        self.assertFalse(any(isinstance(effect, Deliver) for effect in change.effects))


# How two who have only ever used stanzas can stand to each other.
CONSISTENT = (
    (SubscriptionState.NONE, SubscriptionState.NONE),
    (SubscriptionState.NONE_OUT, SubscriptionState.NONE_IN),
    (SubscriptionState.NONE_OUT_IN, SubscriptionState.NONE_OUT_IN),
    (SubscriptionState.TO, SubscriptionState.FROM),
    (SubscriptionState.TO_IN, SubscriptionState.FROM_OUT),
    (SubscriptionState.BOTH, SubscriptionState.BOTH),
)
STEPS = st.tuples(
    st.sampled_from(["user", "contact"]),
    st.sampled_from([*Stanza, "remove", "invited"]),
)


def carried_out(acting, what):
    """What comes of one step."""
    if what == "remove":
        return acting.remove()
    if what == "invited":
        return acting.send(Stanza.SUBSCRIBE, REQUEST, invited=True)
    return acting.send(what, REQUEST)


class HistoryTests(SynchronousTestCase):
    @given(steps=st.lists(STEPS, max_size=20))
    def test_consistent(self, steps):
        """Whatever they do, both rosters tell the same, and nothing is kept for nothing."""
        now = pair()
        allowed = {*CONSISTENT, *((theirs, mine) for mine, theirs in CONSISTENT)}
        for who, what in steps:
            acting = now if who == "user" else turned(now)
            change = carried_out(acting, what)
            changed = after(change, acting.user_jid, acting.contact_jid)
            now = changed if who == "user" else turned(changed)
            self.assertIn((state_of(now.user), state_of(now.contact)), allowed)
            for kept in (now.user, now.contact):
                self.assertTrue(kept is None or kept.listed or kept.request is not None)

    @given(steps=st.lists(STEPS, max_size=20))
    def test_last_push(self, steps):
        """What is pushed last is what is kept, and nothing is pushed that was told already."""
        now, told = pair(), {USER: None, CONTACT: None}
        for who, what in steps:
            acting = now if who == "user" else turned(now)
            change = carried_out(acting, what)
            jids = {Side.USER: acting.user_jid, Side.CONTACT: acting.contact_jid}
            for effect in change.effects:
                if isinstance(effect, Push):
                    shown = effect.item and replace(effect.item, request=None)
                    self.assertNotEqual(shown, told[jids[effect.to]])
                    told[jids[effect.to]] = shown
            changed = after(change, acting.user_jid, acting.contact_jid)
            now = changed if who == "user" else turned(changed)
            for jid, kept in ((USER, now.user), (CONTACT, now.contact)):
                listed = replace(kept, request=None) if kept and kept.listed else None
                self.assertEqual(told[jid], listed)

    @given(states=st.sampled_from(CONSISTENT), stanza=st.sampled_from(Stanza))
    def test_by_the_tables(self, states, stanza):
        """Without approvals in advance, both sides change just as the appendix says."""
        mine, theirs = states
        change = pair(mine, theirs).send(stanza, REQUEST)
        new = outbound(mine, stanza)
        self.assertIs(state_of(change.user), new or mine)
        expected = (inbound(theirs, stanza) if new is not None else None) or theirs
        self.assertIs(state_of(change.contact), expected)
