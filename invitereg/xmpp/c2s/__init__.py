"""The streams of clients, and a module for each protocol that is spoken on them (RFC 6120)."""
