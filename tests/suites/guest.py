"""A guest with a browser that has cookies and a language, and runs no scripts."""

import re
from html import unescape
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

from tests.service.running import SECONDS
from tests.web.person import inputs


class Guest:
    """Opens pages of a site, and sends the forms that stand on them."""

    def __init__(self, site: str, language: str = "en") -> None:
        self._site = site
        self._headers = {"Accept-Language": language, "Accept": "text/html"}
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def open(self, path: str, form: dict[str, str] | None = None) -> str:
        """Get a page, or send it a form; returns what comes, whatever its status."""
        data = urlencode(form).encode() if form else None
        request = Request(self._site + path, data, self._headers)
        try:
            answer = self._opener.open(request, timeout=SECONDS)
        except HTTPError as refused:
            answer = refused
        with answer:
            text: str = answer.read().decode()
        return text

    def send(self, page: str, **filled: str) -> str:
        """Send the form of a page, with these fields filled in."""
        (action,) = re.findall(r'<form method="post" action="([^"]+)"', page)
        shown = inputs(page)
        fields = {name: unescape(field.get("value", "")) for name, field in shown.items()}
        return self.open(action, {**fields, **filled})
