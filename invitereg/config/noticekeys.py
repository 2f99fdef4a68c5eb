"""The keys about what people are told: newcomers, watchers, and whoever needs the operator."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from invitereg.config.mistakes import quoted
from invitereg.config.section import Section
from invitereg.notices import check_welcome

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_LONGEST_WELCOME = 10_000


def _welcome(text: str) -> str:
    check_welcome(text)
    return text


def _uri(text: str) -> str:
    if not _URI.fullmatch(text):
        meant = (
            f"mailto:{text}"
            if re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", text)
            else "mailto:a@b.example"
        )
        raise ValueError(f"{quoted(text)} is no URI, such as {meant}")
    return text


Welcome = Annotated[str, Field(max_length=_LONGEST_WELCOME), AfterValidator(_welcome)]
Uri = Annotated[str, AfterValidator(_uri)]


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
