"""The languages: which one somebody gets, and that no text is missing in it."""

from string import Formatter

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.translations import (
    CATALOGUES,
    SOURCE_LANGUAGE,
    chosen_language,
    languages,
    translations,
    translator,
)
from tests.test_structure import ROOT

KEYWORDS = {**DEFAULT_KEYWORDS, "N_": None}


def extracted() -> set[tuple[str, ...]]:
    """All texts in the code and the templates: each with its plural, if it has one."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(str(ROOT), methods, options, keywords=KEYWORDS)
    catalogue = Catalog()
    for _file, _line, message, comments, context in found:
        catalogue.add(message, None, auto_comments=comments, context=context)
    return {_key(message) for message in catalogue if message.id}


def _key(message):
    return message.id if isinstance(message.id, tuple) else (message.id,)


def _names(text: str) -> set[str]:
    """What is filled into a text, in either of Python's ways."""
    percent = {part.split(")")[0] for part in text.split("%(")[1:]}
    return percent | {name for _, name, _, _ in Formatter().parse(text) if name is not None}


class ChoiceTests(SynchronousTestCase):
    def test_lookup(self) -> None:
        """A tag finds its language, whatever its case, region and script."""
        for tag in ("de", "DE", "de-AT", "de-Latn-CH-1996"):
            self.assertEqual(chosen_language([tag]), "de", tag)
        self.assertEqual(languages()[0], SOURCE_LANGUAGE)

    def test_order(self) -> None:
        """The first language that there is counts; English where there is none."""
        self.assertEqual(chosen_language(["tlh", "de", "en"]), "de")
        self.assertEqual(chosen_language(["en-GB", "de"]), "en")
        self.assertEqual(chosen_language(["tlh"]), "en")
        self.assertEqual(chosen_language([]), "en")

    @given(st.lists(st.text()))
    def test_any_tag(self, tags: list[str]) -> None:
        """Whatever is sent as a language, a text comes out."""
        self.assertEqual(translator(tags)("no such text"), "no such text")

    def test_no_folder(self) -> None:
        """A tag that looks like a path leads nowhere."""
        for tag in ("../de", "de/LC_MESSAGES", ".", "", "-", "de\0"):
            self.assertEqual(chosen_language([tag]), "en", tag)


class CatalogueTests(SynchronousTestCase):
    def catalogues(self):
        for path in sorted(CATALOGUES.glob("*/LC_MESSAGES/*.po")):
            with path.open("rb") as file:
                yield path, read_po(file, abort_invalid=True)

    def test_complete(self) -> None:
        """Every text is in every catalogue, none is there that is not in the code any more."""
        texts = extracted()
        for path, catalogue in self.catalogues():
            self.assertEqual(
                {_key(message) for message in catalogue if message.id}, texts, path
            )
            self.assertEqual(catalogue.obsolete, {}, path)

    def test_translated(self) -> None:
        """Every text is translated, surely, and takes the same values as the English one."""
        for path, catalogue in self.catalogues():
            for message in catalogue:
                if not message.id:
                    continue
                told = (
                    message.string if isinstance(message.string, tuple) else (message.string,)
                )
                self.assertTrue(all(told), (path, message.id))
                self.assertFalse(message.fuzzy, (path, message.id))
                expected = set().union(*(_names(text) for text in _key(message)))
                for text in told:
                    self.assertLessEqual(_names(text), expected, (path, message.id))

    def test_loaded(self) -> None:
        """What the service shows is what the catalogue says."""
        for path, catalogue in self.catalogues():
            loaded = translations([path.parents[1].name])
            for message in catalogue:
                if message.id and isinstance(message.id, str):
                    self.assertEqual(loaded.gettext(message.id), message.string)
