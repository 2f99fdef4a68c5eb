"""The embedded domain: a small XMPP domain whose server is invitereg itself."""
