"""XMPP: what clients, the server behind a gateway, and the server of a component speak."""
