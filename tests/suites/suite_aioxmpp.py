"""aioxmpp's end-to-end tests, for what an embedded domain has."""

import sys
from collections.abc import Callable
from pathlib import Path

from tests.suites.demo import DOMAIN, SuiteCase, fetched, run

HERE = Path(__file__).parent
FRIENDS = ("juliet", "nurse", "tybalt")
AMONG_CONTACTS = ("ibb", "ping", "version")
CONFIGURATION = """\
[global]
provisioner=aioxmpp_accounts.SettledProvisioner
timeout=10

[aioxmpp_accounts.SettledProvisioner]
host=127.0.0.1
port={port}
domain={domain}
no_verify=true
accounts={accounts}
quirks=["#no-adhoc-ping", "#no-xep-0049"]
"""


class AioxmppTests(SuiteCase):
    """All pass but those for services that the demo has not: rooms, PubSub, uploads."""

    def test_contacts(self) -> None:
        """Those that ask a client of somebody else's, who must be a contact here."""
        inviting = ("--contact", "--inviter", "romeo")
        accounts = [
            ("romeo", self.demo.account("romeo")),
            *((name, self.demo.register(name, self.demo.token(*inviting))) for name in FRIENDS),
        ]
        self.run_suites(accounts, lambda suite: suite.parent.name in AMONG_CONTACTS)

    def test_strangers(self) -> None:
        """All others."""
        names = ("first", "second", "third", "fourth")
        accounts = [(name, self.demo.account(name)) for name in names]
        self.run_suites(accounts, lambda suite: suite.parent.name not in AMONG_CONTACTS)

    def run_suites(
        self, accounts: list[tuple[str, str]], chosen: Callable[[Path], bool]
    ) -> None:
        """Run the chosen files of tests, with these accounts."""
        checkout = fetched("aioxmpp")
        configuration = self.demo.folder / "e2etest.ini"
        configuration.write_text(
            CONFIGURATION.format(port=self.demo.port, domain=DOMAIN, accounts=accounts)
        )
        options = ("-p", "aioxmpp.e2etest", "--e2etest-config", str(configuration), "-q")
        suites = map(str, filter(chosen, sorted(checkout.glob("tests/**/test_e2e.py"))))
        run(
            [sys.executable, "-m", "pytest", *options, *suites],
            folder=checkout,
            PYTHONPATH=str(HERE),
        )
