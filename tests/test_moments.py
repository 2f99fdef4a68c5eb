"""Moments as people read them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.translations import moment_text

LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class MomentTests(SynchronousTestCase):
    def test_last_day(self) -> None:
        """The end of the year 9999, which many write for never, can be told in any zone."""
        for name, expected in (
            ("Asia/Tokyo", "31 December 9999, 23:59 UTC"),
            ("America/New_York", "31 December 9999, 18:59 EST"),
        ):
            self.assertEqual(moment_text(LAST, "en-GB", ZoneInfo(name)), expected)

    @given(st.datetimes(timezones=st.just(UTC)), st.timezones())
    def test_any(self, moment: datetime, zone: ZoneInfo) -> None:
        """Any moment can be told, and its zone is named."""
        self.assertRegex(moment_text(moment, "en", zone), r"(UTC[+-].+|[A-Za-z]+)$")
