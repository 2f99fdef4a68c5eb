"""The reader of Prosody's files: everything that Prosody writes, and nothing else."""

import subprocess
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.transfer.prosodyfiles import MAX_DEPTH, NotData, Value, read_value

KEYS = st.text() | st.integers(-(2**53), 2**53)
SIMPLE = st.text() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300)
VALUES = st.recursive(
    SIMPLE, lambda inner: st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)
# What files are made of, to be put together in any order.
PIECES = st.sampled_from(
    [
        *(b"return", b"{", b"}", b"[", b"]", b"=", b";", b",", b'"a"', b"a", b"1", b"-", b"("),
        *(
            b"nil",
            b"true",
            b" ",
            b"\n",
            b"--",
            b"[[",
            b"\\",
            b'"',
            b"os.exit()",
            b"..",
            b"\xff",
        ),
    ]
)


def written(value: Value) -> bytes:
    """A value as Prosody's util.serialization writes it."""
    if isinstance(value, dict):
        items = (b"[%s] = %s;\n" % (written(key), written(one)) for key, one in value.items())
        return b"{\n" + b"".join(items) + b"}"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str):
        return b'"' + b"".join(map(_escaped, value.encode())) + b'"'
    return repr(value).encode()


def _escaped(code: int) -> bytes:
    special = {10: b"\\n", 13: b"\\r", 9: b"\\t", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}
    if code in special:
        return special[code]
    return bytes([code]) if 32 <= code < 127 else b"\\%03d" % code


class ReadingTests(SynchronousTestCase):
    @given(VALUES)
    def test_round_trip(self, value: Value) -> None:
        """What Prosody has written is read as it was."""
        self.assertEqual(read_value(b"return " + written(value) + b";\n"), value)

    def test_forms(self) -> None:
        """Lists, names as keys, comments and either separator are read as Lua does."""
        source = (
            b'-- kept\nreturn {\n"a", "b"; -- two\n n = 1; [3] = "c\\195\\188\\\n2", e = nil }'
        )
        expected = {1: "a", 2: "b", "n": 1, 3: "cü\n2", "e": None}
        self.assertEqual(read_value(source), expected)

    def test_refused(self) -> None:
        """Anything that Lua would have to run is refused, with its line."""
        cases: tuple[tuple[bytes, int], ...] = (
            (b"", 1),
            (b"{}", 1),
            (b"return os.execute('true')", 1),
            (b'return {\n\n["a"] = os.time();\n}', 3),
            (b"return {\n[f()] = 1 }", 2),
            (b"return {} ; return {}", 1),
            (b"local x = 1\nreturn x", 1),
            (b"return function() end", 1),
            (b"return (1/0)", 1),
            (b"return 1 + 1", 1),
            (b'return "a" .. "b"', 1),
            (b"return [[a]]", 1),
            (b"return --[[a]] 1", 1),
            (b"return {\n1\n2 }", 3),
            (b'return {\na = 1;\n["a"] = 2 }', 3),
            (b"return {\n{} = 1 }", 2),
            (b"return { [{}] = 1 }", 1),
            (b"return { [nil] = 1 }", 1),
            (b'return {\n"\\x41" }', 2),
            (b'return {\n"\\999" }', 2),
            (b'return {\n"\\255" }', 2),
            (b'return "a\nb"', 1),
            (b"\x1bLua", 1),
            (b"return 0x10", 1),
            (b"return {", 1),
            (b'return {\n"', 2),
        )
        for source, line in cases:
            error = self.assertRaises(NotData, read_value, source)
            self.assertEqual(error.line, line, source)

    def test_deep(self) -> None:
        """Tables within tables have an end."""
        deep = b"return " + b"{" * MAX_DEPTH + b"}" * MAX_DEPTH
        self.assertEqual(read_value(b"return {{}}"), {1: {}})
        read_value(deep)
        self.assertRaises(NotData, read_value, deep.replace(b"{", b"{{").replace(b"}", b"}}"))
        self.assertRaises(NotData, read_value, b"return " + b"{" * 100_000)

    @given(st.lists(PIECES).map(b"".join) | st.binary())
    def test_anything(self, source: bytes) -> None:
        """Whatever a file has in it, it is read or refused."""
        for text in (source, b"return " + source):
            try:
                read_value(text)
            except NotData as error:
                self.assertLessEqual(error.line, text.count(b"\n") + 1)

    def test_time(self) -> None:
        """A large file is read in one go, whatever is repeated in it."""
        entry = b'["%d"] = { ["jid"] = "example.com"; ["expires"] = 1795978982; };\n'
        many = b"return {\n" + b"".join(entry % number for number in range(20_000)) + b"};"
        table: Any = read_value(many)
        self.assertEqual(len(table), 20_000)
        for piece in (b"-", b"--\n", b"\\", b'"', b" ", b"1", b"{", b"\n--"):
            with_it = b"return " + piece * 50_000
            try:
                read_value(with_it)
            except NotData:
                continue


class LuaTests(SynchronousTestCase):
    """Lua itself, as Debian has it, where Prosody is."""

    def test_lua(self) -> None:
        """All bytes, as Lua's own writer puts them, are read."""
        program = 'io.write(string.format("return %q", "a\\n\\r\\0\\"\\\\\\t1"))'
        try:
            done = subprocess.run(["lua5.4", "-e", program], capture_output=True, check=True)
        except FileNotFoundError:
            self.skipTest("lua5.4 comes with Debian's prosody")
        self.assertEqual(read_value(done.stdout), 'a\n\r\0"\\\t1')
