"""A request to the site: its limits, and how it is begun and fails."""

import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from invitereg.jobs import Client, on_behalf_of
from invitereg.model.invites import generate_invite_id
from invitereg.policy.networks import Address, Share
from invitereg.web.settings import SiteSettings

_log = Logger("invitereg.web.request.WebRequest")

_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
MAX_BODY = 64 * 1024
MAX_BODY_PIECES = 1024
"""In so many pieces a body may come, of which each costs as much as hundreds of bytes."""


class BodyTooLarge(Exception):
    """A body passes the limit: nothing more of it is looked at."""


class WebRequest(Request):
    """A request, with what the front found out about it.

    Attributes:
        served: the site that is asked for.
        client: the address by which the request is judged.
        network: of the client, which takes turns with others and has its lines in the log.
        shares: the networks in which it is counted.
        too_large: its body passes the limit, and was not kept.
        route: what was asked for, without what is secret in it, for log and metrics.
    """

    served: SiteSettings
    client: Address
    network = "-"
    shares: tuple[Share, ...] = ()
    too_large = False
    route = "other"
    channel: Any

    def getRequestHostname(self) -> bytes:
        """Not what the client says: nothing of ours depends on it."""
        return b"localhost"

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        """Say what came of it, in the words of RFC 9110 §15, of which Twisted lacks some."""
        super().setResponseCode(code, message or HTTPStatus(code).phrase.encode())

    def render(self, resource: Any) -> None:
        """Answer by a resource, on behalf of the client."""
        with on_behalf_of(Client("web", self.shares)):
            super().render(resource)

    def gotLength(self, length: int | None) -> None:
        """Prepare for the body."""
        self._received = self._pieces = 0
        super().gotLength(0 if self.too_large else length)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body.

        Raises:
            BodyTooLarge: it is too much by now.
        """
        self._received += len(data)
        self._pieces += 1
        if self._received > MAX_BODY or self._pieces > MAX_BODY_PIECES:
            self.too_large = True
            raise BodyTooLarge
        super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Wait for a turn, as the request is complete."""
        path = self._origin_form(path)
        self.channel.enqueue(partial(super().requestReceived, command, path, version))

    def _origin_form(self, target: bytes) -> bytes:
        """Return a target as its path; a whole address names the host (RFC 9112 §3.2.2)."""
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            return target
        authority, path = absolute.groups()
        if len(self.requestHeaders.getRawHeaders(b"host", [])) == 1:
            self.requestHeaders.setRawHeaders(b"Host", [authority])
        return path if path.startswith(b"/") else b"/" + path

    def begin(self, begin: Callable[[], None]) -> bool:
        """Begin with the answer; False if the client has gone meanwhile."""
        if self._disconnected:
            return False
        try:
            begin()
        except Exception:
            self.processingFailed(Failure())
        return True

    def blame(self, reason: Failure) -> str:
        """Log what nobody expected; returns the name under which it is found there."""
        error_id = generate_invite_id()
        _log.failure(
            "a request failed ({route}, error {id})",
            failure=reason,
            route=self.route,
            id=error_id,
        )
        return error_id

    def processingFailed(self, reason: Failure) -> None:
        """Answer what not even a part's own handling of errors expected."""
        error_id = self.blame(reason)
        if not self.startedWriting and not self._disconnected:
            body = f"The server has a problem (error {error_id}). Please try again later.\n"
            self.setResponseCode(500)
            self.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
            self.write(body.encode())
        if not self.finished and not self._disconnected:
            self.finish()
