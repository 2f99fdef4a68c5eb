"""Whatever is wrong in a file is reported with its place, and never with a traceback."""

import copy
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from invitereg.config import Config, ConfigError
from invitereg.config.domains import within
from invitereg.config.messages import dotted
from invitereg.config.schema import DomainKeys
from invitereg.config.types import key_tree
from tests.config.case import ConfigCase, KeyPath, with_value, yaml_lines
from tests.config.test_example import EXAMPLE

# The lists that the example leaves empty have something in them here: items can be wrong too.
VALID: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
VALID["admins"] = ["romeo@example.com"]
VALID["registration_watchers"] = ["romeo@example.com"]
for addresses in VALID["contact_addresses"].values():
    addresses.append("mailto:romeo@example.com")
VALID["trusted_networks"] = ["192.0.2.0/24"]
VALID["c2s"]["upstream"] = {
    "connect": "tcp:127.0.0.1:15222",
    "tls": "starttls",
    "ca": "fullchain.pem",
    "proxy_protocol": "v2",
}
VALID["component"] = {
    "connect": "tcp:127.0.0.1:5347",
    "jid": "invites.example.com",
    "secret_file": "component",
    "register_from": ["example.org"],
}
VALID["accounts"]["backend"] = "xmpp"
VALID["policy"]["additional_registration_fields"] = ["email+", "nick"]
VALID["policy"]["default_roles"] = ["guest"]
VALID["policy"]["invites"]["allow_user_invites_by_roles"] = ["team:lead"]
VALID["policy"]["invites"]["deny_user_invites_by_roles"] = ["guest"]
VALID["policy"]["limits"]["allowlist"] = ["192.0.2.0/24"]
VALID["policy"]["limits"]["blocklist"] = ["2001:db8::/32"]

# The same for two domains, one of which says everything about itself.
SEVERAL: dict[str, Any] = copy.deepcopy(VALID)
del SEVERAL["domain"]
SEVERAL["domains"] = {
    "example.com": {
        key: copy.deepcopy(
            within(below, VALID[key]) if isinstance(VALID[key], dict) else VALID[key]
        )
        for key, below in key_tree(DomainKeys).items()
    },
    "example.org": {"site_name": "Another"},
}
SEVERAL["component"]["jid"] = "invites.example.org"  # no two have the same
FILES = (VALID, SEVERAL)

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


Place = tuple[dict[str, Any], KeyPath]


def paths(values: dict[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key of a file, and the first item of every list."""
    for key, value in values.items():
        path = (*above, key)
        yield path
        if isinstance(value, dict):
            yield from paths(value, path)
        elif isinstance(value, list) and value:
            yield (*path, 0)


PLACES: list[Place] = [(file, path) for file in FILES for path in paths(file)]


def value_at(place: Place) -> Any:
    """What stands in a valid file."""
    value, path = place
    for key in path:
        value = value[key]
    return value


def right_types(place: Place) -> set[type]:
    """What may stand at a place."""
    _file, path = place
    by_language = {dict} if path[-2:-1] == ("texts",) else set()
    return {type(value_at(place)), *by_language}


SECTIONS: list[Place] = [
    *((file, ()) for file in FILES),
    *(
        place
        for place in PLACES
        if isinstance(value_at(place), dict)
        and place[1] != ("domains",)
        and place[1][-2:] != ("apps", "add")  # where operators give the names
    ),
]


def changed(place: Place, key: KeyPath, value: object) -> dict[str, Any]:
    """A valid file with another value at ``key``, below the path of ``place``."""
    file, path = place
    return with_value(file, (*path, *key), value)


class PropertyTests(ConfigCase):
    def test_valid(self) -> None:
        """What the other tests break is right before."""
        for file in FILES:
            text = "\n".join(line for _, line in yaml_lines(file))
            self.assertEqual(self.mistakes(text), [])

    @QUICK
    @given(st.sampled_from(SECTIONS), TEXTS, VALUES)
    def test_unknown_key(self, section: Place, name: str, value: object) -> None:
        """An unknown key is reported with its line, wherever it is and whatever it says."""
        if name in value_at(section) or name in ("domain", "domains"):
            return
        path = (*section[1], name)
        lines, error = self.found(changed(section, (name,), value))
        (mistake,) = error.mistakes
        self.assertEqual(mistake.key_path, dotted(path))
        self.assertEqual(mistake.line, lines.index(path) + 1)
        self.assertIn("unknown key; ", mistake.text)
        self.assertEqual(len(str(error).splitlines()), 1)

    @QUICK
    @given(st.sampled_from(PLACES), VALUES)
    def test_wrong_type(self, place: Place, value: object) -> None:
        """A value of a wrong type is reported with its line, in words of our own."""
        path = place[1]
        a_domain = len(path) == 2 and path[0] == "domains"
        if type(value) in right_types(place) or (a_domain and value is None):
            return
        lines, error = self.found(changed(place, (), value))
        key = path[:-1] if isinstance(path[-1], int) else path
        for mistake in error.mistakes:
            self.assertTrue(mistake.key_path.startswith(dotted(path)), mistake)
            self.assertNotIn("nput should", mistake.text)
            self.assertNotIn("valid ", mistake.text)
        self.assertEqual(error.mistakes[0].line, lines.index(key) + 1)

    @QUICK
    @given(st.sampled_from(PLACES), TEXTS | st.integers(), st.booleans())
    def test_any_value(self, place: Place, value: object, serving: bool) -> None:
        """Any value at all is either taken or refused, never a traceback."""
        text = "\n".join(line for _, line in yaml_lines(changed(place, (), value)))
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
