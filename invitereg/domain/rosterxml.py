"""Roster items and subscription stanzas as XML (RFC 6121 §2.1, §3)."""

import secrets
from collections.abc import Sequence

from twisted.words.xish import domish
from wokkel.generic import parseXml

from invitereg.domain.stanzaxml import NS_CLIENT, write_element
from invitereg.roster import RosterItem
from invitereg.subscriptions import Stanza

NS_ROSTER = "jabber:iq:roster"


def query(items: Sequence[RosterItem]) -> domish.Element:
    """A whole roster, or one item of it."""
    element = domish.Element((NS_ROSTER, "query"))
    for item in items:
        element.addChild(_item(item))
    return element


def push(item: RosterItem | None, jid: str) -> domish.Element:
    """A new roster push; without an item, that of its removal."""
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
    """A presence stanza about a subscription, from one bare JID to another."""
    presence = domish.Element((NS_CLIENT, "presence"))
    presence["type"] = stanza
    presence["from"] = sender
    presence["to"] = recipient
    return presence


def stamp(stanza: domish.Element, sender: str, recipient: str) -> domish.Element:
    """A copy of a subscription stanza between two bare JIDs (RFC 6121 §3.1.2)."""
    copy = domish.Element((NS_CLIENT, "presence"))
    copy.attributes = dict(stanza.attributes, **{"from": sender, "to": recipient})
    copy.children = list(stanza.children)
    return copy


def write(stanza: domish.Element) -> str:
    """A stanza as XML that stands by itself."""
    return write_element(stanza, namespace="")


def parse_request(text: str) -> domish.Element:
    """The stanza that `write` wrote."""
    element: domish.Element = parseXml(text.encode())
    return element


def _item(item: RosterItem) -> domish.Element:
    element = domish.Element((NS_ROSTER, "item"))
    element["jid"] = item.jid
    if item.name:
        element["name"] = item.name
    element["subscription"] = item.subscription
    if item.ask:
        element["ask"] = "subscribe"
    if item.approved:
        element["approved"] = "true"
    for group in item.groups:
        element.addElement("group", content=group)
    return element
