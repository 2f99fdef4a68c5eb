"""Decisions by a list of rules, whatever they are about: the first that refuses wins."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from invitereg.errors import Refused

Judged = TypeVar("Judged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome.

    Attributes:
        rule: the rule that refused, or ``allowed``.
        refusal: what to tell, or None if nothing refuses.
        passed: the rules that were asked and did not refuse, in order.
    """

    rule: str
    refusal: Refused | None
    passed: tuple[str, ...]


def judge(
    rules: Iterable[tuple[str, Callable[[Judged], Refused | None]]], case: Judged
) -> Decision:
    """Ask one rule after the other about ``case``, until one refuses."""
    passed: list[str] = []
    for name, rule in rules:
        refusal = rule(case)
        if refusal is not None:
            return Decision(rule=name, refusal=refusal, passed=tuple(passed))
        passed.append(name)
    return Decision(rule="allowed", refusal=None, passed=tuple(passed))
