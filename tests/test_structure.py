"""Which room may know which: the import rule of the design, held over the syntax tree."""

import ast
import configparser
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "invitereg"
PLUGINS = ROOT / "twisted" / "plugins"
MAX_LINES, MIN_LINES = 500, 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# The rooms, from the ground up: a folder, or a module at the root. A room imports lower layers
# and, where `APART` does not forbid it, its neighbours, but never in a circle.
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(layer.split())
    for layer in (
        "_version _wokkelcompat translations",
        "errors",
        "model",
        "policy",
        "interfaces",
        "config views",
        "runtime",
        "usecases",
        "accounts store",
        "testing",
        "embedded",
        "transfer web xmpp",
        "web.api xmpp.adhoc",
        "xmpp.c2s xmpp.component",
        "xmpp.gateway",
        "service",
        "cli tap __main__",
    )
)
# A room, and all below it, that do not know others, and all below these.
APART = {
    "xmpp": {"web", "store", "accounts"},
    "web": {"xmpp", "store", "accounts"},
    "embedded": {"store", "accounts"},
    "store": {"accounts"},
    "accounts": {"store"},
    "xmpp.c2s": {"xmpp.component"},
    "xmpp.component": {"xmpp.c2s"},
    "xmpp.gateway": {"xmpp.adhoc", "xmpp.component"},
}
SPLIT = {"web", "xmpp"}
"""The folders whose folders are rooms of their own; those of another belong to it."""
SMALL = {
    "__main__.py": "Python's name for what `python -m` runs",
    "_version.py": "setup.cfg reads it without importing the package",
    "_wokkelcompat.py": "goes with wokkel's next release",
    "tap.py": "the service's entry, alone as the anchors have it",
    "config/certificates.py": "imported only where a certificate is opened, as it takes long",
    "embedded/domain.py": "the room's one entry",
    "model/fields.py": "one XEP: the fields of XEP-0077",
    "model/namespaces.py": "a list that all doors share",
    "policy/decision.py": "what both lists of rules have in common",
    "runtime/meter.py": "use cases count, and know no library that does",
    "store/statements.py": "SQL that most modules of the store share",
    "web/api/prosody.py": "an API of its own: that of Prosody's module",
}
"""Modules of less than `MIN_LINES` lines, and why they are no part of another."""

PURE = {"errors", "model", "policy"}
IMPURE_MODULES = ("twisted.internet", "time", "sqlalchemy")
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}
MAY_IMPORT_WOKKEL = {"xmpp", "accounts", "embedded", "service", "_wokkelcompat"}
MAY_IMPORT_REACTOR = {"cli"}
MAY_IMPORT_THREADS = {"store", "cli", "service"}


def unit_of(path: Path) -> str:
    """Return the room that a file belongs to; "" is the package itself."""
    first, *below = path.relative_to(PACKAGE).with_suffix("").parts
    if first == "__init__":
        return ""
    return f"{first}.{below[0]}" if first in SPLIT and len(below) > 1 else first


def _within(room: str, rooms: Iterable[str]) -> bool:
    return any(lies_in(room, other) for other in rooms)


def imports(path: Path) -> Iterator[str]:
    """The full name of everything that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                folder = path.parents[node.level - 1].relative_to(ROOT).parts
                base = ".".join((*folder, base)).removesuffix(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _normal(name: str) -> str:
    """Return a distribution's name as indexes compare it (packaging specification, names)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lies_in(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


MODULES = sorted(PACKAGE.rglob("*.py"))
UNITS = {unit_of(path) for path in MODULES} - {""}
IMPORTS = {path: sorted(set(imports(path))) for path in MODULES}


def edges() -> Iterator[tuple[Path, str, str]]:
    """Yield each import of one room by another: the file, its room, the other."""
    for path, names in IMPORTS.items():
        for name in names:
            top, *parts = name.split(".")
            if top == "invitereg" and parts:
                inner = ".".join(parts[:2])
                other = inner if inner in UNITS else parts[0]
                if other in UNITS - {unit_of(path)}:
                    yield path, unit_of(path), other


def layer(unit: str) -> int:
    return next(number for number, units in enumerate(LAYERS) if unit in units)


def importers(module: str) -> Iterator[Path]:
    """The files that import ``module`` or something in it."""
    for path, names in IMPORTS.items():
        if any(lies_in(name, module) for name in names):
            yield path


class LayerTests(SynchronousTestCase):
    def assertNone(self, mistakes: Iterator[str]) -> None:
        self.assertEqual(sorted(set(mistakes)), [])

    def test_listed(self) -> None:
        """Who adds a room to the package says to which layer it belongs, and nobody else."""
        self.assertEqual(sorted(UNITS), sorted(room for layer in LAYERS for room in layer))

    def test_one_way(self) -> None:
        """A room can be read, and replaced, without those above it."""
        self.assertNone(
            f"{path.relative_to(ROOT)} imports {other}"
            for path, unit, other in edges()
            if unit and layer(other) > layer(unit)
        )

    def test_apart(self) -> None:
        """A door works with any store and any accounts, and without the other doors."""
        self.assertNone(
            f"{path.relative_to(ROOT)} imports {other}"
            for path, unit, other in edges()
            if any(
                lies_in(unit, room) and _within(other, others) for room, others in APART.items()
            )
        )

    def test_no_circles(self) -> None:
        """Neighbours in a layer do not import each other in a circle."""
        needs: dict[str, set[str]] = {unit: set() for unit in UNITS}
        for _, unit, other in edges():
            if unit:
                needs[unit].add(other)
        while free := {unit for unit, others in needs.items() if not others & needs.keys()}:
            needs = {unit: others for unit, others in needs.items() if unit not in free}
        self.assertEqual(needs, {})

    def test_package_itself(self) -> None:
        """``import invitereg`` loads nothing but its version and what wokkel needs."""
        self.assertNone(other for _, unit, other in edges() if not unit and layer(other) > 0)

    def test_seen(self) -> None:
        """This test sees imports of every form."""
        seen = IMPORTS[PACKAGE / "policy/registering.py"]
        self.assertIn("invitereg.policy.decision.judge", seen)
        found = {(unit, other) for _, unit, other in edges()}
        self.assertLessEqual({("model", "errors"), ("policy", "model")}, found)
        self.assertIn(("", "_wokkelcompat"), found)


class ReachTests(SynchronousTestCase):
    def assertOnly(self, module: str, allowed: set[str]) -> None:
        units = {unit_of(path) for path in importers(module)}
        self.assertEqual(sorted(unit for unit in units if not _within(unit, allowed)), [])

    def test_pure(self) -> None:
        """Decisions and values read no clock, no network and no database."""
        for module in IMPURE_MODULES:
            self.assertOnly(module, UNITS - PURE)
        for path in MODULES:
            if unit_of(path) in PURE:
                tree = ast.parse(path.read_text(encoding="utf-8"))
                calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
                names = {func.attr for func in calls if isinstance(func, ast.Attribute)}
                self.assertEqual(names & CLOCKS, set(), path.name)

    def test_wokkel(self) -> None:
        """Only what speaks XMPP depends on wokkel."""
        self.assertOnly("wokkel", MAY_IMPORT_WOKKEL)

    def test_reactor(self) -> None:
        """Only the command line and twistd's plugin choose the reactor."""
        self.assertOnly("twisted.internet.reactor", MAY_IMPORT_REACTOR)

    def test_threads(self) -> None:
        """Doors and decisions run nothing in threads: they ask who was handed some."""
        self.assertOnly("invitereg.runtime.threads", MAY_IMPORT_THREADS)

    def test_testing(self) -> None:
        """What is there for tests is no part of what runs."""
        self.assertOnly("invitereg.testing", set())

    def test_plugin(self) -> None:
        """The plugin knows the service's entry alone, and its folder is no package."""
        for path in PLUGINS.glob("*.py"):
            names = [name for name in imports(path) if lies_in(name, "invitereg")]
            self.assertTrue(all(lies_in(name, "invitereg.tap") for name in names), names)
        self.assertFalse((PLUGINS / "__init__.py").exists())


class PackagingTests(SynchronousTestCase):
    def setUp(self) -> None:
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        self.options = config["options"]

    def test_requirements(self) -> None:
        """What is imported is installed with the package, not as a need of another."""
        lines = self.options["install_requires"].split("\n")
        listed = {_normal(re.split(r"[\[<=> ]", line)[0]) for line in lines if line}
        providers = packages_distributions()
        tops = {name.partition(".")[0] for names in IMPORTS.values() for name in names}
        for top in tops - sys.stdlib_module_names - {"invitereg"}:
            known = {_normal(name) for name in providers.get(top, [])}
            self.assertTrue(known & listed, f"{top}, of {known}, is not in install_requires")

    def test_packages(self) -> None:
        """What is installed is complete: setup.cfg lists every folder with modules."""
        listed = set(self.options["packages"].split())
        folders = {".".join(path.parent.relative_to(ROOT).parts) for path in MODULES}
        self.assertEqual(sorted(folders - listed), [])

    def test_module_size(self) -> None:
        """Every module can be read at a sitting."""
        sizes = {
            str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
            for path in MODULES
        }
        self.assertEqual({name: n for name, n in sizes.items() if n > MAX_LINES}, {})

    def test_small_modules(self) -> None:
        """A module that is hardly more than its imports has a reason; no reason is left over.

        Not asked about are a room's own docstring, and a change of the database's tables.
        """
        small = {
            str(path.relative_to(PACKAGE))
            for path in MODULES
            if path.name != "__init__.py" and "schema" not in path.parts
            if len(path.read_text(encoding="utf-8").splitlines()) < MIN_LINES
        }
        self.assertEqual(small, set(SMALL))


class TestCaseTests(SynchronousTestCase):
    """A test that cannot fail is found nowhere else."""

    HOOKS = ("setUp", "setUpClass", "tearDown", "tearDownClass", "run", "runTest", "id")

    def test_nothing_hidden(self) -> None:
        """No test case has a method of its own where assertions look for theirs."""
        theirs = {name for name in dir(SynchronousTestCase) if not name.startswith("_")}
        for path in (ROOT / "tests").rglob("*.py"):
            for cls in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(cls, ast.ClassDef) and cls.bases:
                    own = {part.name for part in cls.body if isinstance(part, FUNCTIONS)}
                    hidden = own & theirs - set(self.HOOKS)
                    self.assertEqual(hidden, set(), f"{path.name}: {cls.name}")
