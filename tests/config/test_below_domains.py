"""Every key that a domain may have of its own has an effect there, and at no other domain."""

import copy
from typing import Any

from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.config import Config, load
from invitereg.config.messages import key_paths
from invitereg.config.schema import DomainKeys
from invitereg.config.types import key_tree
from invitereg.interfaces.queries import Redemption
from invitereg.model.invites import Kind, Use
from invitereg.runtime.threads import Inline
from invitereg.testing import START, make_account, memory_store
from tests.config.case import ConfigCase, KeyPath, with_value, yaml_lines
from tests.config.test_properties import SEVERAL

OWN, OTHER = "example.com", "example.org"
DURATION = "2h"
TEXT = "other"
OTHERS: dict[str, Any] = {
    "admins": [],
    "time_zone": "Europe/Berlin",
    "watcher_notice.type": "normal",
    "c2s.upstream.connect": "tcp:127.0.0.1:15223",
    "c2s.upstream.tls": "none",
    "c2s.upstream.proxy_protocol": "off",
    "policy.usernames.pattern": "[a-z]+",
    "policy.usernames.look_alikes": "allow",
    "component.connect": "tcp:127.0.0.1:5348",
    "component.jid": "gate.example.com",
    "accounts.url": "http://127.0.0.1:5281/api",
    "accounts.user": "gate@example.com",
    "web.external_url": "https://other.example.com/",
    "web.webchat_url": "https://webchat.example.com/",
    "web.apps.show": ["monal"],
    "web.apps.hide": ["monal"],
    "web.links": [{"text": "Imprint", "url": "https://example.com/imprint"}],
    "web.logo": "logo.svg",
    "web.colours.light": "#102030",
    "web.colours.dark": "#d0e0f0",
    "web.templates": "templates",
}
"""What may stand at a key besides what stands there; for all others, see `other_value`."""
SECTIONS = {"web.apps.add", "web.tls"}
"""Keys below which an operator writes names or files of their own."""
EJABBERDS = {
    "backend": "ejabberd",
    "url": "http://127.0.0.1:5280/api",
    "user": "admin@example.com",
    "password_file": "component",
    "ca": "fullchain.pem",
    "scram_iterations": 10000,
    "scram_sha_1": False,
}


def other_value(path: KeyPath, value: Any) -> Any:
    """Return another value of the same type, which a key may have."""
    name = ".".join(map(str, path))
    if name in OTHERS:
        return OTHERS[name]
    match value:
        case bool():
            return not value
        case int():
            return value - 1 if value > 1 else value + 1
        case [_, *_]:
            return []
        case str() if path[-1] in ("period", "expiry", "reset_expiry", "max_expiry"):
            return DURATION
        case str() if path[-1] == "min_account_age":
            return DURATION
    return TEXT


def plain(keys: dict[str, Any], above: KeyPath = ()) -> dict[KeyPath, Any]:
    """Return the keys of a domain that have no others below them, with their values."""
    found: dict[KeyPath, Any] = {}
    for key, value in keys.items():
        path = (*above, key)
        if ".".join(path) in SECTIONS:
            continue
        found.update(plain(value, path) if isinstance(value, dict) else {path: value})
    return found


SECTIONS_OF_CONFIG = {
    "accounts": "accounts",
    "c2s": "upstreams",
    "component": "backends",
    "tls": "tls",
    "trusted_networks": "trusted_networks",
    "web": "sites",
}
"""What of `Config` the sections of the file become; all others become the domains."""


def effect(config: Config, path: KeyPath, domain: str) -> Any:
    """Return what is configured for a domain by such a key."""
    section = SECTIONS_OF_CONFIG.get(str(path[0]), "domains")
    return getattr(config, section).get(domain)


class BelowDomainsTests(ConfigCase):
    """One domain says everything about itself, and another one nothing."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("other", "logo.svg"):
            (self.folder / name).write_text("secret")
        (self.folder / "templates").mkdir()
        keys = copy.deepcopy(SEVERAL["domains"][OWN])
        keys["web"]["external_url"] = "https://chat.example.com/"
        self.over_xmpp = keys
        self.over_api = {**keys, "accounts": EJABBERDS}

    def read(self, keys: dict[str, Any]) -> Config:
        """Load a file in which a domain has these keys."""
        domains = {OWN: keys, OTHER: {"site_name": "Another"}}
        values = {**SEVERAL, "domains": domains}
        self.path.write_text("\n".join(line for _, line in yaml_lines(values)))
        return load(self.path, serving=False)

    def test_all(self) -> None:
        """Another value below a domain changes what holds there, and nowhere else."""
        for keys in (self.over_xmpp, self.over_api):
            before = self.read(keys)
            paths = plain(keys)
            if keys is self.over_api:
                paths = {path: paths[path] for path in paths if path[0] == "accounts"}
            for path, value in paths.items():
                if path == ("accounts", "backend"):
                    continue  # the two files differ in it
                with self.subTest(path=".".join(map(str, path))):
                    after = self.read(with_value(keys, path, other_value(path, value)))
                    own, other = (
                        [effect(config, path, domain) for config in (before, after)]
                        for domain in (OWN, OTHER)
                    )
                    self.assertNotEqual(*own)
                    self.assertEqual(*other)

    def test_complete(self) -> None:
        """No key that a domain may have is left out here."""
        tried = {*plain(self.over_xmpp), *plain(self.over_api), ("accounts", "token_file")}
        leaves = {
            path
            for path in key_paths(key_tree(DomainKeys))
            if not any(other[: len(path)] == path != other for other in tried)
        }
        left = {path for path in leaves - tried if ".".join(path[:2]) not in SECTIONS}
        left = {path for path in left if ".".join(path[:3]) not in SECTIONS}
        self.assertEqual(left, set())


class PasswordKeysTests(ConfigCase):
    def test_iterations(self) -> None:
        """The work to check a password is each domain's own, for people and for strangers."""
        config = self.loaded(
            "accounts: {scram_iterations: 4096}\n"
            f"domains: {{{OWN}: {{accounts: {{scram_iterations: 5000}}}}, {OTHER}: }}"
        )
        store = memory_store()
        for domain, iterations in ((OWN, 5000), (OTHER, 4096)):
            keys = config.accounts[domain]
            accounts = EmbeddedAccounts(
                domain, store, Inline(), lambda: START, keys.scram_iterations
            )
            use = Use(domain=domain, username="juliet", kind=Kind.ACCOUNT, at=START, door="cli")
            asked = Redemption(account=make_account(domain=domain), use=use)
            self.successResultOf(accounts.redeem(asked, "wherefore art thou"))
            for username in ("juliet", "nobody"):
                found, _since = self.successResultOf(
                    accounts.get_scram_keys(username, "SCRAM-SHA-256")
                )
                self.assertEqual(found.iterations, iterations)
