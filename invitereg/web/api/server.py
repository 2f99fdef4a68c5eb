"""Routes requests of the API, and answers with JSON or problem documents."""

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from klein import Klein
from klein.interfaces import IKleinRequest
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from invitereg.errors import Refused
from invitereg.interfaces.apikeys import ApiKey, IdempotencyKey
from invitereg.policy.values import Domain
from invitereg.runtime.deferreds import shielded
from invitereg.views import View
from invitereg.web.api.auth import Authorization, bearer
from invitereg.web.api.errors import CONTENT_TYPE, Problem, problem_of
from invitereg.web.api.openapi import document
from invitereg.web.api.operations import ApiResponse, Call, Operation
from invitereg.web.api.requests import BodyModel, read_body, read_query
from invitereg.web.channel import WebRequest

_log = Logger("invitereg.web.api.resource.Api")

API_PATH = "api/v1"
DOCUMENT = "openapi.json"
_METHODS = ("POST", "GET", "PATCH", "HEAD")
_REQUEST_NAME = re.compile(r"[!-~]{1,255}")
# Klein drops an empty segment, and makes two of one with an encoded slash, as of an id that a
# program has encoded.
_REREAD = re.compile(rb"//|%2f", re.IGNORECASE)


class ProblemRouter:
    """Routes requests to coroutines; what these raise becomes a problem document."""

    def __init__(self, base: str, log: Logger) -> None:
        """``base`` is the path that the site mounts the resource at, without slashes around."""
        self._base = base
        self._log = log
        self._app = Klein()
        # Else werkzeug sends on to tidied addresses, which it makes of the Host header.
        self._app.url_map.merge_slashes = False
        self._app.url_map.redirect_defaults = False
        self._app.handle_errors(HTTPException)(self._not_routed)

    def resource(self) -> IResource:
        """Return the resource that the site mounts."""
        return self._app.resource()

    def add(
        self,
        path: str,
        methods: Sequence[str] | None,
        answer: Callable[..., Coroutine[Any, Any, bytes]],
        name: str,
    ) -> None:
        """Let ``answer`` return the bodies for a path below the base, such as ``/a/<id>``.

        ``methods`` of None are all.
        """

        def begin(request: WebRequest, **values: str) -> Deferred[bytes]:
            if _REREAD.search(request.path):
                raise NotFound
            request.route = self._route(path)
            answering = self._guarded(request, answer(request, **values))
            # Klein cancels what nobody waits for; what was begun is finished all the same.
            return shielded(Deferred.fromCoroutine(answering))

        exact = path != "/"  # the base itself is found with and without a slash
        self._app.route(path, methods=methods, endpoint=name, strict_slashes=exact)(begin)

    def _route(self, path: str) -> str:
        """Return a path as log and metrics name it."""
        route = f"{self._base}{path}".rstrip("/")
        return route.replace("<", "{").replace(">", "}")

    async def _guarded(
        self, request: WebRequest, answering: Coroutine[Any, Any, bytes]
    ) -> bytes:
        try:
            return await answering
        except Problem as problem:
            return _refuse(request, problem)
        except Refused as refusal:
            return _refuse(request, problem_of(refusal))
        except Exception:
            self._log.failure("a request failed ({route})", route=request.route)
            text = "Something went wrong here. Please try again later."
            return _refuse(request, Problem(500, "internal", text))

    def _not_routed(self, request: Any, failure: Failure) -> bytes:
        error = failure.value
        if not isinstance(error, MethodNotAllowed):
            text = "There is nothing under this path."
            return _refuse(request, Problem(404, "no-such-path", text))
        methods = [each for each in _METHODS if each in (error.valid_methods or ())]
        mapper = IKleinRequest(request).mapper
        request.route = self._route(mapper.match(method=methods[0], return_rule=True)[0].rule)
        return _refuse(request, wrong_method(methods))


class Api(ProblemRouter):
    """Routes to all operations, and to the document that describes them."""

    def __init__(
        self,
        operations: Iterable[Operation],
        authorization: Authorization,
        domains: Mapping[str, Domain],
    ) -> None:
        super().__init__(API_PATH, _log)
        self._operations = tuple(operations)
        self._authorization = authorization
        self._domains = domains
        for operation in self._operations:
            self._add(operation)
        self.add(f"/{DOCUMENT}", ["GET"], self._describe, "document")

    def _add(self, operation: Operation) -> None:
        async def answer(request: WebRequest, id: str = "") -> bytes:  # noqa: A002
            key = await self._authorization.require(bearer(request), operation.scope)
            body = read_body(request, operation.body)
            call: Call[Any, Any] = Call(
                domains=self._domains,
                key=key,
                address=request.client,
                name=id,
                body=body,
                idempotency_key=_idempotency_key(request, operation, key, body),
                query=read_query(request, operation.query),
            )
            return self._respond(request, operation, await operation.carry_out(call))

        path = "/" + "/".join(operation.path).replace("{", "<").replace("}", ">")
        self.add(path, [operation.method], answer, operation.id)

    def _respond(
        self, request: WebRequest, operation: Operation, answer: ApiResponse[View]
    ) -> bytes:
        within = f"{API_PATH}/"
        if answer.location is not None:
            request.setHeader("Location", request.served.url(within + answer.location))
        if answer.link_next is not None:
            url = request.served.url(within + answer.link_next)
            request.setHeader("Link", f'<{url}>; rel="next"')
        return respond(request, operation.status, answer.content.to_json().encode() + b"\n")

    async def _describe(self, request: WebRequest) -> bytes:
        described = document(self._operations, request.served.path(API_PATH))
        if request.setETag(described.etag):
            return b""  # 304 has neither type nor length
        return respond(request, 200, described.content)


def respond(
    request: WebRequest, status: int, body: bytes, content_type: bytes = b"application/json"
) -> bytes:
    """Set the status and the headers of an answer, and return its body."""
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", content_type)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def _refuse(request: WebRequest, problem: Problem) -> bytes:
    for name, values in problem.headers.getAllRawHeaders():
        request.responseHeaders.setRawHeaders(name, list(values))
    return respond(request, problem.status, problem.document(), CONTENT_TYPE)


def wrong_method(methods: Sequence[str]) -> Problem:
    """Return the problem of a path that takes these methods only."""
    listed = ", ".join(methods)
    headers = Headers({"Allow": [listed]})
    return Problem(405, "no-such-method", f"Use one of: {listed}.", headers=headers)


def _idempotency_key(
    request: WebRequest, operation: Operation, key: ApiKey, body: BodyModel
) -> IdempotencyKey | None:
    """Return what a request and its repeats have in common; None for one without a name.

    Raises:
        Problem: its name is none.
    """
    names = request.header_values("idempotency-key")
    if not operation.repeatable or not names:
        return None
    if len(names) > 1 or not _REQUEST_NAME.fullmatch(names[0]):
        text = "Idempotency-Key must be there once, with 1 to 255 visible ASCII characters."
        raise Problem(400, "malformed-header", text)
    asked = f"{operation.id}\n{body.model_dump_json(exclude_unset=True)}"
    name, request_digest = (sha256(text.encode()).digest() for text in (names[0], asked))
    return IdempotencyKey(key_id=key.id, name=name, request=request_digest)
