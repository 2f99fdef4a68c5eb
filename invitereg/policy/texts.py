"""Texts and links that people are given about a registration and an invite."""

from collections.abc import Callable

from invitereg.model.invites import Invite, Kind
from invitereg.policy.values import Domain, Policy

Translate = Callable[[str], str]


def password_hint(policy: Policy, translate: Translate) -> str:
    """Return the rules for passwords, as a hint beside the field."""
    _ = translate
    least = {"least": policy.passwords.min_length}
    if policy.passwords.common:
        return _(
            "At least %(least)s characters, not your username, and none that many people use."
        ) % least  # fmt: skip
    return _("At least %(least)s characters, and not your username.") % least


def password_rule(policy: Policy, translate: Translate) -> str:
    """Return the rules for passwords, as a sentence that stands alone."""
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


def app_uri(domain: Domain, invite: Invite, token: str, *, names: bool = False) -> str:
    """Return the ``xmpp:`` URI of an invite; "" where only its page is of use.

    Where the domain is website only, a contact invite has the URI that adds its inviter without
    a token, as the inviter's server knows none: it asks the inviter as for anybody else.

    Args:
        domain: the invite's.
        invite: any kind.
        token: the invite's.
        names: say which username to take instead of whose contact to become (XEP-0401 §4.4).
    """
    if domain.website_only:
        return invite.contact_uri if invite.kind is Kind.CONTACT else ""
    return invite.registration_uri(token) if names else invite.uri(token)


def page_url(domain: Domain, token: str) -> str:
    """Return the address of an invite's page; "" where the domain has no site."""
    return domain.landing_url + token if domain.landing_url else ""


def link(domain: Domain, invite: Invite, token: str) -> str:
    """Return the link to hand out: the page, which any camera opens, else the URI."""
    return page_url(domain, token) or app_uri(domain, invite, token)
