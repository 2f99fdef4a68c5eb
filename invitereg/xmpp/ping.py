"""Asking a client whether it is still there (XEP-0199 §4.1).

https://xmpp.org/extensions/xep-0199.html
"""

import secrets

from twisted.words.xish import domish
from wokkel.ping import NS_PING


def ping(domain: str, address: str) -> domish.Element:
    """A request from the domain to a session's full JID; whatever it answers will do."""
    iq = domish.Element((None, "iq"))
    iq.attributes.update({"type": "get", "id": f"ping-{secrets.token_hex(4)}"})
    iq.attributes.update({"from": domain, "to": address})
    iq.addElement((NS_PING, "ping"))
    return iq
