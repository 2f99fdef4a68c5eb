"""What all parts of a configuration file have in common."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
KeyTree = dict[str, "KeyTree"]


class Section(BaseModel):
    """A part of the file with keys of its own; no key is taken that is not named here."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def key_tree(section: type[Section]) -> KeyTree:
    """Every key of a section with those below it; a key with a plain value has none below."""
    return {
        name: key_tree(known.annotation)
        if isinstance(known.annotation, type) and issubclass(known.annotation, Section)
        else {}
        for name, known in section.model_fields.items()
    }


def key_paths(tree: KeyTree, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key in ``tree``, sections included, in the order of the models."""
    for name, below in tree.items():
        yield (*above, name)
        yield from key_paths(below, (*above, name))
