"""Notices of registrations: to the accounts that watch them, and to newcomers themselves.

A notice is stored in the transaction of its registration, so none is lost and none is doubled
whichever process registers. It has no text: that is made when it is told, of what the history
still knows then, so an address that was forgotten is not told either.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from string import Formatter

from invitereg.model.invites import Use
from invitereg.policy.values import Domain

NEWCOMER = ("username", "domain", "site_name")
"""What a text for newcomers may have in braces."""
WATCHER = (*NEWCOMER, "inviter", "invite", "door", "address")
"""What a text for watchers may have in braces."""
_NONE = "-"  # in texts of any language


class NoticeKind(StrEnum):
    """The subject of a notice."""

    REGISTRATION = "registration"
    WELCOME = "welcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message to an account about a registration; stored until it has been sent.

    Attributes:
        domain, username: the account that is told.
        use: the registration.
        number: increases with each; 0 as long as it is not stored.
    """

    domain: str
    username: str
    kind: NoticeKind
    use: Use
    number: int = 0


def notices_about(domain: Domain, use: Use) -> Iterator[Notice]:
    """Yield the notices of a registration at ``domain``: to newcomer and watchers."""
    newcomer = (use.domain, use.username)
    if domain.welcome:
        yield Notice(domain=use.domain, username=use.username, kind=NoticeKind.WELCOME, use=use)
    for host, watcher in domain.watchers:
        if (host, watcher) != newcomer:
            yield Notice(domain=host, username=watcher, kind=NoticeKind.REGISTRATION, use=use)


def check_template(text: str, placeholders: Sequence[str]) -> None:
    """Raise ValueError, which says what is wrong, if ``text`` has other placeholders."""
    known = ", ".join(f"{{{name}}}" for name in placeholders)
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError(
            f"has a brace alone: write {{{{ or }}}} for a brace; placeholders are {known}"
        ) from None
    for _text, name, form, conversion in parts:
        if name is not None and (name not in placeholders or form or conversion):
            raise ValueError(f"has no placeholder {{{name}}}: they are {known}")


def text_of(notice: Notice, domain: Domain) -> str:
    """Return the text of a notice about a registration; "" if there is none any more."""
    use = notice.use
    values = {
        "username": use.username,
        "domain": domain.name,
        "site_name": domain.site_name or domain.name,
    }
    if notice.kind is NoticeKind.WELCOME:
        return domain.welcome.format_map(values)
    if not domain.watcher_notice.text:
        return _registration(use)
    facts = {
        "inviter": f"{use.inviter}@{use.domain}" if use.inviter else _NONE,
        "invite": use.invite_id or _NONE,
        "door": use.door,
        "address": use.address or _NONE,
    }
    return domain.watcher_notice.text.format_map(values | facts)


def type_of(notice: Notice, domain: Domain) -> str:
    """Return the type of the message that tells a notice (RFC 6121 §5.2.2)."""
    return "chat" if notice.kind is NoticeKind.WELCOME else domain.watcher_notice.type


def _registration(use: Use) -> str:
    facts = [f"{use.username}@{use.domain} has registered", f"door: {use.door}"]
    if use.address:
        facts.append(f"address: {use.address}")
    if use.invite_id is None:
        facts.append("without invite")
    else:
        inviter = f"{use.inviter}@{use.domain}" if use.inviter else "the operator"
        facts.append(f"invite: {use.invite_id} of {inviter}")
    return "; ".join(facts)
