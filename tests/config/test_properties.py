"""Whatever is wrong in a file is reported with its place, and never with a traceback."""

import copy
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from invitereg.config import Config, ConfigError
from invitereg.config.mistakes import dotted
from invitereg.config.schema import File
from invitereg.config.section import key_paths, key_tree
from tests.config.case import ConfigCase, KeyPath, yaml_lines
from tests.config.test_example import EXAMPLE

# The lists that the example leaves empty have something in them here: items can be wrong too.
VALID: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
VALID["admins"] = ["romeo@example.com"]
VALID["registration_watchers"] = ["romeo@example.com"]
for addresses in VALID["contact_addresses"].values():
    addresses.append("mailto:romeo@example.com")
VALID["policy"]["additional_registration_fields"] = ["email+", "nick"]
VALID["policy"]["invites"]["allow_user_invites_by_roles"] = ["team:lead"]
VALID["policy"]["invites"]["deny_user_invites_by_roles"] = ["guest"]
VALID["policy"]["limits"]["allowlist"] = ["192.0.2.0/24"]
VALID["policy"]["limits"]["blocklist"] = ["2001:db8::/32"]

TREE = key_tree(File)
KEYS: list[KeyPath] = list(key_paths(TREE))
# Without what YAML reads otherwise than JSON, in which the values are written here.
_CHARACTERS = st.characters(
    exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufffe\uffff\ufeff"
)
TEXTS = st.text(_CHARACTERS, max_size=20).filter(lambda text: text != "<<")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
)
QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


def value_at(path: KeyPath) -> Any:
    """What stands at ``path`` in the valid file."""
    value: Any = VALID
    for key in path:
        value = value[key]
    return value


def places() -> list[KeyPath]:
    """Every key, and the first item of every list."""
    items = [(*path, 0) for path in KEYS if isinstance(value_at(path), list)]
    return [*KEYS, *items]


def changed(path: KeyPath, value: object) -> dict[str, Any]:
    """The valid file with another value at ``path``."""
    values = copy.deepcopy(VALID)
    inner: Any = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return values


class PropertyTests(ConfigCase):
    def found(self, values: dict[str, Any]) -> tuple[list[KeyPath], ConfigError]:
        """The path of each line of a file, and the error that it leads to."""
        lines = list(yaml_lines(values))
        text = "\n".join(line for _, line in lines)
        error = self.assertRaises(ConfigError, self.loaded, text)
        assert isinstance(error, ConfigError)
        return [path for path, _ in lines], error

    def test_valid(self) -> None:
        """What the other tests break is right before."""
        self.assertEqual(self.mistakes("\n".join(line for _, line in yaml_lines(VALID))), [])

    @QUICK
    @given(
        st.sampled_from([(), *(key for key in KEYS if isinstance(value_at(key), dict))]),
        TEXTS,
        VALUES,
    )
    def test_unknown_key(self, section: KeyPath, name: str, value: object) -> None:
        """An unknown key is reported with its line, wherever it is and whatever it says."""
        if name in value_at(section):
            return
        path = (*section, name)
        lines, error = self.found(changed(path, value))
        (mistake,) = error.mistakes
        self.assertEqual(mistake.key_path, dotted(path))
        self.assertEqual(mistake.line, lines.index(path) + 1)
        self.assertIn("unknown key; ", mistake.text)
        self.assertEqual(len(str(error).splitlines()), 1)

    @QUICK
    @given(st.sampled_from(places()), VALUES)
    def test_wrong_type(self, path: KeyPath, value: object) -> None:
        """A value of a wrong type is reported with its line, in words of our own."""
        if type(value) is type(value_at(path)):
            return
        lines, error = self.found(changed(path, value))
        key = path[:-1] if isinstance(path[-1], int) else path
        for mistake in error.mistakes:
            self.assertTrue(mistake.key_path.startswith(dotted(path)), mistake)
            self.assertNotIn("nput should", mistake.text)
            self.assertNotIn("valid ", mistake.text)
        self.assertEqual(error.mistakes[0].line, lines.index(key) + 1)

    @QUICK
    @given(st.sampled_from(places()), TEXTS | st.integers(), st.booleans())
    def test_any_value(self, path: KeyPath, value: object, serving: bool) -> None:
        """Any value at all is either taken or refused, never a traceback."""
        text = "\n".join(line for _, line in yaml_lines(changed(path, value)))
        self.taken_or_refused(text.encode(), serving=serving)

    @QUICK
    @given(st.text() | st.text("ab:-[]{}&*!|>'\"%@`#, \n\t?<=~0\\"))
    @example("%YAML 99999999999999999999.1\n---\na: b")
    @example("%TAG ! %ff\n--- !x a")
    @example('"\\xZZ": 1')
    @example("a: !<%zz> b")
    @example("? ? ? ?")
    @example("domain: a.b\n...\n...")
    def test_any_text(self, text: str) -> None:
        """Any text at all is either taken or refused, never a traceback."""
        self.taken_or_refused(text.encode(errors="surrogatepass"))

    @QUICK
    @given(st.binary())
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes at all are either taken or refused, never a traceback."""
        self.taken_or_refused(data)

    @QUICK
    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """The example with a piece lost or put in is either taken or refused."""
        text = EXAMPLE.read_bytes()
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        self.taken_or_refused(text[:start] + data.draw(st.binary(max_size=6)) + text[end:])

    def taken_or_refused(self, data: bytes, *, serving: bool = True) -> None:
        """That ``data`` is a configuration or a ConfigError of one line for each mistake."""
        try:
            self.assertIsInstance(self.loaded(data, serving=serving), Config)
        except ConfigError as error:
            self.assertTrue(error.mistakes)
            self.assertEqual(len(str(error).splitlines()), len(error.mistakes))
