"""Forms of a browser: fields, CSRF tokens, proofs of what was done, and idempotency keys."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs
from weakref import WeakValueDictionary

from itsdangerous import BadData, URLSafeSerializer
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from invitereg.model.invites import Kind
from invitereg.runtime.deferreds import shielded
from invitereg.usecases.registrar import Redeemed
from invitereg.web.channel import WebRequest

COOKIE = "invitereg_form"
DONE_COOKIE = "invitereg_done"
CSRF_FIELD = "form"
APP_FIELD = "app"
_FORM_TYPE = "application/x-www-form-urlencoded"
_SECRET_LENGTH = 43
_MOST_FIELDS = 50
_REMEMBERED = 10_000
_KINDS = {kind.value for kind in Kind}
REMEMBERED_SECONDS = 600


class Signer:
    """Signs what a browser keeps; what is signed for one purpose is valid for no other.

    By itsdangerous (https://itsdangerous.palletsprojects.com/).
    """

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

    def signature(self, purpose: str, secret: str) -> str:
        """Return a signature of a secret, from which nobody learns the secret."""
        signer = self._serializer(purpose).make_signer()
        return signer.get_signature(secret.encode()).decode("ascii")

    def verify(self, purpose: str, secret: str, text: str) -> bool:
        """Return whether ``text`` is the `signature` of a secret for this purpose."""
        signature = text.encode("utf-8", "replace")
        signer = self._serializer(purpose).make_signer()
        return signer.verify_signature(secret.encode(), signature)

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        digest = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        return URLSafeSerializer(
            self._key, salt=purpose.encode("utf-8", "replace"), signer_kwargs=digest
        )


def read_fields(request: WebRequest) -> dict[str, str]:
    """Return the fields of the form that was sent.

    Raises:
        UnsupportedMediaType, BadRequest: it is none.
    """
    kind = request.header("content-type").partition(";")[0].strip().lower()
    if kind != _FORM_TYPE:
        raise UnsupportedMediaType
    body = request.content.read() if request.content else b""
    try:
        found = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise BadRequest from None
    return {name: values[-1] for name, values in found.items()}


@dataclass(frozen=True, slots=True)
class Proof:
    """States what a browser has done with a form.

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


class WebForm:
    """Knows a form, of an invitation or of open registration, and the browser that asks.

    Attributes:
        domain: where it registers.
        token: the invitation's; None where registration is open to all.
    """

    def __init__(self, signer: Signer, request: WebRequest, token: str | None) -> None:
        self.domain = request.served.domain
        self.token = token
        self._signer = signer
        self._request = request
        # Tells this form from others of the same browser.
        self._name = f"{self.domain} {token or ''}"

    def page(self, name: str) -> str:
        """Return the path of one of the form's pages within the site."""
        if self.token is None:
            return "register/done" if name == "done" else "register"
        return f"invite/{self.token}/{name}" if name else f"invite/{self.token}"

    @cached_property
    def secret(self) -> str:
        """The secret of the browser's cookie; a browser without one is given it."""
        found = self._known_secret()
        if len(found) == _SECRET_LENGTH:
            return found
        made = secrets.token_urlsafe(32)
        self._set_cookie(COOKIE, made, "")
        return made

    def csrf_token(self) -> str:
        """Return the CSRF token, which shows that a form was shown to this browser."""
        return self._signer.signature(f"form {self._name}", self.secret)

    def is_genuine(self, fields: Mapping[str, str]) -> bool:
        """Return whether fields come from a form that this browser was shown."""
        known, sent = self._known_secret(), fields.get(CSRF_FIELD, "")
        elsewhere = self._request.header("sec-fetch-site") in ("cross-site", "same-site")
        signed = self._signer.verify(f"form {self._name}", known, sent)
        return bool(known) and not elsewhere and signed

    def idempotency_key(self, fields: Mapping[str, str]) -> tuple[str, str, str]:
        """Return the key that repeated submissions share: the browser, the form, its values.

        From the key nobody learns the password.
        """
        aside = (CSRF_FIELD, APP_FIELD)  # these are not about the account
        filled = sorted((name, text) for name, text in fields.items() if name not in aside)
        digest = hmac.new(self.secret.encode(), repr(filled).encode(), "sha256").hexdigest()
        return self.secret, self._name, digest

    def proof(self) -> Proof | None:
        """Return the outcome that the browser's cookie proves; None without a valid one."""
        text = self._request.getCookie(DONE_COOKIE.encode())
        match self._signer.read(f"done {self._name}", text) if text else None:
            case {
                "address": str(address),
                "kind": str(kind),
                "app": str(app),
                "contact": str(contact),
            } if kind in _KINDS:
                return Proof(address, Kind(kind), app, contact)
        return None

    def prove(self, proof: Proof) -> None:
        """Give the browser a cookie for `proof`, for the pages of this form."""
        text = self._signer.write(f"done {self._name}", asdict(proof))
        self._set_cookie(DONE_COOKIE, text, self.page(""))

    def _known_secret(self) -> str:
        return (self._request.getCookie(COOKIE.encode()) or b"").decode("ascii", "replace")

    def _set_cookie(self, name: str, value: str, page: str) -> None:
        """Set a cookie for this site, which no script and no other site can read."""
        site = self._request.served
        path, secure = site.path(page), site.https
        self._request.addCookie(
            name, value, path=path, httpOnly=True, sameSite="strict", secure=secure
        )


class SubmissionCache:
    """Does each submission of a form once, however often the same browser sends it.

    A double click sends a form twice, and the browser only waits for the second answer. Both
    get the outcome of the first, as do later ones until it is forgotten. A submission with
    other values is another one: it is done after those that the browser has sent before.

    Keys are those of `WebForm.idempotency_key`; their last part tells submissions of one form
    apart.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, ...], tuple[float, Redeemed]] = OrderedDict()
        self._turns: WeakValueDictionary[tuple[str, ...], DeferredLock] = WeakValueDictionary()

    async def once(
        self, key: tuple[str, ...], work: Callable[[], Coroutine[Any, Any, Redeemed]]
    ) -> Redeemed:
        """Return the outcome of ``work``, done now or when this submission was last sent.

        What fails is not remembered: it may be tried again. It goes on even if nobody waits
        any more: half a registration helps nobody.
        """
        return await shielded(Deferred.fromCoroutine(self._in_turn(key, work)))

    def last(self, key: tuple[str, ...]) -> Redeemed | None:
        """Return the outcome of the last submission of a key's form; None if forgotten."""
        return self._recall((*key[:-1], ""))

    async def _in_turn(
        self, key: tuple[str, ...], work: Callable[[], Coroutine[Any, Any, Redeemed]]
    ) -> Redeemed:
        form = key[:-1]
        turn = self._turns.get(form) or self._turns.setdefault(form, DeferredLock())
        await turn.acquire()
        try:
            return self._recall(key) or self._remember(key, await work())
        finally:
            turn.release()

    def _remember(self, key: tuple[str, ...], outcome: Redeemed) -> Redeemed:
        for each in (key, (*key[:-1], "")):
            self._known[each] = (self._clock.seconds(), outcome)
            self._known.move_to_end(each)
        return outcome

    def _recall(self, key: tuple[str, ...]) -> Redeemed | None:
        self._forget()
        known = self._known.get(key)
        return known[1] if known else None

    def _forget(self) -> None:
        until = self._clock.seconds() - REMEMBERED_SECONDS
        while self._known:
            key, (since, _outcome) = next(iter(self._known.items()))
            if since > until and len(self._known) <= _REMEMBERED:
                return
            del self._known[key]
