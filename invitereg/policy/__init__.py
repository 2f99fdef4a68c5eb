"""Who may register: one pure decision over frozen values, the first rule that refuses wins.

`decide` reads no clock, no store and no network: what it must know is in `Facts`. Who may
invite is decided likewise, in `invitereg.policy.inviting`.
"""

from invitereg.policy.decision import Decision, judge
from invitereg.policy.rules import RULES, Case
from invitereg.policy.values import Facts, Policy, Request

__all__ = ["Decision", "decide"]


def decide(policy: Policy, request: Request, facts: Facts) -> Decision:
    """Whether ``request`` may go on, as far as it has come.

    A request without username or password is judged by the rules that need neither: so the
    same function answers a preauth, a form and a submission.
    """
    return judge(RULES, Case(policy, request, facts))
