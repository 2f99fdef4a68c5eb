"""The section ``web``: the sites, and what operators put into them."""

import json

from invitereg.config import json_schema
from invitereg.config.apps import default_apps, in_language
from invitereg.config.web import contrast
from tests.config.case import ConfigCase

URL = "external_url: https://chat.example.com"


class SiteTests(ConfigCase):
    def test_none(self) -> None:
        """Without external_url there is no site, nothing listens, and no link is shown."""
        config = self.loaded("domain: example.com")
        self.assertEqual((config.sites, config.web.listen), ({}, ()))
        self.assertIsNone(config.domains["example.com"].landing_url)

    def test_site(self) -> None:
        """With it, invites have a page, and a proxy finds the service where it expects it."""
        config = self.loaded(f"domain: example.com\nweb: {{{URL}}}")
        domain = config.domains["example.com"]
        self.assertEqual(domain.web_url, "https://chat.example.com/")
        self.assertEqual(domain.landing_url, "https://chat.example.com/invite/")
        self.assertEqual(config.web.listen, ("tcp:8080:interface=127.0.0.1",))

    def test_below_a_path(self) -> None:
        """It may lie below a path."""
        config = self.loaded(f"domain: example.com\nweb: {{{URL}/a}}")
        landing_url = config.domains["example.com"].landing_url
        self.assertEqual(landing_url, "https://chat.example.com/a/invite/")

    def test_wrong_addresses(self) -> None:
        """An address that cannot be one is refused, and so is one without encryption."""
        for text, told in (
            ("chat.example.com", "is no address such as https://example.com/"),
            ("ftp://example.com", "is no address such as https://example.com/"),
            ("https://example.com/?a=b", "must have no ? and no # and no @"),
            (
                "http://example.com/",
                "must be https: passwords would cross the network in clear",
            ),
        ):
            (mistake,) = self.mistakes_with(f"web: {{external_url: '{text}'}}")
            self.assertTrue(mistake.endswith(told), mistake)
        for text in ("http://localhost:8080/", "http://127.0.0.1/", "http://x.onion/"):
            self.assertEqual(self.mistakes_with(f"web: {{external_url: '{text}'}}"), [])

    def test_nobody_knows_where(self) -> None:
        """Who listens for browsers has to say where they come to."""
        (mistake,) = self.mistakes_with('web: {listen: ["tcp:8080"]}')
        self.assertIn("web.external_url: is missing: where do browsers", mistake)

    def test_several(self) -> None:
        """Each domain has a site of its own, or none."""
        config = self.loaded(
            "web: {colours: {light: '#004400'}}\n"
            "domains:\n"
            "  example.com: {web: {external_url: 'https://example.com/'}}\n"
            "  example.org: {web: {external_url: 'https://example.org/', logo: ''}}\n"
            "  example.net: {}\n"
        )
        self.assertEqual(sorted(config.sites), ["example.com", "example.org"])
        self.assertEqual(config.sites["example.org"].colours.light, "#004400")
        self.assertIsNone(config.domains["example.net"].landing_url)

    def test_same_site_twice(self) -> None:
        """Two domains cannot have the same site."""
        (mistake,) = self.mistakes(
            f"web: {{{URL}}}\ndomains:\n  example.com: {{}}\n  example.org: {{}}\n"
        )
        self.assertIn("is another domain's as well: each needs its own", mistake)

    def test_service_keys(self) -> None:
        """Where to listen is a matter of the service, not of a domain."""
        (mistake,) = self.mistakes(
            "domains:\n  example.com:\n    web: {external_url: 'https://a.example/',\n"
            "      listen: ['tcp:80']}\n"
        )
        self.assertIn("write it at the top level", mistake)


class LookTests(ConfigCase):
    def test_colours(self) -> None:
        """A colour that cannot be read is refused, with its contrast."""
        for text, told in (
            ("light: '#ffff00'", "contrast on the light background #ffffff is 1.1"),
            ("dark: '#333333'", "contrast on the dark background #1c2024 is 1.3"),
            ("light: blue", '"blue" is no colour, such as'),
        ):
            (mistake,) = self.mistakes_with(f"web: {{colours: {{{text}}}}}")
            self.assertIn(told, mistake)

    def test_contrast(self) -> None:
        """Contrast is what WCAG says it is."""
        self.assertAlmostEqual(contrast("#000000", "#ffffff"), 21)
        self.assertAlmostEqual(contrast("#777777", "#ffffff"), 4.48, 2)

    def test_logo(self) -> None:
        """A logo is a picture that is there, and not too large for a phone."""
        (self.folder / "logo.svg").write_text("<svg/>")
        (self.folder / "large.png").write_bytes(b"x" * 300_000)
        self.assertEqual(self.mistakes_with("web: {logo: logo.svg}"), [])
        for file, told in (
            ("large.png", "is larger than 256 KiB"),
            ("logo.gif", "must be one of .jpg, .png, .svg, .webp"),
            ("other.png", "cannot be read: No such file"),
        ):
            (mistake,) = self.mistakes_with(f"web: {{logo: {file}}}")
            self.assertIn(told, mistake)

    def test_templates(self) -> None:
        """Templates are in a folder that is there; one that cannot be reached is refused."""
        for folder, why in (
            ("missing", f"there is no folder {self.folder}/missing"),
            ("x" * 300, "cannot be read: File name too long"),
        ):
            mistakes = self.mistakes_with(f"web: {{templates: {folder}}}")
            self.assertEqual(mistakes, [f"2: web.templates: {why}"])

    def test_texts(self) -> None:
        """A text is one for everybody, or one for each language."""
        config = self.loaded(
            f"domain: example.com\nweb: {{{URL}, "
            "texts: {headline: Hi, about: {de: Hallo}}}"
        )
        texts = config.sites["example.com"].texts
        self.assertEqual(in_language(texts.headline, "fr"), "Hi")
        self.assertEqual(in_language(texts.about, "de-AT"), "Hallo")
        self.assertEqual(in_language(texts.about, "fr"), "Hallo")
        (mistake,) = self.mistakes_with("web: {texts: {about: 7}}")
        self.assertIn("must be text, or texts by language", mistake)


class AppTests(ConfigCase):
    def chosen(self, text: str) -> list[str]:
        config = self.loaded(f"domain: example.com\nweb: {{{URL}, apps: {{{text}}}}}")
        return [app.key for app in config.sites["example.com"].apps.chosen()]

    def test_default(self) -> None:
        """The list that comes along."""
        names = "conversations cheogram monal siskin gajim dino kaidan movim converse"
        self.assertEqual(self.chosen(""), names.split())
        self.assertEqual(list(default_apps()), names.split())

    def test_chosen(self) -> None:
        """Some are shown in the operator's order, some are hidden, others are added."""
        self.assertEqual(self.chosen("show: [dino, monal]"), ["dino", "monal"])
        self.assertNotIn("movim", self.chosen("hide: [movim]"))
        ours = "{name: Ours, text: Made here, platforms: [web], link: 'https://example.com/'}"
        self.assertEqual(self.chosen(f"add: {{ours: {ours}}}")[-1], "ours")
        self.assertEqual(self.chosen(f"add: {{ours: {ours}}}, show: [ours]"), ["ours"])

    def test_mistakes(self) -> None:
        """What is wrong with an app is said where it is."""
        app = "name: Ours, text: T, platforms: [web], link: 'https://example.com/'"
        for text, told in (
            ("show: [nosuch]", '"nosuch" is no app: one of '),
            ("add: {x: {name: X}}", "web.apps.add.x.platforms: is missing"),
            (f"add: {{x: {{{app}, magic_link: 'x:{{token'}}}}", "may have {uri}, {token}"),
            (f"add: {{x: {{{app}, magic_link: '{{0}}'}}}}", "may have {uri}, {token}"),
            (f"add: {{x: {{{app}, login_link: '{{uri.real}}'}}}}", "may have {uri}, {token}"),
            (f"add: {{x: {{{app}, login_link: '{{uri!r:>99}}'}}}}", "may have {uri}, {token}"),
            (
                f"add: {{x: {{{app}, stores: [{{shop: x, url: y}}]}}}}",
                "shop: must be google-play",
            ),
        ):
            mistakes = self.mistakes_with(f"web: {{apps: {{{text}}}}}")
            self.assertTrue(any(told in mistake for mistake in mistakes), mistakes)

    def test_logos(self) -> None:
        """A logo is one of ours, or on the site itself: pages load nothing else."""
        app = "name: Ours, text: T, platforms: [web], link: 'https://example.com/'"
        for logo, told in (
            ("dino.svg", ""),
            ("/a/b.svg", ""),
            ("https://chat.example.com/a.svg", ""),
            ("https://CHAT.example.com:443/a.svg", ""),
            ("nosuch.svg", 'logo: "nosuch.svg" is no address such as /club.svg, and none of'),
            ("https://[x/", 'logo: "https://[x/" is no address'),
            ("https://cdn.example/a.svg", "logo: must be at https://chat.example.com/ itself"),
            ("http://chat.example.com/a.svg", "must be at https://chat.example.com/ itself"),
            ("//cdn.example/a.svg", "must be at https://chat.example.com/ itself"),
            ("data:image/png;base64,/9j/", "must be at https://chat.example.com/ itself"),
        ):
            found = self.mistakes_with(
                f"web: {{{URL}, apps: {{add: {{x: {{{app}, logo: '{logo}'}}}}}}}}"
            )
            self.assertEqual(len(found), bool(told), found)
            self.assertTrue(all(told in mistake for mistake in found), found)

    def test_logo_of_several(self) -> None:
        """An app that all domains share can only have a logo that is on each site."""
        app = "{name: A, text: T, platforms: [web], link: 'https://example.com/', logo: %s}"
        text = (
            "web: {apps: {add: {x: %s}}}\n"
            "domains:\n"
            "  example.com: {web: {external_url: 'https://example.com/'}}\n"
            "  example.org: {web: {external_url: 'https://example.org/'}}\n"
        )
        self.assertEqual(self.mistakes(text % (app % "/x.svg")), [])
        (mistake,) = self.mistakes(text % (app % "'https://example.com/x.svg'"))
        self.assertIn("web.apps.add.x.logo: must be at https://example.org/ itself", mistake)

    def test_schema(self) -> None:
        """Editors are told of all of it."""
        self.assertIn("external_url", json.dumps(json_schema()))
