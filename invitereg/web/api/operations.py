"""Operations of the API: path, scope, models and the method that carries each out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_args

from invitereg.interfaces.apikeys import ApiKey, IdempotencyKey, Scope
from invitereg.model.names import prepare_domain
from invitereg.policy.values import Address, Domain, parse_address
from invitereg.views import View
from invitereg.web.api.errors import Problem, invalid_request
from invitereg.web.api.requests import BodyModel, QueryModel

Method = TypeVar("Method", bound=Callable[..., Any])
Body = TypeVar("Body", bound=BodyModel)
Query = TypeVar("Query", bound=QueryModel)
Content = TypeVar("Content", bound=View, covariant=True)
_MARK = "operation_of_the_api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Body, Query]):
    """Holds one authorised request.

    Attributes:
        domains: what is served.
        key: whose request it is.
        address: the caller's.
        name: what stands for ``{id}`` in the path; "" elsewhere.
        body, query: as the operation's models describe them.
        idempotency_key: the name that the client gave to the request, if it did.
    """

    domains: Mapping[str, Domain]
    key: ApiKey
    address: Address
    name: str
    body: Body = field(repr=False)
    query: Query
    idempotency_key: IdempotencyKey | None

    def domain(self, name: str | None) -> Domain:
        """Return the domain that a request is about; raise `Problem` as `requested_domain`."""
        return requested_domain(self.domains, self.key, name)

    def client(self, told: str | None) -> Address:
        """Return the address that the limits apply to."""
        return (told and parse_address(told)) or self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse(Generic[Content]):
    """Holds an answer; ``location`` and ``link_next`` are relative to the API's base."""

    content: Content
    location: str | None = None
    link_next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Describes one operation.

    Attributes:
        path: its segments; ``{id}`` stands for any.
        id: its name in the document.
        statuses: with which it may be refused, besides those that all have.
        repeatable: it heeds Idempotency-Key.
    """

    method: str
    path: tuple[str, ...]
    id: str
    summary: str
    scope: Scope
    carry_out: Callable[[Call[Any, Any]], Awaitable[ApiResponse[View]]]
    answer: type[View]
    body: type[BodyModel]
    query: type[QueryModel]
    status: int = 200
    statuses: tuple[int, ...] = ()
    repeatable: bool = False


def operation(
    method: str,
    *path: str,
    id: str,  # noqa: A002 - OpenAPI's word
    scope: Scope,
    **more: Any,
) -> Callable[[Method], Method]:
    """Mark a method as an `Operation`.

    Its annotations name the models; the first line of its docstring is the summary.
    """

    def mark(carry_out: Method) -> Method:
        summary = (carry_out.__doc__ or "").partition("\n")[0].removesuffix(".")
        body, query = get_args(carry_out.__annotations__["call"])
        (answer,) = get_args(carry_out.__annotations__["return"])
        models = {"body": body, "query": query, "answer": answer}
        described = {"method": method, "path": path, "id": id, "summary": summary}
        setattr(carry_out, _MARK, {**described, "scope": scope, **models, **more})
        return carry_out

    return mark


def operations_of(part: object) -> tuple[Operation, ...]:
    """Return the operations of a part: its methods marked by `operation`, in their order."""
    return tuple(
        Operation(carry_out=getattr(part, name), **getattr(method, _MARK))
        for name, method in vars(type(part)).items()
        if hasattr(method, _MARK)
    )


def requested_domain(domains: Mapping[str, Domain], key: ApiKey, name: str | None) -> Domain:
    """Return the domain that a request of ``key`` is about.

    Raises:
        Problem: it must be said, is not served, or not the key's.
    """
    if name is None:
        name = key.domain or (next(iter(domains)) if len(domains) == 1 else None)
    if name is None:
        raise invalid_request([("domain", f"say for which domain: {', '.join(domains)}")])
    if key.domain not in (None, _prepared(name)):
        raise Problem(403, "other-domain", f"This key is for {key.domain} only.")
    domain = domains.get(_prepared(name))
    if domain is None:
        raise invalid_request([("domain", "is not served here")])
    return domain


def _prepared(name: str) -> str:
    try:
        return prepare_domain(name)
    except ValueError:
        return ""
