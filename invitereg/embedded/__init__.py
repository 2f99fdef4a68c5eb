"""The embedded domain, where invitereg is the XMPP server itself."""
