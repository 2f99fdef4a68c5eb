"""Reads what a request says: strictly, so that a mistake never does something else."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from invitereg.web.api.problems import Mistakes, Problem
from invitereg.web.request import MAX_BODY, WebRequest
from invitereg.web.requestheaders import header_values

M = TypeVar("M", bound=BaseModel)

_JSON = "application/json"


def read_body(request: WebRequest, model: type[M]) -> M:
    """The JSON object in the body, as ``model`` describes it; no body is an empty object.

    Raises:
        Problem: it is too large, no JSON, or not what the model describes.
    """
    if request.too_large:
        limit = MAX_BODY // 1024
        raise Problem(413, "too-large", f"The body is larger than {limit} KiB.")
    body = request.content.read() if request.content else b""
    if not body:
        return _validated(model, b"{}")
    _require_json(header_values(request, "content-type"))
    _check_json(body)
    return _validated(model, body)


def read_query(request: WebRequest, model: type[M]) -> M:
    """What is behind the question mark, as ``model`` describes it; raises Problem."""
    return _validated(model, json.dumps(query_values(request)).encode())


def query_values(request: WebRequest) -> dict[str, str]:
    """What is behind the question mark.

    Raises:
        Problem: it cannot be read, or says something twice.
    """
    query = (request.uri or b"").partition(b"?")[2].partition(b"#")[0]
    mistakes, values = Mistakes(), dict[str, str]()
    if not query:
        return values
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=50,
        )
    except ValueError:
        raise Problem(400, "malformed-query", "The query cannot be read.") from None
    for name, value in pairs:
        if name in values:
            mistakes.errors.append((name, "must be there once only"))
        values[name] = value
    if mistakes.errors:
        raise mistakes.problem()
    return values


def _require_json(types: Sequence[str]) -> None:
    media, _, parameters = (types[0] if len(types) == 1 else "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media.strip().lower() != _JSON or charset not in ("", "charset=utf-8"):
        raise Problem(
            415,
            "not-json",
            f"The body must be JSON in UTF-8: send it with Content-Type: {_JSON}.",
            headers={"Accept": _JSON},
        )


def _check_json(body: bytes) -> None:
    """What is easily read in two ways is not read at all."""
    try:
        json.loads(
            body.decode(), object_pairs_hook=_without_doubles, parse_constant=_no_constant
        )
    except RecursionError:
        raise Problem(400, "malformed-json", "The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise Problem(400, "malformed-json", "The body is not UTF-8.") from None
    except ValueError as error:
        # Of Python's own errors, the text may quote nothing that was sent.
        place = f" (character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        text = str(error) if isinstance(error, _Ambiguous) else "The body is no JSON"
        raise Problem(400, "malformed-json", f"{text}{place}.") from None


class _Ambiguous(ValueError):
    """JSON that programs read in different ways (RFC 8259 §4, §6)."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Ambiguous("An object has two members of one name")
    return members


def _no_constant(name: str) -> NoReturn:
    raise _Ambiguous(f"{name} is no JSON")


def _validated(model: type[M], text: bytes) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise _mistakes(error).problem() from None


def _mistakes(error: ValidationError) -> Mistakes:
    mistakes = Mistakes()
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        at = ".".join(str(part) for part in detail["loc"])
        text = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            text = "is not known here"
        mistakes.errors.append((at[:100], text))
    return mistakes
