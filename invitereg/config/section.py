"""What all parts of a configuration file have in common."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
KeyTree = dict[str, "KeyTree"]


class Section(BaseModel):
    """A part of the file with keys of its own; no key is taken that is not named here."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def key_tree(section: type[Section]) -> KeyTree:
    """Every key of a section with those below it; a key with a plain value has none below."""
    tree: KeyTree = {}
    for name, known in section.model_fields.items():
        # Itself, or what a key has that may be left out.
        optional = isinstance(known.annotation, UnionType)
        kinds = get_args(known.annotation) if optional else (known.annotation,)
        below = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
        tree[name] = key_tree(below[0]) if below else {}
    return tree


def key_paths(tree: KeyTree, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key in ``tree``, sections included, in the order of the models."""
    for name, below in tree.items():
        yield (*above, name)
        yield from key_paths(below, (*above, name))
