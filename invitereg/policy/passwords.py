"""Which passwords an account may have, whenever one is set."""

from invitereg.errors import Refused
from invitereg.policy.rules import RULES, Case
from invitereg.policy.values import Facts, Policy, Request

_RULES = tuple(rule for name, rule in RULES if name.startswith("password-"))


def refuse_password(policy: Policy, request: Request, facts: Facts) -> Refused | None:
    """Why the request's password may not be that of its username; None if it may.

    By the rules of a registration that are about passwords, and by no other: an account that
    is there may change its password when nobody may register.
    """
    case = Case(policy, request, facts)
    return next((refusal for rule in _RULES if (refusal := rule(case)) is not None), None)
