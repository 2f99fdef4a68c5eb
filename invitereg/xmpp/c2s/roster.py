"""Read and change the roster (RFC 6121 §2)."""

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg.embedded import rosterxml
from invitereg.embedded.addresses import parse_jid
from invitereg.embedded.contacts import Contacts
from invitereg.embedded.sessions import Session
from invitereg.model.namespaces import NS_PRE_APPROVAL, NS_ROSTER
from invitereg.xmpp.c2s.handlers import RequestHandler

NAME_BYTES = 1023
GROUPS_BYTES = 4096

_ROSTER = f"/iq/query[@xmlns='{NS_ROSTER}']"


def stream_feature() -> domish.Element:
    """Return the feature that announces pre-approved subscriptions (RFC 6121 §3.4)."""
    return domish.Element((NS_PRE_APPROVAL, "sub"))


class RosterHandler(RequestHandler):
    """Answer requests for the roster of the stream's own account."""

    origin = "invitereg.xmpp.roster.RosterHandler"

    def __init__(self, contacts: Contacts) -> None:
        super().__init__()
        self._contacts = contacts

    def connectionInitialized(self) -> None:
        self.xmlstream.addObserver(_ROSTER, self._on_roster)

    def _on_roster(self, iq: domish.Element) -> None:
        session = self.xmlstream.session
        # Its own account has a roster, and the domain has none.
        to = iq.getAttribute("to")
        if session is None or (to is not None and parse_jid(to).full() != session.account):
            return
        if iq["type"] == "get":
            self.answer(iq, self._get(session))
        elif iq["type"] == "set":
            self.answer(iq, self._set(session, iq.query))

    async def _get(self, session: Session) -> domish.Element:
        query: domish.Element = rosterxml.query(await self._contacts.listed(session))
        return query

    async def _set(self, session: Session, query: domish.Element) -> None:
        item = _single(query)
        jid = _read_jid(item, session.account)
        if item.getAttribute("subscription") == "remove":
            await self._contacts.remove_item(session, jid)
        else:
            most = self._contacts.domains[session.domain].policy.limits.roster_groups
            name, groups = _read_name(item), _read_groups(item, most)
            await self._contacts.set_item(session, jid, name, groups)


def _single(query: domish.Element) -> domish.Element:
    items = list(query.elements())
    if len(items) != 1 or (items[0].uri, items[0].name) != (NS_ROSTER, "item"):
        raise StanzaError("bad-request", "modify", "A roster set has one item.", "en")
    item: domish.Element = items[0]
    return item


def _read_jid(item: domish.Element, account: str) -> str:
    text = item.getAttribute("jid")
    if not text:
        raise StanzaError("bad-request", "modify", "The item has no JID.", "en")
    try:
        jid = parse_jid(text)
    except ValueError:
        raise StanzaError("jid-malformed", "modify", "That is no JID.", "en") from None
    if jid.resource is not None:
        text = "A contact is a JID without a resource."
        raise StanzaError("jid-malformed", "modify", text, "en")
    bare: str = jid.userhost()
    if bare == account:
        text = "An account is no contact of its own."
        raise StanzaError("not-allowed", "cancel", text, "en")
    return bare


def _read_name(item: domish.Element) -> str:
    name: str = item.getAttribute("name") or ""
    if len(name.encode()) > NAME_BYTES:
        text = f"A contact's name has at most {NAME_BYTES} bytes."
        raise StanzaError("not-acceptable", "modify", text, "en")
    return name


def _read_groups(item: domish.Element, at_most: int) -> tuple[str, ...]:
    groups = tuple(str(group) for group in item.elements(NS_ROSTER, "group"))
    if len(groups) > at_most:
        text = f"A contact is in {at_most} groups at most, and not in {len(groups)}."
        raise StanzaError("not-acceptable", "modify", text, "en")
    if len(set(groups)) != len(groups):
        raise StanzaError("bad-request", "modify", "A group is named twice.", "en")
    if "" in groups:
        raise StanzaError("not-acceptable", "modify", "A group has no name.", "en")
    if sum(len(group.encode()) for group in groups) > GROUPS_BYTES:
        text = f"All groups of a contact together have at most {GROUPS_BYTES} bytes."
        raise StanzaError("not-acceptable", "modify", text, "en")
    return groups
