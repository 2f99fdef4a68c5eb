"""Forms that only the browser that was shown them can send, once."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from invitereg.model import Kind
from invitereg.web.request import WebRequest
from invitereg.web.requestheaders import header
from invitereg.web.signing import Signer

COOKIE = "invitereg_form"
DONE_COOKIE = "invitereg_done"
_FORM_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 50
_REMEMBERED = 10_000
_KINDS = {kind.value for kind in Kind}
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


def stamp(signer: Signer, browser: Browser, form: str) -> str:
    """Return what a form carries so that it is known to have been shown to this browser."""
    return signer.stamp(f"form {form}", browser.secret)


def genuine(signer: Signer, request: WebRequest, sent: Mapping[str, str], form: str) -> bool:
    """Whether fields come from a form that this browser was shown under the name ``form``."""
    known = (request.getCookie(COOKIE.encode()) or b"").decode("ascii", "replace")
    elsewhere = header(request, "sec-fetch-site") in ("cross-site", "same-site")
    stamped = signer.is_stamp(f"form {form}", known, sent.get("form", ""))
    return bool(known) and not elsewhere and stamped


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


@dataclass(frozen=True, slots=True)
class Proof:
    """What a browser has done with a form.

    Attributes:
        address: the account's.
        kind: RESET where a new password was set.
        app: the one that was chosen before; "" if none was.
    """

    address: str
    kind: Kind
    app: str


def proof(signer: Signer, request: WebRequest, form: str) -> Proof | None:
    """Return what the browser has done with a form, as its cookie proves; None if nothing."""
    text = request.getCookie(DONE_COOKIE.encode())
    match signer.read(f"done {form}", text) if text else None:
        case {"address": str(address), "kind": str(kind), "app": str(app)} if kind in _KINDS:
            return Proof(address, Kind(kind), app)
    return None


def prove(signer: Signer, request: WebRequest, form: str, proof: Proof, path: str) -> None:
    """Give the browser a cookie for `proof`, for the pages of the site under ``path``."""
    text = signer.write(f"done {form}", asdict(proof))
    set_cookie(request, DONE_COOKIE, text, path)


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
