"""docs/gateway.md says what the tests of each release show, and all of it is tried."""

import re
from pathlib import Path
from typing import ClassVar
from unittest import TestCase

from tests.peers.matrix import case
from tests.peers.matrix.table import COMPONENT, EJABBERD, IMPORT, PROSODY, TABLES, Table

GUIDE = Path(__file__).parents[3] / "docs/gateway.md"


def documented(heading: str) -> tuple[tuple[str, ...], dict[str, tuple[bool, ...]]]:
    """Read a table of the guide: its other headings, and whether each cell says yes."""
    cells = [
        tuple(cell.strip() for cell in re.split(r"(?<!\\\\)\|", line)[1:-1])
        for line in GUIDE.read_text().splitlines()
        if line.startswith("|")
    ]
    first = next(number for number, row in enumerate(cells) if row[0] == heading)
    rows: dict[str, tuple[bool, ...]] = {}
    for name, *answers in cells[first + 2 :]:
        if len(answers) != len(cells[first]) - 1 or not answers[0]:
            break
        words = [re.split(r"\W", answer)[0] for answer in answers]
        if not set(words) <= {"yes", "no"}:
            break  # the next table
        rows[name] = tuple(word == "yes" for word in words)
    return cells[first][1:], rows


class TableTests(TestCase):
    maxDiff = None

    def test_guide(self) -> None:
        """The guide's tables have the releases and the answers that are tried."""
        for table in TABLES:
            columns, rows = documented(table.heading)
            self.assertEqual(columns, table.versions)
            self.assertEqual(rows, table.rows)

    def test_tried(self) -> None:
        """Each row has a test."""
        kinds: tuple[tuple[Table, type, set[str]], ...] = (
            (PROSODY, case.GatewayCase, {IMPORT}),
            (EJABBERD, case.GatewayCase, set()),
            (COMPONENT, case.ReleaseCase, set()),
        )
        for table, kind, elsewhere in kinds:
            tests = (getattr(kind, name) for name in dir(kind) if name.startswith("test_"))
            self.assertEqual({test.row for test in tests} | elsewhere, set(table.rows))


class VersionTests(TestCase):
    table: ClassVar = Table("", "", ("0.9", "13.0"), {"x": (False, True)})

    def test_unknown(self) -> None:
        """A release that was never tried is as the newest before it, or as the oldest."""
        for version, can in (("0.9", False), ("0.8.1", False), ("0.12.3", False)):
            self.assertIs(self.table.can("x", version), can)
        for version in ("13.0", "13.0.9", "26.07"):
            self.assertTrue(self.table.can("x", version))
