"""What a store of rosters must do; see `invitereg.interfaces` for what holds for all stores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from zope.interface import Interface

from invitereg.exchange import Exchange
from invitereg.model import Use
from invitereg.roster import RosterItem
from invitereg.subscriptions import Stanza


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


class IRosterStore(Interface):
    """The rosters of the accounts that invitereg keeps itself.

    Both sides of a change are stored in one transaction, so no crash leaves them apart.
    """

    def get_roster(domain: str, username: str) -> Deferred[Mapping[str, RosterItem]]:
        """All items by their bare JIDs, also those that are not listed; in the JIDs' order."""

    def set_item(
        domain: str, username: str, jid: str, name: str, groups: tuple[str, ...], limit: int
    ) -> Deferred[RosterItem]:
        """Add an item, or change name and groups of one; returns it as it is then.

        Raises:
            NotFound: the account is gone.
            RosterFull: it would be one more than ``limit``.
        """

    def remove_item(domain: str, username: str, jid: str) -> Deferred[Exchange]:
        """Remove an item, and end the subscriptions in both directions (RFC 6121 §2.5.2).

        Raises:
            NotFound: there is no such item in the roster.
        """

    def subscribe(subscribing: Subscribing) -> Deferred[Exchange]:
        """Carry out a subscription stanza for both sides.

        An invitation counts only if it is the contact's, for contacts, of the sender's domain,
        and neither expired nor revoked; if it changes anything, it takes one of its uses, unless
        the account was made with it and is still in the contact's roster. Otherwise it is as if
        there were none.

        Raises:
            NotFound: the sender's account is gone.
            RosterFull: one of the rosters, or the contact's requests, are at their limit.
        """

    def roster_changes(after: int | None) -> Deferred[Sequence[RosterChange]]:
        """What changed after number ``after``, oldest first; for None, only the last one.

        Changes made by `set_item`, `remove_item` and `subscribe` are not among them. They are
        kept for an hour, for the sessions that are open meanwhile.
        """
