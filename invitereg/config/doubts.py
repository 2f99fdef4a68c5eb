"""Finds in a policy what its operator may not have meant; no mistakes, as the service runs."""

from collections.abc import Iterable, Iterator

from invitereg.policy.patterns import doubts, literals, matches
from invitereg.policy.values import Domain

DOUBT = "look at the policy: {doubt}"
"""The line in the log for each of them."""
_USUAL = "juliet"


def policy_doubts(domains: Iterable[Domain]) -> Iterator[str]:
    """Yield what may not have been meant, each with its domain and key."""
    for domain in domains:
        usernames = domain.policy.usernames
        key = f"{domain.name}: policy.usernames"
        yield from (f"{key}.pattern: {doubt}" for doubt in _about_pattern(usernames.pattern))
        if any(set(name) == {"*"} for name in usernames.reserved):
            yield f"{key}.reserved: * stands for every name, so nobody can choose one"


def _about_pattern(pattern: str) -> Iterator[str]:
    yield from doubts(pattern)
    if pattern and not matches(pattern, _USUAL):
        hints = "".join(f"; {hint}" for hint in literals(pattern))
        yield f"does not match a name such as {_USUAL}: {pattern}{hints}"
