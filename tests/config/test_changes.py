"""What a reload may serve at once, and what waits for a restart."""

from collections.abc import Collection

from twisted.internet.defer import Deferred

from invitereg.config import Config
from invitereg.config.changes import fixed_changes, servable_now
from invitereg.model.invites import token_digest
from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Domain
from invitereg.testing import START, make_invite, make_submission, memory_store
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.newinvites import NewInvite
from invitereg.usecases.registrar import Grant, Registrar
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
            now, waiting = servable_now(read, ["example.com"])
            self.assertServed(now, ["example.com"])
            self.assertEqual(waiting, [f"domains (not served yet: {THIRD})"])

    def test_without_one(self) -> None:
        """One whose accounts are our own is served at once, with its site."""
        now, waiting = servable_now(self.file(SITE), ["example.com"])
        self.assertServed(now, ["example.com", THIRD])
        self.assertIn(THIRD, now.sites)
        self.assertEqual(waiting, [])

    def test_served_already(self) -> None:
        """One that is served goes on as it was started, whatever else the file says of it."""
        running = self.file("")
        for needed in NEEDING_A_SERVER:
            read = self.file(needed)
            now, waiting = servable_now(read, ["example.com", THIRD])
            self.assertServed(now, ["example.com", THIRD])
            self.assertEqual(waiting, [])
            self.assertTrue(fixed_changes(running, now, ["example.com", THIRD]))


class UnknownDomainTests(ConfigCase):
    def test_no_backend(self) -> None:
        """For a domain without a backend no account is made, nor looked for, anywhere."""
        domains, store = {THIRD: Domain(name=THIRD)}, memory_store()
        registrar = Registrar(domains, store, {}, lambda: START)
        issuer = Issuer(domains, store, {}, lambda: START)
        invite = make_invite(domain=THIRD)
        digest = token_digest("token")
        self.successResultOf(store.create_invite(invite, digest))
        submission = make_submission(domain=THIRD, grant=Grant(invite, digest))
        for asked in (
            registrar.redeem(submission),
            registrar.create_account(THIRD, "juliet", "secret"),
            registrar.change_password(THIRD, "juliet", "a new password", START),
            registrar.delete_account(THIRD, "juliet"),
            issuer.create(NewInvite(domain=THIRD, source="cli", username="juliet")),
            issuer.create_reset(THIRD, "juliet", OPERATOR),
            issuer.look_up_inviter(THIRD, "juliet"),
        ):
            self.failureResultOf(Deferred.fromCoroutine(asked), KeyError)
        self.assertEqual(self.successResultOf(store.list_accounts(THIRD)), [])
