"""The component of another XMPP server: registration and commands at its address (XEP-0114)."""
