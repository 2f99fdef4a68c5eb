"""Registering, and setting a new password, by a form."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from invitereg.model.invites import Kind
from invitereg.model.names import typed_username
from invitereg.policy.values import Address
from invitereg.registrar import Grant, Registrar, Submission
from invitereg.web.forms import Browser, Once, Outcome

_ASIDE = ("form", "app")
"""Fields of a form that are not about the account."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Which form it is.

    Attributes:
        domain: where.
        token: the invitation's, or None where registration is open to all.
    """

    domain: str
    token: str | None

    @property
    def name(self) -> str:
        """What tells this form from others of the same browser."""
        return f"{self.domain} {self.token or ''}"


class FormRegistrar:
    """Takes forms to the registrar, each once."""

    def __init__(self, registrar: Registrar, once: Once) -> None:
        self._registrar = registrar
        self._once = once

    async def grant(self, entry: Entry, address: Address, *, scripted: bool) -> Grant | None:
        """What the token is good for now; None without one, where none is needed.

        ``scripted`` is as in `invitereg.policy.registering.values.Request`.

        Raises:
            Refused: it is not; or one is needed.
        """
        if entry.token is None:
            await self._registrar.admit(entry.domain, address)
            return None
        return await self._registrar.preview(
            entry.domain, address, entry.token, scripted=scripted
        )

    async def submit(
        self, entry: Entry, address: Address, browser: Browser, fields: Mapping[str, str]
    ) -> Outcome:
        """Register, or set the password; the same submission again has the same outcome.

        Raises:
            Refused: as `Registrar.preauthorise` and `Registrar.redeem`.
        """

        async def work() -> Outcome:
            return await self._redeem(entry, address, fields)

        return await self._once.done(_form(entry, browser), _submission(browser, fields), work)

    def last(self, entry: Entry, browser: Browser) -> Outcome | None:
        """Return what this browser has last done with this form; None if nobody remembers."""
        return self._once.recall(_form(entry, browser))

    async def _redeem(
        self, entry: Entry, address: Address, fields: Mapping[str, str]
    ) -> Outcome:
        values = dict(fields)
        grant = None
        if entry.token is not None:
            grant = await self._registrar.preauthorise(entry.domain, address, entry.token)
        kind = grant.invite.kind if grant else Kind.ACCOUNT
        fixed = grant.invite.username if grant and kind is Kind.RESET else None
        username = await self._registrar.redeem(
            Submission(
                domain=entry.domain,
                door="web",
                address=address,
                username=fixed or typed_username(values.pop("username", ""), entry.domain),
                password=values.pop("password", ""),
                fields=values,
                grant=grant,
            )
        )
        contact = grant.invite.inviter if grant and grant.invite.subscribe else None
        return Outcome(username, kind, contact or "")


def _form(entry: Entry, browser: Browser) -> tuple[str, ...]:
    return (browser.secret, entry.name)


def _submission(browser: Browser, fields: Mapping[str, str]) -> str:
    """Return a digest of what was filled in, from which nobody learns the password."""
    filled = sorted((name, text) for name, text in fields.items() if name not in _ASIDE)
    return hmac.new(browser.secret.encode(), repr(filled).encode(), "sha256").hexdigest()
