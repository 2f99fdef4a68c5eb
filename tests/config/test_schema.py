"""Keys, their types and bounds, and what a right file becomes."""

import json
import operator
from dataclasses import FrozenInstanceError
from datetime import timedelta
from ipaddress import ip_network

from pydantic import ValidationError

from invitereg.config import ConfigError, Mistake, json_schema, load
from invitereg.policy.values import InviteRules, Limit, Limits, Policy, UsernameRules
from tests.config.case import ConfigCase

DURATIONS = "durations are written 30s, 15m, 12h, 7d, 2w"
NEVER = f"{DURATIONS}, or never"


class DefaultTests(ConfigCase):
    """The least that a file must say, and what it becomes."""

    def test_domain_is_enough(self) -> None:
        """A file with nothing but the domain has every default."""
        config = self.loaded("domain: example.com")
        domain = config.domains["example.com"]
        self.assertEqual(list(config.domains), ["example.com"])
        self.assertEqual(domain.name, "example.com")
        self.assertEqual(domain.site_name, "example.com")
        self.assertEqual(domain.policy, Policy())
        self.assertEqual(str(config.data_dir), "/var/lib/invitereg")
        self.assertEqual(config.store, "sqlite")
        self.assertEqual(config.c2s.listen, ("tcp:5222",))
        self.assertEqual(config.c2s.listen_tls, ("tcp:5223",))
        self.assertEqual(config.accounts["example.com"].backend, "embedded")
        self.assertEqual(config.accounts["example.com"].scram_iterations, 10000)
        self.assertFalse(config.accounts["example.com"].scram_sha_1)
        self.assertEqual(config.keep_addresses, timedelta(days=30))
        self.assertEqual(config.keep_invites, timedelta(days=90))
        self.assertIsNone(config.keep_names)
        self.assertEqual(config.streams.unauthenticated_per_network, 100)
        self.assertEqual(config.streams.unauthenticated, 5000)
        self.assertEqual(config.work_queue, 512)
        self.assertEqual(config.connections, Limit(max=20, period=timedelta(seconds=1)))

    def test_empty_sections(self) -> None:
        """A section without keys has its defaults too."""
        config = self.loaded("domain: a.b\npolicy: {limits: {logins: {}}}\naccounts: {}")
        self.assertEqual(config.domains["a.b"].policy, Policy())

    def test_relative_paths(self) -> None:
        """Paths begin at the folder of the file, wherever the command was started."""
        config = self.loaded("domain: a.b\ndata_dir: data")
        self.assertEqual(config.path, self.path)
        self.assertEqual(config.data_dir, self.folder / "data")
        self.assertEqual(config.tls["a.b"].certificate, self.folder / "fullchain.pem")
        self.assertEqual(config.tls["a.b"].private_key, self.folder / "privkey.pem")

    def test_everything_set(self) -> None:
        """What is set arrives in the policy."""
        config = self.loaded(
            """
domain: Example.COM
site_name: Example
admins: [Romeo@example.com]
keep_addresses: never
policy:
  allow_registration: false
  registration_invite_only: false
  registration_title: Join
  registration_instructions: Hello
  default_roles: [guest, "team:new", guest]
  additional_registration_fields: [email+, nick]
  invites: {expiry: never, reset_expiry: 2w, allow_user_invites: true,
    allow_contact_invites: false, allow_user_invites_by_roles: ["team:lead"],
    deny_user_invites_by_roles: [guest, new_1-a]}
  usernames: {min_length: 2, max_length: 3, pattern: "[a-z]+", reserved: [Bot]}
  passwords: {min_length: 9, forbid_common: false}
  limits:
    registration: {max: 1, period: 30s, ipv4_prefix: 24, ipv6_prefix: 48}
    token_guesses: {max: 2, period: 15m}
    logins: {max: 3, period: 12h}
    shared_invite: {max: 4, period: 7d}
    roster: 5
    roster_groups: 8
    roster_requests: 6
    connections: {per_network: 3, period: 2s}
    streams: {unauthenticated_per_network: 5, unauthenticated: 6}
    web: {connections_per_network: 8, connections: 9}
    work_queue: 7
    allowlist: [192.0.2.0/24, 2001:db8::/32, 198.51.100.7]
    allowlist_only: true
    blocklist: ["::/0"]
"""
        )
        domain = config.domains["example.com"]
        self.assertEqual(domain.site_name, "Example")
        self.assertEqual((domain.title, domain.instructions), ("Join", "Hello"))
        self.assertEqual(domain.policy.default_roles, ("guest", "team:new"))
        self.assertIsNone(config.keep_addresses)
        self.assertEqual((config.streams.unauthenticated, config.work_queue), (6, 7))
        self.assertEqual(config.connections, Limit(max=3, period=timedelta(seconds=2)))
        web = config.web_limits
        self.assertEqual((web.connections_per_network, web.connections), (8, 9))
        policy = domain.policy
        self.assertFalse(policy.allow_registration or policy.registration_invite_only)
        self.assertEqual(policy.admins, {"romeo"})
        self.assertEqual(dict(policy.fields), {"email": True, "nick": False})
        self.assertEqual(
            policy.invites,
            InviteRules(
                expiry=None,
                reset_expiry=timedelta(weeks=2),
                allow_user_invites=True,
                allow_contact_invites=False,
                allow_user_invites_by_roles=frozenset({"team:lead"}),
                deny_user_invites_by_roles=frozenset({"guest", "new_1-a"}),
            ),
        )
        self.assertEqual(
            policy.usernames,
            UsernameRules(
                min_length=2, max_length=3, pattern="[a-z]+", reserved=frozenset({"bot"})
            ),
        )
        self.assertEqual(policy.passwords.min_length, 9)
        self.assertEqual(
            policy.limits,
            Limits(
                registration=Limit(max=1, period=timedelta(seconds=30)),
                ipv4_prefix=24,
                ipv6_prefix=48,
                token_guesses=Limit(max=2, period=timedelta(minutes=15)),
                logins=Limit(max=3, period=timedelta(hours=12)),
                shared_invite=Limit(max=4, period=timedelta(days=7)),
                roster=5,
                roster_groups=8,
                roster_requests=6,
                allowlist=tuple(
                    map(ip_network, ("192.0.2.0/24", "2001:db8::/32", "198.51.100.7"))
                ),
                allowlist_only=True,
                blocklist=(ip_network("::/0"),),
            ),
        )

    def test_nothing_can_be_changed(self) -> None:
        """What was loaded stays as it was."""
        config = self.loaded("domain: a.b")
        self.assertRaises(TypeError, operator.setitem, config.domains, "x", None)
        self.assertRaises(ValidationError, setattr, config.c2s, "listen", ())
        self.assertRaises(FrozenInstanceError, setattr, config, "work_queue", 1)


class KeyTests(ConfigCase):
    """Keys that are not known, or not there."""

    def test_missing(self) -> None:
        """A missing key is reported at the line of what should contain it."""
        self.assertEqual(
            self.mistakes(
                "# a comment\n\nstore: sqlite\n\ntls:\n  certificate: fullchain.pem\n"
            ),
            [
                "3: domain: is missing: it must be given",
                "5: tls.private_key: is missing: it must be given",
            ],
        )

    def test_unknown(self) -> None:
        """An unknown key is reported at its own line, with the nearest known name."""
        self.assert_mistake(
            "site_nme: x\npolicy:\n  limits:\n    alowlist: []\n    logins: {maxx: 1}\n",
            "2: site_nme: unknown key; did you mean site_name?",
            "5: policy.limits.alowlist: unknown key; did you mean allowlist?",
            "6: policy.limits.logins.maxx: unknown key; did you mean max?",
        )

    def test_in_the_wrong_place(self) -> None:
        """A known key in the wrong section is told where it belongs."""
        self.assert_mistake(
            "blocklist: []\npolicy: {forbid_common: true}\n",
            "2: blocklist: unknown key; did you mean policy.limits.blocklist?",
            "3: policy.forbid_common: unknown key; "
            "did you mean policy.passwords.forbid_common?",
        )

    def test_later_parts(self) -> None:
        """Keys of parts that this version does not have are refused, not ignored."""
        for key in ("upstream",):
            (mistake,) = self.mistakes_with(f"{key}: {{}}")
            self.assertTrue(mistake.startswith(f"2: {key}: unknown key; "), mistake)
        (mistake,) = self.mistakes_with("zzz: {}")
        self.assertTrue(
            mistake.endswith(
                "known here are site_name, time_zone, admins, contact_addresses, "
                "registration_watchers, watcher_notice, welcome_message, tls, "
                "trusted_networks, c2s, policy, component, accounts, web, domain, domains, "
                "data_dir, store, keep_addresses, keep_invites, keep_names"
            )
        )

    def test_all_at_once(self) -> None:
        """One run names every mistake, in the order of the lines."""
        self.assert_mistake(
            """site_name: yes
sitename: x
admins:
  - romeo@example.com
  - juliet
store: sqlite
store: sqlite
c2s:
  listen:
    - "tcp:5222"
    - "tcp:x"
    - "tcp:5222"
policy:
  invites:
    expiry: 30
  limits:
    registration:
      max: 0
      ipv6_prefix: 129
    blocklist:
      - 192.0.2.1/24
""",
            "3: sitename: unknown key; did you mean site_name?",
            "6: admins[1]: must be an address, such as romeo@example.com",
            "8: store: is given twice, on lines 7 and 8: keep one",
            "12: c2s.listen[1]: is no Twisted endpoint, such as tcp:5222,"
            " tcp:5222:interface=127.0.0.1, haproxy:tcp:5222 or systemd:domain=INET:index=0",
            '13: c2s.listen[2]: "tcp:5222" is given twice: keep one',
            f'16: policy.invites.expiry: "30" is no duration (did you mean 30d?): {NEVER}',
            "19: policy.limits.registration.max: must be at least 1",
            "20: policy.limits.registration.ipv6_prefix: must be at most 128",
            "22: policy.limits.blocklist[0]: is an address within a network: "
            "did you mean 192.0.2.0/24, or 192.0.2.1 alone?",
        )

    def test_mistakes_as_values(self) -> None:
        """A program gets line, key path and text apart."""
        error = self.assertRaises(ConfigError, self.loaded, "domain: a.b\nstore: x")
        self.assertEqual(error.mistakes, (Mistake(2, "store", "must be sqlite"),))
        self.assertEqual(error.path, self.path)

    def test_schema(self) -> None:
        """The JSON schema can be written, with defaults as the file has them."""
        schema = json_schema()
        self.assertEqual(schema["oneOf"], [{"required": ["domain"]}, {"required": ["domains"]}])
        self.assertEqual(schema["properties"]["keep_addresses"]["default"], "30d")
        json.dumps(schema)


class TypeTests(ConfigCase):
    """Values of the wrong type, in an operator's words."""

    def test_text(self) -> None:
        """Where text is wanted, a number must be quoted; a list is no text."""
        self.assert_mistake("site_name: 2024", "2: site_name: must be text: put it in quotes")
        self.assert_mistake("data_dir: 5", "2: data_dir: must be text: put it in quotes")
        self.assert_mistake("site_name: true", "2: site_name: must be text: put it in quotes")
        self.assert_mistake("site_name: [a]", "2: site_name: must be text, not a list")
        self.assert_mistake(
            "site_name: {a: b}", "2: site_name: must be text, not keys and values"
        )

    def test_lists_and_sections(self) -> None:
        """A list is no section, and a text is no list."""
        self.assert_mistake(
            "admins: romeo@example.com\npolicy: []\ntls: fullchain.pem\n",
            "2: admins: must be a list, such as [one, two]",
            "3: policy: must be a section, with keys of its own, not a list",
            "4: tls: must be a section, with keys of its own",
        )

    def test_choices(self) -> None:
        """What only a later version can do is said so."""
        self.assert_mistake(
            "store: postgresql://user@host/db\n",
            "2: store: PostgreSQL is not supported by this version yet: must be sqlite",
        )
        self.assert_mistake(
            "accounts: {backend: x}", "2: accounts.backend: must be embedded, xmpp or ejabberd"
        )


class BoundTests(ConfigCase):
    """Numbers and durations out of bounds."""

    def test_numbers(self) -> None:
        """Each number has bounds, and the message names the one that was passed."""
        for key, low, high in (
            ("accounts.scram_iterations", 4096, 1_000_000),
            ("policy.usernames.min_length", 1, 1023),
            ("policy.usernames.max_length", 1, 1023),
            ("policy.passwords.min_length", 1, 1023),
            ("policy.limits.registration.ipv4_prefix", 1, 32),
            ("policy.limits.registration.ipv6_prefix", 1, 128),
            ("policy.limits.logins.max", 1, None),
            ("policy.limits.streams.unauthenticated", 1, None),
            ("policy.limits.work_queue", 1, None),
            ("policy.limits.web.connections", 1, 1_000_000),
            ("policy.limits.connections.per_network", 1, 100_000),
            ("policy.limits.roster_groups", 1, 1000),
            ("policy.limits.web.connections_per_network", 1, None),
        ):
            self.assertEqual(self.mistakes_at(key, low - 1), [f"must be at least {low}"])
            self.assertNotIn(f"must be at least {low}", self.mistakes_at(key, low))
            if high is not None:
                self.assertEqual(self.mistakes_at(key, high + 1), [f"must be at most {high}"])

    def mistakes_at(self, key: str, value: object) -> list[str]:
        """What is said about ``value`` at ``key``."""
        sections, name = key.split(".")[:-1], key.split(".")[-1]
        text = "".join(f"{section}: {{" for section in sections)
        lines = self.mistakes_with(f"{text}{name}: {value}" + "}" * len(sections))
        return [line.removeprefix(f"2: {key}: ") for line in lines]

    def test_lengths_in_order(self) -> None:
        """A least length above the greatest is found, also against the default."""
        key = "2: policy.usernames.max_length: must be at least min_length, but"
        self.assert_mistake(
            "policy: {usernames: {min_length: 5, max_length: 4}}", f"{key} 4 is less than 5"
        )
        self.assert_mistake(
            "policy: {usernames: {min_length: 65}}", f"{key} 64 is less than 65"
        )

    def test_connections_in_order(self) -> None:
        """No network may have more than all, also where all is the default."""
        limits = "policy: {limits: {web: {%s}}}"
        key = "2: policy.limits.web.connections_per_network: must be at most connections, but"
        for keys, mistakes in {
            "connections_per_network: 8, connections: 7": [f"{key} 8 is more than 7"],
            "connections_per_network: 2001": [f"{key} 2001 is more than 2000"],
            "connections_per_network: 7, connections: 7": [],
            "connections: 7": [],
        }.items():
            self.assert_mistake(limits % keys, *mistakes)

    def test_period_of_connections(self) -> None:
        """Who is refused a connection waits no more than a minute for the next."""
        key = "policy.limits.connections.period"
        self.assertEqual(self.mistakes_at(key, "60s"), [])
        for period in ("61s", "2m", "1d"):
            (mistake,) = self.mistakes_at(key, period)
            self.assertTrue(mistake.startswith("must be at most 1m"), mistake)

    def test_durations(self) -> None:
        """Anything but a number with a unit is refused with examples."""
        for value in ("30", "0.5h", "1h30m", "-1d", "P7D", "7 d", "1:30", "[]", "true", "''"):
            for key, text in (
                ("keep_addresses", NEVER),
                ("policy.limits.logins.period", DURATIONS),
            ):
                (mistake,) = self.mistakes_at(key, value)
                self.assertTrue(mistake.endswith(text), mistake)

    def test_durations_suggested(self) -> None:
        """What was typed is repeated, and what may have been meant is suggested."""
        for value, meant in (
            ("30", "30d"),
            ("7 days", "7d"),
            ("1 week", "1w"),
            ("2 Weeks", "2w"),
            ("3mo", "90d"),
            ("1 year", "365d"),
            ("90min", "90m"),
            ("12 hours", "12h"),
            ("1h30m", "90m"),
            ("1d12h", "36h"),
            ("1 day, 12 hours", "36h"),
            ("1.5d", "36h"),
            ("0.5 weeks", "84h"),
            ("7D", "7d"),
        ):
            (mistake,) = self.mistakes_at("keep_addresses", value)
            self.assertEqual(
                mistake, f'"{value}" is no duration (did you mean {meant}?): {NEVER}'
            )
        nothing = ("0", "0 days", "0.0h", "101 years", "9" * 12 + ".5y")
        for value in ("soon", "P7D", "-1d", "1x", "1d 2x", *nothing):
            (mistake,) = self.mistakes_at("keep_addresses", value)
            self.assertEqual(mistake, f'"{value}" is no duration: {NEVER}')
        self.assertEqual(self.mistakes_at("keep_addresses", "2w"), [])

    def test_no_time_at_all(self) -> None:
        """Nothing lasts for no time."""
        self.assertEqual(
            self.mistakes_at("policy.invites.expiry", "0s"),
            [f"must be longer than nothing: {NEVER}"],
        )

    def test_ages(self) -> None:
        """Durations that no calendar holds are refused."""
        for value in ("36526d", "999999999999w"):
            self.assertEqual(
                self.mistakes_at("policy.limits.logins.period", value),
                ["must be at most 36525d, which is 100 years"],
            )
        self.assertEqual(self.mistakes_at("policy.limits.logins.period", "36525d"), [])

    def test_never(self) -> None:
        """A limit without an end of its period makes no sense."""
        (mistake,) = self.mistakes_at("policy.limits.logins.period", "never")
        self.assertTrue(mistake.endswith(DURATIONS), mistake)
        for key in ("policy.invites.expiry", "policy.invites.reset_expiry", "keep_addresses"):
            self.assertEqual(self.mistakes_at(key, "never"), [])


class CommonPasswordTests(ConfigCase):
    """The list of common passwords."""

    def common(self, keys: str, *, wanted: bool = True) -> frozenset[str]:
        """The common passwords that are refused with ``keys`` under ``passwords``."""
        self.path.write_text(f"domain: a.b\npolicy: {{passwords: {{{keys}}}}}")
        config = load(self.path, common_passwords=wanted)
        return config.domains["a.b"].policy.passwords.common

    def test_listed(self) -> None:
        """Common passwords of the least length or more are refused."""
        common = self.common("min_length: 10")
        self.assertIn("1234567890", common)
        self.assertEqual(min(map(len, common)), 10)
        self.assertGreater(len(self.common("min_length: 1")), 29_000)

    def test_not_wanted(self) -> None:
        """An operator can allow them, and a command can do without the list."""
        self.assertEqual(self.common("forbid_common: false"), frozenset())
        self.assertEqual(self.common("", wanted=False), frozenset())

    def test_shared(self) -> None:
        """Reading the configuration again does not keep the list twice."""
        self.assertIs(self.common(""), self.common("forbid_common: true"))
