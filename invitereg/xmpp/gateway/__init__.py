"""The gateway: relays clients of a domain whose accounts another XMPP server keeps."""
