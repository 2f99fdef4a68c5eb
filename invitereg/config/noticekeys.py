"""The keys about what people are told: newcomers, watchers, and whoever needs the operator."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from invitereg.config.section import Section
from invitereg.config.urls import CONTACT, split_url
from invitereg.policy.notices import NEWCOMER, WATCHER, check_template
from invitereg.policy.values import WatcherNotice

_LONGEST = 10_000


def _welcome(text: str) -> str:
    check_template(text, NEWCOMER)
    return text


def _watcher_text(text: str) -> str:
    check_template(text, WATCHER)
    return text


def _uri(text: str) -> str:
    is_mail = re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", text) and ":" not in text
    split_url(text, CONTACT, f"URI, such as mailto:{text if is_mail else 'a@b.example'}")
    return text


Welcome = Annotated[str, Field(max_length=_LONGEST), AfterValidator(_welcome)]
WatcherText = Annotated[str, Field(max_length=_LONGEST), AfterValidator(_watcher_text)]
Uri = Annotated[str, AfterValidator(_uri)]


class WatcherNoticeKeys(Section):
    """What watchers are told of a registration, and by which type of message."""

    text: WatcherText = ""
    type: Literal["chat", "normal"] = "chat"

    def notice(self) -> WatcherNotice:
        """Return these keys as a value of the policy."""
        return WatcherNotice(text=self.text, type=self.type)


class ContactAddresses(Section):
    """Whom to write to about the service, as URIs, by what it is about (XEP-0157)."""

    abuse: tuple[Uri, ...] = ()
    admin: tuple[Uri, ...] = ()
    feedback: tuple[Uri, ...] = ()
    sales: tuple[Uri, ...] = ()
    security: tuple[Uri, ...] = ()
    support: tuple[Uri, ...] = ()
    status: tuple[Uri, ...] = ()

    def by_role(self) -> Mapping[str, tuple[str, ...]]:
        """Those that there are."""
        return {role: addresses for role, addresses in self if addresses}
