"""How a server says that it could not read a stream at all (RFC 6120 §4.9.3)."""

UNREADABLE = frozenset(
    {
        "bad-format",
        "bad-namespace-prefix",
        "invalid-namespace",
        "invalid-xml",
        "not-well-formed",
        "restricted-xml",
        "unsupported-encoding",
        "unsupported-version",
        "xml-not-well-formed",  # RFC 3920
    }
)
"""Stream errors with which it may answer what was meant for another kind of port."""
