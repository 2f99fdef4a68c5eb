"""Every key that a domain may have does something there, or it is said that it does not."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

import invitereg
from invitereg.config import Config, load
from invitereg.config.messages import dotted, key_paths
from invitereg.config.schema import DomainKeys
from invitereg.config.servers import Accounts, Component, UpstreamKeys
from invitereg.config.types import key_tree
from invitereg.policy import values
from invitereg.web.settings import SiteSettings
from tests.config.case import ConfigCase, KeyPath

COMPONENT = {
    "connect": "tcp:127.0.0.1:5347",
    "jid": "invites.example.org",
    "secret_file": "component",
}
EJABBERD = {"backend": "ejabberd", "url": "https://127.0.0.1:5280/api"}
UPSTREAM = {"connect": "tcp:127.0.0.1:15222"}
URL = "https://chat.example.org/"
APP = {
    "name": "Ours",
    "text": "an app",
    "platforms": ["linux"],
    "link": "https://app.example.org/",
}
RATE = {"max": 3, "period": "3m"}
ANOTHER: dict[str, Any] = {
    "site_name": "Another",
    "time_zone": "Asia/Tokyo",
    "admins": ["romeo@example.org"],
    **{f"contact_addresses.{role}": ["mailto:a@b.example"] for role in
       ("abuse", "admin", "feedback", "sales", "security", "support", "status")},
    "registration_watchers": ["romeo@example.org"],
    "welcome_message": "Hello",
    "watcher_notice.text": "{username} has come",
    "watcher_notice.type": "normal",
    "tls.certificate": "other.pem",
    "tls.private_key": "other.key",
    "c2s.upstream.connect": "tcp:127.0.0.1:15223",
    "c2s.upstream.tls": "direct",
    "c2s.upstream.ca": "ca.pem",
    "c2s.upstream.proxy_protocol": "v2",
    "policy.allow_registration": False,
    "policy.registration_invite_only": False,
    "policy.registration_instructions": "Choose.",
    "policy.registration_title": "Join us",
    "policy.default_roles": ["team"],
    "policy.additional_registration_fields": ["email"],
    "policy.invites.expiry": "3d",
    "policy.invites.reset_expiry": "3d",
    "policy.invites.allow_user_invites": True,
    "policy.invites.allow_contact_invites": False,
    "policy.invites.allow_user_invites_by_roles": ["team"],
    "policy.invites.deny_user_invites_by_roles": ["team"],
    "policy.invites.users.max_open": 3,
    "policy.invites.users.made.max": 3,
    "policy.invites.users.made.period": "3h",
    "policy.invites.users.max_expiry": "3d",
    "policy.invites.users.max_uses": 3,
    "policy.invites.users.min_account_age": "3d",
    "policy.usernames.min_length": 3,
    "policy.usernames.max_length": 33,
    "policy.usernames.pattern": "[a-z]+",
    "policy.usernames.reserved": ["root"],
    "policy.usernames.look_alikes": "allow",
    "policy.passwords.min_length": 9,
    "policy.passwords.forbid_common": False,
    **{f"policy.limits.{name}.{key}": value for key, value in RATE.items() for name in
       ("registration", "token_guesses", "logins", "shared_invite", "password_changes")},
    "policy.limits.registration.ipv4_prefix": 24,
    "policy.limits.registration.ipv6_prefix": 48,
    "policy.limits.roster": 7,
    "policy.limits.roster_groups": 7,
    "policy.limits.roster_requests": 7,
    "policy.limits.allowlist": ["192.0.2.0/24"],
    "policy.limits.allowlist_only": True,
    "policy.limits.blocklist": ["192.0.2.0/24"],
    "component.connect": "tcp:127.0.0.1:5348",
    "component.jid": "i.example.org",
    "component.secret_file": "other",
    "component.register_from": ["example.net"],
    "accounts.backend": "xmpp",
    "accounts.scram_iterations": 5000,
    "accounts.scram_sha_1": True,
    "accounts.url": "https://127.0.0.1:5281/api",
    "accounts.user": "other",
    "accounts.password_file": "other",
    "accounts.token_file": "other",
    "accounts.ca": "ca.pem",
    "web.external_url": "https://www.example.org/",
    "web.webchat_url": "https://chat.example.org/webchat",
    "web.apps.show": ["gajim"],
    "web.apps.hide": ["gajim"],
    "web.apps.add": {"ours": APP},
    "web.texts.headline": "Hello",
    "web.texts.about": "About",
    "web.texts.footer": "Foot",
    "web.links": [{"text": "Imprint", "url": "https://example.org/imprint"}],
    "web.logo": "logo.svg",
    "web.colours.light": "#7a1f5c",
    "web.colours.dark": "#f0a6d2",
    "web.templates": "templates",
    "web.tls": {"certificate": "other.pem", "private_key": "other.key"},
    "web.tls.certificate": "other.pem",
    "web.tls.private_key": "other.key",
}  # fmt: skip
"""A value that is not the default, for each key that a domain may have."""
ELSEWHERE = {"component": COMPONENT, "accounts": {"backend": "xmpp"}}
NEEDED: dict[str, dict[str, Any]] = {
    "tls.": {"tls": {"certificate": "a.pem", "private_key": "a.key"}},
    "c2s.upstream": {**ELSEWHERE, "c2s": {"upstream": UPSTREAM}},
    "component": {"component": COMPONENT},
    "accounts.backend": {"component": COMPONENT},
    "accounts.url": {"accounts": EJABBERD},
    "accounts.user": {"accounts": {**EJABBERD, "user": "us", "password_file": "component"}},
    "accounts.password_file": {
        "accounts": {**EJABBERD, "user": "us", "password_file": "component"}
    },
    "accounts.token_file": {"accounts": EJABBERD},
    "accounts.ca": {"accounts": EJABBERD},
    "web": {"web": {"external_url": URL}},
    "web.tls.": {
        "web": {
            "external_url": URL,
            "tls": {"certificate": "a.pem", "private_key": "a.key"},
        }
    },
}
"""What else a domain must have, for the keys that begin so; the longest holds."""
ONLY_JUDGES = {"trusted_networks"}
"""Is in no part of a domain: it decides which others are taken; see `test_trusted_networks`."""


def nested(path: KeyPath, value: object, within: dict[str, Any]) -> dict[str, Any]:
    """``within`` with a value at a path."""
    first, *rest = path
    below = within.get(str(first), {})
    return {**within, str(first): nested(tuple(rest), value, below) if rest else value}


def served(config: Config, domain: str) -> list[object]:
    """Everything that one domain is served with."""
    site = config.sites.get(domain)
    settings = SiteSettings.configured(domain, site) if site else None
    return [
        config.domains[domain],
        config.tls[domain],
        config.upstreams.get(domain),
        config.accounts[domain],
        config.backends.get(domain),
        site and site.tls,
        settings and [getattr(settings, field.name) for field in fields(settings)],
    ]


class EffectTests(ConfigCase):
    def setUp(self) -> None:
        super().setUp()
        (self.folder / "logo.svg").write_text("<svg/>")
        (self.folder / "templates").mkdir()

    def configured(self, own: dict[str, Any]) -> Config:
        """Two domains, of which the first has keys of its own."""
        domains = {"example.org": own, "example.com": {}}
        self.path.write_text(yaml.safe_dump({"domains": domains}))
        return load(self.path, serving=False)

    def test_every_key(self) -> None:
        """Each key below a domain changes what that domain is served with, and no other."""
        for path in key_paths(key_tree(DomainKeys)):
            name = dotted(path)
            if name not in ANOTHER:
                inner = any(known.startswith(f"{name}.") for known in ANOTHER)
                self.assertTrue(inner or name in ONLY_JUDGES, f"no value to try for {name}")
                continue
            begins = [start for start in NEEDED if name.startswith(start)]
            base = NEEDED[max(begins, key=len)] if begins else {}
            before = self.configured(base)
            after = self.configured(nested(path, ANOTHER[name], base))
            self.assertNotEqual(
                served(before, "example.org"), served(after, "example.org"), name
            )
            self.assertEqual(served(before, "example.com"), served(after, "example.com"), name)

    def test_trusted_networks(self) -> None:
        """A network that one domain trusts is trusted for it alone."""
        way = {**ELSEWHERE, "component": {**COMPONENT, "connect": "tcp:192.0.2.7:5347"}}
        trusting = {"trusted_networks": ["192.0.2.0/24"]}
        self.configured({**way, **trusting})
        text = yaml.safe_dump({"domains": {"example.org": way, "example.com": trusting}})
        (mistake,) = self.mistakes(text)
        self.assertIn('domains."example.org".component', mistake)

    def test_every_value_is_read(self) -> None:
        """No value that a key becomes is only stored: some part of the service reads it."""
        read = set(names_read())
        kinds = [
            getattr(values, name)
            for name in ("Domain", "Policy", "InviteRules", "UserInviteLimits", "Limits")
        ]
        kinds += [values.UsernameRules, values.PasswordRules, SiteSettings]
        known = {f"{kind.__name__}.{field.name}" for kind in kinds for field in fields(kind)}
        known |= {
            f"{kind.__name__}.{name}"
            for kind in (Accounts, Component, UpstreamKeys)
            for name in kind.model_fields
        }
        self.assertEqual([name for name in known if name.partition(".")[2] not in read], [])


def names_read() -> Iterator[str]:
    """Yield each attribute that is read outside of the configuration's own modules."""
    root = Path(invitereg.__path__[0])
    for path in root.rglob("*.py"):
        if path.parent.name != "config":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield from (node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    for path in root.rglob("*.html"):
        yield from re.findall(r"\.(\w+)", path.read_text(encoding="utf-8"))


class IdleTests(ConfigCase):
    """What has no effect, as what it is about is not there, is told."""

    def assertIdle(self, values: dict[str, Any], *names: str) -> None:
        config = self.loaded(yaml.safe_dump(values, sort_keys=False), serving=False)
        lines = self.path.read_text().splitlines()
        for mistake in config.idle:
            last = mistake.key_path.rpartition(".")[2]
            assert mistake.line is not None
            self.assertIn(f"{last}:", lines[mistake.line - 1])
            self.assertTrue(mistake.text.startswith("has no effect: "), mistake.text)
        self.assertEqual({mistake.key_path for mistake in config.idle}, set(names))

    def test_accounts_elsewhere(self) -> None:
        """What is about accounts of our own, where another server keeps them."""
        names = (
            "accounts.scram_iterations",
            "accounts.scram_sha_1",
            "policy.limits.roster",
            "policy.limits.roster_groups",
            "policy.limits.roster_requests",
        )
        file: dict[str, Any] = {"domain": "example.org", **ELSEWHERE}
        own: dict[str, Any] = ELSEWHERE
        for name in names:
            path: KeyPath = tuple(name.split("."))
            file, own = nested(path, ANOTHER[name], file), nested(path, ANOTHER[name], own)
        file = nested(("policy", "limits", "password_changes", "max"), 3, file)
        self.assertIdle(file, *names, "policy.limits.password_changes")
        several = {"domains": {"example.com": {}, "example.org": own}}
        self.assertIdle(several, *(f'domains."example.org".{name}' for name in names))

    def test_sites(self) -> None:
        """What is about a site, where there is none."""
        named = {name: value for name, value in ANOTHER.items() if name.startswith("web.")}
        (self.folder / "logo.svg").write_text("<svg/>")
        (self.folder / "templates").mkdir()
        own: dict[str, Any] = {}
        for name, value in named.items():
            if name != "web.external_url":
                own = nested(tuple(name.split(".")), value, own)
        below = 'domains."example.org".web.'
        keys = ("webchat_url", "apps", "texts", "links", "logo", "colours", "templates", "tls")
        self.assertIdle(
            {"domains": {"example.org": own, "example.com": {}}},
            *(below + key for key in keys),
        )
        own = nested(("web", "external_url"), URL, own)
        self.assertIdle({"domains": {"example.org": own}}, f"{below}tls")
        listens = {"listen_tls": ["tcp:443"]}
        self.assertIdle({"web": listens, "domains": {"example.org": own}})

    def test_certificates(self) -> None:
        """What no port uses, and authorities that no connection asks for."""
        alone = {"c2s": {"listen": [], "listen_tls": []}, "web": {"external_url": URL}}
        tls = {"certificate": "other.pem", "private_key": "other.key"}
        self.assertIdle({"domain": "example.org", **alone, **ELSEWHERE, "tls": tls}, "tls")
        upstream = {**UPSTREAM, "tls": "none", "ca": "ca.pem"}
        own = {**ELSEWHERE, "c2s": {"listen": ["tcp:5222"], "upstream": upstream}}
        self.assertIdle({"domain": "example.org", **own}, "c2s.upstream.ca")
        api = {**EJABBERD, "url": "http://127.0.0.1:5280/api", "ca": "ca.pem"}
        self.assertIdle({"domain": "example.org", "accounts": api}, "accounts.ca")

    def test_contact_addresses(self) -> None:
        """Where nobody could ask for them."""
        addresses = {"abuse": ["mailto:a@b.example"]}
        file = {"domain": "example.org", "contact_addresses": addresses}
        self.assertIdle(file)
        self.assertIdle({**file, "accounts": EJABBERD}, "contact_addresses")
        self.assertIdle({**file, **ELSEWHERE})

    def test_shared(self) -> None:
        """What the top level has for all of them need not be for each."""
        shared = {"accounts": {"scram_iterations": 5000}}
        self.assertIdle({**shared, "domains": {"example.com": {}, "example.org": ELSEWHERE}})
        self.assertIdle(
            {**shared, "domains": {"example.org": ELSEWHERE}}, "accounts.scram_iterations"
        )

    def test_default(self) -> None:
        """Nor is anything said of a default that is written out."""
        accounts = {"backend": "xmpp", "scram_iterations": 10000, "scram_sha_1": False}
        self.assertIdle({"domain": "example.org", **ELSEWHERE, "accounts": accounts})
