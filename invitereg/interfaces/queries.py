"""The arguments and answers of a store's methods, where they are more than one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from invitereg.model.accounts import Account
from invitereg.model.invites import Invite, Use
from invitereg.model.subscribing import Stanza
from invitereg.policy.counters import Counter
from invitereg.policy.notices import Notice
from invitereg.policy.values import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A look-up of several facts at once, as of ``now``.

    Attributes:
        digest: of the token whose invite is asked for.
        username: the name whose state is asked for.
        counters: what to count, each by its own period.
        inviter: the user whose own invites that are pending are counted, and whose own
            registration is looked for.
    """

    domain: str
    now: datetime
    digest: bytes | None = None
    username: str | None = None
    counters: tuple[Counter, ...] = ()
    inviter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The answer to a `Query`; ``tallies`` are in the order of the query's counters.

    Attributes:
        reserved_for: id of the invite that reserves the username at ``now``.
        deleted: the username is kept from being taken again after its account's deletion.
        open_invites: how many the query's inviter has made that are pending.
        registered_at: when the query's inviter registered here; None if another server made
            the account.
    """

    invite: Invite | None = None
    tallies: tuple[Tally, ...] = ()
    account_exists: bool = False
    reserved_for: str | None = None
    deleted: bool = False
    open_invites: int = 0
    registered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """All that one registration writes, in one transaction or not at all.

    Attributes:
        account: the account to make.
        use: the row of history; its ``invite_id`` names the invite whose use is taken.
        counters: what is counted by it, and may refuse it.
        operator: made by the operator: takes a name whose deleted account reserves it.
        contact: username that becomes a mutual contact of the account, if it has an account
            with less than ``roster_limit`` contacts then.
        notices: who is to be told of it, and what.
    """

    account: Account
    use: Use
    counters: tuple[Counter, ...] = ()
    operator: bool = False
    contact: str | None = None
    roster_limit: int = 1000
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTraces:
    """The rows that are stored about an account that another server keeps, or kept.

    Attributes:
        created_at: when the account was made or first heard of; None if none is known here.
    """

    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """An attempt to log in, which is counted before it is made.

    Attributes:
        network: what it comes from, as wide as it is remembered when an account was used there.
        counters: of failures in the networks that it comes from.
        elsewhere: of the account's failures in all networks that it was not used in. In one
            that it was used in, as many are counted for this network alone.
    """

    domain: str
    username: str
    network: str
    counters: tuple[Counter, ...]
    elsewhere: Counter


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """The sessions of an account that were opened with other credentials than it has are over.

    Attributes:
        number: increases with each; a service remembers the last that it has seen.
    """

    number: int
    domain: str
    username: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteChanges:
    """The fields that `IInviteStore.edit_invite` sets; absent ones stay as they are.

    Keys of ``values``: ``expires_at`` (datetime or None), ``uses_allowed`` and
    ``per_network_allowed`` (int or None), ``note`` (str).
    """

    values: Mapping[str, datetime | int | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribing:
    """A subscription stanza of an account, to be carried out for both sides.

    Attributes:
        contact: bare JID that it is addressed to, at a domain of ours.
        request: the stanza as XML, kept if it becomes a request that waits.
        roster_limit: the most items that either roster may have.
        requests_limit: the most requests that may wait for the contact's answer.
        digest: of the contact's invitation that came with it (XEP-0379), if any did.
        use: what is written to the history if the invitation is used by it; without its
            ``invite_id``, which the digest tells.
    """

    stanza: Stanza
    domain: str
    username: str
    contact: str
    roster_limit: int
    requests_limit: int
    request: str = ""
    digest: bytes | None = field(default=None, repr=False)
    use: Use | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterChange:
    """An account's item for ``jid`` has changed otherwise than by a stanza of either.

    Attributes:
        number: increases with each; a service remembers the last that it has seen.
    """

    number: int
    domain: str
    username: str
    jid: str
