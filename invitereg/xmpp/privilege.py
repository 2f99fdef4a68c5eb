"""What a server lets its component do on behalf of its users (XEP-0356).

https://xmpp.org/extensions/xep-0356.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from twisted.words.xish import domish

NAMESPACES = ("urn:xmpp:privilege:2", "urn:xmpp:privilege:1")
"""Both versions say the same about rosters; Prosody 0.12 speaks the first, ejabberd 23.01 the
second."""


KNOWN = {
    "roster": {"none", "get", "set", "both"},
    "message": {"none", "outgoing"},
    "presence": {"none", "managed_entity", "roster"},
}
"""What may be granted, and how; anything else is passed over (XEP-0356 §4 to §6)."""


@dataclass(frozen=True, slots=True)
class Privileges:
    """What the server of one domain has announced.

    Attributes:
        domain: whose server it is.
        granted: kinds of access, as in `KNOWN`, by what it is to.
        namespace: of the version in which it was announced; empty before.
    """

    domain: str
    granted: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""

    def announced(self, message: domish.Element) -> "Privileges":
        """Return what holds after a message: its announcement, if the domain itself sent it."""
        if message.getAttribute("from") != self.domain:
            return self
        for child in message.elements():
            if child.name == "privilege" and child.uri in NAMESPACES:
                return Privileges(self.domain, _known_in(child), child.uri)
        return self

    def of(self, domain: str, access: str) -> str:
        """What is granted at a domain: ``none``, if nothing."""
        return self.granted.get(access, "none") if domain == self.domain else "none"


def _known_in(privilege: domish.Element) -> dict[str, str]:
    return {
        perm["access"]: perm["type"]
        for perm in privilege.elements(privilege.uri, "perm")
        if perm.getAttribute("type") in KNOWN.get(perm.getAttribute("access") or "", ())
    }
