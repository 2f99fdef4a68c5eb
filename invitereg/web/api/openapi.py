"""The document that describes the API (OpenAPI 3.1), made of the operations themselves."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from invitereg._version import __version__
from invitereg.interfaces.apikeys import Scope
from invitereg.web.api.errors import ProblemDocument
from invitereg.web.api.operations import Operation
from invitereg.web.api.requests import Nothing

_REF = "#/components/schemas/{model}"
# What every operation may answer instead.
_ALWAYS = (400, 401, 403, 404, 413, 415, 422, 429, 503)
_NAMED = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A name for this request. With the same name and body within 24 hours, it "
    "is not done again: the answer names the same invite, with a new token.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_INTRODUCTION = """\
Make and manage invites, and register accounts, at an XMPP domain.

Keys are made by the operator: `invitereg key create NAME --scope SCOPE`. Field names are
those that `invitereg … --json` prints. Every error is a problem document (RFC 9457) whose
`code` stays the same; what was refused has changed nothing.
"""


@dataclass(frozen=True, slots=True)
class OpenApiDocument:
    """Holds the document and its entity tag.

    Attributes:
        content: JSON.
        etag: changes with the content (RFC 9110 §8.8.3).
    """

    content: bytes
    etag: bytes


def document(operations: Iterable[Operation], base: str) -> OpenApiDocument:
    """Return the document of an API below the path ``base``; it is made once."""
    return _document(tuple(operations), base)


@lru_cache(maxsize=64)
def _document(operations: tuple[Operation, ...], base: str) -> OpenApiDocument:
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = "/" + "/".join(operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation)
    problem = _json(ProblemDocument, "application/problem+json")
    described = {
        "openapi": "3.1.0",
        "info": {"title": "invitereg", "version": __version__, "description": _INTRODUCTION},
        "servers": [{"url": base}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {"description": "Why it was not done", "content": problem}
            },
        },
    }
    content = json.dumps(described, indent=1).encode() + b"\n"
    return OpenApiDocument(content, b'"%s"' % hashlib.sha256(content).hexdigest()[:16].encode())


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": _needs(operation.scope),
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.body is not Nothing:
        required = any(field.is_required() for field in operation.body.model_fields.values())
        described["requestBody"] = {"required": required, "content": _json(operation.body)}
    return described


def _needs(scope: Scope) -> str:
    handles = scope in (Scope.INVITES_READ, Scope.INVITES_EDIT)
    resets = f"; for invites of kind `reset`, `{Scope.RESETS_CREATE}` too" if handles else ""
    return f"Needs the scope `{scope}`{resets}."


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [_ID] if "{id}" in operation.path else []
    if operation.repeatable:
        parameters.append(_NAMED)
    for name, schema in operation.query.model_json_schema().get("properties", {}).items():
        schema = {key: value for key, value in schema.items() if key != "title"}
        if "anyOf" in schema:  # null is to leave it out
            schema |= schema.pop("anyOf")[0]
            schema.pop("default", None)
        text = schema.pop("description", "")
        parameters.append({"name": name, "in": "query", "description": text, "schema": schema})
    return parameters


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {
        "description": HTTPStatus(operation.status).phrase,
        "content": _json(operation.answer),
    }
    if operation.status == 201 and operation.repeatable:
        location = {"description": "Where the invite is found.", "schema": {"type": "string"}}
        good["headers"] = {"Location": location}
    problem = {"$ref": "#/components/responses/Problem"}
    refused = sorted({*_ALWAYS, *operation.statuses})
    return {str(operation.status): good} | {str(status): problem for status in refused}


def _json(model: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REF.format(model=model.__name__)}}}


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for operation in operations:
        models[operation.answer, "serialization"] = None
        if operation.body is not Nothing:
            models[operation.body, "validation"] = None
    models[ProblemDocument, "validation"] = None
    _, schemas = models_json_schema(list(models), ref_template=_REF)
    found: dict[str, Any] = schemas["$defs"]
    return found
