"""Names and docstrings, as far as a test can hold them: names are unique, verbs come first."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_structure import FUNCTIONS, MODULES, PACKAGE

Described = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

SHARED = {"Use": "the API's document calls it so, as the model does"}
"""Names of more than one class, and why."""

RIDDLES = re.compile(
    "answers|asking|behind|clearways|common|desk|doubles|doubts|duty|errands|exchange|gone|"
    "helpers|keeping|making|manager|objects|once|posted|questions|speaking|stamps|telling|"
    "things|trials|utils"
)
"""Names of modules that nobody would search for, or that could hold anything."""

QUESTION = re.compile(r"(As|How|See|Their|What|Where|Which|Who|Whoever|Whom|Whose|Why)\b")
NO_VERB = re.compile(
    r"(An?|All|Any|Both|Each|Every|Everybody|Its?|Names|No|Nobody|Nothing|Of|One|Some|Somebody|"
    r"Such|That|The|These|They|This|Those|Two|Wrong|Yours?)\b"
)
PREDICATE = re.compile("_*(is|are|was|has|had|may|can|must|needs|wants)_")


def described() -> Iterator[tuple[Path, Described, str]]:
    """Yield each module, class and function that has a docstring, with its file."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Described) and (text := ast.get_docstring(node)):
                yield path.relative_to(PACKAGE), node, text


def is_property(node: Described) -> bool:
    decorators = getattr(node, "decorator_list", ())
    return any("property" in ast.unparse(decorator) for decorator in decorators)


class NameTests(SynchronousTestCase):
    def test_classes(self) -> None:
        """A class is found by its name alone: no other has it, nor an alias, private or not."""
        found, aliases = defaultdict(list), defaultdict(list)
        for path in MODULES:
            module = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(module):
                if isinstance(node, ast.ClassDef):
                    found[node.name.strip("_")].append(path.name)
            for node in module.body:
                if isinstance(node, ast.Assign) and "TypeVar" not in ast.unparse(node.value):
                    aliases[ast.unparse(node.targets[0]).strip("_")].append(path.name)
        named = {name: [*places, *aliases[name]] for name, places in found.items()}
        twice = {name: places for name, places in named.items() if len(places) > 1}
        self.assertEqual(sorted(twice), sorted(SHARED), twice)

    def test_modules(self) -> None:
        """A module's name, and a folder's, says what is in it."""
        names = {part for path in MODULES for part in path.relative_to(PACKAGE).parts}
        self.assertEqual([n for n in names if RIDDLES.fullmatch(n.removesuffix(".py"))], [])


class DocstringTests(SynchronousTestCase):
    def assertNone(self, mistakes: Iterator[tuple[Path, Described, str]]) -> None:
        lines = [(path, getattr(node, "lineno", 1), text) for path, node, text in mistakes]
        self.assertEqual([f"{path}:{line} {text}" for path, line, text in lines], [])

    def test_statements(self) -> None:
        """A docstring states something, and does not say which question it answers."""
        self.assertNone(row for row in described() if QUESTION.match(row[2]))

    def test_whether(self) -> None:
        """Only a property, or a function that is named as a question, is "Whether …"."""
        self.assertNone(
            (path, node, text)
            for path, node, text in described()
            if text.startswith("Whether ") and not is_property(node)
            if not (isinstance(node, FUNCTIONS) and PREDICATE.match(node.name))
        )

    def test_verb_first(self) -> None:
        """A function's docstring begins with what the function does."""
        self.assertNone(
            (path, node, text)
            for path, node, text in described()
            if isinstance(node, FUNCTIONS) and not is_property(node) and NO_VERB.match(text)
        )
