"""What is counted in the store, by which key, and up to which limit."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from invitereg.model import Invite, Kind
from invitereg.policy.values import Address, Limit, Origin, Policy, Sender, Tally


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

    def retry_after(self, tally: Tally, now: datetime) -> float:
        """Seconds until the oldest hit no longer counts."""
        oldest = tally.oldest or now
        return max(1.0, (oldest + self.limit.period - now).total_seconds())


def guess_counter(policy: Policy, address: Origin | None, scripted: bool = False) -> Counter:
    """Count the tokens unknown to the domain that came from a network.

    Those that scripts on web pages try are counted apart (see `Request.scripted`).
    """
    limits = policy.limits
    name = "scripted_guesses" if scripted else "token_guesses"
    return Counter(name=name, key=limits.network(address), limit=limits.token_guesses)


def stale_counter(policy: Policy, address: Origin | None) -> Counter:
    """Counts the tokens that are over, which limits nobody.

    They are no guesses; but if only guesses were written down, the time that it takes would
    tell which is which.
    """
    guesses = policy.limits.token_guesses
    limit = Limit(max=100 * guesses.max, period=guesses.period)
    return Counter(name="stale_tokens", key=policy.limits.network(address), limit=limit)


def registration_counter(
    policy: Policy, address: Origin | None, invite: Invite | None
) -> Counter | None:
    """Counts the accounts made; None where they are not counted.

    An invite with one use is its own limit, so guests behind one address translator all get
    in. One with several is counted per invite and network. A server is as one network, as new
    accounts at it could register more in their turn.
    """
    limits = policy.limits
    if address is None or limits.allowlisted(address):
        return None
    if isinstance(address, Sender):
        network = f"xmpp:{address.server}"
    else:
        network = limits.network(address)
    if invite is None:
        return Counter(name="registration", key=network, limit=limits.registration)
    if invite.kind is Kind.RESET or invite.uses_allowed == 1:
        return None
    key = f"{invite.id} {network}"
    return Counter(name="shared_invite", key=key, limit=limits.shared_invite)


def login_counters(
    policy: Policy, address: Address | None, username: str
) -> tuple[Counter, ...]:
    """Count failed logins: per account and network, and ten times as many per network."""
    limits = policy.limits
    if limits.allowlisted(address):
        return ()
    network, single = limits.network(address), limits.logins
    many = Limit(max=10 * single.max, period=single.period)
    return (
        Counter(name="logins", key=f"{username} {network}", limit=single),
        Counter(name="logins_network", key=network, limit=many),
    )


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
        "shared_invite": limits.shared_invite.period,
        "token_guesses": limits.token_guesses.period,
        "scripted_guesses": limits.token_guesses.period,
        "stale_tokens": limits.token_guesses.period,
        "logins": limits.logins.period,
        "logins_network": limits.logins.period,
        "user_invites": policy.invites.users.made.period,
    }
