"""Pages to register, with and without an invitation, and to set a new password."""

from collections.abc import Mapping
from types import MappingProxyType

from twisted.internet.interfaces import IReactorTime

from invitereg.errors import InvalidInvite, Refused, UsernameTaken
from invitereg.model.fields import FIELD_LABELS
from invitereg.model.invites import Invite, Kind
from invitereg.model.names import localpart_or_none, typed_username
from invitereg.policy.texts import password_hint
from invitereg.usecases.registrar import Redeemed, Registrar, Submission
from invitereg.web.apps import sorted_apps
from invitereg.web.channel import WebRequest
from invitereg.web.errors import AUTOFILL, FormError, form_error, say_when, status_of
from invitereg.web.forms import (
    APP_FIELD,
    Proof,
    Signer,
    SubmissionCache,
    WebForm,
    read_fields,
)
from invitereg.web.rendering import PageResponses, argument, reader


class RegistrationPages:
    """Shows forms, passes them to the registrar, and shows the outcome."""

    def __init__(
        self, registrar: Registrar, answers: PageResponses, clock: IReactorTime
    ) -> None:
        self._registrar = registrar
        self._answers = answers
        self._submissions = SubmissionCache(clock)
        self._signer: Signer | None = None

    async def form(self, request: WebRequest, token: str | None) -> WebForm:
        """Return the form of an invitation, or of open registration, in this browser."""
        if self._signer is None:
            self._signer = Signer(await self._registrar.signing_key())
        return WebForm(self._signer, request, token)

    async def show(self, request: WebRequest, token: str | None) -> bytes:
        """Show the form; or redirect to its outcome, if this browser has used it up.

        Raises:
            Refused: as `Registrar.preview`, or `Registrar.admit`.
        """
        form = await self.form(request, token)
        try:
            invite = await self._invite(request, token)
        except Refused:
            if token is None or form.proof() is None:
                raise
            return self._answers.see_other(request, form.page("done"))
        return self.filled_in(request, form, invite)

    async def take(self, request: WebRequest, token: str | None) -> bytes:
        """Register or set the password, and redirect to the outcome.

        Raises:
            Refused: the invitation is not valid any more, and not because of this browser;
                what else is wrong is said beside the field.
            UnsupportedMediaType, BadRequest: the body is no form.
        """
        form, fields = await self.form(request, token), read_fields(request)
        if not form.is_genuine(fields):
            invite = await self._invite(request, token)
            request.setResponseCode(403)
            return self.filled_in(request, form, invite, fields, _foreign(request))
        submission = _submission(request, form, fields)
        try:
            registered = await self._submissions.once(
                form.idempotency_key(fields), lambda: self._registrar.redeem(submission)
            )
        except Refused as refusal:
            return await self._refused(request, form, fields, refusal)
        form.prove(_proof(form, registered, fields))
        return self._answers.see_other(request, form.page("done"))

    async def _refused(
        self, request: WebRequest, form: WebForm, fields: Mapping[str, str], refusal: Refused
    ) -> bytes:
        """Return the form with what is wrong, or the page of what it has done before."""
        last = self._submissions.last(form.idempotency_key(fields))
        before = form.proof() if last is None else _proof(form, last, fields)
        if before is not None and _is_over(refusal, before, fields):
            form.prove(before)  # its first answer may have got lost
            request.setResponseCode(409)
            page = form.page("done")
            return self._answers.page(request, "already.html", page=page, before=before)
        invite = await self._invite(request, form.token)
        request.setResponseCode(status_of(refusal))
        say_when(request.responseHeaders, refusal)
        translate = reader(request).catalogue.gettext
        problem = form_error(refusal, self._answers.domain(request).policy, translate)
        return self.filled_in(request, form, invite, fields, problem)

    def filled_in(
        self,
        request: WebRequest,
        form: WebForm,
        invite: Invite | None,
        values: Mapping[str, str] = MappingProxyType({}),
        problem: FormError | None = None,
    ) -> bytes:
        """Return the page with the form, with what was sent and what is wrong with it."""
        resets = invite is not None and invite.kind is Kind.RESET
        policy = self._answers.domain(request).policy
        app = values.get(APP_FIELD, "") or argument(request, "app")
        return self._answers.page(
            request,
            "reset.html" if resets else "register.html",
            opened=invite and self._answers.opened(request, invite, form.token or ""),
            action=form.page("reset" if resets else "register"),
            csrf_token=form.csrf_token(),
            problem=problem,
            values=values,
            app=request.served.app(app),
            fields={} if resets else policy.fields,
            least=policy.passwords.min_length,
            password_hint=password_hint(policy, reader(request).catalogue.gettext),
            labels=FIELD_LABELS,
            autofill=AUTOFILL,
        )

    async def done(self, request: WebRequest, token: str | None) -> bytes:
        """Show somebody who has just registered how to go on; harmless to load again.

        Raises:
            InvalidInvite: it was not this browser that did.
        """
        form = await self.form(request, token)
        proof = form.proof()
        if proof is None and token is None:
            return self._answers.see_other(request, form.page("register"))
        if proof is None:
            raise InvalidInvite
        fitting, others = sorted_apps(request.served, reader(request).visitor)
        return self._answers.page(
            request,
            "done.html",
            page=form.page("done"),
            address=proof.address,
            resets=proof.kind is Kind.RESET,
            contact=proof.contact,
            app=request.served.app(proof.app),
            fitting=fitting,
            others=others,
        )

    async def _invite(self, request: WebRequest, token: str | None) -> Invite | None:
        """Return the invite of a form's token; None without one, where none is needed.

        Raises:
            Refused: the token is good for no form; or one is needed.
        """
        domain, address = request.served.domain, request.client
        if token is None:
            await self._registrar.admit(domain, address)
            return None
        grant = await self._registrar.preview(
            domain, address, token, scripted=request.is_scripted
        )
        if grant.invite.kind is Kind.CONTACT:
            raise InvalidInvite
        return grant.invite


def _submission(request: WebRequest, form: WebForm, fields: Mapping[str, str]) -> Submission:
    values = dict(fields)
    typed = typed_username(values.pop("username", ""), form.domain)
    return Submission(
        domain=form.domain,
        door="web",
        address=request.client,
        # Whatever is typed there, a reset is for the account that it was made for.
        username=None if request.route == "reset" else typed or None,
        password=values.pop("password", ""),
        fields=values,
        token=form.token,
    )


def _proof(form: WebForm, registered: Redeemed, fields: Mapping[str, str]) -> Proof:
    address = f"{registered.username}@{form.domain}"
    return Proof(address, registered.kind, fields.get(APP_FIELD, ""), registered.contact)


def _is_over(refusal: Refused, before: Proof, fields: Mapping[str, str]) -> bool:
    """Return whether a form is refused because of what its browser has done with it before."""
    if isinstance(refusal, UsernameTaken):
        username, _at, domain = before.address.rpartition("@")
        return localpart_or_none(typed_username(fields.get("username", ""), domain)) == username
    return isinstance(refusal, InvalidInvite)


def _foreign(request: WebRequest) -> FormError:
    _ = reader(request).catalogue.gettext
    text = _(
        "This form could not be checked. Please fill it in and send it once more. "
        "If that does not help, allow this site to set cookies."
    )
    return FormError("", text)
