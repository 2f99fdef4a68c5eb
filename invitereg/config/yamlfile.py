"""A YAML text as plain values, with the line of each (https://yaml.org/spec/1.2.2/ §10.3).

PyYAML composes the nodes, but its YAML 1.1 types are not used: ``no`` is text, ``1:30`` is
text, ``0o17`` and ``017`` are text. Only what the core schema of YAML 1.2 calls true, false,
null or a decimal number is anything else. Aliases, merge keys and custom tags are refused:
nothing in a configuration needs them, and without them no short file becomes a huge value.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field

import yaml

from invitereg.config.messages import KeyPath, Mistake, dotted, quoted
from invitereg.model.fields import NOT_IN_XML

MAX_DEPTH = 32
_MAX_DIGITS = 18  # a 64-bit number, as a database takes it

_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _TEXT, _LIST, _SECTION = (
    _TAG + name for name in ("null", "bool", "int", "float", "str", "seq", "map")
)
_ALIAS = "invitereg:alias"
_COLLECTIONS: dict[type[yaml.Node], str] = {
    yaml.SequenceNode: _LIST,
    yaml.MappingNode: _SECTION,
}
_CORE = {
    _NULL: re.compile(r"|~|null|Null|NULL"),
    _BOOL: re.compile(r"true|True|TRUE|false|False|FALSE"),
    _INT: re.compile(r"[-+]?(0|[1-9][0-9]*)"),
    _FLOAT: re.compile(
        r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
}


class NotYaml(Exception):
    """A text that has no usable structure at all; carries the one `Mistake`."""

    def __init__(self, line: int | None, text: str) -> None:
        super().__init__(text)
        self.mistake = Mistake(line, "", text)


@dataclass(slots=True)
class Document:
    """The content of a file.

    Attributes:
        value: the top level; lists are tuples.
        lines: of each key, and of each item of a list.
        mistakes: what was found on the way.
        spoiled: paths whose values were not read, as a mistake was reported there.
    """

    value: dict[str, object] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    spoiled: set[KeyPath] = field(default_factory=set)

    def line(self, path: KeyPath) -> int | None:
        """Return the line of ``path``, or of the nearest section around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def report(self, path: KeyPath, text: str, line: int | None = None) -> None:
        """Note a mistake at ``path``, on its own line unless another is given."""
        at = self.line(path) if line is None else line
        mistake = Mistake(at, dotted(path), text)
        if mistake not in self.mistakes:  # as defaults are judged for each domain
            self.mistakes.append(mistake)

    def is_spoiled(self, path: KeyPath) -> bool:
        """Whether ``path`` or anything around it was not read."""
        return any(path[:length] in self.spoiled for length in range(len(path) + 1))


def parse(data: bytes) -> Document:
    """Read a file's content, which must be one YAML document with keys at its top level.

    Raises:
        NotYaml: if it is none.
    """
    root = _compose(_decode(data))
    if root is None or root.tag == _NULL:
        raise NotYaml(1, "is empty: at the least it must say domain: example.com")
    if not isinstance(root, yaml.MappingNode) or root.tag != _SECTION:
        raise NotYaml(
            _line(root), "must be made of keys and values, such as domain: example.com"
        )
    reader = _YamlReader()
    reader.document.lines[()] = _line(root)
    reader.document.value = reader.section(root, ())
    return reader.document


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise NotYaml(
            before.count(b"\n") + 1,
            f"not UTF-8 text at byte {column} of the line: save the file as UTF-8",
        ) from None


class _Loader(yaml.SafeLoader):
    """PyYAML's, with types of YAML 1.2, aliases left as marks, and a bounded depth."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            return yaml.ScalarNode(_ALIAS, event.anchor, event.start_mark, event.end_mark)
        if self._depth >= MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def resolve(
        self, kind: type[yaml.Node], value: str | None, implicit: tuple[bool, bool] | bool
    ) -> str:
        if kind is yaml.ScalarNode and isinstance(implicit, tuple) and implicit[0]:
            written = value or ""
            return next((t for t, form in _CORE.items() if form.fullmatch(written)), _TEXT)
        return _COLLECTIONS.get(kind, _TEXT)


def _compose(text: str) -> yaml.Node | None:
    loader = None
    try:
        loader = _Loader(text)
        root: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _from_marked(error, text) from None
    except yaml.reader.ReaderError as error:
        raise _from_character(text, error.position) from None
    except (yaml.YAMLError, ValueError, OverflowError, IndexError):
        # PyYAML does not check the numbers in escapes and directives itself.
        line = 1 if loader is None else loader.line + 1
        raise NotYaml(line, "not valid YAML: a number that is out of range") from None
    finally:
        if loader is not None:
            loader.dispose()
    return root


def _from_marked(error: yaml.MarkedYAMLError, text: str) -> NotYaml:
    mark = error.problem_mark or error.context_mark
    began = error.context_mark
    end = len(text.rstrip())
    if began is not None and began.index >= end:
        began = _open_bracket(text)
    if mark is not None and began is not None and mark.index >= end:
        what = " ".join((error.context or "").split()).removeprefix("while ")
        return NotYaml(
            began.line + 1,
            f"not valid YAML at column {began.column + 1}: what begins here has no end "
            f"({what})",
        )
    line = None if mark is None else mark.line + 1
    if error.context == "expected a single document in the stream":
        return NotYaml(line, "a second document begins here: only one is allowed in a file")
    problem = " ".join((error.problem or error.context or "unreadable").split())
    if "'\\t'" in problem:
        problem += "; indent with spaces, not with tabs"
    elif problem.startswith("mapping values") or "cannot start any token" in problem:
        problem += "; is it a text, which needs quotes?"
    if error.context and error.context_mark is not None and error.problem:
        problem += f" ({error.context} that begins on line {error.context_mark.line + 1})"
    if mark is not None and (quote := _quote_before(text, mark)) is not None:
        problem += f"; is the quotation mark that opens on line {quote} closed too late?"
    column = "" if mark is None else f" at column {mark.column + 1}"
    return NotYaml(line, f"not valid YAML{column}: {problem}")


def _open_bracket(text: str) -> yaml.Mark | None:
    """Return the last bracket or brace that is not closed."""
    opened: list[yaml.Mark] = []
    with suppress(yaml.YAMLError):
        for token in yaml.scan(text):
            if isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken):
                opened.append(token.start_mark)
            elif isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken):
                opened.pop()
    return opened[-1] if opened else None


def _quote_before(text: str, mark: yaml.Mark) -> int | None:
    """Return the line of a quoted text of several lines that ends where a mistake is."""
    found = None
    with suppress(yaml.YAMLError):
        for token in yaml.scan(text):
            if token.start_mark.index > mark.index:
                break
            lines = token.start_mark.line, token.end_mark.line
            is_quoted = isinstance(token, yaml.ScalarToken) and token.style in ("'", '"')
            if is_quoted and lines[0] < lines[1] == mark.line:
                found = lines[0] + 1
    return found


def _from_character(text: str, position: int) -> NotYaml:
    before = text[:position]
    column = position - (before.rfind("\n") + 1) + 1
    return NotYaml(
        before.count("\n") + 1,
        f"not valid YAML at column {column}: the character U+{ord(text[position]):04X}"
        " is not allowed",
    )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _YamlReader:
    """Turns nodes into values, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.document = Document()

    def section(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            at = (*path, key)
            if key in values:
                lines = f"{self.document.lines[at]} and {_line(key_node)}"
                self.document.report(
                    at, f"is given twice, on lines {lines}: keep one", _line(key_node)
                )
                continue
            self.document.lines[at] = _line(key_node)
            values[key] = self._value(value_node, at)
        return values

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == _TEXT:
            if node.value == "<<":
                text = "merge keys (<<) are not supported: write the keys out"
            elif NOT_IN_XML.search(node.value):
                text = "a key has a control character in it"
            else:
                return str(node.value)
        elif isinstance(node, yaml.ScalarNode) and node.tag != _ALIAS:
            text = f"a key must be text: {quoted(node.value)} is not, unless put in quotes"
        else:
            text = "a key must be text"
        self.document.report(path, text, _line(node))
        return None

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        if isinstance(node, yaml.MappingNode) and node.tag == _SECTION:
            return self.section(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
            return tuple(self._item(item, (*path, i)) for i, item in enumerate(node.value))
        text = _wrong_with(node)
        if text is not None:
            self.document.report(path, text)
            self.document.spoiled.add(path)
            return None
        return _scalar(node.tag, node.value)

    def _item(self, node: yaml.Node, path: KeyPath) -> object:
        self.document.lines[path] = _line(node)
        return self._value(node, path)


def _wrong_with(node: yaml.Node) -> str | None:
    """Return why a node's value cannot be taken, or None."""
    if node.tag == _ALIAS:
        return f"aliases are not supported: write the value out in place of *{node.value}"
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (*_CORE, _TEXT):
        return f"the type {quoted(node.tag.removeprefix(_TAG))} is not supported"
    if node.tag in _CORE and not _CORE[node.tag].fullmatch(node.value):
        return f"{quoted(node.value)} is not of the type that is written before it"
    if node.tag == _INT and len(node.value) > _MAX_DIGITS:
        return "the number is too large"
    # Such text could never be sent, and hides in messages.
    wrong = NOT_IN_XML.search(node.value)
    if wrong:
        return f"the character U+{ord(wrong[0]):04X} is not allowed in text"
    return None


def _scalar(tag: str, text: str) -> object:
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text.lower() == "true"
    if tag == _INT:
        return int(text)
    if tag == _FLOAT:
        return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    return text
