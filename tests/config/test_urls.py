"""Addresses: one rule for every key that takes one."""

from hypothesis import given
from hypothesis import strategies as st

from invitereg.config.apps import default_apps
from invitereg.config.urls import APP, CONTACT, WEB, split_url
from tests.config.case import ConfigCase

APP_KEYS = "name: Ours, text: T, platforms: [web]"
WEB_KEYS = {
    "web.external_url": "web: {external_url: '%s'}",
    "web.webchat_url": "web: {webchat_url: '%s'}",
    "web.links[0].url": "web: {links: [{text: T, url: '%s'}]}",
    "web.apps.add.x.link": f"web: {{apps: {{add: {{x: {{{APP_KEYS}, link: '%s'}}}}}}}}",
    "web.apps.add.x.stores[0].url": f"web: {{apps: {{add: {{x: {{{APP_KEYS}, "
    "link: 'https://example.com/', stores: [{shop: website, url: '%s'}]}}}}",
    "accounts.url": "accounts: {backend: ejabberd, url: '%s'}",
}
LINK_KEYS = {
    f"web.apps.add.x.{key}": f"web: {{apps: {{add: {{x: {{{APP_KEYS}, "
    f"link: 'https://example.com/', {key}: '%s'}}}}}}}}"
    for key in ("magic_link", "login_link")
}
CONTACT_KEYS = {"contact_addresses.abuse[0]": "contact_addresses: {abuse: ['%s']}"}
SCRIPTS = (
    "javascript:alert(1)",
    "JavaScript://example.com/%0Aalert(1)",
    "data:text/html,hello",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://example.com/x",
    "//example.com/",
    "example.com",
    "https:",
    "https:///x",
    "https://romeo:secret@example.com/",
    "https://romeo@example.com/",
    "https://example.com:x/",
    "https://example.com/a b",
    'https://example.com/"x',
    "https://example.com/<x>",
    "https://example.com/é",
)


class UrlTests(ConfigCase):
    def test_scripts(self) -> None:
        """No key takes what runs something, hides a part, or has a password in it."""
        for key, text in {**WEB_KEYS, **LINK_KEYS, **CONTACT_KEYS}.items():
            for url in SCRIPTS:
                mistakes = self.mistakes_with(text % url)
                self.assertTrue(any(key in one for one in mistakes), (key, url, mistakes))

    def test_international_host(self) -> None:
        """A host may be written with its own letters, and is what browsers ask for."""
        for written in ("https://münchen.example:8443/ü", "https://münchen.example:8443/"):
            mistakes = self.mistakes_with(f"web: {{external_url: '{written}'}}")
            self.assertEqual(bool(mistakes), written.endswith("ü"))
        for written in ("https://MÜNCHEN.example/c/", "https://xn--mnchen-3ya.example/c/"):
            keys = f"external_url: '{written}', webchat_url: '{written}'"
            config = self.loaded(f"domain: example.com\nweb: {{{keys}}}")
            (site,), (domain,) = config.sites.values(), config.domains.values()
            expected = "https://xn--mnchen-3ya.example/c/"
            self.assertEqual({site.external_url, site.webchat_url, domain.web_url}, {expected})
        for key, text in WEB_KEYS.items():
            self.assertEqual(self.mistakes_with(text % "https://münchen.example/"), [], key)
            for host in ("\u2603.example", f"{'ü' * 64}.example", "a..example", "x" * 64):
                mistakes = self.mistakes_with(text % f"https://{host}/")
                self.assertTrue(any(key in one for one in mistakes), (key, host))

    def test_controls(self) -> None:
        """Nor one with characters that a browser would drop or change."""
        for key, text in {**WEB_KEYS, **LINK_KEYS, **CONTACT_KEYS}.items():
            for escape in (r"\t", r"\n", r"\r", r"\x85", r"\u202e"):
                url = f'"https://exa{escape}mple.com/"'
                mistakes = self.mistakes_with(text.replace("'%s'", url))
                self.assertTrue(any(key in one for one in mistakes), (key, escape, mistakes))

    def test_schemes(self) -> None:
        """Pages lead to the web, links into apps to xmpp: as well; people are written to."""
        for keys, urls in (
            (WEB_KEYS, ("https://example.com/", "https://[2001:db8::1]:5443/")),
            (
                LINK_KEYS,
                ("https://example.com/#{uri}", "http://localhost/", "xmpp:{address}?join", ""),
            ),
            (
                CONTACT_KEYS,
                ("mailto:a@b.example", "xmpp:a@b.example", "https://b.example/", "tel:+49"),
            ),
        ):
            for key, text in keys.items():
                for url in urls:
                    found = self.mistakes_with(text % url)
                    self.assertFalse(any(key in one for one in found), (key, url, found))
        for key, text in WEB_KEYS.items():
            found = self.mistakes_with(text % "xmpp:romeo@example.com")
            self.assertTrue(any(key in one for one in found), key)

    def test_filled_in(self) -> None:
        """A link is an address whatever is filled in: no place stands where the host is."""
        for link in ("{uri}", "{token}:{domain}", "{domain}://example.com/"):
            for key, text in LINK_KEYS.items():
                (mistake,) = self.mistakes_with(text % link)
                self.assertIn(key, mistake)

    def test_ours(self) -> None:
        """The apps that come along keep the rule as well."""
        for app in default_apps().values():
            for url in (app.link, *(button.url for button in app.stores)):
                self.assertEqual(split_url(url).scheme, "https")

    @given(st.text() | st.text("htps:/@?#[]xm.1 \t{}", max_size=30))
    def test_any_text(self, text: str) -> None:
        """Whatever is written, it is an address of these kinds, or refused."""
        for schemes in (WEB, APP, CONTACT):
            try:
                parts = split_url(text, schemes)
            except ValueError:
                continue
            self.assertTrue(text.isascii() and text.isprintable() and " " not in text)
            self.assertIn(parts.scheme, schemes)
            self.assertTrue(text.lower().startswith(f"{parts.scheme}:"))
