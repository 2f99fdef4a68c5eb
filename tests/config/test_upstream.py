"""The keys about an upstream server."""

from tests.config.case import ConfigCase, certificate_and_key

TEXT = """
domain: example.com
c2s:
  listen: ["tcp:5222"]
  upstream: {}
"""
BACKEND = "{backend: ejabberd, url: 'http://127.0.0.1:5281/api'}"


class UpstreamTests(ConfigCase):
    def upstream(self, keys: str) -> str:
        """A file with these keys."""
        return TEXT.format(keys) + f"accounts: {BACKEND}\n"

    def test_defaults(self) -> None:
        """A place to connect to is enough: its TLS is checked then."""
        keys = self.loaded(self.upstream("{connect: 'tcp:127.0.0.1:15222'}")).upstreams
        upstream = keys["example.com"]
        self.assertEqual(upstream.connect, "tcp:127.0.0.1:15222")
        self.assertEqual((upstream.tls, upstream.ca), ("starttls", None))
        self.assertEqual(upstream.proxy_protocol, "off")

    def test_per_domain(self) -> None:
        """One domain may have an upstream server, and another be embedded."""
        config = self.loaded(
            "domains:\n  example.com: {}\n"
            "  example.org: {c2s: {upstream: {connect: 'tcp:127.0.0.1:15222'}}, "
            f"accounts: {BACKEND}}}"
        )
        self.assertEqual(list(config.upstreams), ["example.org"])

    def test_embedded(self) -> None:
        """Accounts that the upstream server would not know are a mistake, said where it is."""
        text = (
            "c2s.upstream: clients would log in at that server, and accounts be made "
            "elsewhere: add accounts: {backend: xmpp} or {backend: ejabberd}, or take "
            "upstream out"
        )
        connect = "{connect: 'tcp:127.0.0.1:15222'}"
        for accounts in ("", "accounts: {backend: embedded}\n"):
            self.assertEqual(
                self.only_mistake(TEXT.format(connect) + accounts), f"5: {text}", accounts
            )
        shared = f"domains:\n  example.com: {{accounts: {BACKEND}}}\n  example.org: {{}}\n"
        self.assertEqual(
            self.only_mistake(f"{shared}c2s: {{listen: ['tcp:5222'], upstream: {connect}}}"),
            f"4: {text}",
        )
        own = "domains:\n  example.com: {}\n  example.org: {c2s: {upstream: " + connect + "}}\n"
        there = f'3: domains."example.org".{text}'
        self.assertEqual(self.only_mistake(own), there)
        kept = "accounts: {scram_iterations: 9000}"
        self.assertEqual(self.only_mistake(own + kept), there)
        self.loaded(f"{own}accounts: {BACKEND}")

    def test_empty(self) -> None:
        """An empty key is a mistake, not a domain without a server."""
        self.assertIn("c2s.upstream: is empty", self.only_mistake(self.upstream("")))

    def test_clear_text(self) -> None:
        """Passwords go in clear on this machine and in networks that are named, only."""
        for place in ("tcp:127.0.0.1:1", "tcp:[::1]:1", "tcp:localhost:1", "unix:/run/x"):
            place = place.replace("[::1]", r"\\:\\:1")
            self.loaded(self.upstream(f'{{connect: "{place}", tls: none}}'))
        remote = self.upstream("{connect: 'tcp:10.1.2.3:1', tls: none}")
        self.assertIn("in clear to 10.1.2.3", self.only_mistake(remote))
        named = self.upstream("{connect: 'tcp:xmpp.lan:1', tls: none}")
        self.assertIn("in clear to xmpp.lan", self.only_mistake(named))
        self.loaded("trusted_networks: [10.1.0.0/16]" + remote)
        self.loaded("trusted_networks: [10.1.0.0/16]" + named)
        odd = self.upstream("{connect: 'UNIX:/run/x', tls: none}")
        self.assertIn("must be tcp: or unix:", self.only_mistake(odd))
        self.loaded(remote.replace("none", "starttls"))

    def test_mistakes(self) -> None:
        """What cannot work is said where it is written."""
        for keys, text in {
            "{}": "connect",
            "{connect: here}": "is no Twisted client endpoint",
            "{connect: 'tls:127.0.0.1:5223'}": "tls: direct",
            "{connect: 'tcp:127.0.0.1:1', tls: maybe}": "tls",
            "{connect: 'tcp:xmpp..lan:1'}": '"xmpp..lan" is no name of a host',
            f"{{connect: 'tcp:{64 * 'x'}:1'}}": "is no name of a host",
            "{connect: 'tcp:127.0.0.1:1', proxy_protocol: v3}": "proxy_protocol",
            "{connect: 'tcp:127.0.0.1:1', ca: nowhere.pem}": "nowhere.pem",
            "{connect: 'tcp:127.0.0.1:1', ca: privkey.pem}": "no usable certificate",
        }.items():
            self.assertIn(text, self.only_mistake(self.upstream(keys)), keys)

    def test_authority(self) -> None:
        """The authority's file is found beside the configuration."""
        certificate, _key = certificate_and_key(1)
        (self.folder / "server-ca.pem").write_bytes(certificate)
        text = self.upstream("{connect: 'tcp:127.0.0.1:1', ca: server-ca.pem}")
        upstream = self.loaded(text).upstreams["example.com"]
        self.assertEqual(upstream.ca, self.folder / "server-ca.pem")

    def only_mistake(self, text: str) -> str:
        """The one mistake in a file."""
        (mistake,) = self.mistakes(text)
        return str(mistake)
