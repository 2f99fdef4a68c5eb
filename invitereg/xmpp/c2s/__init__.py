"""XML streams of clients, and one module for each protocol spoken on them (RFC 6120)."""
