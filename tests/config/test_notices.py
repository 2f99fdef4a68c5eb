"""The keys about what people are told."""

from invitereg.policy.values import WatcherNotice
from tests.config.case import ConfigCase


class NoticeKeysTests(ConfigCase):
    def test_all(self) -> None:
        """Watchers, the welcome and the addresses reach the domain."""
        domain = self.loaded(
            """domain: example.com
registration_watchers: [Romeo@example.com, juliet@example.com, romeo@example.com]
welcome_message: |
  Welcome, {username}!
  {{This}} is {site_name} at {domain}.
contact_addresses:
  abuse: ["mailto:abuse@example.com", "xmpp:romeo@example.com?message"]
  status: [https://status.example.com/]
watcher_notice:
  text: "{username}@{domain} at {site_name}: {door}, {address}, {invite} of {inviter}. {{x}}"
  type: normal
"""
        ).domains["example.com"]
        notice = domain.watcher_notice
        self.assertEqual(
            (notice.text, notice.type),
            (
                "{username}@{domain} at {site_name}: {door}, {address}, {invite} of {inviter}. "
                "{{x}}",
                "normal",
            ),
        )
        watchers = (("example.com", "romeo"), ("example.com", "juliet"))
        self.assertEqual(domain.watchers, watchers)
        welcome = "Welcome, {username}!\n{{This}} is {site_name} at {domain}.\n"
        self.assertEqual(domain.welcome, welcome)
        self.assertEqual(
            domain.contact_addresses,
            {
                "abuse": ("mailto:abuse@example.com", "xmpp:romeo@example.com?message"),
                "status": ("https://status.example.com/",),
            },
        )

    def test_none(self) -> None:
        """Nobody is told anything by default."""
        domain = self.loaded("domain: example.com").domains["example.com"]
        self.assertEqual((domain.watchers, domain.welcome), ((), ""))
        self.assertEqual(domain.contact_addresses, {})
        self.assertEqual(domain.watcher_notice, WatcherNotice(text="", type="chat"))

    def test_welcome(self) -> None:
        """A placeholder that there is not, or half of one, is found when it is read."""
        known = "{username}, {domain}, {site_name}"
        for text, mistake in (
            ("Hi {user}", f"has no placeholder {{user}}: they are {known}"),
            ("Hi {}", f"has no placeholder {{}}: they are {known}"),
            ("Hi {username.x}", f"has no placeholder {{username.x}}: they are {known}"),
            ("{username!r}", f"has no placeholder {{username}}: they are {known}"),
            ("{username:>9}", f"has no placeholder {{username}}: they are {known}"),
            (
                "Hi {",
                f"has a brace alone: write {{{{ or }}}} for a brace; placeholders are {known}",
            ),
            (
                "Hi }",
                f"has a brace alone: write {{{{ or }}}} for a brace; placeholders are {known}",
            ),
        ):
            self.assert_mistake(f"welcome_message: '{text}'", f"2: welcome_message: {mistake}")

    def test_watcher_notice(self) -> None:
        """So is one in the text for watchers; and what is no type of a message."""
        known = "{username}, {domain}, {site_name}, {inviter}, {invite}, {door}, {address}"
        for notice, *mistakes in (
            (
                '{text: "{user}"}',
                f"watcher_notice.text: has no placeholder {{user}}: they are {known}",
            ),
            (
                '{text: "a {"}',
                "watcher_notice.text: has a brace alone: write {{ or }} for a brace; "
                f"placeholders are {known}",
            ),
            ("{type: headline}", "watcher_notice.type: must be chat or normal"),
            ("{txt: x}", "watcher_notice.txt: unknown key; did you mean text?"),
            ("Hello", "watcher_notice: must be a section, with keys of its own"),
        ):
            self.assert_mistake(
                f"watcher_notice: {notice}", *(f"2: {mistake}" for mistake in mistakes)
            )
        longest = f"watcher_notice: {{text: {'x' * 10_001}}}"
        (mistake,) = self.mistakes_with(longest)
        self.assertIn("watcher_notice.text: ", mistake)

    def test_newcomers_are_told_less(self) -> None:
        """A welcome has no placeholder for what is about who invites, or where from."""
        for name in ("inviter", "invite", "door", "address"):
            (mistake,) = self.mistakes_with(f"welcome_message: '{{{name}}}'")
            self.assertIn(f"has no placeholder {{{name}}}", mistake)

    def test_watcher_notice_of_one_domain(self) -> None:
        """A domain has a text of its own, and what it does not say from the top level."""
        domains = self.loaded(
            """domains:
  example.com: {}
  example.org: {watcher_notice: {text: "{inviter}"}}
watcher_notice: {text: Hello, type: normal}
"""
        ).domains
        found = [(one.watcher_notice.text, one.watcher_notice.type) for one in domains.values()]
        self.assertEqual(found, [("Hello", "normal"), ("{inviter}", "normal")])

    def test_watchers(self) -> None:
        """A watcher is an address at the domain."""
        self.assert_mistake(
            "registration_watchers: [romeo, romeo@example.org, romeo@example.com/x]",
            "2: registration_watchers[0]: must be an address, such as romeo@example.com",
            "2: registration_watchers[1]: must be at example.com, such as romeo@example.com",
            "2: registration_watchers[2]: must be a bare address, such as romeo@example.com, "
            "without /x",
        )

    def test_addresses(self) -> None:
        """An address is a URI; what looks like mail is told what it would be."""
        self.assert_mistake(
            'contact_addresses: {abuse: [abuse@example.com, "not one"], abuze: []}',
            '2: contact_addresses.abuse[0]: "abuse@example.com" is no URI, such as '
            "mailto:abuse@example.com",
            '2: contact_addresses.abuse[1]: "not one" is no URI, such as mailto:a@b.example',
            "2: contact_addresses.abuze: unknown key; did you mean abuse?",
        )
