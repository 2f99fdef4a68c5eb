"""Problem documents (RFC 9457)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from pydantic import ConfigDict, Field
from twisted.web.http_headers import Headers

from invitereg.errors import (
    FieldMissing,
    MayNotReset,
    Refused,
    UnacceptableField,
    UnacceptablePassword,
    Unavailable,
    UsernameReserved,
)
from invitereg.interfaces.apikeys import Scope
from invitereg.views import View
from invitereg.web.errors import password_problem, say_when, status_of

REALM = 'Bearer realm="invitereg"'
CONTENT_TYPE = b"application/problem+json"
_INNER_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")

MOST_ERRORS = 50
"""Most mistakes that an answer names: a body has room for thousands."""


class ErrorAt(View):
    """A mistake in one part of the request."""

    at: str
    detail: str


class ProblemDocument(View):
    """A problem because of which a request was not done (RFC 9457)."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["about:blank"]
    title: str
    status: int
    code: str
    detail: str
    error_id: str | None = Field(None, description="Under which the operator finds the cause.")
    username: str | None = Field(None, description="The one to take, where it is fixed.")
    errors: tuple[ErrorAt, ...] | None = None

    def members(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


@dataclass(eq=False)
class Problem(Exception):
    """The request is refused, and has changed nothing.

    Attributes:
        status: HTTP's.
        code: the same for the same kind of problem, for programs.
        detail: what is wrong and what to do, for people.
        errors: what is wrong with which part of the request: path and text.
        error_id: under which the log has the cause.
        username: the one to take, where it is fixed.
        headers: what the answer says besides.
    """

    status: int
    code: str
    detail: str
    errors: Sequence[tuple[str, str]] = ()
    error_id: str | None = None
    username: str | None = None
    headers: Headers = field(default_factory=Headers)

    def document(self) -> bytes:
        """Return the body of the answer."""
        title = HTTPStatus(self.status).phrase
        errors = tuple(ErrorAt.of(at=at, detail=text) for at, text in self.errors) or None
        document = ProblemDocument.of(self, type="about:blank", title=title, errors=errors)
        return document.to_json().encode() + b"\n"


def invalid_request(mistakes: Sequence[tuple[str, str]]) -> Problem:
    """Return the problem of a request with mistakes, each with its path, and a text."""
    first = "; ".join(f"{at}: {text}" if at else text for at, text in mistakes[:5])
    return Problem(422, "invalid-request", f"{first}.", errors=mistakes[:MOST_ERRORS])


def missing_scope(scope: Scope) -> Problem:
    """Return the problem of a key that lacks a scope (RFC 6750 §3)."""
    challenge = f'{REALM}, error="insufficient_scope", scope="{scope}"'
    return Problem(
        403,
        "missing-scope",
        f"This key is not good for that: it needs the scope {scope}.",
        headers=Headers({"WWW-Authenticate": [challenge]}),
    )


def problem_of(refusal: Refused) -> Problem:
    """Return the problem for a refusal."""
    if isinstance(refusal, MayNotReset):
        return missing_scope(Scope.RESETS_CREATE)
    errors = []
    if isinstance(refusal, FieldMissing):
        errors = [(refusal.field, "is required")]
    if isinstance(refusal, UnacceptableField):
        errors = [(refusal.field, "has characters that cannot be used")]
    if isinstance(refusal, UnacceptablePassword):
        errors = [("password", password_problem(refusal, str))]
    problem = Problem(status_of(refusal), code_of(refusal), refusal.text, errors)
    if isinstance(refusal, Unavailable):
        problem.error_id = refusal.error_id
    if isinstance(refusal, UsernameReserved):
        problem.username = refusal.fixed_username or None
    say_when(problem.headers, refusal)
    return problem


def code_of(refusal: Refused) -> str:
    """Return the code of a refusal, such as ``username-taken``."""
    return _INNER_CAPITAL.sub("-", type(refusal).__name__).lower()
