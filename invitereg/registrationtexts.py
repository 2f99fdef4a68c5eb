"""The texts of a registration form that pages and apps share, to be translated."""

from collections.abc import Callable

from invitereg.policy.values import Policy

Translate = Callable[[str], str]


def password_hint(policy: Policy, translate: Translate) -> str:
    """Return what a password must be, for beside its field."""
    _ = translate
    least = {"least": policy.passwords.min_length}
    if policy.passwords.common:
        return _(
            "At least %(least)s characters, not your username, and none that many people use."
        ) % least  # fmt: skip
    return _("At least %(least)s characters, and not your username.") % least


def password_rule(policy: Policy, translate: Translate) -> str:
    """Return what a password must be, as a sentence that stands alone."""
    _ = translate
    least = {"least": policy.passwords.min_length}
    if policy.passwords.common:
        return _(
            "The password needs at least %(least)s characters, and must be neither your "
            "username nor one that many people use."
        ) % least  # fmt: skip
    return _(
        "The password needs at least %(least)s characters, and must not be your username."
    ) % least  # fmt: skip
