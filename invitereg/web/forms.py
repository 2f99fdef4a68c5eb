"""Forms that only the browser that was shown them can send, once."""

import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from invitereg.web.channel import WebRequest
from invitereg.web.requestheaders import header

COOKIE = "invitereg_form"
DONE_COOKIE = "invitereg_done"
_FORM_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 50
_REMEMBERED = 10_000
REMEMBERED_SECONDS = 600


class NoForm(Exception):
    """A body that is no form that a browser sends.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Browser:
    """The browser that asks, by its cookie.

    Attributes:
        secret: what the cookie says; made now if there was none.
    """

    secret: str

    def stamp(self, form: str) -> str:
        """What a form carries so that it is known to come from this browser."""
        return hmac.new(self.secret.encode(), form.encode(), "sha256").hexdigest()


def browser(request: WebRequest) -> Browser:
    """The browser that asks; one without a cookie is given it."""
    found = (request.getCookie(COOKIE.encode()) or b"").decode("ascii", "replace")
    if len(found) == 43:
        return Browser(found)
    made = secrets.token_urlsafe(32)
    set_cookie(request, COOKIE, made, request.served.path(""))
    return Browser(made)


def set_cookie(request: WebRequest, name: str, value: str, path: str) -> None:
    """Set a cookie for this site, which no script and no other site gets at."""
    request.addCookie(
        name, value, path=path, httpOnly=True, sameSite="strict", secure=request.served.https
    )


def genuine(request: WebRequest, sent: Mapping[str, str], form: str) -> bool:
    """Whether fields come from a form that this browser was shown under the name ``form``."""
    known = (request.getCookie(COOKIE.encode()) or b"").decode("ascii", "replace")
    stamp = Browser(known).stamp(form).encode()
    elsewhere = header(request, "sec-fetch-site") in ("cross-site", "same-site")
    told = sent.get("form", "").encode("utf-8", "replace")
    return bool(known) and not elsewhere and hmac.compare_digest(told, stamp)


def fields(request: WebRequest) -> dict[str, str]:
    """The fields of the form that was sent.

    Raises:
        NoForm: it is none.
    """
    kind = header(request, "content-type").partition(";")[0].strip().lower()
    if kind != _FORM_TYPE:
        raise NoForm(415)
    body: Any = request.content
    body.seek(0)
    try:
        found = parse_qs(
            body.read().decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise NoForm(400) from None
    return {name: values[-1] for name, values in found.items()}


def signed(key: bytes, value: dict[str, str]) -> str:
    """``value`` for a cookie, so that only who knows ``key`` could have written it."""
    payload = urlsafe_b64encode(json.dumps(value).encode())
    return f"{payload.decode()}.{hmac.new(key, payload, 'sha256').hexdigest()}"


def read_signed(key: bytes, text: str) -> dict[str, str] | None:
    """The value that `signed` wrote with this key; None for anything else."""
    payload, _, signature = text.partition(".")
    expected = hmac.new(key, payload.encode("utf-8", "replace"), "sha256").hexdigest()
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
        return None
    value: dict[str, str] = json.loads(urlsafe_b64decode(payload))
    return value


class Once:
    """Does a thing once, however often the same browser asks for it at the same time.

    A double click sends a form twice, and the browser only waits for the second answer. Both
    get the outcome of the first; so do later ones, until it is forgotten.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, ...], tuple[float, list[Deferred[str]] | str]]
        self._known = OrderedDict()

    async def done(
        self, key: tuple[str, ...], work: Callable[[], Coroutine[Any, Any, str]]
    ) -> str:
        """The outcome of ``work``, now or when it was last done for ``key``.

        What fails is not remembered: it may be tried again. It goes on even if nobody waits
        any more: half a registration helps nobody.
        """
        self._forget()
        known = self._known.get(key)
        if known is not None and isinstance(known[1], str):
            return known[1]
        waiting: list[Deferred[str]] = known[1] if known and isinstance(known[1], list) else []
        outcome: Deferred[str] = Deferred()
        waiting.append(outcome)
        if known is None:
            self._known[key] = (self._clock.seconds(), waiting)
            Deferred.fromCoroutine(work()).addBoth(self._tell, key, waiting)
        return await outcome

    def recall(self, key: tuple[str, ...]) -> str | None:
        """What came of it, if it was done and is not forgotten."""
        self._forget()
        known = self._known.get(key)
        return known[1] if known is not None and isinstance(known[1], str) else None

    def _tell(
        self, result: str | Failure, key: tuple[str, ...], waiting: list[Deferred[str]]
    ) -> None:
        if isinstance(result, str):
            self._known[key] = (self._clock.seconds(), result)
        else:
            del self._known[key]
        for outcome in waiting:
            if not outcome.called:  # it is, where the client is gone
                outcome.callback(result)

    def _forget(self) -> None:
        until = self._clock.seconds() - REMEMBERED_SECONDS
        while self._known:
            key, (since, state) = next(iter(self._known.items()))
            full = len(self._known) > _REMEMBERED
            if isinstance(state, list) or (since > until and not full):
                return
            del self._known[key]
