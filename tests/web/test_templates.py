"""Templates of an operator's own go on: what they may use is a contract."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from invitereg.config.web import FooterLink, Texts
from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Domain, Policy
from invitereg.web.settings import SiteSettings
from tests.web.door import DOMAIN, PASSWORD, WebCase
from tests.web.person import Person

FIRST = Path(__file__).with_name("templates")
"""The templates as the first operators got them, to make their own of."""

EVERYWHERE = """
    site.domain site.external_url site.apps site.webchat_url site.texts.headline
    site.texts.about site.texts.footer site.links site.logo site.colours.light
    site.colours.dark site.templates site.https site.host site.hostname site.prefix
    site.url('x') site.path('x') site.app('gajim') site_name domain.name domain.site_name
    domain.policy.allow_registration domain.policy.registration_invite_only
    domain.policy.fields who.language who.chosen who.query who.visitor.platform
    who.visitor.chosen who.visitor.mobile text(site.texts.about) static('style.css')
    link('') link('x',lang='de') languages direction platforms
    stores(site.apps[0],who.visitor,'')|list login_link(site.apps[0],'a@b','b')
    parts.app_card(site.apps[0]) parts.app_lists(site.apps,[]) parts.devices('')
    """
INVITATION = """
    opened.invite.inviter opened.invite.username opened.invite.domain opened.invite.kind
    opened.invite.subscribe opened.invite.uses opened.invite.uses_allowed opened.token
    opened.uri opened.quoted_uri opened.url opened.until opened.ends opened.registers
    opened.code magic_link(site.apps[0],opened)
    parts.app_card(site.apps[0],opened,'invite/x/register')
    parts.app_lists(site.apps,[],opened,'invite/x/register')
    """
FORM = """
    action stamp problem values app fields least password_rule labels autofill
    parts.described('username',true) parts.password() parts.page_problem()
    parts.secret_fields()
    """
PAGES = {
    "home.html": "",
    "landing.html": f"{INVITATION} fitting others",
    "register.html": f"{INVITATION} {FORM}",
    "reset.html": f"{INVITATION} {FORM}",
    "done.html": "page address resets app fitting others",
    "gone.html": "",
    "refused.html": "why",
    "mistaken.html": "status",
}
"""What the pages could show then: each expression without blanks, which print as text."""


class TemplateCase(WebCase):
    """Visits every page of a site with templates of its own."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        super().setUp()

    def make_site(self) -> SiteSettings:
        return replace(
            super().make_site(),
            templates=self.folder,
            texts=Texts(headline="Hello", about="All about trains.", footer="The footer"),
            links=(FooterLink(text="Imprint", url="https://example.com/imprint"),),
            logo=(b"<svg/>", "image/svg+xml"),
            webchat_url="https://example.com/chat",
        )

    def make_domain(self) -> Domain:
        policy = Policy(admins=frozenset({"romeo"}), fields={"email": True, "nick": False})
        return replace(super().make_domain(), policy=policy)

    async def visits(self) -> dict[str, tuple[int, str]]:
        """Open every page; returns the statuses and texts, by the names of the templates."""
        for username in ("nurse", "romeo"):
            await self.account(username)
        _invite, token = await self.invite(inviter="nurse", contact=True)
        _contact, contact = await self.invite(inviter="nurse", contact=True, registration=False)
        _reset, reset = await self.issuer.create_reset(DOMAIN, "romeo", OPERATOR)
        person = Person(self)
        seen = {
            "home.html": await person.open("/"),
            "gone.html": await person.open("/invite/x"),
            "refused.html": await person.open("/register"),
            "mistaken.html": await person.open("/x"),
            "reset.html": await person.open(f"/invite/{reset}"),
            "landing.html contact": await person.open(f"/invite/{contact}"),
            "landing.html": await person.open(f"/invite/{token}"),
            "register.html": await person.open(f"/invite/{token}/register"),
        }
        path = f"/invite/{token}/register"
        wanted = {"username": "juliet", "password": PASSWORD}
        seen["register.html again"] = await person.send(path, **wanted)
        answer = await person.send(path, **wanted, email="juliet@example.net")
        self.assertEqual(answer.code, 303, answer.body)
        seen["done.html"] = await person.open(f"/invite/{token}/done")
        return {name: (page.code, page.body) for name, page in seen.items()}

    STATUSES = {  # noqa: RUF012 - a table
        "home.html": 200,
        "gone.html": 404,
        "refused.html": 403,
        "mistaken.html": 404,
        "reset.html": 200,
        "landing.html contact": 200,
        "landing.html": 200,
        "register.html": 200,
        "register.html again": 422,
        "done.html": 200,
    }

    async def assertShown(self) -> dict[str, str]:
        visits = await self.visits()
        statuses = {name: status for name, (status, _page) in visits.items()}
        self.assertEqual(statuses, self.STATUSES)
        return {name: page for name, (_status, page) in visits.items()}


class FirstTemplatesTests(TemplateCase):
    def take(self, names: Any) -> None:
        for name in names:
            (self.folder / name).write_bytes((FIRST / name).read_bytes())

    async def test_all(self) -> None:
        """A copy of all templates that was made long ago still shows every page."""
        self.take(path.name for path in FIRST.iterdir())
        pages = await self.assertShown()
        self.assertIn("would like to chat with you", pages["landing.html contact"])
        self.assertIn("At least 8 characters", pages["register.html"])

    async def test_pages(self) -> None:
        """So do pages that were copied, with today's frame around them."""
        self.take(PAGES)
        await self.assertShown()

    async def test_frame(self) -> None:
        """So does a frame that was copied, around today's pages."""
        self.take(["base.html"])
        await self.assertShown()


class VariableTests(TemplateCase):
    async def test_every_one(self) -> None:
        """Pages of an operator's own show all that they could, in every block."""
        for name, more in PAGES.items():
            (self.folder / name).write_text("\n".join(self._template(name, more)))
        pages = await self.assertShown()
        for name, page in pages.items():
            template = name.partition(" ")[0]
            self.assertIn(f"<title>Title of {template}</title>", page)
            self.assertIn(f'<meta name="own" content="{template}">', page)
            self.assertIn(f"<h1>Title of {template}</h1>", page)

    async def test_each_invitation(self) -> None:
        """A landing page of an operator's own shows of each invitation what ours does not."""
        template = "{{ opened.invite.note }}: {{ opened.token|upper }}"
        (self.folder / "landing.html").write_text(template)
        for note in ("For Alice", "For Bob"):
            _invite, token = await self.invite(note=note)
            page = await self.get(f"/invite/{token}")
            self.assertEqual(page.body, f"{note}: {token.upper()}")

    def _template(self, name: str, more: str) -> Iterator[str]:
        yield '{% extends "base.html" %}'
        yield "{% set here = 'here' %}"
        yield f"{{% block title %}}Title of {name}{{% endblock %}}"
        yield f'{{% block head %}}<meta name="own" content="{name}">{{% endblock %}}'
        yield "{% block main %}<h1>{{ self.title() }}</h1>"
        shown = [*EVERYWHERE.split(), *more.split()]
        if name == "register.html":  # where there may be no invitation
            yield "{% if opened %}"
        yield from (f"<p>{{{{ {expression} }}}}</p>" for expression in shown)
        if name == "register.html":
            yield "{% endif %}"
        if "labels" in more:
            yield '{% call parts.field("username") %}<b>in it</b>{% endcall %}'
        yield "{% endblock %}"
