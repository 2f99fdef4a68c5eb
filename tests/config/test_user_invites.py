"""The keys about how much users may invite."""

from datetime import timedelta

from invitereg.policy.values import Limit, UserInviteLimits
from tests.config.case import ConfigCase

DURATION = "durations are written 30s, 15m, 12h, 7d, 2w"


class UserInviteTests(ConfigCase):
    def limits(self, keys: str) -> UserInviteLimits:
        """What ``keys`` under ``policy.invites.users`` mean."""
        config = self.loaded(f"domain: example.com\npolicy: {{invites: {{users: {{{keys}}}}}}}")
        return config.domains["example.com"].policy.invites.users

    def test_set(self) -> None:
        """What is set arrives in the policy."""
        self.assertEqual(
            self.limits(
                "max_open: 3, made: {max: 4, period: 2h}, max_expiry: 5d, max_uses: 6, "
                "min_account_age: 7d"
            ),
            UserInviteLimits(
                max_open=3,
                made=Limit(max=4, period=timedelta(hours=2)),
                max_expiry=timedelta(days=5),
                max_uses=6,
                min_account_age=timedelta(days=7),
            ),
        )

    def test_default(self) -> None:
        """What is not set has a default, that of one limit too."""
        self.assertEqual(self.limits(""), UserInviteLimits())
        made = self.limits("made: {max: 4}").made
        self.assertEqual(made, Limit(max=4, period=UserInviteLimits().made.period))

    def test_without_limit(self) -> None:
        """Where a limit makes sense without an end, there is a word for that."""
        limits = self.limits(
            "max_open: unlimited, max_expiry: never, max_uses: unlimited, min_account_age: none"
        )
        self.assertEqual(
            limits,
            UserInviteLimits(
                max_open=None, max_expiry=None, max_uses=None, min_account_age=timedelta()
            ),
        )

    def test_mistakes(self) -> None:
        """What makes no sense is refused with what would."""
        for key in ("max_open", "max_uses"):
            for value in ("0", "-1", "1.5", "true", "many", '"3"', "[]"):
                self.assert_mistake(
                    f"policy: {{invites: {{users: {{{key}: {value}}}}}}}",
                    f"2: policy.invites.users.{key}: must be a number from 1 on, or unlimited",
                )
        for value in ("0s", "never"):
            (mistake,) = self.mistakes_with(
                f"policy: {{invites: {{users: {{min_account_age: {value}}}}}}}"
            )
            self.assertTrue(mistake.endswith(f"{DURATION}, or none"), mistake)
