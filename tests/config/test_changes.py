"""What a reload may serve at once, and what waits for a restart."""

from collections.abc import Collection

from invitereg.accounts.bydomain import AccountsByDomain
from invitereg.config import Config
from invitereg.config.changes import fixed_changes, without_waiting
from invitereg.interfaces import Redemption
from invitereg.model.invites import Kind, Use
from invitereg.testing import START, make_account
from tests.config.case import ConfigCase

SITE = "web: {external_url: 'https://third.example/'}"
API = "accounts: {backend: ejabberd, url: 'http://127.0.0.1:9/api'}"
UPSTREAM = "c2s: {upstream: {connect: 'tcp:127.0.0.1:9'}}"
COMPONENT = (
    "component: "
    "{connect: 'tcp:127.0.0.1:9', jid: invites.third.example, secret_file: component}"
)
NEEDING_A_SERVER = (
    API,
    f"{API}, {UPSTREAM}",
    COMPONENT,
    f"{COMPONENT}, accounts: {{backend: xmpp}}",
    f"{API}, {COMPONENT}, {UPSTREAM}",
)
THIRD = "third.example"


class AddedTests(ConfigCase):
    """A file has a domain more than there was before."""

    def file(self, keys: str, before: str = "") -> Config:
        return self.loaded(
            f"domains:\n  example.com: {{{before}}}\n  {THIRD}: {{{keys}}}\n", serving=False
        )

    def assertServed(self, config: Config, served: Collection[str]) -> None:
        """Nothing is there for any other domain than these, at any door."""
        for name in ("domains", "accounts", "tls", "sites"):
            section = getattr(config, name)
            self.assertLessEqual(set(section), set(served), name)
        self.assertEqual(set(config.domains), set(served))

    def test_with_a_server(self) -> None:
        """A domain that needs a connection to a server has nothing before the restart."""
        for needed in NEEDING_A_SERVER:
            read = self.file(f"{needed}, {SITE}")
            self.assertIn(THIRD, read.sites)
            now, waiting = without_waiting(read, ["example.com"])
            self.assertServed(now, ["example.com"])
            self.assertEqual(waiting, [f"domains (not served yet: {THIRD})"])

    def test_without_one(self) -> None:
        """One whose accounts are our own is served at once, with its site."""
        now, waiting = without_waiting(self.file(SITE), ["example.com"])
        self.assertServed(now, ["example.com", THIRD])
        self.assertIn(THIRD, now.sites)
        self.assertEqual(waiting, [])

    def test_served_already(self) -> None:
        """One that is served goes on as it was started, whatever else the file says of it."""
        running = self.file("")
        for needed in NEEDING_A_SERVER:
            read = self.file(needed)
            now, waiting = without_waiting(read, ["example.com", THIRD])
            self.assertServed(now, ["example.com", THIRD])
            self.assertEqual(waiting, [])
            self.assertTrue(fixed_changes(running, now, ["example.com", THIRD]))


class UnknownDomainTests(ConfigCase):
    def test_no_backend(self) -> None:
        """For a domain without a backend no account is made, nor looked for, anywhere."""
        accounts = AccountsByDomain({})
        use = Use(domain=THIRD, username="juliet", kind=Kind.ACCOUNT, at=START, door="c2s")
        asked = Redemption(account=make_account(domain=THIRD), use=use)
        for ask in (
            lambda: accounts.redeem(asked, "secret"),
            lambda: accounts.reset(use, "secret"),
            lambda: accounts.exists(THIRD, "juliet"),
            lambda: accounts.recognise(THIRD, "juliet"),
            lambda: accounts.contacts_problem(THIRD),
            lambda: accounts.get_scram_keys(THIRD, "juliet", "SCRAM-SHA-256"),
            lambda: accounts.check_password(THIRD, "juliet", "secret"),
            lambda: accounts.change_password(THIRD, "juliet", "secret", START),
            lambda: accounts.delete(THIRD, "juliet", START),
        ):
            self.assertRaises(KeyError, ask)
