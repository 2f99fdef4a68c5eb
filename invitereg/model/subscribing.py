"""Subscriptions (RFC 6121 §3, appendix A): their states, and what a stanza does to two rosters.

Both accounts are local, so a stanza is carried through to the end at once: the rule for what
the sender's server does, then the one for the recipient's, then whatever that one answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
from typing import TypeAlias

from invitereg.model.roster import RosterItem, Subscription


class Stanza(StrEnum):
    """The types of presence that are about subscriptions."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"


class SubscriptionState(Enum):
    """The states of appendix A.1: subscription, pending out, pending in."""

    NONE = (Subscription.NONE, False, False)
    NONE_OUT = (Subscription.NONE, True, False)
    NONE_IN = (Subscription.NONE, False, True)
    NONE_OUT_IN = (Subscription.NONE, True, True)
    TO = (Subscription.TO, False, False)
    TO_IN = (Subscription.TO, False, True)
    FROM = (Subscription.FROM, False, False)
    FROM_OUT = (Subscription.FROM, True, False)
    BOTH = (Subscription.BOTH, False, False)


_S = SubscriptionState
_New: TypeAlias = SubscriptionState | None
_Row: TypeAlias = tuple[_New, _New, _New, _New]

# What the sender's server does (A.2): the new state where the stanza is routed; None where it
# is not, and nothing changes.
_OUTBOUND: dict[SubscriptionState, _Row] = {
    # state           subscribe         unsubscribe   subscribed    unsubscribed
    _S.NONE: (_S.NONE_OUT, _S.NONE, None, None),
    _S.NONE_OUT: (_S.NONE_OUT, _S.NONE, None, None),
    _S.NONE_IN: (_S.NONE_OUT_IN, _S.NONE_IN, _S.FROM, _S.NONE),
    _S.NONE_OUT_IN: (_S.NONE_OUT_IN, _S.NONE_IN, _S.FROM_OUT, _S.NONE_OUT),
    _S.TO: (_S.TO, _S.NONE, None, None),
    _S.TO_IN: (_S.TO_IN, _S.NONE_IN, _S.BOTH, _S.TO),
    _S.FROM: (_S.FROM_OUT, _S.FROM, None, _S.NONE),
    _S.FROM_OUT: (_S.FROM_OUT, _S.FROM, None, _S.NONE_OUT),
    _S.BOTH: (_S.BOTH, _S.FROM, None, _S.TO),
}

# What the recipient's server does (A.3): the new state where the stanza is delivered; None
# where it is not, and nothing changes.
_INBOUND: dict[SubscriptionState, _Row] = {
    # state           subscribe         unsubscribe   subscribed    unsubscribed
    _S.NONE: (_S.NONE_IN, None, None, None),
    _S.NONE_OUT: (_S.NONE_OUT_IN, None, _S.TO, _S.NONE),
    _S.NONE_IN: (None, _S.NONE, None, None),
    _S.NONE_OUT_IN: (None, _S.NONE_OUT, _S.TO_IN, _S.NONE_IN),
    _S.TO: (_S.TO_IN, None, None, _S.NONE),
    _S.TO_IN: (None, _S.TO, None, _S.NONE_IN),
    _S.FROM: (None, _S.NONE, None, None),
    _S.FROM_OUT: (None, _S.NONE_OUT, _S.BOTH, _S.FROM),
    _S.BOTH: (None, _S.TO, None, _S.FROM),
}

_COLUMN = {stanza: place for place, stanza in enumerate(Stanza)}


def outbound(state: SubscriptionState, stanza: Stanza) -> SubscriptionState | None:
    """Return the sender's new state, or None if the stanza is not routed (A.2)."""
    return _OUTBOUND[state][_COLUMN[stanza]]


def inbound(state: SubscriptionState, stanza: Stanza) -> SubscriptionState | None:
    """Return the recipient's new state, or None if the stanza is not delivered (A.3)."""
    return _INBOUND[state][_COLUMN[stanza]]


def state_of(item: RosterItem | None) -> SubscriptionState:
    """Return the state of an item; without one it is ``NONE``."""
    if item is None:
        return SubscriptionState.NONE
    return SubscriptionState((item.subscription, item.ask, item.request is not None))


class Side(Enum):
    """One of the two accounts: who does something, and who it is done to."""

    USER = auto()
    CONTACT = auto()

    @property
    def other(self) -> "Side":
        return Side.CONTACT if self is Side.USER else Side.USER


@dataclass(frozen=True, slots=True)
class Deliver:
    """Send the sessions of ``to`` a subscription stanza from the other."""

    to: Side
    stanza: Stanza


@dataclass(frozen=True, slots=True)
class Push:
    """Tell the sessions of ``to`` about their item; None: it is removed."""

    to: Side
    item: RosterItem | None


@dataclass(frozen=True, slots=True)
class Show:
    """Send the present presence of ``of`` to the other."""

    of: Side


@dataclass(frozen=True, slots=True)
class Hide:
    """Send the other "unavailable" for whatever it knows of ``of``."""

    of: Side


Effect: TypeAlias = Deliver | Push | Show | Hide


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChange:
    """The change of both rosters by a stanza, or by a removal.

    Attributes:
        user, contact: what each keeps of the other; None for nothing.
        effects: what is to be sent, in this order, once the items are stored.
    """

    user: RosterItem | None
    contact: RosterItem | None
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterPair:
    """Two accounts as they stand to each other.

    Attributes:
        user_jid, contact_jid: their bare JIDs.
        user: the user's item for the contact; ``contact``: the contact's for the user.
        contact_exists: False for somebody who has no account here; nothing reaches them.
    """

    user_jid: str
    contact_jid: str
    user: RosterItem | None
    contact: RosterItem | None
    contact_exists: bool = True

    def may_use_invitation(self, stanza: Stanza) -> bool:
        """Whether an invitation that comes with a stanza could change anything."""
        mutual = self.contact is not None and self.contact.seen and self.contact.sees
        return stanza is Stanza.SUBSCRIBE and self.contact_exists and not mutual

    def send(
        self, stanza: Stanza, request: str | None = None, *, invited: bool = False
    ) -> SubscriptionChange:
        """Send a subscription stanza from the user to the contact.

        Args:
            stanza: its type.
            request: the whole stanza as XML, to be kept if it is a request.
            invited: the contact has invited the user: a request is granted, and returned.
        """
        exchange = _Exchange(self)
        exchange.send(Side.USER, stanza, request or "", invited=invited)
        return exchange.change()

    def remove(self) -> SubscriptionChange:
        """Remove the contact from the user's roster (RFC 6121 §2.5.2)."""
        exchange = _Exchange(self)
        mine = exchange.items[Side.USER]
        if mine.sees or mine.ask:
            exchange.send(Side.USER, Stanza.UNSUBSCRIBE)
        if mine.seen or mine.request is not None:
            exchange.send(Side.USER, Stanza.UNSUBSCRIBED)
        if mine.listed:
            exchange.push_removed(Side.USER)
        return exchange.change()

    def join(self) -> SubscriptionChange:
        """Make both contacts of each other, without any request."""
        exchange = _Exchange(self)
        for side in Side:
            exchange.join(side)
        return exchange.change()


class _Exchange:
    """Carries stanzas between the two sides, and collects the effects."""

    def __init__(self, pair: RosterPair) -> None:
        self._pair = pair
        self.items = {
            Side.USER: pair.user or RosterItem(jid=pair.contact_jid, listed=False),
            Side.CONTACT: pair.contact or RosterItem(jid=pair.user_jid, listed=False),
        }
        self._before = dict(self.items)
        self._effects: list[Effect] = []

    def change(self) -> SubscriptionChange:
        """Return both items as they are now, and the effects (RFC 6121 §3.1.2, §3.1.5)."""
        return SubscriptionChange(
            user=_kept(self.items[Side.USER]),
            contact=_kept(self.items[Side.CONTACT]),
            effects=(*self._effects, *self._presences()),
        )

    def _presences(self) -> Iterator[Effect]:
        """Yield the effects on presence: whose becomes visible to the other, or is hidden."""
        for side in Side:
            before, after = self._before[side], self.items[side]
            looks = self.items[side.other].sees and not self._before[side.other].sees
            if after.seen and (looks or not before.seen):
                yield Show(side)
            elif before.seen and not after.seen:
                yield Hide(side)

    def send(
        self, sender: Side, stanza: Stanza, request: str = "", *, invited: bool = False
    ) -> None:
        """Send a stanza by the rules of the sender's server, then of the recipient's."""
        item = self.items[sender]
        new = outbound(state_of(item), stanza)
        approved = item.approved
        if stanza is Stanza.SUBSCRIBED and new is None and not item.seen:
            approved = True  # §3.4.2: in advance, which the other is not told
        elif stanza is Stanza.UNSUBSCRIBED:
            approved = False
        asks = stanza is Stanza.SUBSCRIBE or (stanza is Stanza.SUBSCRIBED and new is not None)
        item = replace(item, approved=approved, listed=item.listed or asks or approved)
        self._change(sender, item, new)
        if new is not None and self._pair.contact_exists:
            self._receive(sender.other, stanza, request, invited=invited)

    def join(self, side: Side) -> None:
        """Give one side's item the subscription ``both``."""
        self._change(side, replace(self.items[side], listed=True), SubscriptionState.BOTH)

    def push_removed(self, side: Side) -> None:
        """Drop one's item; of what led to that, its owner is told nothing (§2.5.2)."""
        self.items[side] = RosterItem(jid=self.items[side].jid, listed=False)
        self._effects = [
            one for one in self._effects if not isinstance(one, Push) or one.to is not side
        ]
        self._effects.append(Push(side, None))

    def _receive(
        self, recipient: Side, stanza: Stanza, request: str = "", *, invited: bool = False
    ) -> None:
        item = self.items[recipient]
        new = inbound(state_of(item), stanza)
        if stanza is Stanza.SUBSCRIBE:
            self._asked(recipient, new, request, invited=invited)
        elif new is not None:
            self._effects.append(Deliver(recipient, stanza))
            self._change(recipient, item, new)

    def _asked(
        self, recipient: Side, new: SubscriptionState | None, request: str, *, invited: bool
    ) -> None:
        item = self.items[recipient]
        if item.seen:
            self._receive(recipient.other, Stanza.SUBSCRIBED)
        elif item.approved or invited:
            self._grant(recipient)
        elif new is not None:
            self._effects.append(Deliver(recipient, Stanza.SUBSCRIBE))
            self._change(recipient, item, new, request)
        if invited and not item.sees:
            self._ask_back(recipient)

    def _grant(self, side: Side) -> None:
        """Approve a request in the name of the owner, who has said so before (§3.4.3)."""
        item = replace(self.items[side], listed=True)
        asked = inbound(state_of(item), Stanza.SUBSCRIBE) or state_of(item)
        self._change(side, item, outbound(asked, Stanza.SUBSCRIBED))
        self._receive(side.other, Stanza.SUBSCRIBED)

    def _ask_back(self, side: Side) -> None:
        """Ask who came by invitation, and who by that has said yes (XEP-0379 §3.4, §3.5)."""
        item = replace(self.items[side], listed=True)
        self._change(side, item, outbound(state_of(item), Stanza.SUBSCRIBE))
        theirs = self.items[side.other]
        if not (theirs.approved or theirs.seen or theirs.request is not None):
            self._effects.append(Deliver(side.other, Stanza.SUBSCRIBE))
        if theirs.seen:
            self._receive(side, Stanza.SUBSCRIBED)
        else:
            self._grant(side.other)

    def _change(
        self,
        side: Side,
        item: RosterItem,
        new: SubscriptionState | None,
        request: str | None = None,
    ) -> None:
        before = self.items[side]
        if new is not None:
            subscription, ask, pending = new.value
            kept = (request or item.request or "") if pending else None
            item = replace(item, subscription=subscription, ask=ask, request=kept)
        self.items[side] = item
        if _as_sent(item) != _as_sent(before):
            self._effects.append(Push(side, item))


def _as_sent(item: RosterItem) -> RosterItem | None:
    """Return an item as its owner is sent it: without the request, which comes as a stanza."""
    return replace(item, request=None) if item.listed else None


def _kept(item: RosterItem) -> RosterItem | None:
    return item if item.listed or item.request is not None else None
