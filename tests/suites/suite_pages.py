"""Checkers of HTML, on every page that a guest may see."""

import json

from tests.suites.demo import SuiteCase, fetched, program, run
from tests.suites.guest import Guest

LANGUAGES = ("en", "de", "es", "fr")
RULES = {"root": True, "extends": ["html-validate:standard", "html-validate:a11y"]}


class PageTests(SuiteCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.pages = cls.demo.folder / "pages"
        cls.pages.mkdir()
        cls.demo.account("romeo")
        for language in LANGUAGES:
            cls.visit(language)
        cls.demo.cards(cls.pages / "cards.html")

    @classmethod
    def visit(cls, language: str) -> None:
        """See each page once, in each state."""
        guest = Guest(cls.demo.site, language)
        token = cls.demo.token("--contact", "--inviter", "romeo")
        contact = cls.demo.token("--no-registration", "--inviter", "romeo")
        form = guest.open(f"/invite/{token}/register")
        login = {"username": f"juliet-{language}", "password": "a balcony, at night"}
        reset = guest.open(f"/invite/{cls.demo.reset('romeo')}")
        seen = {
            "home": guest.open("/"),
            "invitation": guest.open(f"/invite/{token}"),
            "contact": guest.open(f"/invite/{contact}"),
            "form": form,
            "mistaken": guest.send(form, username="juliet@nowhere", password="short"),
            "done": guest.send(form, **login),
            "already": guest.send(form, username="nurse", password="a balcony, at night"),
            "used": guest.open(f"/invite/{token}"),
            "unknown": guest.open("/invite/AAAAAAAAAAAAAAAAAAAAAAAA"),
            "reset": reset,
            "reset-done": guest.send(reset, password="a dagger, at dawn"),
        }
        for name, page in seen.items():
            (cls.pages / f"{name}-{language}.html").write_text(page)

    def test_nu(self) -> None:
        """The Nu checker finds no error and has no advice."""
        jar = fetched("node_modules", "vnu-jar", "build", "dist", "vnu.jar")
        java = program("java", "default-jre-headless")
        run([java, "-jar", str(jar), *self.files()])

    def test_html_validate(self) -> None:
        """html-validate finds nothing, by its rules for HTML and for accessibility."""
        folder = fetched("node_modules", "html-validate").parents[1]
        rules = self.pages / "rules.json"
        rules.write_text(json.dumps(RULES))
        words = ["npx", "html-validate", "--config", str(rules), *self.files()]
        run(words, folder=folder)

    def files(self) -> list[str]:
        """Return the pages that were seen."""
        return sorted(map(str, self.pages.glob("*.html")))
