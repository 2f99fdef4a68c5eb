"""One stanza for many: written as XML once, addressed for each."""

import re

from twisted.words.xish import domish

from invitereg.domain.stanzaxml import write_element

_TAG = re.compile(rb"<[^\s/>]+")


class Copies:
    """A stanza, to be sent to any number of recipients; its own ``to`` is left out.

    Writing it is most of the work of sending it, and is done once. A copy is bytes, so that all
    sessions of an account can be sent the same object.
    """

    def __init__(self, stanza: domish.Element) -> None:
        to = stanza.attributes.pop("to", None)
        data = write_element(stanza).encode()
        if to is not None:
            stanza["to"] = to
        tag = _TAG.match(data)
        assert tag is not None  # noqa: S101 - an element begins with its tag
        self._tag, self._rest = tag[0], data[tag.end() :]

    def __len__(self) -> int:
        """Return how many bytes there are without the recipient's address."""
        return len(self._tag) + len(self._rest)

    def to(self, address: str) -> bytes:
        """Return the XML of a copy for this JID."""
        return b"%b to='%b'%b" % (
            self._tag,
            domish.escapeToXml(address, 1).encode(),
            self._rest,
        )


def unavailable(sender: str) -> Copies:
    """The presence by which a session's contacts learn that it has gone (RFC 6121 §4.5)."""
    presence = domish.Element((None, "presence"))
    presence["from"] = sender
    presence["type"] = "unavailable"
    return Copies(presence)
