"""Who may register: one pure decision over frozen values, the first rule that refuses wins.

`decide` reads no clock, no store and no network: what it must know is in `Facts`.
"""

from dataclasses import dataclass

from invitereg.errors import Refused
from invitereg.policy.rules import RULES, Case
from invitereg.policy.values import Facts, Policy, Request

__all__ = ["Decision", "decide"]


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


def decide(policy: Policy, request: Request, facts: Facts) -> Decision:
    """Whether ``request`` may go on, as far as it has come.

    A request without username or password is judged by the rules that need neither: so the
    same function answers a preauth, a form and a submission.
    """
    case = Case(policy, request, facts)
    passed: list[str] = []
    for name, rule in RULES:
        refusal = rule(case)
        if refusal is not None:
            return Decision(rule=name, refusal=refusal, passed=tuple(passed))
        passed.append(name)
    return Decision(rule="allowed", refusal=None, passed=tuple(passed))
