"""Somebody with a browser that runs no scripts: cookies, and forms as they were shown."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any

_INPUT = re.compile(r"<input\b([^>]*)>", re.DOTALL)
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


def inputs(page: str) -> dict[str, dict[str, str]]:
    """The fields of a page's form: the attributes of each, by its name."""
    found = (dict(_ATTRIBUTE.findall(text)) for text in _INPUT.findall(page))
    return {field["name"]: field for field in found if "name" in field}


class Person:
    """Uses the site of a `WebCase`.

    Attributes:
        cookies: what the browser keeps, by name: path and value.
        page: the last answer.
    """

    def __init__(self, case: Any, headers: Mapping[str, str] | None = None) -> None:
        self._case = case
        self.headers = dict(headers or {})
        self.cookies: dict[str, tuple[str, str]] = {}
        self.page: Any = None

    async def open(self, path: str) -> Any:
        """Open a page; redirects are followed, as far as they stay on the site."""
        self.page = await self._ask("GET", path)
        return self.page

    async def send(self, path: str, **filled: str) -> Any:
        """Send the form that is on the page, filled in; returns the answer itself."""
        shown = inputs(self.page.body)
        fields = {name: unescape(field.get("value", "")) for name, field in shown.items()}
        return await self.post(path, {**fields, **filled})

    async def post(self, path: str, fields: Any, **headers: str) -> Any:
        """Send fields, whatever the page is."""
        self.page = await self._ask("POST", path, data=fields, headers=headers)
        return self.page

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        headers = {**self.headers, **options.pop("headers", {})}
        sent = [
            f"{name}={value}"
            for name, (place, value) in self.cookies.items()
            if path.startswith(place)
        ]
        if sent:
            headers["Cookie"] = "; ".join(sent)
        answer = await self._case.ask(method, path, headers=headers, **options)
        for line in answer.headers.getRawHeaders("set-cookie", []):
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            place = next(part[5:] for part in attributes if part.lower().startswith("path="))
            self.cookies[name] = (place, value)
        return answer
