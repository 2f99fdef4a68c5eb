"""Which usernames may be chosen freely, whoever chooses them."""

from invitereg.errors import Refused
from invitereg.policy.rules import RULES, Case
from invitereg.policy.values import Facts, Policy, Request

_CHOICE = ("username-length", "username-pattern", "username-reserved", "username-look-alike")
_RULES = tuple(rule for name, rule in RULES if name in _CHOICE)


def refuse_username(policy: Policy, request: Request, facts: Facts) -> Refused | None:
    """Why the request's username cannot be chosen; None if it can.

    By the rules that bind a newcomer who chooses: a user who fixes a name on an invite gives
    away no more than that. Whether somebody has the name is not asked.
    """
    case = Case(policy, request, facts)
    return next((refusal for rule in _RULES if (refusal := rule(case)) is not None), None)
