"""Addresses of accounts and their sessions."""

from twisted.words.protocols.jabber.jid import JID


def prepared_jid(user: str | None, host: str, resource: str | None = None) -> JID:
    """Return the JID of parts that are prepared already, which takes long to do."""
    jid = JID.__new__(JID)
    jid.user, jid.host, jid.resource = user, host, resource
    return jid


def bare_jid(jid: JID) -> JID:
    """Return a JID without its resource.

    Twisted's `JID.userhostJID` keeps every one that it has ever returned.
    """
    return prepared_jid(jid.user, jid.host)
