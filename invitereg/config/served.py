"""From the keys of a domain to the `Domain` that is served."""

from collections.abc import Iterable, Iterator
from types import MappingProxyType

from invitereg.config.commonpasswords import common_passwords as common_list
from invitereg.config.schema import C2s, DomainKeys
from invitereg.policy.values import Domain, PasswordRules, Policy


def served_domain(name: str, own: DomainKeys, c2s: C2s, common_passwords: bool) -> Domain:
    """Return the domain that these keys describe; ``c2s`` is where clients connect.

    ``common_passwords`` is as in `invitereg.config.loading.load`.
    """
    keys = own.policy
    passwords = keys.passwords
    listed = common_passwords and passwords.forbid_common
    policy = Policy(
        allow_registration=keys.allow_registration,
        registration_invite_only=keys.registration_invite_only,
        fields=MappingProxyType(
            {
                name.removesuffix("+"): name.endswith("+")
                for name in keys.additional_registration_fields
            }
        ),
        default_roles=tuple(dict.fromkeys(keys.default_roles)),
        admins=frozenset(_at(name, own.admins)),
        invites=keys.invites.rules(),
        usernames=keys.usernames.rules(),
        passwords=PasswordRules(
            min_length=passwords.min_length,
            common=common_list(passwords.min_length) if listed else frozenset(),
        ),
        limits=keys.limits.limits(),
    )
    return Domain(
        name=name,
        policy=policy,
        site_name=own.site_name or name,
        time_zone=own.time_zone,
        title=keys.registration_title,
        instructions=keys.registration_instructions,
        watchers=tuple(_parts(watcher) for watcher in dict.fromkeys(own.registration_watchers)),
        watcher_notice=own.watcher_notice.notice(),
        welcome=own.welcome_message,
        contact_addresses=MappingProxyType(own.contact_addresses.by_role()),
        web_url=own.web.external_url or None,
        landing_url=f"{own.web.external_url}invite/" if own.web.external_url else None,
        website_only=own.is_website_only(ports=c2s.listens),
    )


def _at(domain: str, admins: Iterable[str]) -> Iterator[str]:
    """The localparts of the addresses at ``domain``."""
    for admin in admins:
        host, username = _parts(admin)
        if host == domain:
            yield username


def _parts(address: str) -> tuple[str, str]:
    """The domain and the localpart of an address."""
    username, _, host = address.rpartition("@")
    return host, username
