"""The items of a roster (RFC 6121 §2); `invitereg.model.subscribing` changes them."""

from dataclasses import dataclass
from enum import StrEnum

Owner = tuple[str, str]
"""An account by its domain and username."""

CONTACT_LENGTH = 512
"""The most characters of all listed items of a roster, divided by how many there may be."""


class Subscription(StrEnum):
    """The direction of a subscription, seen by the owner of the roster (RFC 6121 §2.1.2.5)."""

    NONE = "none"
    TO = "to"
    FROM = "from"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterItem:
    """An account's entry about a contact.

    Attributes:
        jid: the contact's bare JID, prepared.
        ask: the account has asked, and the contact has not answered ("pending out").
        approved: the contact may subscribe without asking again (RFC 6121 §3.4).
        request: the contact's unanswered subscription request, a presence stanza as XML
            ("pending in"); None if there is none.
        listed: whether the owner sees it in the roster; not, where all it holds is a request
            (RFC 6121 §3.1.3).
    """

    jid: str
    name: str = ""
    groups: tuple[str, ...] = ()
    subscription: Subscription = Subscription.NONE
    ask: bool = False
    approved: bool = False
    request: str | None = None
    listed: bool = True

    @property
    def length(self) -> int:
        """Return how many characters its owner is sent, without the markup."""
        return len(self.jid) + len(self.name) + sum(map(len, self.groups))

    @property
    def sees(self) -> bool:
        """Whether the owner is sent the contact's presence."""
        return self.subscription in (Subscription.TO, Subscription.BOTH)

    @property
    def seen(self) -> bool:
        """Whether the contact is sent the owner's presence."""
        return self.subscription in (Subscription.FROM, Subscription.BOTH)


def owner_of(jid: str) -> Owner:
    """Return the domain and the username of a bare JID; a domain's username is empty."""
    username, _, domain = jid.rpartition("@")
    return domain, username
