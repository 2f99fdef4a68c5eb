"""A request's headers as text, whatever bytes they are, and what a browser says by them."""

from typing import Any


def header_values(request: Any, name: str) -> list[str]:
    """All values of a header; what is not UTF-8 in them is replaced, and matches nothing."""
    values = request.requestHeaders.getRawHeaders(name.encode("ascii"), [])
    return [value.decode("utf-8", "replace") for value in values]


def header(request: Any, name: str) -> str:
    """The last value of a header, as Twisted takes it; empty if there is none."""
    values = header_values(request, name)
    return values[-1] if values else ""


# https://www.w3.org/TR/fetch-metadata/; apps and old browsers send none of these.
_BY_SCRIPT = ("cors", "same-origin")
_NOT_TO_READ = ("no-cors", "websocket")
_FRAMES = ("embed", "fencedframe", "frame", "iframe", "object")


def is_embedded(request: Any) -> bool:
    """Whether a browser loads an address without its visitor having opened it.

    So it is for ``<img src=…>`` on a page of anybody, for a frame, and for a prefetch: a page
    is of no use to these, as none of them shows it.
    """
    return (
        header(request, "sec-fetch-mode") in _NOT_TO_READ
        or header(request, "sec-fetch-dest") in _FRAMES
        or "prefetch" in header(request, "sec-purpose")
    )


def is_scripted(request: Any) -> bool:
    """Whether a script on a web page asks, which may be one that resolves links."""
    return header(request, "sec-fetch-mode") in _BY_SCRIPT
