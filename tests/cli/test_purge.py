"""`invitereg purge`."""

from datetime import UTC, datetime, timedelta
from unittest import mock

from invitereg.cli import purge
from invitereg.cli.workspace import Workspace
from invitereg.policy.counters import Counter
from invitereg.policy.values import Limit
from tests.cli.case import CommandCase

HOUR = timedelta(hours=1)


class PurgeTests(CommandCase):
    def after(self, days: int) -> None:
        """From now on, it is so many days later."""
        later = datetime.now(UTC) + timedelta(days=days)
        patch = mock.patch.object(Workspace, "now", return_value=later)
        patch.start()
        self.addCleanup(patch.stop)

    def ids(self) -> list[str]:
        return [one["id"] for one in self.objects("invite", "list", "--status", "all")]

    def test_invites(self) -> None:
        """Invites that were over for 90 days go, in whatever way; the history stays."""
        self.patch(purge, "STEP", 2)
        kept = self.object("invite", "create", "--expires", "never")["id"]
        self.done("invite", "create", "--count", "5", "--expires", "1d")
        used = self.object("invite", "create", "--expires", "never")
        self.register("romeo", used["token"])
        revoked = self.object("invite", "create", "--expires", "never")["id"]
        self.done("invite", "revoke", revoked)
        self.after(89)
        self.assertEqual(self.object("purge")["invites"], 0)
        self.after(92)
        self.assertEqual(self.object("purge")["invites"], 7)
        self.assertEqual(self.ids(), [kept])
        with Workspace.open(self.config) as workspace:
            (use,) = workspace.run(workspace.store.list_uses("example.com"))
        self.assertEqual((use.username, use.invite_id), ("romeo", used["id"]))

    def test_older_than(self) -> None:
        """How long invites are kept can be said."""
        self.done("invite", "create", "--expires", "1h")
        self.after(3)
        self.assertEqual(self.object("purge", "--older-than", "7d")["invites"], 0)
        self.assertEqual(
            self.done("purge", "--older-than", "2d"),
            "1 invite, 0 names, 0 counts of limits\n",
        )

    def test_reservations(self) -> None:
        """A lapsed reservation goes at once; its invite can still be prolonged."""
        made = self.object("invite", "create", "--username", "juliet", "--expires", "1d")
        held = self.object("invite", "create", "--username", "nurse", "--expires", "9d")
        self.after(2)
        self.assertEqual(self.object("purge"), {"invites": 0, "names": 1, "hits": 0})
        self.done("invite", "edit", made["id"], "--expires", "7d")
        self.assertRefused("invite", "create", "--username", "juliet", says="reserved")
        self.assertRefused("invite", "create", "--username", "nurse", says="reserved")
        self.assertEqual(self.ids(), [made["id"], held["id"]])

    def test_hits(self) -> None:
        """What counts still is kept, however short the time that is asked for."""
        with Workspace.open(self.config) as workspace:
            for name in ("token_guesses", "logins"):
                counter = Counter(name=name, key="x", limit=Limit(max=9, period=HOUR))
                moment = workspace.now() - timedelta(minutes=30)
                workspace.run(workspace.store.hit("example.com", (counter,), moment))
        counts = self.object("purge", "--older-than", "1s")
        self.assertEqual(counts, {"invites": 0, "names": 0, "hits": 1})

    def test_misused(self) -> None:
        """The time must be one that can have passed."""
        for time in ("never", "0d", "90", "999999d"):
            self.assertMisused("purge", "--older-than", time, says="--older-than")

    def test_domain_that_is_no_longer_served(self) -> None:
        """What is left of a domain that was taken out of the file goes as well."""
        self.done("invite", "create", "--expires", "1d", "--username", "nurse")
        text = self.config.read_text()
        self.config.write_text(text.replace("example.com", "other.example"))
        self.after(100)
        self.assertEqual(self.object("purge"), {"invites": 1, "names": 1, "hits": 0})
