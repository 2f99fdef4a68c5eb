"""Routes requests of the API, and answers with JSON or problem documents."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from invitereg.errors import Refused
from invitereg.interfaces.apikeys import ApiKey
from invitereg.policy.values import Domain
from invitereg.web.api.auth import Authorization, bearer
from invitereg.web.api.errors import CONTENT_TYPE, Problem, problem_of
from invitereg.web.api.openapi import document
from invitereg.web.api.operations import Answer, Call, Operation, idempotency_key
from invitereg.web.api.requests import Nothing, read_body, read_query
from invitereg.web.channel import WebRequest

API_PATH = "api/v1"
DOCUMENT = ("openapi.json",)
_REQUEST_NAME = re.compile(r"[!-~]{1,255}")


class Answering(Resource):
    """A leaf that answers by a coroutine; what that raises becomes a problem document.

    Attributes:
        origin: names the class in the log.
    """

    isLeaf = True  # noqa: N815 - Twisted's name
    origin: str

    def __init__(self) -> None:
        super().__init__()
        self._log = Logger(self.origin)

    def render(self, request: Any) -> int:
        """Begin with the answer."""
        working = Deferred.fromCoroutine(self._work(request))
        # Who has gone needs no answer; what was begun is finished all the same.
        request.notifyFinish().addErrback(lambda _gone: setattr(request, "gone", True))
        working.addErrback(request.processingFailed)
        return NOT_DONE_YET

    async def _work(self, request: WebRequest) -> None:
        try:
            await self.answer(request)
        except Problem as problem:
            _refuse(request, problem)
        except Refused as refusal:
            _refuse(request, problem_of(refusal))
        except Exception:
            self._log.failure("a request failed ({route})", route=request.route)
            text = "Something went wrong here. Please try again later."
            _refuse(request, Problem(500, "internal", text))

    async def answer(self, request: WebRequest) -> None:
        """Answer by `respond`, or raise Problem or Refused."""
        raise NotImplementedError


class Api(Answering):
    """All operations, and the document that describes them."""

    origin = "invitereg.web.api.server.Api"

    def __init__(
        self,
        operations: Iterable[Operation],
        authorization: Authorization,
        domains: Mapping[str, Domain],
    ) -> None:
        super().__init__()
        self._operations = tuple(operations)
        self._authorization = authorization
        self._domains = domains

    async def answer(self, request: WebRequest) -> None:
        """Find the operation, and carry it out."""
        path = _segments(request)
        method = (request.method or b"").decode("latin-1")
        if path == DOCUMENT:
            request.route = f"{API_PATH}/{DOCUMENT[0]}"
            require_method(method, ("GET",))
            return self._describe(request)
        fitting = [one for one in self._operations if _fits(one, path)]
        if not fitting:
            raise Problem(404, "no-such-path", "There is nothing under this path.")
        request.route = "/".join((API_PATH, *fitting[0].path))
        require_method(method, tuple(one.method for one in fitting))
        wanted = "GET" if method == "HEAD" else method
        operation = next(one for one in fitting if one.method == wanted)
        key = await self._authorization.require(bearer(request), operation.scope)
        answer = await operation.carry_out(self._call(request, operation, key, path))
        return self._respond(request, answer)

    def _call(
        self, request: WebRequest, operation: Operation, key: ApiKey, path: tuple[str, ...]
    ) -> Call:
        body = read_body(request, operation.body or Nothing)
        name = _request_name(request) if operation.repeatable else None
        return Call(
            domains=self._domains,
            key=key,
            address=request.client,
            name=path[1] if len(path) > 1 else "",
            body=body,
            query=read_query(request, operation.query),
            idempotency_key=None
            if name is None
            else idempotency_key(key, name, operation, body),
        )

    def _respond(self, request: WebRequest, answer: Answer) -> None:
        within = f"{API_PATH}/"
        if answer.location is not None:
            request.setHeader("Location", request.served.url(within + answer.location))
        if answer.link_next is not None:
            url = request.served.url(within + answer.link_next)
            request.setHeader("Link", f'<{url}>; rel="next"')
        respond(request, answer.status, json.dumps(answer.content).encode() + b"\n")

    def _describe(self, request: WebRequest) -> None:
        described = document(self._operations, request.served.path(API_PATH))
        if request.setETag(described.etag):
            request.finish()  # says 304, and has neither type nor length
        else:
            respond(request, 200, described.content)


def respond(
    request: WebRequest, status: int, body: bytes, content_type: bytes = b"application/json"
) -> None:
    """Send a whole answer, unless nobody waits for it any more."""
    if getattr(request, "gone", False):
        return
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", content_type)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(body)
    request.finish()


def _refuse(request: WebRequest, problem: Problem) -> None:
    for name, values in problem.headers.getAllRawHeaders():
        request.responseHeaders.setRawHeaders(name, list(values))
    respond(request, problem.status, problem.document(), CONTENT_TYPE)


def require_method(method: str, methods: tuple[str, ...], *, head: bool = True) -> None:
    """Raise Problem if ``method`` is none of these; ``head`` lets HEAD go with GET."""
    allowed = (*methods, "HEAD") if head and "GET" in methods else methods
    if method not in allowed:
        listed = ", ".join(allowed)
        raise Problem(
            405, "no-such-method", f"Use one of: {listed}.", headers={"Allow": listed}
        )


def _segments(request: WebRequest) -> tuple[str, ...]:
    """The rest of the path; Twisted has decoded it."""
    try:
        return tuple(part.decode() for part in request.postpath or ())
    except UnicodeDecodeError:
        return ("",)


def _fits(operation: Operation, path: tuple[str, ...]) -> bool:
    return len(path) == len(operation.path) and all(
        wanted == found or (wanted == "{id}" and found != "")
        for wanted, found in zip(operation.path, path, strict=True)
    )


def _request_name(request: WebRequest) -> str | None:
    values = request.header_values("idempotency-key")
    if not values:
        return None
    if len(values) > 1 or not _REQUEST_NAME.fullmatch(values[0]):
        text = "Idempotency-Key must be there once, with 1 to 255 visible ASCII characters."
        raise Problem(400, "malformed-header", text)
    return values[0]
