"""The operator's manual lists what the log says."""

import ast
import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.test_structure import MODULES, ROOT

MANUAL = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# A line of the manual names what differs in capitals, or leaves it out.
_DIFFERS = re.compile(r"[A-Z]{4,}|\bIDS?\b|\bN\b|…")


CALLS = [
    node
    for path in MODULES
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
]


def calls(*names: str) -> Iterator[ast.Call]:
    """Each call in the package of a function or method of one of those names."""
    for call in CALLS:
        if ast.unparse(call.func).rpartition(".")[2] in names:
            yield call


CONSTANTS = {
    target.id: node.value
    for path in MODULES
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.Assign)
    for target in node.targets
    if isinstance(target, ast.Name) and target.id.isupper()
}


def sample(text: ast.expr) -> str | None:
    """A line as it may be written by a format or an f-string; None for what is neither."""
    if isinstance(text, ast.Name):
        text = CONSTANTS.get(text.id, text)
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return re.sub(r"\{\w+\}", "x", text.value.replace("{{", "{").replace("}}", "}"))
    if isinstance(text, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "x" for part in text.values)
        return "".join(map(str, parts))
    return None


def log_lines() -> set[str]:
    """A sample of every line that a logger of ours is told to write."""
    lines = set()
    for call in calls("info", "warn", "error", "failure", "critical"):
        logger = ast.unparse(call.func).rpartition(".")[0].rpartition(".")[2].strip("_")
        if logger.endswith(("log", "refusals", "failed_logins")) and call.args:
            lines.add(sample(call.args[0]))
    # Written by `FaultLog`, below its name.
    return {line for line in lines if line} - {"x error x: x"}


def patterns() -> list[re.Pattern[str]]:
    """What the manual lists in the first column of its table, each as the lines it is about."""
    table = MANUAL[MANUAL.index("| line | level |") : MANUAL.index("## Health and metrics")]
    columns = [row.split(" | ")[0] for row in table.splitlines() if row.startswith("| `")]
    return [
        re.compile(".*".join(map(re.escape, _DIFFERS.split(span))), re.DOTALL)
        for column in columns
        for span in re.findall(r"`([^`]+)`", column)
    ]


class ManualTests(SynchronousTestCase):
    def assertListed(self, lines: set[str]) -> None:
        listed = patterns()
        missing = [
            line for line in sorted(lines) if not any(one.fullmatch(line) for one in listed)
        ]
        self.assertEqual("\n".join(missing), "")

    def test_lines(self) -> None:
        """Whatever the log says, the operator's manual says what it means."""
        lines = log_lines()
        self.assertIn("reloaded x", lines)
        self.assertIn("a request failed (error x)", lines)
        self.assertListed(lines)

    def test_nothing_else(self) -> None:
        """The manual lists no line that is not there."""
        lines = log_lines() | {f"{sample(c.args[1])} error x: x" for c in calls("FaultLog")}
        lines |= {"cannot listen on x: x", "data_dir", "invitereg.db"}  # why it did not start
        unknown = [one.pattern for one in patterns() if not any(map(one.fullmatch, lines))]
        self.assertEqual(unknown, [])

    def test_faults(self) -> None:
        """So it does of every fault that is told when it begins, and when it is over."""
        names = {sample(call.args[1]) for call in calls("FaultLog")}
        self.assertIn("Database", names)
        self.assertListed({f"{name} error x: x" for name in names})
