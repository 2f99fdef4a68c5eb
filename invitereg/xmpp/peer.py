"""Who is at the other end of a connection."""

from typing import Any

from invitereg.policy.values import Address, parse_address


def peer_address(transport: Any) -> Address | None:
    """The client's address; None where there is none, as on a UNIX socket."""
    return parse_address(getattr(transport.getPeer(), "host", None) or "")
