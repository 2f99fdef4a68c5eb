"""The keys about a server that keeps the accounts."""

from invitereg.config import ConfigError, load
from invitereg.config.changes import fixed_changes
from tests.config.case import ConfigCase

TRUSTED = "trusted_networks: [172.20.0.0/16]\n"
COMPONENT = (
    "component: {connect: 'tcp:127.0.0.1:5347', "
    "jid: invites.example.com, secret_file: secret}\n"
)
NO_ENDPOINT = "is no Twisted client endpoint, such as tcp:127.0.0.1:15222 or unix:/run/xmpp"


class BackendTests(ConfigCase):
    def setUp(self):
        super().setUp()
        self.secret = self.path.parent / "secret"
        self.secret.write_text("a secret\n")

    def test_component(self):
        """A component is given with its secret in a file, and nothing else by default."""
        config = self.loaded(f"domain: example.com\n{COMPONENT}accounts: {{backend: xmpp}}\n")
        backend = config.backends["example.com"]
        self.assertEqual(backend.accounts.backend, "xmpp")
        self.assertEqual(backend.component.jid, "invites.example.com")
        self.assertEqual(backend.component.register_from, ())
        self.assertEqual(backend.component.secret_file, self.secret)

    def test_of_one_domain(self):
        """The accounts of one domain are at a server, those of the other embedded."""
        config = self.loaded(
            "domains:\n  example.org: {}\n  example.com:\n"
            "    accounts: {backend: ejabberd, url: 'http://127.0.0.1:5280/api'}\n"
        )
        self.assertEqual(list(config.backends), ["example.com"])

    def test_xmpp_needs_a_component(self):
        """Accounts cannot be made over a component that there is not."""
        self.assert_mistake(
            "accounts: {backend: xmpp}",
            "2: accounts: needs component: as well, for the backend xmpp",
        )

    def test_ejabberd_needs_a_url(self):
        """Nor by an API without an address."""
        self.assert_mistake(
            "accounts: {backend: ejabberd}",
            "2: accounts: needs url for the backend ejabberd: http://127.0.0.1:5280/api",
        )

    def test_secret(self):
        """A secret that cannot be read, or is none, is told before anything starts."""
        for content in ("", "a\nb\n", "x" * 5000):
            self.secret.write_text(content)
            self.assert_mistake(
                COMPONENT, "2: component.secret_file: must hold one line, the secret"
            )
        self.secret.unlink()
        self.assert_mistake(
            COMPONENT, "2: component.secret_file: cannot be read: No such file or directory"
        )

    def test_in_clear(self):
        """Passwords cross no network in clear that was not said to be safe."""
        for where in ("tcp:192.0.2.1:5347", "tcp:host=192.0.2.1:port=5347"):
            text = COMPONENT.replace("tcp:127.0.0.1:5347", where)
            self.assert_mistake(
                text,
                "2: component: connect: passwords would go in clear to 192.0.2.1: use TLS, or "
                "add the network to trusted_networks",
            )
            self.loaded(f"domain: example.com\n{text}trusted_networks: [192.0.2.0/24]\n")
        for where in ("tls:192.0.2.1:5347", "unix:/run/xmpp", "tcp:localhost:5347"):
            text = COMPONENT.replace("tcp:127.0.0.1:5347", where)
            self.loaded(f"domain: example.com\n{text}")
        api = "accounts: {backend: ejabberd, url: 'http://example.net/api'}"
        self.assertIn("passwords would go in clear to example.net", self.mistakes_with(api)[0])

    def test_in_clear_to_a_name(self):
        """A name is taken where networks are trusted; its addresses are judged later."""
        for where in ("tcp:prosody:5347", "tcp:host=prosody:port=5347"):
            text = COMPONENT.replace("tcp:127.0.0.1:5347", where)
            self.assert_mistake(
                text,
                "2: component: connect: passwords would go in clear to prosody: use TLS, or "
                "add the network of its addresses to trusted_networks",
            )
            config = self.loaded(f"domain: example.com\n{text}{TRUSTED}")
            [network] = config.trusted_networks["example.com"]
            self.assertEqual(str(network), "172.20.0.0/16")
        api = "accounts: {backend: ejabberd, url: 'http://ejabberd:5281/api'}\n"
        self.loaded(f"domain: example.com\n{api}{TRUSTED}")

    def test_changed_networks(self):
        """Networks that are trusted from now on count after a restart, which is said."""
        text = COMPONENT.replace("127.0.0.1", "prosody")
        before = self.loaded(f"domain: example.com\n{text}{TRUSTED}")
        after = self.loaded(f"domain: example.com\n{text}{TRUSTED.replace('16', '24')}")
        changed = fixed_changes(before, after, ["example.com"])
        self.assertEqual(changed, ["trusted_networks"])

    def test_host_by_its_place(self):
        """Of two hosts in an endpoint the one counts that Twisted connects to."""
        text = COMPONENT.replace("tcp:127.0.0.1:5347", "tcp:192.0.2.1:5347:host=127.0.0.1")
        [mistake] = self.mistakes_with(text)
        self.assertIn("in clear to 192.0.2.1", mistake)

    def test_no_endpoint(self):
        """What leads nowhere is told."""
        for where, why in (
            ("5347", "is no place to connect to, such as tcp:127.0.0.1:5347"),
            ("tcp:127.0.0.1", "must end with a port, such as tcp:127.0.0.1:5347"),
            ("tcp:127.0.0.1:timeout=5", NO_ENDPOINT),
            ("tcp:127.0.0.1:5347:colour=5", NO_ENDPOINT),
            ("tcp:prosody..lan:5347", '"prosody..lan" is no name of a host'),
            ("tls:.lan:5347", '".lan" is no name of a host'),
        ):
            text = COMPONENT.replace("tcp:127.0.0.1:5347", where)
            self.assert_mistake(text, f"2: component.connect: {why}")

    def test_one_component_each(self):
        """A server knows one connection of a component's name, so domains share none."""
        domains = "domains:\n  example.com: {}\n  example.org: {}\n"
        backend = "accounts: {backend: xmpp}\n"
        [mistake] = self.mistakes(f"{domains}{COMPONENT}{backend}")
        self.assertEqual(
            mistake,
            "4: component: jid: invites.example.com is the component of example.com as well: "
            "each domain needs its own",
        )
        own = COMPONENT.strip().replace("invites.example.com", "invites.example.org")
        self.loaded(domains.replace("org: {}", f"org:\n    {own}") + COMPONENT + backend)

    def test_component_is_no_domain(self):
        """What is served is not a component beside it."""
        text = COMPONENT.replace("invites.", "")
        self.assert_mistake(
            text,
            "2: component: jid: example.com is a domain that is served: a component has an "
            "address of its own, such as invites.example.com",
        )

    def test_url(self):
        """An address of which a part would be lost, or told to the log, is a mistake."""
        for url in (
            "http://romeo:secret@127.0.0.1:5280/api",
            "http://127.0.0.1:5280/api?key=secret",
            "http://127.0.0.1:5280/api#x",
            "http://127.0.0.1:99999/api",
            "http://127.0.0.1:0/api",
            "http://127.0.0.1:x/api",
            "https://exam ple.net/api",
            "https://example.net/a b",
        ):
            [mistake] = self.mistakes_with(f"accounts: {{backend: ejabberd, url: '{url}'}}")
            self.assertIn("accounts.url: must be an address such as http", mistake)
            self.assertNotIn("secret", mistake)
        for url in ("http://[::1]:5280/api", "https://example.net", "http://127.0.0.1:1/a/b/"):
            self.loaded(f"domain: example.com\naccounts: {{backend: ejabberd, url: '{url}'}}")


class RecipientTests(ConfigCase):
    """Whom invitereg is told to write to where a server keeps the accounts."""

    ejabberd = "accounts: {backend: ejabberd, url: 'http://127.0.0.1:5280/api'}\n"

    def setUp(self):
        super().setUp()
        (self.path.parent / "secret").write_text("a secret\n")

    def test_no_component(self):
        """Without a component nobody there can be written to, and that is said."""
        for key, whom in (
            ("welcome_message: Hello", "newcomers"),
            ("registration_watchers: [romeo@example.com]", "romeo@example.com"),
        ):
            self.assert_mistake(
                f"{key}\n{self.ejabberd}",
                f"2: {key.partition(':')[0]}: cannot be: example.com has its accounts at "
                f"another server, and no component: by which {whom} could be written to",
            )
            self.loaded(f"domain: example.com\n{key}\n{COMPONENT}{self.ejabberd}")

    def test_watcher_elsewhere(self):
        """It is the watcher's domain that counts."""
        text = (
            "registration_watchers: [{watcher}]\n"
            f"domains:\n  example.org: {{}}\n  example.com:\n    {self.ejabberd}"
        )
        self.loaded(text.replace("{watcher}", "romeo@example.org"))
        (self.path).write_text(text.replace("{watcher}", "romeo@example.com"))
        said = str(self.assertRaises(ConfigError, load, self.path))
        self.assertEqual(said.count("romeo@example.com could be written to"), 1)
