"""Write roster items and subscription stanzas as XML (RFC 6121 §2.1, §3)."""

import secrets
from collections.abc import Sequence

from twisted.words.xish import domish
from wokkel.generic import parseXml

from invitereg.embedded.stanzaxml import write_element
from invitereg.model.namespaces import NS_CLIENT, NS_ROSTER
from invitereg.model.roster import RosterItem
from invitereg.model.subscribing import Stanza


def query(items: Sequence[RosterItem]) -> domish.Element:
    """Return a query element with roster items."""
    element = domish.Element((NS_ROSTER, "query"))
    element.addRawXml("".join(map(_item, items)))
    return element


def push(item: RosterItem | None, jid: str) -> domish.Element:
    """Return a new roster push: of the item, or without one, of the removal of ``jid``."""
    iq = domish.Element((NS_CLIENT, "iq"))
    iq["type"] = "set"
    iq["id"] = f"push-{secrets.token_hex(4)}"
    if item is None:
        removed = domish.Element((NS_ROSTER, "item"))
        removed["jid"] = jid
        removed["subscription"] = "remove"
        iq.addElement((NS_ROSTER, "query")).addChild(removed)
    else:
        iq.addChild(query([item]))
    return iq


def subscription(stanza: Stanza, sender: str, recipient: str) -> domish.Element:
    """Return a subscription stanza from one bare JID to another."""
    presence = domish.Element((NS_CLIENT, "presence"))
    presence["type"] = stanza
    presence["from"] = sender
    presence["to"] = recipient
    return presence


def addressed(stanza: domish.Element, sender: str, recipient: str) -> domish.Element:
    """Return a copy of a subscription stanza with these bare JIDs (RFC 6121 §3.1.2)."""
    copy = domish.Element((NS_CLIENT, "presence"))
    copy.attributes = dict(stanza.attributes, **{"from": sender, "to": recipient})
    copy.children = list(stanza.children)
    return copy


def write(stanza: domish.Element) -> str:
    """Return a stanza as XML that declares its own namespace."""
    return write_element(stanza, namespace="")


def parse_request(text: str) -> domish.Element:
    """Parse what `write` has written."""
    element: domish.Element = parseXml(text.encode())
    return element


def _item(item: RosterItem) -> str:
    """Return a roster item as XML text: elements would take five times as long."""
    attributes = {
        "jid": item.jid,
        "name": item.name,
        "subscription": item.subscription,
        "ask": "subscribe" if item.ask else "",
        "approved": "true" if item.approved else "",
    }
    written = "".join(
        f" {name}='{domish.escapeToXml(value, 1)}'"
        for name, value in attributes.items()
        if value
    )
    groups = "".join(f"<group>{domish.escapeToXml(group)}</group>" for group in item.groups)
    return f"<item{written}>{groups}</item>"
