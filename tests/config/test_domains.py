"""Several domains in one file."""

import json

from invitereg.config import json_schema
from tests.config.case import ConfigCase, certificate_and_key


class DomainsTests(ConfigCase):
    """What is at the top level holds for each domain that says nothing else."""

    def test_defaults(self) -> None:
        """A domain needs nothing below its name; the first of the file is the first served."""
        config = self.loaded("domains:\n  Example.org:\n  example.com: {}")
        self.assertEqual(list(config.domains), ["example.org", "example.com"])
        self.assertEqual(config.domains["example.org"].site_name, "example.org")
        self.assertEqual(list(config.tls), ["example.org", "example.com"])

    def test_own_values(self) -> None:
        """A domain's own values win, key by key; the others are the top level's."""
        config = self.loaded(
            """
site_name: Ours
policy:
  registration_invite_only: false
  usernames: {min_length: 3, max_length: 20}
  limits: {work_queue: 7, registration: {max: 9}}
domains:
  example.com:
  example.org:
    site_name: Org
    policy:
      usernames: {max_length: 30}
      limits: {registration: {period: 2h}}
"""
        )
        com, org = config.domains.values()
        self.assertEqual((com.site_name, org.site_name), ("Ours", "Org"))
        self.assertFalse(org.policy.registration_invite_only)
        self.assertEqual(com.policy.usernames.max_length, 20)
        self.assertEqual(org.policy.usernames.max_length, 30)
        self.assertEqual(org.policy.usernames.min_length, 3)
        self.assertEqual(org.policy.limits.registration.max, 9)
        self.assertEqual(org.policy.limits.registration.period.total_seconds(), 7200)
        self.assertEqual(com.policy.limits.registration.period.total_seconds(), 3600)
        self.assertEqual(config.work_queue, 7)

    def test_admins(self) -> None:
        """Admins at the top level are each at one of the domains, and admin that one."""
        config = self.loaded(
            "admins: [romeo@example.com, juliet@Example.org]\n"
            "domains: {example.com: {}, example.org: {}, example.net: {admins: []}}"
        )
        admins = [domain.policy.admins for domain in config.domains.values()]
        self.assertEqual(admins, [{"romeo"}, {"juliet"}, frozenset()])

    def test_admins_elsewhere(self) -> None:
        """An admin who is at none of the domains, or at another one, is a mistake."""
        self.assertEqual(
            self.mistakes(
                "admins: [romeo@a.example]\ndomains: {example.com: {}, b.example: {}}"
            ),
            ["1: admins[0]: must be at example.com or b.example, such as romeo@example.com"],
        )
        self.assertEqual(
            self.mistakes("domains:\n  a.example:\n  b.example:\n    admins: [x@a.example]"),
            ['4: domains."b.example".admins[0]: must be at b.example, such as romeo@b.example'],
        )

    def test_certificates(self) -> None:
        """Each domain may have a certificate; a default that none uses is not read."""
        certificate, key = certificate_and_key(1)
        (self.folder / "org.pem").write_bytes(certificate)
        (self.folder / "org.key").write_bytes(key)
        own = "tls: {certificate: org.pem, private_key: org.key}"
        config = self.loaded(f"domains:\n  example.com:\n  example.org:\n    {own}")
        self.assertEqual(config.tls["example.org"].certificate, self.folder / "org.pem")
        self.assertEqual(config.tls["example.com"].certificate, self.folder / "fullchain.pem")
        (self.folder / "fullchain.pem").unlink()
        self.loaded(f"domains:\n  example.org:\n    {own}")
        self.assertEqual(
            self.mistakes(f"domains:\n  example.org:\n    {own}\n  example.com:"),
            [f"4: domains.\"example.com\".tls.certificate: there is no file "
             f"{self.folder / 'fullchain.pem'}"],
        )  # fmt: skip

    def test_certificate_that_does_not_fit(self) -> None:
        """A key of its own beside the certificate of all is noticed where it is written."""
        _, key = certificate_and_key(1)
        (self.folder / "org.key").write_bytes(key)
        (mistake,) = self.mistakes(
            "tls: {certificate: fullchain.pem, private_key: privkey.pem}\n"
            "domains:\n  example.org:\n    tls:\n      private_key: org.key"
        )
        self.assertTrue(
            mistake.startswith('5: domains."example.org".tls.private_key: '), mistake
        )


class MistakeTests(ConfigCase):
    """What is wrong is said once, where it is written."""

    def assert_said(self, text: str, *expected: str) -> None:
        self.assertEqual(self.mistakes(text), list(expected))

    def test_both(self) -> None:
        """Domain and domains cannot both be given."""
        self.assert_said(
            "domain: a.b\ndomains: {c.d: {}}",
            "1: domain: is given, and domains as well: keep one of them",
        )

    def test_none(self) -> None:
        """Without a domain below it, or of another type, domains serves nobody."""
        text = "must name at least one domain, such as example.com: with its keys below it"
        for empty in ("{}", "", "[a.b]", "a.b", "7"):
            self.assert_said(f"domains: {empty}", f"1: domains: {text}")

    def test_names(self) -> None:
        """Each name is a domain's, and is there once, however it is written."""
        self.assert_said(
            "domains:\n  a b:\n  Example.com:\n  example.COM:\n  c.d: 7",
            '2: domains."a b": "a b" is no domain name, such as example.com',
            '4: domains."example.COM": "example.com" is given twice: keep one',
            '5: domains."c.d": must be a section, with keys of its own',
        )

    def test_default_of_all(self) -> None:
        """What is wrong at the top level is said once, not for each domain."""
        self.assert_said(
            "policy: {passwords: {min_length: x}}\nsite_nam: x\ndomains: {a.b: , c.d: }",
            "1: policy.passwords.min_length: must be a whole number",
            "2: site_nam: unknown key; did you mean site_name?",
        )

    def test_default_that_is_overridden(self) -> None:
        """A wrong value is a mistake also where every domain has its own."""
        self.assert_said(
            "site_name: 7\ndomains: {a.b: {site_name: x}}",
            "1: site_name: must be text: put it in quotes",
        )

    def test_own(self) -> None:
        """What is wrong in a domain's own keys is said there."""
        self.assert_said(
            "domains:\n  a.b:\n    site_nam: x\n    policy:\n      allow_registration: maybe",
            '3: domains."a.b".site_nam: unknown key; did you mean site_name?',
            '5: domains."a.b".policy.allow_registration: must be true or false '
            "(without quotes)",
        )

    def test_together(self) -> None:
        """What does not fit only together with the top level is said at the domain's own."""
        self.assert_said(
            "policy: {usernames: {max_length: 20}}\n"
            "domains:\n  a.b:\n    policy: {usernames: {min_length: 30}}",
            '4: domains."a.b".policy.usernames.max_length: must be at least min_length, '
            "but 20 is less than 30",
        )

    def test_for_the_service(self) -> None:
        """A key that is about the service as a whole has no place below a domain."""
        for key, value in (("data_dir", "x"), ("policy.limits.work_queue", "7")):
            *above, last = key.split(".")
            inner = f"{last}: {value}"
            for section in reversed(above):
                inner = f"{section}: {{{inner}}}"
            self.assert_said(
                f"domains:\n  a.b: {{{inner}}}",
                f'2: domains."a.b".{key}: unknown key; {key} is for all domains: '
                "write it at the top level",
            )

    def test_doubles(self) -> None:
        """A field that is asked for twice is noticed below a domain, too."""
        self.assert_said(
            "domains:\n  a.b:\n    policy: {additional_registration_fields: [nick, nick+]}",
            '3: domains."a.b".policy.additional_registration_fields[1]: "nick+" is given '
            "twice: keep one",
        )

    def test_schema(self) -> None:
        """The JSON schema knows what a domain may have."""
        schema = json_schema()
        self.assertIn("DomainKeys", json.dumps(schema["properties"]["domains"]))


class InternationalTests(ConfigCase):
    """A domain with other letters than those of English."""

    def test_one_domain(self) -> None:
        """Written in A-labels it is the same domain, for admins and below domains as well."""
        for written in ("xn--mnchen-3ya.example", "XN--Mnchen-3ya.example.", "MÜNCHEN.example"):
            config = self.loaded(f"domain: {written}\nadmins: [romeo@xn--mnchen-3ya.example]")
            (domain,) = config.domains.values()
            self.assertEqual(domain.name, "münchen.example")
            self.assertEqual(domain.policy.admins, {"romeo"})
        self.assertEqual(
            self.mistakes("domains:\n  münchen.example:\n  xn--mnchen-3ya.example:"),
            ['3: domains."xn--mnchen-3ya.example": "münchen.example" is given twice: keep one'],
        )

    def test_two_meanings(self) -> None:
        """What is one domain for IDNA 2008 and another for nameprep is a mistake."""
        for written, reason in (
            ("straße.example", "nameprep (RFC 3491) makes strasse of it"),
            ("xn--strae-oqa.example", "IDNA 2008 keeps U+00DF LATIN SMALL LETTER SHARP S"),
            ("βόλος.example", "IDNA 2008 keeps U+03C2 GREEK SMALL LETTER FINAL SIGMA"),
            ('"نامه\\u200cای.example"', "IDNA 2008 keeps U+200C ZERO WIDTH NON-JOINER"),
            ("xn--n3h.example", "IDNA 2008 does not allow it: Codepoint U+2603"),
        ):
            for text in (f"domain: {written}", f"domains:\n  {written}:"):
                (mistake,) = self.mistakes(text)
                self.assertIn("is not the same domain for every server and client", mistake)
                self.assertIn(reason, mistake)
