"""XMPP streams: of clients (c2s), to an upstream server (gateway), of a component."""
