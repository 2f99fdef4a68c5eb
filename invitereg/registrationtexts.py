"""The texts of a registration form that pages and apps share, to be translated."""

from collections.abc import Callable, Mapping

from invitereg.policy.values import Policy
from invitereg.translations import N_

Translate = Callable[[str], str]

# XEP-0077 §14.1; the order is the one in which a form shows them.
FIELD_LABELS: Mapping[str, str] = {
    "username": N_("Username"),
    "password": N_("Password"),
    "nick": N_("Nickname"),
    "name": N_("Full name"),
    "first": N_("First name"),
    "last": N_("Last name"),
    "email": N_("Email address"),
    "address": N_("Street address"),
    "city": N_("City"),
    "state": N_("State or region"),
    "zip": N_("Postal code"),
    "phone": N_("Telephone number"),
    "url": N_("Web page"),
    "date": N_("Date"),
    "misc": N_("Other information"),
    "text": N_("Message"),
}


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
