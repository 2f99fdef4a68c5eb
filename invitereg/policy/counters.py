"""The counters of the store: their names, their keys and their limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from invitereg.errors import Throttled, TooManyGuests
from invitereg.model.invites import Invite, Kind
from invitereg.policy.values import Address, Limit, Origin, Policy, Sender, Tally

SHARED_INVITE = "shared_invite"
LOCKED_OUT = timedelta(minutes=10)
"""How long an account may be closed to networks that it has not been used in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A count in the store, with its limit.

    Attributes:
        name: of the limit, such as ``registration``.
        key: who is counted, such as a network.
    """

    name: str
    key: str
    limit: Limit

    def since(self, now: datetime) -> datetime:
        """Return the start of the period that ends at ``now``; hits after it count."""
        return now - self.limit.period

    def before(self, now: datetime) -> datetime:
        """Return the moment after which hits do not count.

        They were counted while the clock was ahead, and would count for as long as it was. A
        period is left to other processes, whose clocks may be somewhat ahead.
        """
        return now + self.limit.period

    def refusal(self, seconds: float) -> Throttled:
        """Return the refusal at the limit, which holds for ``seconds`` from now."""
        return TooManyGuests(seconds) if self.name == SHARED_INVITE else Throttled(seconds)

    def retry_after(self, tally: Tally, now: datetime) -> float:
        """Return the seconds until the oldest hit no longer counts."""
        oldest = tally.oldest or now
        return max(1.0, (oldest + self.limit.period - now).total_seconds())


def guess_counters(
    policy: Policy, origin: Origin | None, scripted: bool = False
) -> tuple[Counter, ...]:
    """Return the counters of a network's unknown tokens.

    Those that scripts on web pages try are counted apart (see `Request.scripted`).
    """
    name = "scripted_guesses" if scripted else "token_guesses"
    return _nested(name, policy, origin)


def stale_counters(policy: Policy, origin: Origin | None) -> tuple[Counter, ...]:
    """Return the counters of a network's tokens that are over; these limit nobody.

    They are no guesses; but if only guesses were written down, the time that it takes would
    tell which is which.
    """
    return _nested("stale_tokens", policy, origin)


def registration_counters(
    policy: Policy, origin: Origin | None, invite: Invite | None
) -> tuple[Counter, ...]:
    """Return the counters of the accounts made; none where they are not counted.

    An invite with one use is its own limit, so guests behind one address translator all get
    in. One with several is counted per invite and network, up to what it says itself or else
    ``limits.shared_invite``. A server is as one network, as new accounts at it could register
    more in their turn.
    """
    if policy.limits.allowlisted(origin):
        return ()
    if isinstance(origin, Sender):
        origin = Sender(guesser=origin.server, server=origin.server)
    if invite is None:
        return _nested("registration", policy, origin)
    if invite.kind is Kind.RESET or invite.uses_allowed == 1:
        return ()
    return _nested(SHARED_INVITE, policy, origin, f"{invite.id} ", invite.per_network_allowed)


def login_counters(
    policy: Policy, address: Address | None, username: str
) -> tuple[Counter, ...]:
    """Count failed logins: per account and network, and ten times as many per network."""
    if policy.limits.allowlisted(address):
        return ()
    return (
        *_nested("logins", policy, address, f"{username} "),
        *_nested("logins_network", policy, address),
    )


def account_counter(policy: Policy, username: str) -> Counter:
    """Count failed logins of an account, wherever they come from: ten times as many.

    They count for ten minutes at most: so long somebody may lock others out.
    """
    return _single("logins_account", policy, username)


def password_change_counter(policy: Policy, username: str) -> Counter:
    """Return the counter of an account's password changes."""
    return _single("password_changes", policy, username)


def user_invites_counter(policy: Policy, username: str) -> Counter:
    """Return the counter of the invites that a user has made, whatever became of them."""
    return _single("user_invites", policy, username)


def counter_limits(policy: Policy) -> Mapping[str, Limit]:
    """Return the limit of every counter that there is, by its name.

    For what is counted in networks it is that of a single one.
    """
    limits = policy.limits
    ten_logins = replace(limits.logins, max=10 * limits.logins.max)
    return {
        "registration": limits.registration,
        SHARED_INVITE: limits.shared_invite,
        "token_guesses": limits.token_guesses,
        "scripted_guesses": limits.token_guesses,
        "stale_tokens": replace(limits.token_guesses, max=100 * limits.token_guesses.max),
        "logins": limits.logins,
        "logins_network": ten_logins,
        "logins_account": replace(ten_logins, period=min(limits.logins.period, LOCKED_OUT)),
        "password_changes": limits.password_changes,
        "user_invites": policy.invites.users.made,
    }


def _single(name: str, policy: Policy, username: str) -> Counter:
    return Counter(name=name, key=username, limit=counter_limits(policy)[name])


def _nested(
    name: str, policy: Policy, origin: Origin | None, prefix: str = "", most: int | None = None
) -> tuple[Counter, ...]:
    """Return a counter for each network that ``origin`` is counted in; none without an address.

    ``prefix`` says of what in a network, and ``most`` how many in a single one instead of what
    the limit says.
    """
    limit = counter_limits(policy)[name]
    most = limit.max if most is None else most
    return tuple(
        Counter(
            name=name,
            key=f"{prefix}{share.network}",
            limit=replace(limit, max=share.times * most),
        )
        for share in policy.limits.shares(origin)
    )


def seconds_to_wait(
    counters: Sequence[Counter], tallies: Sequence[Tally], now: datetime
) -> float | None:
    """Return the seconds until no counter is at its limit; None if none is.

    The tallies are those of the counters, in their order; what was not tallied has no hits.
    """
    waits = [
        counter.retry_after(tally, now)
        for counter, tally in zip(counters, tallies, strict=False)
        if tally.count >= counter.limit.max
    ]
    return max(waits, default=None)


def user_sources(domain: str, username: str) -> tuple[str, ...]:
    """Return the sources (`Invite.source`) of invites that a user has made by their account."""
    return tuple(f"{door}:{username}@{domain}" for door in ("adhoc", "web"))


def made_by(invite: Invite) -> str | None:
    """Return the username of who made an invite by their account; None for the operator's."""
    inviter = invite.inviter
    by_user = inviter and invite.source in user_sources(invite.domain, inviter)
    return inviter if by_user else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The bounds of one user's invites; the store counts when one is made.

    Attributes:
        username: whose invites are counted: those that they made themselves.
        max_open: how many may be pending; None is any number.
        made: counts this one as well.
    """

    username: str
    max_open: int | None
    made: Counter
