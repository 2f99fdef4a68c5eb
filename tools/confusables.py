"""Makes `invitereg/policy/confusables.txt` from Unicode's table of confusable characters.

    python tools/confusables.py confusables.txt > invitereg/policy/confusables.txt

The source is https://www.unicode.org/Public/security/latest/confusables.txt (UTS #39 §4).
What is made of it has only those characters that a localpart can have after nodeprep, each with
all that UTS #39 does to it, done until nothing changes any more, and in lower case: usernames
are the same whatever their case is, so what looks like a capital letter looks like its name.
"""

import sys
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from invitereg.errors import InvalidUsername
from invitereg.model import prepare_localpart

HEADER = """\
# Made by tools/confusables.py from Unicode's confusables.txt ({version}), and changed by that:
# what each character of a localpart looks like, in small letters; code points in hexadecimal.
#
"""


def read(lines: Iterable[str]) -> dict[str, str]:
    """Read the table: each character with what it looks like."""
    table = {}
    for line in lines:
        source, _, rest = line.partition("#")[0].partition(";")
        if rest:
            table[_text(source)] = _text(rest.partition(";")[0])
    return table


def _text(points: str) -> str:
    return "".join(chr(int(point, 16)) for point in points.lstrip("\ufeff").split())


def in_localparts() -> list[str]:
    """Return each character that a localpart may have after nodeprep and NFD, in order."""
    found: set[str] = set()
    for point in range(0x110000):
        try:
            found.update(unicodedata.normalize("NFD", prepare_localpart(chr(point))))
        except InvalidUsername:
            continue
    return sorted(found)


def resolved(character: str, table: Mapping[str, str]) -> str:
    """Return what a character looks like, in small letters, when nothing changes any more."""
    before, after = "", character
    while before != after:
        before = after
        mapped = "".join(table.get(one, one) for one in unicodedata.normalize("NFD", before))
        after = unicodedata.normalize("NFD", mapped.casefold())
    return after


def _points(text: str) -> str:
    return " ".join(f"{ord(character):04X}" for character in text)


def main(path: Path) -> None:
    """Print the table that is made of the file."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    version = next(line for line in lines if line.startswith("# Version:")).split()[-1]
    table = read(lines)
    sys.stdout.write(HEADER.format(version=version))
    licence = Path(__file__).with_name("unicode-license.txt").read_text(encoding="utf-8")
    sys.stdout.writelines(f"# {line}".rstrip() + "\n" for line in licence.splitlines())
    for character in in_localparts():
        if (looks := resolved(character, table)) != character:
            sys.stdout.write(f"{_points(character)};{_points(looks)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
