"""Rosters of a server's users, which its component may read and change (XEP-0356 §4).

https://xmpp.org/extensions/xep-0356.html
"""

import secrets
from dataclasses import dataclass

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg.accounts.admincommands import Deadline, Line, request, said
from invitereg.server import (
    MissingPrivilege,
    OutcomeUnknown,
    ServerRefused,
    ServerUnreachable,
)

NS_ROSTER = "jabber:iq:roster"
_MISSING = (
    '{domain} does not let {jid} manage rosters. Prosody: "privilege" in modules_enabled of '
    'the host and of the component, and for the host privileged_entities = {{ ["{jid}"] = {{ '
    'roster = "both" }} }}. ejabberd: the module mod_privilege with roster: {{both: …}}.'
)
_BROKEN = (
    "{domain} grants its component the rosters, but fails to set them (a fault of ejabberd "
    "23.01): use accounts: {{backend: ejabberd}} there"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What an account has said of a contact."""

    name: str = ""
    groups: tuple[str, ...] = ()
    subscription: str = "none"


class RosterAccess:
    """Reads and changes the rosters of one domain."""

    def __init__(self, line: Line, domain: str) -> None:
        self._line = line
        self._domain = domain

    def missing(self) -> str | None:
        """Why it may not, as far as the server has announced it; None if it may."""
        if self._line.privileges.of(self._domain, "roster") == "both":
            return None
        return _MISSING.format(domain=self._domain, jid=self._line.jid)

    async def problem(self, deadline: Deadline) -> str | None:
        """Why rosters cannot be set, tried on one that there is not; None if they can.

        Raises:
            ServerUnreachable: there is no answer.
        """
        missing = self.missing()
        if missing is not None:
            return missing
        owner = f"invitereg-check-{secrets.token_hex(8)}"
        try:
            await self._set(owner, f"{owner}@{self._domain}", "remove", Known(), deadline)
        except StanzaError as error:
            if error.condition == "internal-server-error":
                return _BROKEN.format(domain=self._domain)
            if error.condition in ("forbidden", "not-allowed", "not-authorized"):
                return _MISSING.format(domain=self._domain, jid=self._line.jid)
        except OutcomeUnknown as fault:
            raise ServerUnreachable(fault.text) from None
        return None

    async def join(self, owner: str, contact: str, deadline: Deadline) -> None:
        """Give an account a contact that both sees it and is seen; both exist.

        Raises:
            MissingPrivilege, ServerRefused, ServerUnreachable, OutcomeUnknown: see there.
        """
        missing = self.missing()
        if missing is not None:
            raise MissingPrivilege(missing)
        jid = f"{contact}@{self._domain}"
        known = await self.known(owner, jid, deadline)
        if known.subscription == "both":
            return
        try:
            await self._set(owner, jid, "both", known, deadline)
        except StanzaError as error:
            if error.condition == "internal-server-error":
                raise ServerRefused(_BROKEN.format(domain=self._domain)) from None
            raise ServerRefused(f"{self._domain} set no roster: {said(error)}") from None

    async def known(self, owner: str, jid: str, deadline: Deadline) -> Known:
        """What an account's roster says of a contact, given by its bare JID.

        Raises:
            ServerRefused, ServerUnreachable: see there.
        """
        iq = request(f"{owner}@{self._domain}", "get")
        iq.addElement((NS_ROSTER, "query"))
        try:
            answer = await self._line.ask(iq, deadline.left())
        except StanzaError as error:
            raise ServerRefused(f"{self._domain} tells no roster: {said(error)}") from None
        except OutcomeUnknown as fault:
            raise ServerUnreachable(fault.text) from None
        roster = next(answer.elements(NS_ROSTER, "query"), None)
        if roster is None:
            raise ServerUnreachable(f"{self._domain} answers without a roster")
        for entry in roster.elements(NS_ROSTER, "item"):
            if entry.getAttribute("jid") == jid:
                groups = tuple(str(group) for group in entry.elements(NS_ROSTER, "group"))
                subscription = entry.getAttribute("subscription") or "none"
                return Known(entry.getAttribute("name") or "", groups, subscription)
        return Known()

    async def _set(
        self, owner: str, jid: str, subscription: str, known: Known, deadline: Deadline
    ) -> domish.Element:
        iq = request(f"{owner}@{self._domain}", "set")
        item = iq.addElement((NS_ROSTER, "query")).addElement("item")
        item.attributes.update({"jid": jid, "subscription": subscription})
        if known.name:
            item["name"] = known.name
        for group in known.groups:
            item.addElement("group", content=group)
        return await self._line.ask(iq, deadline.left())
