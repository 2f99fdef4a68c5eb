"""A request's headers as text, whatever bytes they are."""

from typing import Any


def header_values(request: Any, name: str) -> list[str]:
    """All values of a header; what is not UTF-8 in them is replaced, and matches nothing."""
    values = request.requestHeaders.getRawHeaders(name.encode("ascii"), [])
    return [value.decode("utf-8", "replace") for value in values]


def header(request: Any, name: str) -> str:
    """The last value of a header, as Twisted takes it; empty if there is none."""
    values = header_values(request, name)
    return values[-1] if values else ""
