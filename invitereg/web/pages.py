"""Pages for people (https://docs.modernxmpp.org/client/invites/)."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from werkzeug.exceptions import Forbidden, HTTPException, MethodNotAllowed, NotFound

from invitereg.errors import InvalidInvite, Refused, Unavailable
from invitereg.model.invites import Kind
from invitereg.policy.values import Domain
from invitereg.usecases.registrar import Registrar
from invitereg.web.channel import WebRequest
from invitereg.web.registration import RegistrationPages
from invitereg.web.rendering import PageResponses
from invitereg.web.static import StaticFiles

_FORM = ("GET", "POST")  # werkzeug adds HEAD
_TOKEN = re.compile("[A-Za-z0-9_-]+")


class _PageResource(Resource):
    """Renders pages for requests whose body was received whole; else answers 413."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, pages: IResource, answers: PageResponses) -> None:
        super().__init__()
        self._pages = pages
        self._answers = answers

    def render(self, request: WebRequest) -> bytes | int:
        if request.too_large:
            return self._answers.mistaken(request, 413)
        rendered: bytes | int = self._pages.render(request)
        return rendered


class Pages:
    """Answers every path that no other part of the site is mounted at."""

    app = Klein()
    # Else werkzeug sends browsers on to tidied addresses, which it makes of the Host header.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.url_map.redirect_defaults = False

    def __init__(
        self, domains: Mapping[str, Domain], registrar: Registrar, clock: IReactorTime
    ) -> None:
        self._registrar = registrar
        self._static = StaticFiles(domains)
        self._answers = PageResponses(domains, self._static)
        self._forms = RegistrationPages(registrar, self._answers, clock)

    def resource(self) -> IResource:
        """Return the resource that the site mounts."""
        return _PageResource(self.app.resource(), self._answers)

    @app.route("/", methods=["GET"])
    async def home(self, request: WebRequest) -> bytes:
        """Show the start page."""
        request.route = "home"
        return self._answers.page(request, "home.html")

    @app.route("/static/<path:name>", methods=["GET"])
    async def static(self, request: WebRequest, name: str) -> bytes:
        """Return a file that pages load, such as a style sheet."""
        request.route = "static"
        content = self._static.answer(request, name)
        if content is None:
            raise NotFound
        return content

    @app.route("/robots.txt", methods=["GET"])
    async def robots(self, request: WebRequest) -> bytes:
        """Forbid search engines all paths."""
        request.route = "robots"
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        return b"User-agent: *\nDisallow: /\n"

    @app.route("/invite/<token>", methods=["GET"])
    async def landing(self, request: WebRequest, token: str) -> bytes:
        """Show what an invitation is for, and how to use it; for a reset, the form itself."""
        request.route = "invite"
        _require_reader(request)
        # Web apps resolve links by script: they may read the header Link, without cookies.
        request.setHeader("Access-Control-Allow-Origin", "*")
        request.setHeader("Access-Control-Expose-Headers", "Link")
        domain, scripted = request.served.domain, request.is_scripted
        form = await self._forms.form(request, token)
        try:
            grant = await self._registrar.preview(
                domain, request.client, token, scripted=scripted
            )
        except Refused:
            if form.proof() is None:
                raise
            return await self._forms.done(request, token)
        if grant.invite.kind is Kind.RESET:
            return self._forms.filled_in(request, form, grant.invite)
        return self._answers.landing(request, grant.invite, token)

    @app.route("/invites_page", methods=["GET"])
    async def prosody_landing(self, request: WebRequest) -> bytes:
        """Redirect a link to Prosody's mod_invites_page to the invitation's page."""
        request.route = "prosody-invite"
        token = _bare_token(request)
        if token is None:
            raise InvalidInvite
        # Web apps resolve links by script, which may follow no answer without this header.
        request.setHeader("Access-Control-Allow-Origin", "*")
        # The old page may be at another host or port than the site.
        return self._answers.moved(request, request.served.url(f"invite/{token}"))

    @app.route("/invite/<token>/register", methods=_FORM)
    async def register(self, request: WebRequest, token: str) -> bytes:
        """Show or take the form to register with an invitation."""
        return await self._show_or_take(request, "register", token)

    @app.route("/invite/<token>/reset", methods=_FORM)
    async def reset(self, request: WebRequest, token: str) -> bytes:
        """Show or take the form to set a new password."""
        return await self._show_or_take(request, "reset", token)

    @app.route("/register", methods=_FORM)
    async def open_registration(self, request: WebRequest) -> bytes:
        """Show or take the form to register without an invitation."""
        return await self._show_or_take(request, "open-register", None)

    @app.route("/invite/<token>/done", methods=["GET"])
    async def done(self, request: WebRequest, token: str) -> bytes:
        """Show the outcome of an invitation's form."""
        request.route = "done"
        return await self._forms.done(request, token)

    @app.route("/register/done", methods=["GET"])
    async def open_done(self, request: WebRequest) -> bytes:
        """Show the outcome of the form without an invitation."""
        request.route = "open-done"
        return await self._forms.done(request, None)

    async def _show_or_take(self, request: WebRequest, route: str, token: str | None) -> bytes:
        request.route = route
        _require_reader(request)
        if request.method == b"POST":
            return await self._forms.take(request, token)
        return await self._forms.show(request, token)

    # --- what goes wrong

    @app.handle_errors(Refused)
    async def refused(self, request: Any, failure: Failure) -> bytes:
        """Answer a refusal of the registrar."""
        refusal = failure.value
        assert isinstance(refusal, Refused)  # noqa: S101 - for the type checker
        return self._answers.refused(request, refusal)

    @app.handle_errors(HTTPException)
    async def mistaken(self, request: Any, failure: Failure) -> bytes:
        """Answer an unknown path, a method that it does not take, or a body that is no form."""
        error = failure.value
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            request.setHeader("Allow", ", ".join(sorted(error.valid_methods)))
        return self._answers.mistaken(request, getattr(error, "code", None) or 400)

    @app.handle_errors(Exception)
    async def failed(self, request: Any, failure: Failure) -> bytes:
        """Answer an unexpected error; the page shows the id under which the log has it."""
        return self._answers.refused(request, Unavailable(request.blame(failure)))


def _bare_token(request: WebRequest) -> str | None:
    """Return the token of a link to Prosody's page: a query of nothing else, ``?TOKEN``.

    Messengers add parameters of theirs, and some programs write ``?TOKEN=``.
    """
    query = request.uri.partition(b"?")[2].decode("latin-1")
    pairs = parse_qsl(query, keep_blank_values=True)
    tokens = (name for name, value in pairs if not value)
    token = next(tokens, dict(pairs).get("token", ""))
    return token if _TOKEN.fullmatch(token) else None


def _require_reader(request: WebRequest) -> None:
    """Refuse what embeds a page elsewhere, before its token is looked up.

    A page of anybody could make its visitors guess tokens, and look like guessers, otherwise.

    Raises:
        Forbidden: nobody would read the page.
    """
    if request.is_embedded:
        raise Forbidden
