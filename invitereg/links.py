"""The links of an invite: what an app opens, and the page that a browser opens.

Where a domain is `website_only <invitereg.policy.values.Domain>`, no app can use a token: apps
connect to a server that does not know it. The page is the only link of an invite there.
"""

from invitereg.model.invites import Invite, Kind
from invitereg.policy.values import Domain


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
