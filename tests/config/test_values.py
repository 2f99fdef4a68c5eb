"""Names, networks, patterns, endpoints and certificate files."""

import os
import warnings

from invitereg.config.messages import user_name
from tests.config.case import ConfigCase, certificate_and_key, encrypted_key


class NameTests(ConfigCase):
    """Domains, addresses, usernames, roles and fields."""

    def test_domain(self) -> None:
        """What is no domain name is refused."""
        for text in ("https://example.com/", "a b", "romeo@example.com", "a..b", '""', "."):
            (mistake,) = self.mistakes(f"domain: {text}")
            self.assertRegex(
                mistake, r'^1: domain: ".*" is no domain name, such as example.com$'
            )

    def test_international_domain(self) -> None:
        """A domain with other letters is served under its prepared name."""
        self.assertEqual(
            list(self.loaded("domain: BÜCHER.example").domains), ["bücher.example"]
        )

    def test_admins(self) -> None:
        """Admins are bare addresses at the domain."""
        self.assert_mistake(
            "admins:\n- romeo\n- romeo@example.org\n- romeo@example.com/orchard\n"
            '- "@example.com"\n'
            "- ro meo@example.com\n- example.com\n- r@a b\n",
            "3: admins[0]: must be an address, such as romeo@example.com",
            "4: admins[1]: must be at example.com, such as romeo@example.com",
            "5: admins[2]: must be a bare address, such as romeo@example.com, without /orchard",
            "6: admins[3]: must be an address, such as romeo@example.com",
            '7: admins[4]: "ro meo" cannot be a username: see RFC 6122 §2.3',
            "8: admins[5]: must be an address, such as romeo@example.com",
            '9: admins[6]: "a b" is no domain name, such as example.com',
        )

    def test_admins_of_a_wrong_domain(self) -> None:
        """A mistake in the domain is not repeated for every admin."""
        self.assertEqual(len(self.mistakes("domain: a b\nadmins: [romeo@example.com]")), 1)

    def test_reserved(self) -> None:
        """Reserved names must be possible names."""
        self.assert_mistake(
            "policy: {usernames: {reserved: [ok, a@b, '']}}",
            '2: policy.usernames.reserved[1]: "a@b" cannot be a username: see RFC 6122 §2.3',
            '2: policy.usernames.reserved[2]: "" cannot be a username: see RFC 6122 §2.3',
        )

    def test_roles(self) -> None:
        """A role is written in small letters."""
        (mistake,) = self.mistakes_with(
            "policy: {invites: {deny_user_invites_by_roles: [A b]}}"
        )
        self.assertEqual(
            mistake,
            '2: policy.invites.deny_user_invites_by_roles[0]: "A b" is no role: '
            "small letters, digits and : _ - only, as in team:lead",
        )

    def test_fields(self) -> None:
        """Only what XEP-0077 has can be asked for, and once."""
        key = "policy.additional_registration_fields"
        self.assert_mistake(
            "policy:\n  additional_registration_fields:\n  - emial+\n  - nick\n  - password\n"
            "  - nick+\n",
            f'4: {key}[0]: "emial+" is no field of a registration (XEP-0077): '
            "did you mean email?",
            f'6: {key}[2]: "password" is no field of a registration (XEP-0077): one of nick, '
            "name, first, last, email, address, city, state, zip, phone, url, date, misc, text",
            f'7: {key}[3]: "nick+" is given twice: keep one',
        )

    def test_empty_names(self) -> None:
        """A name of spaces is none."""
        self.assert_mistake(
            "site_name: ' '\ndata_dir: ''\n",
            "2: site_name: must not be empty: leave the key out for its default",
            "3: data_dir: must not be empty: leave the key out for its default",
        )

    def test_shown(self) -> None:
        """What a mistake repeats of the file cannot steer a terminal."""
        evil = r"a\x9b2J\u202eb\x7f"
        for text in (
            f'tls: {{certificate: "{evil}", private_key: "{evil}"}}',
            f'"{evil}": 1',
            f'data_dir: "~{evil}"',
            f'web: {{logo: "{evil}.svg", templates: "{evil}", external_url: "{evil}"}}',
            f'admins: ["{evil}", "x@{evil}", "x@example.com/{evil}"]',
            f'policy: {{usernames: {{pattern: "({evil}", reserved: ["{evil}"]}}}}',
            f'policy: {{registration_invite_only: "{evil}", invites: {{expiry: "{evil}"}}}}',
            f'contact_addresses: {{abuse: ["{evil}"]}}',
            f'c2s: {{listen: ["{evil}"]}}',
            f'"{evil}',
        ):
            mistakes = self.mistakes_with(text)
            self.assertNotEqual(mistakes, [], text)
            self.assertEqual([one for one in mistakes if not one.isprintable()], [])

    def test_pattern(self) -> None:
        """A pattern that RE2 does not take is refused with the reason and the place."""
        for pattern, why in (
            ("a(b", "missing ) at the end"),
            ("a)b(", "unexpected ) at character 2"),
            ("x(?=y)", "invalid perl operator at character 2: (?="),
            ("[[:name:]]", "invalid character class range at character 2: [:name:]"),
            (r"(a)\1", r"invalid escape sequence at character 4: \1"),
            ("a" * 5000, "it has more than 4096 characters"),
        ):
            self.assert_mistake(
                f"policy: {{usernames: {{pattern: '{pattern}'}}}}",
                f"2: policy.usernames.pattern: is no regular expression of RE2: {why}",
            )

    def test_pattern_that_repeats(self) -> None:
        """A pattern that would take long on the longest name is refused, with what to do."""
        for length, pattern in (
            (70, "((a?){490}a){2}"),
            (64, "(.{0,30}){30}"),
            (1023, "((a?){500}a){2}"),
            (1023, "(a|b)*a(a|b){300}"),
        ):
            self.assert_mistake(
                f"policy: {{usernames: {{max_length: {length}, pattern: '{pattern}'}}}}",
                f"2: policy.usernames.pattern: takes too long on names of {length} characters, "
                "as it repeats too much: leave their length to max_length, or lower that",
            )

    def test_pattern_of_posix(self) -> None:
        """A class of POSIX means what its name says, and Python has nothing to warn of."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            config = self.loaded(
                "domain: example.com\npolicy: {usernames: {pattern: '[[:alnum:]_.-]+'}}"
            )
        self.assertEqual(caught, [])
        self.assertEqual(
            config.domains["example.com"].policy.usernames.pattern, "[[:alnum:]_.-]+"
        )


class NetworkTests(ConfigCase):
    """Address lists."""

    def test_mapped_network(self) -> None:
        """A network that no address could ever match is refused."""
        self.assert_mistake(
            'policy: {limits: {blocklist: ["::ffff:192.0.2.0/120"]}}\n',
            "2: policy.limits.blocklist[0]: must be written as an IPv4 network, "
            "such as 192.0.2.0/24",
        )

    def test_networks(self) -> None:
        """What is no network is refused; what is an address within one is explained."""
        key = "policy.limits.allowlist"
        self.assert_mistake(
            "policy:\n  limits:\n    allowlist:\n    - 192.0.2.77/24\n    - 2001:db8::1/32\n"
            "    - office\n    - 192.0.2.0/33\n    - 10\n    - 10.0\n    -\n",
            f"5: {key}[0]: is an address within a network: "
            "did you mean 192.0.2.0/24, or 192.0.2.77 alone?",
            f"6: {key}[1]: is an address within a network: "
            "did you mean 2001:db8::/32, or 2001:db8::1 alone?",
            f'7: {key}[2]: "office" is no network, such as 192.0.2.0/24 or 2001:db8::/32',
            f'8: {key}[3]: "192.0.2.0/33" is no network, such as 192.0.2.0/24 or 2001:db8::/32',
            f"9: {key}[4]: must be a network in quotes, such as 192.0.2.0/24",
            f"10: {key}[5]: must be a network in quotes, such as 192.0.2.0/24",
            f"11: {key}[6]: is empty: give it a value, or leave the key out",
        )


class EndpointTests(ConfigCase):
    """Where to listen."""

    def mistakes_about(self, text: str) -> list[str]:
        """What is said about an endpoint, without the place."""
        prefix = "2: c2s.listen[0]: "
        found = self.mistakes_with(f"c2s: {{listen: ['{text}']}}")
        return [line.removeprefix(prefix) for line in found]

    def test_right(self) -> None:
        """Everything that Twisted can listen on is taken, sockets of systemd among it."""
        for text in (
            "tcp:5222", "tcp:0", "tcp:port=5222:interface=127.0.0.1", "tcp6:5222",
            "tcp:5222:interface=\\:\\:", "unix:/run/x", "haproxy:tcp:5222",
            "tcp:5222:127.0.0.1:70000", "systemd:domain=INET:index=7",
            "systemd:domain=INET6:name=c2s", "haproxy:systemd:domain=INET:name=c2s",
        ):  # fmt: skip
            self.assertEqual(self.mistakes_about(text), [], text)

    def test_wrong(self) -> None:
        """What Twisted cannot listen on is refused with examples."""
        for text in (
            "", "5222", "tcp", "tcp:", "tcp:x", "tcp:5222:nonsense=1", "foo:5222",
            "haproxy:foo", "haproxy:", "systemd:domain=INET", "systemd:x", "unix:/x:mode=z",
            "tcp:5222\\", "tcp:" + "9" * 5000,
        ):  # fmt: skip
            (mistake,) = self.mistakes_about(text)
            self.assertTrue(mistake.startswith("is no Twisted endpoint, such as "), text)

    def test_port(self) -> None:
        """A port that does not exist is refused before the service tries it."""
        for text in ("tcp:65536", "tcp6:70000", "tcp:port=99999", "haproxy:tcp:-1"):
            self.assertEqual(
                self.mistakes_about(text), ["the port must be between 0 and 65535"]
            )

    def test_tls_within_tls(self) -> None:
        """An endpoint that speaks TLS itself is refused, as TLS comes from ``tls``."""
        for text in ("ssl:5223", "haproxy:ssl:5223", "tls:/etc/x"):
            (mistake,) = self.mistakes_about(text)
            self.assertTrue(mistake.startswith("TLS is added here already"), mistake)

    def test_twice(self) -> None:
        """The same endpoint twice is refused, unless the system chooses the port."""
        self.assert_mistake(
            "c2s:\n  listen: ['tcp:1', 'tcp:0', 'tcp:0', 'tcp:1']\n"
            "  listen_tls: ['tcp:0', 'tcp:1']\n",
            '3: c2s.listen[3]: "tcp:1" is given twice: keep one',
            '4: c2s.listen_tls[1]: "tcp:1" is given twice: keep one',
        )

    def test_none(self) -> None:
        """A service that listens nowhere is refused (but see `test_website_only`)."""
        for text in ("c2s: {}", "c2s: {listen: [], listen_tls: []}"):
            [mistake] = self.mistakes_with(text)
            said = '2: c2s: must name at least one endpoint, as in listen: ["tcp:5222"]; '
            self.assertTrue(mistake.startswith(said), mistake)

    def test_only_what_is_named(self) -> None:
        """Where ``c2s`` is given, no port opens that it does not name."""
        config = self.loaded('domain: a.b\nc2s: {listen_tls: ["tcp:443"]}')
        self.assertEqual(config.c2s.listen, ())
        self.assertEqual(config.c2s.listen_tls, ("tcp:443",))

    def test_not_serving(self) -> None:
        """A command that does not listen is not stopped by what only a service needs."""
        config = self.loaded(
            'domain: a.b\nc2s: {listen: ["x", "x"]}\ntls: {certificate: a, private_key: b}',
            serving=False,
        )
        self.assertEqual(config.tls["a.b"].private_key, self.folder / "b")


class FileTests(ConfigCase):
    """The files that a configuration names."""

    def put(self, name: str, content: bytes) -> None:
        """Writes a file beside the configuration."""
        (self.folder / name).write_bytes(content)

    def test_data_dir(self) -> None:
        """A file is no place for data."""
        self.assert_mistake(
            "data_dir: privkey.pem", f"2: data_dir: {self.folder}/privkey.pem is no folder"
        )
        self.assertEqual(self.mistakes_with(f"data_dir: {'x' * 5000}"), [])

    def test_expired(self) -> None:
        """An expired certificate does not keep the service from starting."""
        certificate, key = certificate_and_key(1, expired=True)
        self.put("fullchain.pem", certificate)
        self.put("privkey.pem", key)
        self.assertEqual(self.mistakes_with(""), [])

    def test_chain(self) -> None:
        """The key belongs to the first certificate of the chain."""
        own, other = certificate_and_key()[0], certificate_and_key(2)[0]
        self.put("fullchain.pem", own + other)
        self.assertEqual(self.mistakes_with(""), [])
        self.put("fullchain.pem", other + own)
        self.assert_mistake(
            "",
            f"1: tls.private_key: the key in {self.folder}/privkey.pem "
            "does not belong to the first certificate",
        )

    def test_missing(self) -> None:
        """Files that are not there are each named with the place of their key."""
        self.assert_mistake(
            "tls:\n  certificate: a.pem\n  private_key: /nowhere/b.pem\n",
            f"3: tls.certificate: there is no file {self.folder}/a.pem",
            "4: tls.private_key: there is no file /nowhere/b.pem",
        )

    def test_home(self) -> None:
        """What only a shell understands is not taken for a folder of that name."""
        self.assert_mistake(
            "data_dir: ~/data\n",
            "2: data_dir: is not expanded: write the whole path, without ~",
        )

    def test_unreadable(self) -> None:
        """A folder in place of a file, or a name too long, is said so."""
        self.assert_mistake(
            f"tls: {{certificate: ., private_key: {'x' * 300}}}\n",
            f"2: tls.certificate: {self.folder} cannot be read: Is a directory",
            f"2: tls.private_key: {self.folder}/{'x' * 300} cannot be read: File name too long",
        )

    def test_forbidden(self) -> None:
        """A key that may not be read is said so."""
        (self.folder / "privkey.pem").chmod(0)
        if os.geteuid() == 0:  # who may read everything
            for path in (self.folder, *self.folder.glob("*.yaml")):
                os.chown(path, 65534, -1)
            os.seteuid(65534)
            self.addCleanup(os.seteuid, 0)
        self.assert_mistake(
            "",
            f"1: tls.private_key: {self.folder}/privkey.pem cannot be read: Permission denied "
            f"for the user {user_name()}",
        )

    def test_no_pem(self) -> None:
        """Files without what they should hold are refused."""
        certificate, key = certificate_and_key()
        for content in (b"", b"hello", b"\xff\xfe", certificate[:200], key):
            self.put("fullchain.pem", content)
            self.assertIn(
                f"1: tls.certificate: there is no usable certificate in PEM form in "
                f"{self.folder}/fullchain.pem",
                self.mistakes_with(""),
            )
        self.put("fullchain.pem", certificate)
        for content in (b"", b"hello", certificate, key[:100]):
            self.put("privkey.pem", content)
            self.assert_mistake(
                "",
                "1: tls.private_key: there is no usable private key in PEM form in "
                f"{self.folder}/privkey.pem",
            )

    def test_encrypted(self) -> None:
        """A key with a password is refused: nobody could type it."""
        self.put("privkey.pem", encrypted_key())
        self.assert_mistake(
            "",
            f"1: tls.private_key: the key in {self.folder}/privkey.pem is encrypted: "
            "store it without a password",
        )
