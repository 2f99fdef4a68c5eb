"""Addresses of accounts and their sessions."""

from twisted.words.protocols.jabber.jid import JID


def bare_jid(jid: JID) -> JID:
    """Return a JID without its resource.

    Twisted's `JID.userhostJID` keeps every one that it has ever returned.
    """
    bare = JID.__new__(JID)  # as its parts are prepared already
    bare.user, bare.host, bare.resource = jid.user, jid.host, None
    return bare
