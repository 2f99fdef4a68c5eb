"""What a server lets its component do on behalf of its users (XEP-0356).

https://xmpp.org/extensions/xep-0356.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from twisted.words.xish import domish

NAMESPACES = ("urn:xmpp:privilege:2", "urn:xmpp:privilege:1")
"""Both versions say the same about rosters; Prosody 0.12 speaks the first, ejabberd 23.01 the
second."""


@dataclass(frozen=True, slots=True)
class Privileges:
    """What was announced.

    Attributes:
        granted: kinds of access (none, get, set, both; outgoing; …), by what it is to, as
            ``roster``, by domain.
        namespace: of the version in which it was; empty before.
    """

    granted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    namespace: str = ""

    @classmethod
    def fromElement(cls, message: domish.Element) -> "Privileges | None":
        """Read an announcement, which the domain itself must have sent; None if it is none."""
        sender = message.getAttribute("from") or ""
        for child in message.elements():
            if child.name == "privilege" and child.uri in NAMESPACES and "@" not in sender:
                granted = {
                    perm["access"]: perm["type"]
                    for perm in child.elements(child.uri, "perm")
                    if perm.hasAttribute("access") and perm.hasAttribute("type")
                }
                return cls({sender: granted}, child.uri)
        return None

    def merged(self, other: "Privileges") -> "Privileges":
        """This, and what another announcement says; a server makes one for each domain."""
        return Privileges({**self.granted, **other.granted}, other.namespace)

    def of(self, domain: str, access: str) -> str:
        """What is granted at a domain: ``none``, if nothing."""
        return self.granted.get(domain, {}).get(access, "none")
