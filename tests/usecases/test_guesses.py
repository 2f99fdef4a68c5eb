"""What somebody who tries tokens learns: nothing, whatever the policy is."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any

from twisted.internet.defer import Deferred

from invitereg.errors import Refused, Throttled
from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Limits, Policy, Sender
from invitereg.usecases.registrar import Redeemed, Submission
from tests.spying import note_calls
from tests.usecases.case import DOMAIN, UseCase

HERE = (ip_network("192.0.2.0/24"),)
POLICIES = {
    "by invitation": Policy(),
    "open": Policy(registration_invite_only=False),
    "closed": Policy(allow_registration=False),
    "closed and open": Policy(allow_registration=False, registration_invite_only=False),
    "blocked": Policy(limits=Limits(blocklist=HERE)),
    "closed and blocked": Policy(allow_registration=False, limits=Limits(blocklist=HERE)),
    "not listed": Policy(limits=Limits(allowlist_only=True)),
    "closed and not listed": Policy(
        allow_registration=False, limits=Limits(allowlist_only=True)
    ),
    "listed": Policy(limits=Limits(allowlist=HERE, allowlist_only=True)),
}
COUNTED = [name for name in POLICIES if name != "listed"]
KINDS: dict[str, dict[str, Any]] = {
    "account": {},
    "several": {"uses": 3},
    "any number": {"uses": None},
    "named": {"username": "nurse"},
    "contact": {"inviter": "romeo", "contact": True, "registration": False},
    "both": {"inviter": "romeo", "contact": True, "uses": 5},
}


class GuessTests(UseCase):
    """Tokens that are unknown, and tokens that were good once."""

    def setUp(self) -> None:
        super().setUp()
        self.account("romeo")
        self.doors = {
            "preview": self.registrar.preview,
            "script": partial(self.registrar.preview, scripted=True),
            "preauth": self.registrar.preauthorise,
            "submission": partial(self.submit, "juliet"),
            "nameless": partial(self.submit, None),
        }
        self.addresses = 0

    async def submit(
        self, username: str | None, domain: str, address: Any, token: str
    ) -> Redeemed:
        """Send all at once, as forms and portals do."""
        return await self.registrar.redeem(
            Submission(
                domain=domain,
                door="web",
                address=address,
                username=username,
                password="wherefore art thou",
                token=token,
            )
        )

    def serve(self, policy: Policy) -> None:
        domain = self.registrar.domains[DOMAIN]
        self.registrar.domains = {DOMAIN: replace(domain, policy=policy)}

    def newcomer(self) -> Any:
        """Another address of the network that the policies name, each as good as the last."""
        self.addresses += 1
        return ip_address(f"192.0.2.{self.addresses % 250 + 1}")

    def dead(self) -> list[str]:
        """A token of each kind, revoked, and one expired."""
        revoked = [self.invite(**asked) for asked in KINDS.values()]
        revoked.append(self.done(self.issuer.create_reset(DOMAIN, "romeo", OPERATOR)))
        for invite, _token in revoked:
            self.done(self.issuer.revoke(DOMAIN, invite.id, OPERATOR))
        one = timedelta(seconds=1)
        expired = [self.invite(**asked, expiry=one) for asked in KINDS.values()]
        expired.append(self.done(self.issuer.create_reset(DOMAIN, "romeo", OPERATOR, one)))
        self.clock.advance(1)
        return [token for _invite, token in revoked + expired]

    def answer(self, door: str, address: Any, token: str) -> tuple[object, ...]:
        """All that is told about a token, and what the store was asked for it."""
        calls = note_calls(self, self.store, "look_up", "hit")
        working = Deferred.fromCoroutine(self.doors[door](DOMAIN, address, token))
        refusal = self.failureResultOf(working, Refused).value
        return type(refusal), str(sorted(vars(refusal).items())), tuple(calls)

    def test_nothing_is_learnt(self) -> None:
        """A token that is over is answered as one that never was, with as much work."""
        tokens = self.dead()
        for name, policy in POLICIES.items():
            self.serve(policy)
            for door in self.doors:
                self.clock.advance(3600)
                told = {
                    self.answer(door, self.newcomer(), token) for token in ("wrong", *tokens)
                }
                self.assertEqual(len(told), 1, (name, door, told))

    def test_nothing_is_learnt_past_the_limit(self) -> None:
        """Nor does somebody learn it who has guessed too often, or who has no address."""
        tokens = self.dead()
        guesser = Sender(guesser="eve@example.net", server="example.net")
        for name, policy in POLICIES.items():
            self.serve(policy)
            for door in self.doors:
                for origin in (self.newcomer(), None, guesser):
                    self.clock.advance(3600)
                    for number in range(12):
                        self.answer(door, origin, f"guess{number}")
                    told = {self.answer(door, origin, token) for token in ("wrong", *tokens)}
                    self.assertEqual(len(told), 1, (name, door, origin, told))

    def test_all_are_counted(self) -> None:
        """Whatever the policy says in the end, an unknown token is a guess, and so limited."""
        for name in COUNTED:
            for door in self.doors:
                self.clock.advance(3600)
                address = self.newcomer()
                self.serve(POLICIES[name])
                for number in range(12):
                    self.answer(door, address, f"guess{number}")
                self.serve(Policy())
                refusal, _told, _calls = self.answer(door, address, "wrong")
                self.assertIs(refusal, Throttled, (name, door))

    def test_valid_but_refused(self) -> None:
        """Where a network is refused, a good token is answered as an unknown one is."""
        _invite, single = self.invite()
        _invite, shared = self.invite(uses=None, expiry=None)
        for name in ("blocked", "closed and blocked", "not listed", "closed and not listed"):
            self.serve(POLICIES[name])
            for door in self.doors:
                told = {
                    self.answer(door, self.newcomer(), token)
                    for token in ("wrong", single, shared)
                }
                self.assertEqual(len(told), 1, (name, door, told))

    def test_resets_while_closed(self) -> None:
        """A reset works where no accounts are made, however much is guessed beside it."""
        self.serve(POLICIES["closed"])
        _reset, token = self.done(self.issuer.create_reset(DOMAIN, "romeo", OPERATOR))
        address = self.newcomer()
        for number in range(12):
            self.answer("preauth", address, f"guess{number}")
        grant = self.preauthorise(token, address)
        self.done(
            self.registrar.redeem(self.submission("romeo", password="x" * 12, grant=grant))
        )
        self.assertTrue(self.password_of("romeo", "x" * 12))

    def test_taken_name_past_the_limit(self) -> None:
        """Where too many have registered, that is said before anything about the name."""
        self.serve(Policy(registration_invite_only=False))
        address = self.newcomer()
        for number in range(5):
            free = self.submission(f"guest{number}", address=address)
            self.done(self.registrar.redeem(free))
        taken = self.submission("romeo", address=address)
        self.refused(Throttled, self.registrar.redeem(taken))


class GuessOnSQLTests(GuessTests):
    """The same on SQLite."""

    make_store = UseCase.make_sql_store
