"""A line in the log for each request, without anything that opens a door."""

import re
from collections import Counter
from urllib.parse import unquote_to_bytes

from twisted.logger import Logger

from invitereg.metrics import Meter
from invitereg.web.request import WebRequest

_access_log = Logger("invitereg.web.accesslog.AccessLog")

LINES_PER_NETWORK = 120
"""How many requests of one network are written down in a minute: some visits' worth."""
LINES = 3000
"""How many of all networks are."""
NETWORKS_NAMED = 10
"""Of how many networks it is told how many were left out; of the rest in one sum."""
_OTHERS = "other networks"
_MAX_PATH = 200
# Tokens and keys are longer than any word in a path of ours, also where they do not belong.
_SECRET = re.compile(r"[A-Za-z0-9_-]{20,}")
_INVITE = re.compile(r"(?<=/invite/)[^/]+")
_UNSAFE = re.compile(r"[^!-~]")


class AccessLog:
    """Told of every request that was answered; see `invitereg.web.site.WebDoor`."""

    def __init__(self, meter: Meter | None = None) -> None:
        self._meter = meter or Meter()
        self._count = 0
        self._lines: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def __call__(self, request: WebRequest) -> None:
        """Write down who asked for what, and what came of it, or count that it was not."""
        method = (request.method or b"").decode("latin-1")
        self._meter.answered(request.route, method, request.code)
        if not self._is_let_through(request.network):
            return
        _access_log.info(
            "{address} {method} {path} {status} {size}",
            address=str(getattr(request, "client", "-")),
            method=_UNSAFE.sub("?", method)[:20],
            path=logged_path(request.uri or b""),
            status=request.code,
            size=request.sentLength,
        )

    def _is_let_through(self, network: str) -> bool:
        few = self._count < LINES and self._lines[network] < LINES_PER_NETWORK
        if few:
            self._count += 1
            self._lines[network] += 1
        elif network in self._left_out or len(self._left_out) < LINES:
            self._left_out[network] += 1
        else:  # whoever has many networks must not fill the memory instead
            self._left_out[_OTHERS] += 1
        return few

    def sum_up(self) -> None:
        """Tell how many lines were left out, and begin anew; to be called every minute."""
        others = self._left_out.pop(_OTHERS, 0) + self._left_out.total()
        for network, count in self._left_out.most_common(NETWORKS_NAMED):
            self._tell(network, count)
            others -= count
        if others:
            self._tell(_OTHERS, others)
        self._count = 0
        self._lines.clear()
        self._left_out.clear()

    def _tell(self, network: str, count: int) -> None:
        _access_log.info(
            "{count} more requests of {network} left out within a minute",
            count=count,
            network=network,
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
