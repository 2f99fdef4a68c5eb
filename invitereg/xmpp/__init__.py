"""XMPP streams: of clients (c2s), to a server behind us (gateway), of a component."""
