"""Registering, and setting a new password, by a form."""

from collections.abc import Mapping
from dataclasses import dataclass

from invitereg.errors import Refused
from invitereg.model import Kind, prepare_localpart
from invitereg.policy.values import Address
from invitereg.registrar import Grant, Registrar, Submission
from invitereg.web.forms import Browser, Once


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

        ``scripted`` is as in `invitereg.policy.values.Request`.

        Raises:
            Refused: it is not; or one is needed.
        """
        if entry.token is None:
            await self._registrar.admit(entry.domain, address)
            return None
        return await self._registrar.preview(
            entry.domain, address, entry.token, scripted=scripted
        )

    def finished(self, entry: Entry, browser: Browser, fields: Mapping[str, str]) -> str | None:
        """The username for which this browser has sent this form already, if it has."""
        keys = (_key(entry, browser, fields, single=single) for single in (True, False))
        return next(filter(None, map(self._once.recall, keys)), None)

    async def submit(
        self,
        entry: Entry,
        address: Address,
        browser: Browser,
        fields: Mapping[str, str],
        *,
        single: bool,
    ) -> str:
        """Register, or set the password; returns the username.

        ``single`` is a token that is good for one account only: whatever name is sent with it
        next, it is the same attempt.

        Raises:
            Refused: as `Registrar.preauthorise` and `Registrar.redeem`.
        """

        async def work() -> str:
            return await self._redeem(entry, address, fields)

        key = _key(entry, browser, fields, single=single)
        return await self._once.done(key, work)

    async def _redeem(self, entry: Entry, address: Address, fields: Mapping[str, str]) -> str:
        values = dict(fields)
        grant = None
        if entry.token is not None:
            grant = await self._registrar.preauthorise(entry.domain, address, entry.token)
        fixed = grant.invite.username if grant and grant.invite.kind is Kind.RESET else None
        return await self._registrar.redeem(
            Submission(
                domain=entry.domain,
                door="web",
                address=address,
                username=fixed or values.pop("username", "").strip(),
                password=values.pop("password", ""),
                fields=values,
                grant=grant,
            )
        )


def _key(
    entry: Entry, browser: Browser, fields: Mapping[str, str], *, single: bool
) -> tuple[str, ...]:
    """What the same attempt has in common; where there may be several, it is the username."""
    if single:
        return (browser.secret, entry.name)
    try:
        username = prepare_localpart(fields.get("username", "").strip())
    except Refused:
        username = ""
    return (browser.secret, entry.name, username)
