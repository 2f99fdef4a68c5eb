"""The states of a subscription, and what each stanza makes of them: RFC 6121, appendix A."""

from enum import Enum, StrEnum
from typing import TypeAlias

from invitereg.roster import RosterItem, Subscription


class Stanza(StrEnum):
    """The types of presence that are about subscriptions."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"


class State(Enum):
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


_S = State
_Row: TypeAlias = tuple[State | None, State | None, State | None, State | None]

# What the sender's server does (A.2): the new state where the stanza is routed; None where it
# is not, and nothing changes.
_OUTBOUND: dict[State, _Row] = {
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
_INBOUND: dict[State, _Row] = {
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


def outbound(state: State, stanza: Stanza) -> State | None:
    """The sender's new state, or None if the stanza is not routed (A.2)."""
    return _OUTBOUND[state][_COLUMN[stanza]]


def inbound(state: State, stanza: Stanza) -> State | None:
    """The recipient's new state, or None if the stanza is not delivered (A.3)."""
    return _INBOUND[state][_COLUMN[stanza]]


def state_of(item: RosterItem | None) -> State:
    """The state that an item is in; without one, it is the first."""
    if item is None:
        return State.NONE
    return State((item.subscription, item.ask, item.request is not None))
