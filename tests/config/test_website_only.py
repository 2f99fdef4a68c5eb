"""A service without ports for clients: people register on the site, apps go elsewhere."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from invitereg.config.changes import domains_to_serve
from tests.config.case import ConfigCase
from tests.test_structure import ROOT

NOWHERE = "c2s: {listen: [], listen_tls: []}\n"
SITE = "web: {external_url: 'https://chat.example.com/'}\n"
EJABBERD = "accounts: {backend: ejabberd, url: 'http://127.0.0.1:5281/api'}\n"
UPSTREAM = "upstream: {connect: 'tcp:127.0.0.1:5222'}"
GUIDE = ROOT / "docs" / "website-only.md"
MISTAKE = (
    'c2s: must name at least one endpoint, as in listen: ["tcp:5222"]; to register people on '
    "the site only, example.com needs "
)


class WebsiteOnlyTests(ConfigCase):
    def test_no_door(self) -> None:
        """A site, and accounts at a server, are enough; what is missing is said."""
        accounts, site = "accounts at another server (accounts)", "a site (web.external_url)"
        self.assertEqual(self.mistakes_with(NOWHERE + SITE + EJABBERD), [])
        for keys, missing in (
            (SITE, accounts),
            (EJABBERD, site),
            ("", f"{accounts} and {site}"),
        ):
            for nowhere in (NOWHERE, "c2s: {}\n"):
                self.assert_mistake(nowhere + keys, f"2: {MISTAKE}{missing}")

    def test_guide(self) -> None:
        """What the guide has for each server can be used as it is."""
        text = GUIDE.read_text(encoding="utf-8")
        blocks = [part.partition("```")[0] for part in text.split("```yaml\n")[1:]]
        prosody = next(block for block in blocks if "backend: xmpp" in block)
        ejabberd = next(block for block in blocks if "backend: ejabberd" in block)
        upstream = next(block for block in blocks if "upstream:" in block)
        networks = next(block for block in blocks if "trusted_networks:" in block)
        shared = prosody.partition("component:")[0]
        for file in ("component", "ejabberd-password"):
            (self.folder / file).write_text("a secret\n")
        own_port = shared.replace("c2s: {listen: [], listen_tls: []}\n", "") + upstream
        contained = f"{shared}{networks}accounts: {{backend: xmpp}}\n"
        for keys in (prosody, shared + ejabberd, own_port + ejabberd, contained):
            config = self.loaded(keys)
            self.assertTrue(config.domains["example.com"].website_only)

    def test_each_domain(self) -> None:
        """Every domain needs both, as nobody could get to it otherwise."""
        own = f"{{{EJABBERD.strip()}, {SITE.strip()}}}"
        domains = f"domains:\n  example.com: {own}\n  example.org: {{}}\n"
        [mistake] = self.mistakes(f"{domains}{NOWHERE}")
        self.assertIn("example.org needs accounts at another server", mistake)
        self.assertIn("and a site", mistake)

    def test_upstream_alone(self) -> None:
        """The server's port may be named without one of ours: nobody is led there."""
        config = self.loaded(f"domain: example.com\nc2s: {{{UPSTREAM}}}\n{SITE}{EJABBERD}")
        self.assertEqual(list(config.upstreams), ["example.com"])
        self.assertEqual(dict(config.gateways), {})
        self.assertTrue(config.domains["example.com"].website_only)

    def test_no_certificate(self) -> None:
        """Where TLS is ended by others only, no certificate need be there."""
        (self.folder / "privkey.pem").unlink()
        self.assertEqual(self.mistakes_with(NOWHERE + SITE + EJABBERD), [])
        secured = SITE.replace("}\n", ", listen_tls: ['tcp:443']}\n")
        [mistake] = self.mistakes_with(NOWHERE + secured + EJABBERD)
        self.assertIn("privkey.pem", mistake)

    def test_no_certificate_beside_mistakes(self) -> None:
        """Who mistypes another key is not told of a certificate that nobody needs."""
        (self.folder / "privkey.pem").unlink()
        broken = SITE.replace("https:", "http:")
        for keys in (
            NOWHERE + SITE + EJABBERD + "sitename: Example\n",
            NOWHERE + broken + EJABBERD,
            NOWHERE + "web: nothing\n" + EJABBERD,
            NOWHERE + SITE + "accounts: {backend: xmmp}\n",
            "c2s: {listen: [], listen_tsl: []}\n" + SITE + EJABBERD,
            "c2s: nowhere\n" + SITE + EJABBERD,
        ):
            mistakes = self.mistakes_with(keys)
            self.assertTrue(mistakes)
            self.assertNotIn("privkey.pem", " ".join(mistakes))
        for keys in ("sitename: Example\n", "c2s: {listen: ['tpc:5222']}\n"):
            self.assertIn("privkey.pem", " ".join(self.mistakes_with(keys)))

    @given(st.booleans(), st.booleans(), st.booleans(), st.booleans())
    def test_who_opens_invitations(
        self, listens: bool, upstream: bool, site: bool, remote: bool
    ) -> None:
        """Apps do where clients connect to us; else the site, if accounts are remote."""
        keys = ["listen: ['tcp:5222']" if listens else "listen: []"]
        keys += [UPSTREAM] if upstream else []
        text = f"domain: example.com\nc2s: {{{', '.join(keys)}}}\n"
        text += (SITE if site else "") + (EJABBERD if remote else "")
        mistakes = self.mistakes(text)
        if not listens and not (site and remote):
            self.assertIn("must name at least one endpoint", " ".join(mistakes))
        elif upstream and not remote:
            self.assertIn("accounts be made elsewhere", " ".join(mistakes))
        elif listens and site and remote and not upstream:
            self.assertIn("opens ports at which nobody could log in", " ".join(mistakes))
        else:
            self.assertEqual(mistakes, [])
            domain = self.loaded(text).domains["example.com"]
            self.assertIs(domain.website_only, remote and site and not listens)

    def test_forgotten_ports(self) -> None:
        """Ports at which nobody could log in are a mistake, also those that open by default.

        It is said before a certificate is missed, which only these ports would need.
        """
        (self.folder / "privkey.pem").unlink()
        for c2s in ("", "c2s: {listen: ['tcp:5222']}\n"):
            [mistake] = self.mistakes_with(c2s + SITE + EJABBERD)
            self.assertIn("c2s: opens ports at which nobody could log in, as", mistake)
            self.assertIn("c2s: {listen: [], listen_tls: []}", mistake)

    def test_beside_others(self) -> None:
        """A domain may be on the site only beside one whose clients connect here."""
        own = f"{{{EJABBERD.strip()}, {SITE.strip()}}}"
        domains = f"domains:\n  example.com: {own}\n  example.org: {{}}\n"
        config = self.loaded(f"{domains}c2s: {{listen: ['tcp:5222']}}\n")
        self.assertTrue(config.domains["example.com"].website_only)
        self.assertFalse(config.domains["example.org"].website_only)

    def test_reload(self) -> None:
        """Ports open at a restart only, and until then no link is made that needs them."""
        keys = f"domain: example.com\n{SITE}{EJABBERD}"
        running = self.loaded(keys + NOWHERE)
        read = self.loaded(f"{keys}c2s: {{listen: ['tcp:5222'], {UPSTREAM}}}\n")
        self.assertFalse(read.domains["example.com"].website_only)
        served = domains_to_serve(running, replace(read))
        self.assertTrue(served["example.com"].website_only)
