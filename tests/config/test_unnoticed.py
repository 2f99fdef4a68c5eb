"""Nothing that is wrong in a file goes unnoticed, at any key, alone or together."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invitereg.config.messages import dotted, key_paths
from invitereg.config.schema import File
from invitereg.config.types import key_tree
from tests.config.case import ConfigCase, KeyPath
from tests.config.test_properties import (
    FILES,
    PLACES,
    QUICK,
    SECTIONS,
    VALID,
    Place,
    changed,
    paths,
    right_types,
    value_at,
)

pytestmark = pytest.mark.slow

# One of every type that YAML has; none of them is right by chance.
OF_EACH_TYPE = (None, True, 17, 1.5, "some words", ["some words"], {"some": "words"})


def leaves(file: dict[str, Any]) -> list[KeyPath]:
    """The keys of a file that have plain values or lists."""
    keys = (path for path in paths(file) if not isinstance(path[-1], int))
    return [path for path in keys if not isinstance(value_at((file, path)), dict)]


@st.composite
def broken(draw: st.DrawFn) -> tuple[dict[str, Any], set[KeyPath]]:
    """A file with several mistakes, and where they are."""
    file = draw(st.sampled_from(FILES))
    wrong = draw(st.sets(st.sampled_from(leaves(file)), max_size=4))
    sections = [path for of, path in SECTIONS if of is file]
    unknown = draw(st.sets(st.sampled_from(sections), min_size=not wrong, max_size=4))
    values = copy.deepcopy(file)
    for path in wrong:
        right = right_types((file, path))
        value = draw(st.sampled_from([v for v in OF_EACH_TYPE if type(v) not in right]))
        values = changed((values, ()), path, value)
    added = {(*path, "colour") for path in unknown}
    for path in added:
        values = changed((values, ()), path, draw(st.sampled_from(OF_EACH_TYPE)))
    return values, wrong | added


EJABBERDS = ("url", "user", "password_file", "token_file", "ca")


class UnnoticedTests(ConfigCase):
    def assertNoticed(self, values: dict[str, Any], *where: KeyPath) -> None:
        """Each of these mistakes is reported, with its line, and none besides."""
        lines, error = self.found(values)
        found = {(mistake.line, mistake.key_path) for mistake in error.mistakes}
        for path in where:
            line = lines.index(path) + 1
            named = {key for at, key in found if at == line and key.startswith(dotted(path))}
            self.assertTrue(named, f"{dotted(path)} is not in: {error}")
        expected = tuple(map(dotted, where))
        self.assertEqual([key for _line, key in found if not key.startswith(expected)], [])

    def test_all_sections(self) -> None:
        """An unknown key is noticed in every section that there is."""
        for place in SECTIONS:
            for value in OF_EACH_TYPE:
                with self.subTest(place=dotted(place[1]), value=value):
                    values = changed(place, ("colour",), value)
                    self.assertNoticed(values, (*place[1], "colour"))

    def test_all_keys(self) -> None:
        """A wrong type is noticed at every key, and in every list."""
        # What several domains have in common is as for one of them.
        for place in (it for it in PLACES if it[0] is VALID or it[1][0] == "domains"):
            for value in OF_EACH_TYPE:
                with self.subTest(place=dotted(place[1]), value=value):
                    self.assertWrong(place, value)

    def assertWrong(self, place: Place, value: object) -> None:
        path = place[1]
        empty_domain = path[:1] == ("domains",) and len(path) == 2 and value is None
        if type(value) in right_types(place) or empty_domain:
            return
        key = path[:-1] if isinstance(path[-1], int) else path
        lines, error = self.found(changed(place, (), value))
        self.assertIn(lines.index(key) + 1, [mistake.line for mistake in error.mistakes])

    def test_complete(self) -> None:
        """The files that are broken here have every key, but ejabberd's, which exclude some."""
        ejabberds = {("accounts", key) for key in EJABBERDS}
        known = set(key_paths(key_tree(File))) - {("domains",)} - ejabberds
        known = {path for path in known if path[:2] != ("web", "tls")}
        self.assertLessEqual(known, set(paths(VALID)))

    @QUICK
    @given(broken())
    def test_several(self, file: tuple[dict[str, Any], set[KeyPath]]) -> None:
        """Of several mistakes, each is noticed, whatever the others are."""
        values, where = file
        self.assertNoticed(values, *where)
