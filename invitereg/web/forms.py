"""Forms: fields, cookies, CSRF tokens and idempotency keys."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs
from weakref import WeakValueDictionary

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous import Signer as BytesSigner
from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure

from invitereg.model.invites import Kind
from invitereg.web.channel import WebRequest

COOKIE = "invitereg_form"
DONE_COOKIE = "invitereg_done"
_FORM_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 50
_REMEMBERED = 10_000
_KINDS = {kind.value for kind in Kind}
REMEMBERED_SECONDS = 600


class Signer:
    """Signs for several purposes with one key: what is for one of them is for no other."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, purpose: str, value: object) -> str:
        """Return a value of JSON's types as signed text, such as for a cookie."""
        return str(self._serializer(purpose).dumps(value))  # never bytes with JSON

    def read(self, purpose: str, text: bytes) -> object:
        """Return the value that `write` has signed; None for anything else."""
        try:
            value: object = self._serializer(purpose).loads(text)
        except BadData:
            return None
        return value

    def stamp(self, purpose: str, secret: str) -> str:
        """Return a signature of a secret, from which nobody learns the secret."""
        return self._signer(purpose).get_signature(secret.encode()).decode("ascii")

    def is_stamp(self, purpose: str, secret: str, text: str) -> bool:
        """Whether `stamp` has returned ``text`` for this purpose and secret."""
        signature = text.encode("utf-8", "replace")
        return self._signer(purpose).verify_signature(secret.encode(), signature)

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        digest = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        return URLSafeSerializer(
            self._key, salt=purpose.encode("utf-8", "replace"), signer_kwargs=digest
        )

    def _signer(self, purpose: str) -> BytesSigner:
        return BytesSigner(
            self._key,
            salt=purpose.encode("utf-8", "replace"),
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )


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
    elsewhere = request.header("sec-fetch-site") in ("cross-site", "same-site")
    stamped = signer.is_stamp(f"form {form}", known, sent.get("form", ""))
    return bool(known) and not elsewhere and stamped


def fields(request: WebRequest) -> dict[str, str]:
    """The fields of the form that was sent.

    Raises:
        NoForm: it is none.
    """
    kind = request.header("content-type").partition(";")[0].strip().lower()
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
        contact: the username of whom a new account has as its first contact; "" for nobody.
    """

    address: str
    kind: Kind
    app: str
    contact: str


def proof(signer: Signer, request: WebRequest, form: str) -> Proof | None:
    """Return what the browser has done with a form, as its cookie proves; None if nothing."""
    text = request.getCookie(DONE_COOKIE.encode())
    match signer.read(f"done {form}", text) if text else None:
        case {
            "address": str(address),
            "kind": str(kind),
            "app": str(app),
            "contact": str(contact),
        } if kind in _KINDS:
            return Proof(address, Kind(kind), app, contact)
    return None


def prove(signer: Signer, request: WebRequest, form: str, proof: Proof, path: str) -> None:
    """Give the browser a cookie for `proof`, for the pages of the site under ``path``."""
    text = signer.write(f"done {form}", asdict(proof))
    set_cookie(request, DONE_COOKIE, text, path)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a form.

    Attributes:
        username: the account's.
        kind: RESET where a new password was set.
        contact: the username of whom a new account has as its first contact; "" for nobody.
    """

    username: str
    kind: Kind
    contact: str


class Once:
    """Does each submission of a form once, however often the same browser sends it.

    A double click sends a form twice, and the browser only waits for the second answer. Both
    get the outcome of the first, as do later ones until it is forgotten. A submission with
    other values is another one: it is done after those that the browser has sent before.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, ...], tuple[float, Outcome]] = OrderedDict()
        self._turns: WeakValueDictionary[tuple[str, ...], DeferredLock] = WeakValueDictionary()

    async def done(
        self,
        form: tuple[str, ...],
        submission: str,
        work: Callable[[], Coroutine[Any, Any, Outcome]],
    ) -> Outcome:
        """Return the outcome of ``work``, done now or when this submission was last sent.

        What fails is not remembered: it may be tried again. It goes on even if nobody waits
        any more: half a registration helps nobody.

        Args:
            form: the browser, and the form that it was shown.
            submission: tells apart what was filled in.
            work: registers, or sets the password.
        """
        outcome: Deferred[Outcome] = Deferred()
        doing = Deferred.fromCoroutine(self._in_turn(form, submission, work))
        doing.addBoth(_tell, outcome)
        return await outcome

    def recall(self, form: tuple[str, ...], submission: str = "") -> Outcome | None:
        """Return what came of a submission, or of the form's last one; None if forgotten."""
        self._forget()
        known = self._known.get((*form, submission))
        return known[1] if known else None

    async def _in_turn(
        self,
        form: tuple[str, ...],
        submission: str,
        work: Callable[[], Coroutine[Any, Any, Outcome]],
    ) -> Outcome:
        turn = self._turns.get(form) or self._turns.setdefault(form, DeferredLock())
        await turn.acquire()
        try:
            known = self.recall(form, submission)
            return known or self._remember(form, submission, await work())
        finally:
            turn.release()

    def _remember(self, form: tuple[str, ...], submission: str, outcome: Outcome) -> Outcome:
        for key in ((*form, submission), (*form, "")):
            self._known[key] = (self._clock.seconds(), outcome)
            self._known.move_to_end(key)
        return outcome

    def _forget(self) -> None:
        until = self._clock.seconds() - REMEMBERED_SECONDS
        while self._known:
            key, (since, _outcome) = next(iter(self._known.items()))
            if since > until and len(self._known) <= _REMEMBERED:
                return
            del self._known[key]


def _tell(result: Outcome | Failure, outcome: Deferred[Outcome]) -> None:
    """Hand a result on, unless the client is gone."""
    if not outcome.called:
        outcome.callback(result)
