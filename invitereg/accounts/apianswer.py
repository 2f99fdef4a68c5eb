"""Answers of ejabberd's HTTP API: bounded before anything is made of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from invitereg.runtime.logs import quoted

MAX_BODY_BYTES = 64 * 1024
"""The longest answer to most commands, which is a number or an error."""
MAX_ROSTER_BYTES = 8 * 1024 * 1024
"""The longest roster that is read: some 50,000 contacts."""
MAX_VALUES = 500_000
"""How many values an answer may have, by the characters that divide them: ten for a contact."""
NO_JSON = object()
"""In place of what an answer has in its body."""
_MOST_CHARACTERS = 200


class TooMuch(Exception):
    """An answer is longer than it may be, or has more values."""


class NotTheAPI(Exception):
    """Something else answers there, as a proxy whose server is away."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what the API has answered.

    Attributes:
        status: of HTTP.
        body: the JSON value; `NO_JSON` if it is none, as the page of a proxy.
    """

    status: int
    body: Any

    @property
    def code(self) -> int | None:
        """The server's own number of an error, where it gives one."""
        code = self.body.get("code") if isinstance(self.body, dict) else None
        return code if isinstance(code, int) else None

    @property
    def text(self) -> str:
        """Return what it says, cut to a line that can be logged."""
        if self.body is NO_JSON:
            return f"status {self.status}"
        said = self.body.get("message") if isinstance(self.body, dict) else self.body
        if isinstance(said, (list, dict)):  # which may be big
            return f"a list of {len(said)}" if isinstance(said, list) else "an object"
        return " ".join(str(said)[:_MOST_CHARACTERS].split())

    @property
    def quoted(self) -> str:
        """The same in quotes, where it is the server's own words."""
        return self.text if self.body is NO_JSON else quoted(self.text)


def collector(body: bytearray, most: int) -> Callable[[bytes], None]:
    """Return what adds data to ``body``, and raises TooMuch beyond ``most`` bytes."""

    def collect(data: bytes) -> None:
        if len(body) + len(data) > most:
            raise TooMuch(f"the answer is longer than {most} bytes")
        body.extend(data)

    return collect


def read(body: bytes, status: int) -> Answer:
    """Return the answer that a response is.

    Raises:
        TooMuch: it has too many values: reading them would hold up everybody.
        NotTheAPI: its status says that all went well, but it is no JSON.
    """
    if sum(map(body.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise TooMuch(f"the answer has more than {MAX_VALUES} values")
    try:
        return Answer(status, json.loads(body.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        if status == 200:
            raise NotTheAPI(f"it answered {status} with no JSON: is it ejabberd?") from None
        return Answer(status, NO_JSON)
