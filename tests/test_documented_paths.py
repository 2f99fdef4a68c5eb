"""Where the developers' pages send a newcomer, there is something."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PAGES = ("CONTRIBUTING.md", "docs/architecture.md")
_PATH = re.compile(r"`([a-z_]+(?:/[\w.-]+)*/?(?:\.py|\.yaml|\.md|/))`")
_FOLDERS = ("", "invitereg", "docs")


def named(page: str) -> set[str]:
    """Return the files and folders that a page names in code quotes."""
    return set(_PATH.findall((ROOT / page).read_text(encoding="utf-8")))


class PathTests(SynchronousTestCase):
    def test_are_there(self) -> None:
        """Every file and folder that is named exists: here, or in the package."""
        for page in PAGES:
            names = named(page)
            self.assertGreater(len(names), 20, page)
            missing = {
                name
                for name in names
                if not any((ROOT / folder / name).exists() for folder in _FOLDERS)
            }
            self.assertEqual(missing, set(), page)

    def test_all_rooms(self) -> None:
        """The page about the architecture names every room of the package."""
        text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
        rooms = (path.parent for path in (ROOT / "invitereg").rglob("__init__.py"))
        names = {str(room.relative_to(ROOT / "invitereg")) for room in rooms} - {"."}
        unsaid = {name for name in names if f"`{name}/`" not in text and "schema" not in name}
        self.assertEqual(unsaid, set())
