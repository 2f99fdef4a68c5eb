"""Words for what is wrong with a line of an export."""

from pydantic_core import ErrorDetails

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "string_too_short": "is empty, or too short",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "has characters that are not allowed there, or too many",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "json_invalid": "this is no line of JSON",
    "json_type": "this is no line of JSON",
    "bytes_type": "must be text, of hexadecimal digits",
    "bytes_invalid_encoding": "must be hexadecimal digits",
    "union_tag_not_found": "it does not say its type",
    "union_tag_invalid": "its type is none that is known here",
    "timezone_aware": "must be a time with its offset, such as 2026-11-29T12:00:00Z",
}


def worded(detail: ErrorDetails) -> str:
    """Say in our own words what pydantic finds wrong; nothing of the line is repeated."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind.startswith(("datetime", "date_")):
        return "must be a time, such as 2026-11-29T12:00:00Z"
    if kind in ("enum", "literal_error"):
        return f"must be {context['expected']}"
    if kind in ("greater_than_equal", "less_than_equal"):
        least = "ge" in context
        return f"must be at {'least' if least else 'most'} {context['ge' if least else 'le']}"
    if kind in ("bytes_too_short", "bytes_too_long"):
        return "must have 64 hexadecimal digits"
    return _WORDS.get(kind, "cannot be used")
