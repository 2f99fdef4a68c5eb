"""Forms to register, with and without an invitation, and to set a new password."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from invitereg.errors import InvalidInvite, Refused, UsernameTaken
from invitereg.model.fields import FIELD_LABELS
from invitereg.model.invites import Invite, Kind
from invitereg.model.names import localpart_or_none, typed_username
from invitereg.policy.texts import password_hint
from invitereg.policy.values import Address
from invitereg.usecases.registrar import Grant, Registrar, Submission
from invitereg.web import forms
from invitereg.web.apps import sorted_apps
from invitereg.web.channel import WebRequest
from invitereg.web.errors import AUTOFILL, Complaint, complaint, say_when, status_of
from invitereg.web.forms import Browser, Once, Outcome, Signer
from invitereg.web.rendering import Answers, argument, reader


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
        self._registrar = registrar
        self._signer: Signer | None = None

    async def show(self, request: WebRequest, token: str | None) -> bytes:
        """The form; or what came of it, where it is over and this browser has sent it.

        Raises:
            Refused: as `Registrar.preview`, or `Registrar.admit`.
        """
        try:
            invite = await self._invite(request, token)
        except Refused:
            if token is None or await self.proof(request, token) is None:
                raise
            return self._answers.see_other(request, _page(token, "done"))
        return await self.form(request, invite, token, Attempt({}))

    async def take(self, request: WebRequest, token: str | None) -> bytes:
        """Do what a form asks for, and send the browser on to what came of it.

        Raises:
            Refused: the invitation is not valid any more, and not because of this browser;
                what else is wrong is said beside the field.
            NoForm: the body is none.
        """
        entry, browser = Entry(request.served.domain, token), forms.browser(request)
        fields = forms.fields(request)
        if not forms.genuine(await self._signing(), request, fields, entry.name):
            invite = await self._invite(request, token)
            request.setResponseCode(403)
            attempt = Attempt(fields, self._foreign(request))
            return await self.form(request, invite, token, attempt)
        try:
            outcome = await self._forms.submit(entry, request.client, browser, fields)
        except Refused as refusal:
            return await self._not_taken(request, token, browser, fields, refusal)
        return await self._finish(request, token, outcome, fields.get("app", ""))

    async def _not_taken(
        self,
        request: WebRequest,
        token: str | None,
        browser: forms.Browser,
        fields: Mapping[str, str],
        refusal: Refused,
    ) -> bytes:
        """Answer with the form and what is wrong, or with what it has done before."""
        before = await self._before(request, token, browser, fields.get("app", ""))
        if before is not None and _is_over(refusal, before, fields):
            await self._prove(request, token, before)  # its first answer may have got lost
            request.setResponseCode(409)
            page = _page(token, "done")
            return self._answers.page(request, "already.html", page=page, before=before)
        invite = await self._invite(request, token)
        request.setResponseCode(status_of(refusal))
        say_when(request.responseHeaders, refusal)
        translate = reader(request).catalogue.gettext
        problem = complaint(refusal, self._answers.domain(request).policy, translate)
        return await self.form(request, invite, token, Attempt(fields, problem))

    async def _before(
        self, request: WebRequest, token: str | None, browser: forms.Browser, app: str
    ) -> forms.Proof | None:
        """Return what this browser has done with this form, in its cookie or on its way."""
        outcome = self._forms.last(Entry(request.served.domain, token), browser)
        if outcome is None:
            return await self.proof(request, token)
        return _proof(request, outcome, app)

    async def form(
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
            csrf_token=forms.stamp(await self._signing(), forms.browser(request), entry.name),
            problem=attempt.problem,
            values=attempt.values,
            app=request.served.app(name),
            fields={} if resets else policy.fields,
            least=policy.passwords.min_length,
            password_hint=password_hint(policy, reader(request).catalogue.gettext),
            labels=FIELD_LABELS,
            autofill=AUTOFILL,
        )

    async def done(self, request: WebRequest, token: str | None) -> bytes:
        """What somebody reads who has just registered; harmless to load again.

        Raises:
            InvalidInvite: it was not this browser that did.
        """
        proof = await self.proof(request, token)
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
            address=proof.address,
            resets=proof.kind is Kind.RESET,
            contact=proof.contact,
            app=request.served.app(proof.app),
            fitting=fitting,
            others=others,
        )

    async def proof(self, request: WebRequest, token: str | None) -> forms.Proof | None:
        """What this browser has done with this form, as its cookie proves."""
        form = Entry(request.served.domain, token).name
        return forms.proof(await self._signing(), request, form)

    async def _finish(
        self, request: WebRequest, token: str | None, outcome: forms.Outcome, app: str
    ) -> bytes:
        await self._prove(request, token, _proof(request, outcome, app))
        return self._answers.see_other(request, _page(token, "done"))

    async def _prove(self, request: WebRequest, token: str | None, proof: forms.Proof) -> None:
        form, path = Entry(request.served.domain, token).name, _page(token, "")
        signer = await self._signing()
        forms.prove(signer, request, form, proof, request.served.path(path))

    async def _invite(self, request: WebRequest, token: str | None) -> Invite | None:
        entry, scripted = Entry(request.served.domain, token), request.is_scripted
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

    async def _signing(self) -> Signer:
        """Return what signs, with the key that is in the store."""
        if self._signer is None:
            self._signer = Signer(await self._registrar.signing_key())
        return self._signer


def _proof(request: WebRequest, outcome: forms.Outcome, app: str) -> forms.Proof:
    address = f"{outcome.username}@{request.served.domain}"
    return forms.Proof(address, outcome.kind, app, outcome.contact)


def _is_over(refusal: Refused, before: forms.Proof, fields: Mapping[str, str]) -> bool:
    """Whether a form is refused because of what the same browser has done with it before."""
    if isinstance(refusal, UsernameTaken):
        username, _at, domain = before.address.rpartition("@")
        return localpart_or_none(typed_username(fields.get("username", ""), domain)) == username
    return isinstance(refusal, InvalidInvite)


def _page(token: str | None, name: str) -> str:
    """The path of one of a form's pages within the site."""
    if token is None:
        return "register/done" if name == "done" else "register"
    return f"invite/{token}/{name}" if name else f"invite/{token}"


_ASIDE = ("form", "app")
"""Fields of a form that are not about the account."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Which form it is.

    Attributes:
        domain: where.
        token: the invitation's, or None where registration is open to all.
    """

    domain: str
    token: str | None

    @property
    def name(self) -> str:
        """What tells this form from others of the same browser."""
        return f"{self.domain} {self.token or ''}"


class FormRegistrar:
    """Takes forms to the registrar, each once."""

    def __init__(self, registrar: Registrar, once: Once) -> None:
        self._registrar = registrar
        self._once = once

    async def grant(self, entry: Entry, address: Address, *, scripted: bool) -> Grant | None:
        """What the token is good for now; None without one, where none is needed.

        ``scripted`` is as in `invitereg.policy.values.Request`.

        Raises:
            Refused: it is not; or one is needed.
        """
        if entry.token is None:
            await self._registrar.admit(entry.domain, address)
            return None
        return await self._registrar.preview(
            entry.domain, address, entry.token, scripted=scripted
        )

    async def submit(
        self, entry: Entry, address: Address, browser: Browser, fields: Mapping[str, str]
    ) -> Outcome:
        """Register, or set the password; the same submission again has the same outcome.

        Raises:
            Refused: as `Registrar.preauthorise` and `Registrar.redeem`.
        """

        async def work() -> Outcome:
            return await self._redeem(entry, address, fields)

        return await self._once.done(_form(entry, browser), _submission(browser, fields), work)

    def last(self, entry: Entry, browser: Browser) -> Outcome | None:
        """Return what this browser has last done with this form; None if nobody remembers."""
        return self._once.recall(_form(entry, browser))

    async def _redeem(
        self, entry: Entry, address: Address, fields: Mapping[str, str]
    ) -> Outcome:
        values = dict(fields)
        grant = None
        if entry.token is not None:
            grant = await self._registrar.preauthorise(entry.domain, address, entry.token)
        kind = grant.invite.kind if grant else Kind.ACCOUNT
        fixed = grant.invite.username if grant and kind is Kind.RESET else None
        username = await self._registrar.redeem(
            Submission(
                domain=entry.domain,
                door="web",
                address=address,
                username=fixed or typed_username(values.pop("username", ""), entry.domain),
                password=values.pop("password", ""),
                fields=values,
                grant=grant,
            )
        )
        contact = grant.invite.inviter if grant and grant.invite.subscribe else None
        return Outcome(username, kind, contact or "")


def _form(entry: Entry, browser: Browser) -> tuple[str, ...]:
    return (browser.secret, entry.name)


def _submission(browser: Browser, fields: Mapping[str, str]) -> str:
    """Return a digest of what was filled in, from which nobody learns the password."""
    filled = sorted((name, text) for name, text in fields.items() if name not in _ASIDE)
    return hmac.new(browser.secret.encode(), repr(filled).encode(), "sha256").hexdigest()
