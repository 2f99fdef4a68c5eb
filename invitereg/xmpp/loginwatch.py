"""Follow the login of a client at the server behind, in what the server says to it.

Source: RFC 6120 §6.4 (SASL), XEP-0388 (SASL2).
"""

from enum import Enum

from invitereg.xmpp.gatewayfeatures import NS_SASL2
from invitereg.xmpp.sasl import MAX_FAILURES
from invitereg.xmpp.stanzas import NS_XMPP_SASL
from invitereg.xmpp.toplevel import TopLevelReader

_NAMESPACES = (NS_XMPP_SASL, NS_SASL2)


class Login(Enum):
    """How far a login has come."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    REFUSED = "it has failed too often"


class LoginWatch:
    """Reads one stream of a server, from its header up to the success of a login."""

    def __init__(self, header: bytes) -> None:
        """Begin with the stream ``header`` of the server."""
        self._reader = TopLevelReader()
        self._failures = 0
        self.read(header)

    @property
    def between(self) -> bool:
        """Whether the server has just completed an element, so that we may say something."""
        return self._reader.between

    def read(self, data: bytes) -> Login:
        """Take the next bytes; not to be called after a success.

        Raises:
            StreamError: they are no XMPP. No more can be read.
        """
        for element in self._reader.read(data):
            if element.uri in _NAMESPACES:
                if element.name == "success":
                    return Login.SUCCEEDED
                self._failures += element.name == "failure"
        return Login.REFUSED if self._failures >= MAX_FAILURES else Login.PENDING
