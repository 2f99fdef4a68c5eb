"""A line in the log for each request, without anything that opens a door."""

import re
from urllib.parse import unquote_to_bytes

from twisted.logger import Logger

from invitereg.metrics import Meter
from invitereg.web.channel import WebRequest

_MAX_PATH = 200
# Tokens and keys are longer than any word in a path of ours, also where they do not belong.
_SECRET = re.compile(r"[A-Za-z0-9_-]{20,}")
_INVITE = re.compile(r"(?<=/invite/)[^/]+")
_UNSAFE = re.compile(r"[^!-~]")


class AccessLog:
    """Told of every request that was answered; see `invitereg.web.site.WebDoor`."""

    _log = Logger()

    def __init__(self, meter: Meter | None = None) -> None:
        self._meter = meter or Meter()

    def __call__(self, request: WebRequest) -> None:
        """Write down who asked for what, and what came of it."""
        method = (request.method or b"").decode("latin-1")
        self._meter.answered(request.route, method, request.code)
        self._log.info(
            "{address} {method} {path} {status} {size}",
            address=str(getattr(request, "client", "-")),
            method=_UNSAFE.sub("?", method)[:20],
            path=logged_path(request.uri or b""),
            status=request.code,
            size=request.sentLength,
        )


def logged_path(uri: bytes) -> str:
    """A path without what is secret in it, and without the query, which may hold a key."""
    path = unquote_to_bytes(uri.partition(b"?")[0].partition(b"#")[0]).decode("latin-1")
    path = _UNSAFE.sub("?", path)
    for secret in (_INVITE, _SECRET):
        path = secret.sub("*", path)
    # Encoded twice, a token opens nothing, but whoever reads the log could undo that.
    path = "/".join("*" if "%" in part else part for part in path.split("/"))
    return path if len(path) <= _MAX_PATH else f"{path[:_MAX_PATH]}…"
