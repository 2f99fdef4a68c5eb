"""The forms: to register, with and without an invitation, and to set a new password."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from invitereg.errors import InvalidInvite, Refused
from invitereg.model import Invite, Kind
from invitereg.registrar import Registrar
from invitereg.web import forms
from invitereg.web.answers import Answers
from invitereg.web.channel import WebRequest
from invitereg.web.presenting import sorted_apps
from invitereg.web.registering import Entry, FormRegistrar
from invitereg.web.rendering import argument, reader
from invitereg.web.requestheaders import is_scripted
from invitereg.web.statuses import say_when, status_of
from invitereg.web.wording import AUTOFILL, FIELD_LABELS, Complaint, complaint, password_rule


@dataclass(frozen=True, slots=True)
class Attempt:
    """A form as somebody has sent it, or not yet.

    Attributes:
        values: what was filled in.
        problem: what is wrong with it; None where nothing is known to be.
    """

    values: Mapping[str, str]
    problem: Complaint | None = None


class FormPages:
    """Shows forms, takes them, and says what came of it."""

    def __init__(self, registrar: Registrar, answers: Answers, clock: Any) -> None:
        self._forms = FormRegistrar(registrar, forms.Once(clock))
        self._answers = answers
        self._own_key = secrets.token_bytes(32)

    async def show(self, request: WebRequest, token: str | None) -> bytes:
        """The form; or what came of it, where it is over and this browser has sent it.

        Raises:
            Refused: as `Registrar.preview`, or `Registrar.admit`.
        """
        try:
            invite = await self._invite(request, token)
        except Refused:
            if token is None or self.proof(request, token) is None:
                raise
            return self._answers.see_other(request, _page(token, "done"))
        return self.form(request, invite, token, Attempt({}))

    async def take(self, request: WebRequest, token: str | None) -> bytes:
        """Do what a form asks for, and send the browser on to what came of it.

        Raises:
            Refused: the invitation is not valid any more; what else is wrong is said beside
                the field.
            NoForm: the body is none.
        """
        entry, browser = Entry(request.served.domain, token), forms.browser(request)
        fields = forms.fields(request)
        if not forms.genuine(request, fields, entry.name):
            invite = await self._invite(request, token)
            request.setResponseCode(403)
            return self.form(request, invite, token, Attempt(fields, self._foreign(request)))
        finished = self._forms.finished(entry, browser, fields)
        invite = None if finished else await self._invite(request, token)
        try:
            single = invite is not None and invite.uses_allowed == 1
            username = finished or await self._forms.submit(
                entry, request.client, browser, fields, single=single
            )
        except InvalidInvite:
            raise
        except Refused as refusal:
            request.setResponseCode(status_of(refusal))
            say_when(request.responseHeaders, refusal)
            translate = reader(request).catalogue.gettext
            problem = complaint(refusal, self._answers.domain(request).policy, translate)
            return self.form(request, invite, token, Attempt(fields, problem))
        return self._finish(request, token, username, invite, fields.get("app", ""))

    def form(
        self, request: WebRequest, invite: Invite | None, token: str | None, attempt: Attempt
    ) -> bytes:
        """The page with the form, with what was sent and what is wrong with it."""
        resets = invite is not None and invite.kind is Kind.RESET
        policy = self._answers.domain(request).policy
        entry = Entry(request.served.domain, token)
        name = attempt.values.get("app", "") or argument(request, "app")
        return self._answers.page(
            request,
            "reset.html" if resets else "register.html",
            opened=self._answers.opened(request, invite, token or "") if invite else None,
            action=_page(token, "reset" if resets else "register"),
            stamp=forms.browser(request).stamp(entry.name),
            problem=attempt.problem,
            values=attempt.values,
            app=request.served.app(name),
            fields={} if resets else policy.fields,
            least=policy.passwords.min_length,
            password_rule=password_rule(policy, reader(request).catalogue.gettext),
            labels=FIELD_LABELS,
            autofill=AUTOFILL,
        )

    def done(self, request: WebRequest, token: str | None) -> bytes:
        """What somebody reads who has just registered; harmless to load again.

        Raises:
            InvalidInvite: it was not this browser that did.
        """
        proof = self.proof(request, token)
        if proof is None and token is None:
            return self._answers.see_other(request, _page(None, "register"))
        if proof is None:
            raise InvalidInvite
        visitor = reader(request).visitor
        fitting, others = sorted_apps(request.served, visitor)
        return self._answers.page(
            request,
            "done.html",
            page=_page(token, "done"),
            address=proof["address"],
            resets=proof["kind"] == Kind.RESET,
            app=request.served.app(proof["app"]),
            fitting=fitting,
            others=others,
        )

    def proof(self, request: WebRequest, token: str | None) -> dict[str, str] | None:
        """What this browser has done with this form, as its cookie proves."""
        text = (request.getCookie(forms.DONE_COOKIE.encode()) or b"").decode("ascii", "replace")
        return forms.read_signed(self._key(request, token), text)

    def _finish(
        self,
        request: WebRequest,
        token: str | None,
        username: str,
        invite: Invite | None,
        app: str,
    ) -> bytes:
        value, address = self.proof(request, token), f"{username}@{request.served.domain}"
        if value is None or value["address"] != address:
            kind = invite.kind if invite else Kind.ACCOUNT
            value = {"address": address, "kind": kind.value, "app": app}
        text = forms.signed(self._key(request, token), value)
        path = request.served.path(_page(token, ""))
        forms.set_cookie(request, forms.DONE_COOKIE, text, path)
        return self._answers.see_other(request, _page(token, "done"))

    async def _invite(self, request: WebRequest, token: str | None) -> Invite | None:
        entry, scripted = Entry(request.served.domain, token), is_scripted(request)
        grant = await self._forms.grant(entry, request.client, scripted=scripted)
        if grant is not None and grant.invite.kind is Kind.CONTACT:
            raise InvalidInvite  # it is good for no form
        return grant.invite if grant else None

    def _foreign(self, request: WebRequest) -> Complaint:
        _ = reader(request).catalogue.gettext
        return Complaint(
            "",
            _(
                "This form could not be checked. Please fill it in and send it once more. "
                "If that does not help, allow this site to set cookies."
            ),
        )

    def _key(self, request: WebRequest, token: str | None) -> bytes:
        """By what the proof is signed: for an invitation by itself, on every node alike."""
        if token is None:
            return self._own_key
        text = f"done {request.served.domain} {token}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _page(token: str | None, name: str) -> str:
    """The path of one of a form's pages within the site."""
    if token is None:
        return "register/done" if name == "done" else "register"
    return f"invite/{token}/{name}" if name else f"invite/{token}"
