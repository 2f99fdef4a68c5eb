"""Contacts: what accounts of the embedded domain do to each other's rosters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.roster import RosterItem


class Delivery(Protocol):
    """How contacts reach the sessions of an account; all of it is for local accounts.

    Nothing waits, nothing fails: who is not connected is passed over. The stanzas that are
    given are not kept and not changed; what is sent has ``to`` set to the session's address.
    """

    def to_interested(
        self, domain: str, username: str, make: Callable[[], domish.Element]
    ) -> None:
        """Send a new stanza to each session that has asked for its roster."""

    def to_available(
        self, domain: str, username: str, make: Callable[[], domish.Element]
    ) -> None:
        """Send a new stanza to each session that has sent initial presence."""

    def show(self, domain: str, username: str, contact: JID) -> None:
        """Send the contact's available sessions the present presence of all of an account's."""

    def hide(self, domain: str, username: str, contact: JID) -> None:
        """Send the contact's available sessions "unavailable" from all of an account's."""


class ContactBook(Protocol):
    """What presence and routing ask of contacts; `Contacts` is one."""

    async def subscription(
        self, sender: JID, stanza: domish.Element, address: Any = None
    ) -> None:
        """Carry out ``subscribe``, ``subscribed``, ``unsubscribe`` or ``unsubscribed``.

        To be called for every such presence of a session, whoever it is addressed to, in the
        order in which they come; the stanza is as the client sent it. ``address`` is that of
        the client's connection, for which wrong tokens are counted.

        Raises:
            StanzaError: what to answer with instead.
        """

    async def roster(self, domain: str, username: str) -> Mapping[str, RosterItem]:
        """All items by bare JID, also those that hold a request only."""

    async def pending_requests(self, domain: str, username: str) -> Sequence[domish.Element]:
        """The unanswered subscription requests, to be delivered after initial presence."""
