"""What is counted in the store, by which key, and up to which limit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from invitereg.errors import Throttled, TooManyGuests
from invitereg.model.invites import Invite, Kind
from invitereg.policy.values import Address, Limit, Limits, Origin, Policy, Sender, Tally

SHARED_INVITE = "shared_invite"
LOCKED_OUT = timedelta(minutes=10)
"""How long an account may be closed to networks that it has not been used in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Something that is counted in the store, and its limit.

    Attributes:
        name: of the limit, such as ``registration``.
        key: who is counted, such as a network.
    """

    name: str
    key: str
    limit: Limit

    def since(self, now: datetime) -> datetime:
        """The start of the period that ends at ``now``; hits after it count."""
        return now - self.limit.period

    def before(self, now: datetime) -> datetime:
        """Hits after this do not count.

        They were counted while the clock was ahead, and would count for as long as it was. A
        period is left to other processes, whose clocks may be somewhat ahead.
        """
        return now + self.limit.period

    def refusal(self, seconds: float) -> Throttled:
        """Return what refuses whoever comes when it is at its limit, for so long."""
        return TooManyGuests(seconds) if self.name == SHARED_INVITE else Throttled(seconds)

    def retry_after(self, tally: Tally, now: datetime) -> float:
        """Seconds until the oldest hit no longer counts."""
        oldest = tally.oldest or now
        return max(1.0, (oldest + self.limit.period - now).total_seconds())


def guess_counters(
    policy: Policy, origin: Origin | None, scripted: bool = False
) -> tuple[Counter, ...]:
    """Return what counts the tokens unknown to the domain that came from a network.

    Those that scripts on web pages try are counted apart (see `Request.scripted`).
    """
    name = "scripted_guesses" if scripted else "token_guesses"
    return _nested(name, policy.limits, origin, policy.limits.token_guesses)


def stale_counters(policy: Policy, origin: Origin | None) -> tuple[Counter, ...]:
    """Return what counts the tokens that are over, which limits nobody.

    They are no guesses; but if only guesses were written down, the time that it takes would
    tell which is which.
    """
    guesses = policy.limits.token_guesses
    limit = Limit(max=100 * guesses.max, period=guesses.period)
    return _nested("stale_tokens", policy.limits, origin, limit)


def registration_counters(
    policy: Policy, origin: Origin | None, invite: Invite | None
) -> tuple[Counter, ...]:
    """Return what counts the accounts made; nothing where they are not counted.

    An invite with one use is its own limit, so guests behind one address translator all get
    in. One with several is counted per invite and network, up to what it says itself or
    else ``limits.shared_invite``. A server is as one network, as new
    accounts at it could register more in their turn.
    """
    limits = policy.limits
    if limits.allowlisted(origin):
        return ()
    if isinstance(origin, Sender):
        origin = Sender(guesser=origin.server, server=origin.server)
    if invite is None:
        return _nested("registration", limits, origin, limits.registration)
    if invite.kind is Kind.RESET or invite.uses_allowed == 1:
        return ()
    limit = limits.shared_invite
    if invite.per_network_allowed is not None:
        limit = replace(limit, max=invite.per_network_allowed)
    return _nested(SHARED_INVITE, limits, origin, limit, f"{invite.id} ")


def login_counters(
    policy: Policy, address: Address | None, username: str
) -> tuple[Counter, ...]:
    """Count failed logins: per account and network, and ten times as many per network."""
    limits = policy.limits
    if limits.allowlisted(address):
        return ()
    single = limits.logins
    many = Limit(max=10 * single.max, period=single.period)
    return (
        *_nested("logins", limits, address, single, f"{username} "),
        *_nested("logins_network", limits, address, many),
    )


def account_counter(policy: Policy, username: str) -> Counter:
    """Count failed logins of an account, wherever they come from: ten times as many.

    They count for ten minutes at most: so long somebody may lock others out.
    """
    logins = policy.limits.logins
    limit = Limit(max=10 * logins.max, period=min(logins.period, LOCKED_OUT))
    return Counter(name="logins_account", key=username, limit=limit)


def _nested(
    name: str, limits: Limits, origin: Origin | None, limit: Limit, prefix: str = ""
) -> tuple[Counter, ...]:
    """Return a counter for each network that ``origin`` is counted in; none without an address.

    ``limit`` is that of a single network; ``prefix`` says of what in a network.
    """
    return tuple(
        Counter(
            name=name,
            key=f"{prefix}{share.network}",
            limit=Limit(max=share.times * limit.max, period=limit.period),
        )
        for share in limits.shares(origin)
    )


def seconds_to_wait(
    counters: Sequence[Counter], tallies: Sequence[Tally], now: datetime
) -> float | None:
    """Return how long until none of the counters is at its limit; None if none is at it.

    The tallies are those of the counters, in their order; what was not tallied has no hits.
    """
    waits = [
        counter.retry_after(tally, now)
        for counter, tally in zip(counters, tallies, strict=False)
        if tally.count >= counter.limit.max
    ]
    return max(waits, default=None)


def password_change_counter(policy: Policy, username: str) -> Counter:
    """Return what counts how often somebody asks for another password for their account."""
    return Counter(name="password_changes", key=username, limit=policy.limits.password_changes)


def user_invites_counter(policy: Policy, username: str) -> Counter:
    """Counts the invites that a user has made, whatever became of them."""
    return Counter(name="user_invites", key=username, limit=policy.invites.users.made)


def user_sources(domain: str, username: str) -> tuple[str, ...]:
    """What the source of an invite is that a user has made by their account, by the door."""
    return tuple(f"{door}:{username}@{domain}" for door in ("adhoc", "web"))


def made_by(invite: Invite) -> str | None:
    """Localpart of the user who made an invite by their account; None for the operator's."""
    inviter = invite.inviter
    by_user = inviter and invite.source in user_sources(invite.domain, inviter)
    return inviter if by_user else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What bounds the invites of one user; the store counts when one is made.

    Attributes:
        username: whose invites are counted: those that they made themselves.
        max_open: how many may be pending; None is any number.
        made: counts this one as well.
    """

    username: str
    max_open: int | None
    made: Counter


def quota(policy: Policy, username: str) -> Quota:
    """What bounds the invites of that user."""
    return Quota(
        username=username,
        max_open=policy.invites.users.max_open,
        made=user_invites_counter(policy, username),
    )


def periods(policy: Policy) -> dict[str, timedelta]:
    """How long a hit counts, by the name of every counter that there is."""
    limits = policy.limits
    return {
        "registration": limits.registration.period,
        SHARED_INVITE: limits.shared_invite.period,
        "token_guesses": limits.token_guesses.period,
        "scripted_guesses": limits.token_guesses.period,
        "stale_tokens": limits.token_guesses.period,
        "logins": limits.logins.period,
        "logins_network": limits.logins.period,
        "logins_account": min(limits.logins.period, LOCKED_OUT),
        "password_changes": limits.password_changes.period,
        "user_invites": policy.invites.users.made.period,
    }
