"""Read and change the rosters of a server's users as its component (XEP-0356 §4).

https://xmpp.org/extensions/xep-0356.html
"""

from dataclasses import dataclass

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg.accounts.admincommands import (
    ComponentConnection,
    GrantedPrivileges,
    loggable,
    request,
)
from invitereg.interfaces.server import (
    MissingPrivilege,
    OutcomeUnknown,
    ServerFault,
    ServerRefused,
    ServerUnreachable,
)
from invitereg.model.namespaces import NS_ROSTER
from invitereg.runtime.deferreds import Deadline
from invitereg.runtime.logs import named

_MISSING = (
    '{domain} does not let {jid} manage rosters. Prosody: "privilege" in modules_enabled of '
    'the host and of the component, and for the host privileged_entities = {{ ["{jid}"] = {{ '
    'roster = "both" }} }}. ejabberd makes contacts by its API alone: use accounts: '
    "{{backend: ejabberd}} there."
)
_BROKEN = (
    "{domain} grants its component the rosters, but fails to set them (as ejabberd 23.01 "
    "does): use accounts: {{backend: ejabberd}} there"
)
_NOT_KEPT = (
    "{domain} says that it has made a contact, and its roster has subscription={found} (as "
    "ejabberd 24.12 and 26.07 do): use accounts: {{backend: ejabberd}} there"
)
_FORBIDDEN = {"forbidden", "not-allowed", "not-authorized"}


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """Hold what an account's roster says of a contact; the defaults: nothing."""

    name: str = ""
    groups: tuple[str, ...] = ()
    subscription: str = "none"


class RosterAccess:
    """Read and change the rosters of one domain."""

    def __init__(self, component: ComponentConnection, domain: str) -> None:
        self._component = component
        self._domain = domain

    @property
    def granted(self) -> GrantedPrivileges:
        """The privileges that the server has granted on this connection (XEP-0356)."""
        return self._component.privileges

    def missing(self) -> str | None:
        """Return why the rosters are not granted, for the operator; None if they are."""
        if self._component.privileges.of(self._domain, "roster") == "both":
            return None
        return self._not_granted()

    def _not_granted(self) -> str:
        return _MISSING.format(domain=self._domain, jid=self._component.jid)

    async def join(self, owner: str, contact: str, deadline: Deadline) -> None:
        """Give an account a contact with subscription ``both``, and verify that it has it.

        Raises:
            MissingPrivilege, ServerRefused, ServerUnreachable, OutcomeUnknown: it failed.
        """
        missing = self.missing()
        if missing is not None:
            raise MissingPrivilege(missing)
        jid = f"{contact}@{self._domain}"
        known = await self.known(owner, jid, deadline)
        if known.subscription == "both":
            return
        try:
            await self._set(owner, jid, known, deadline)
        except StanzaError as error:
            if error.condition == "internal-server-error":
                raise MissingPrivilege(_BROKEN.format(domain=self._domain)) from None
            raise self._refusal("set no roster", error) from None
        await self._require_kept(owner, jid, deadline)

    async def _require_kept(self, owner: str, jid: str, deadline: Deadline) -> None:
        """Read back an entry, as a server may say that it has set it, and has not."""
        try:
            kept = await self.known(owner, jid, deadline)
        except ServerFault as fault:
            raise OutcomeUnknown(fault.text) from None
        if kept.subscription != "both":
            found = named(kept.subscription)
            raise MissingPrivilege(_NOT_KEPT.format(domain=self._domain, found=found))

    def _refusal(self, what: str, error: StanzaError) -> ServerRefused:
        if error.condition in _FORBIDDEN:
            return MissingPrivilege(self._not_granted())
        return ServerRefused(f"{self._domain} {what}: {loggable(error)}")

    async def known(self, owner: str, jid: str, deadline: Deadline) -> RosterEntry:
        """Return an account's roster entry of a bare JID.

        Raises:
            MissingPrivilege, ServerRefused, ServerUnreachable: the server does not tell.
        """
        iq = request(f"{owner}@{self._domain}", "get")
        iq.addElement((NS_ROSTER, "query"))
        try:
            answer = await self._component.ask(iq, deadline.left())
        except StanzaError as error:
            raise self._refusal("tells no roster", error) from None
        except OutcomeUnknown as fault:
            raise ServerUnreachable(fault.text) from None
        roster = next(answer.elements(NS_ROSTER, "query"), None)
        if roster is None:
            raise ServerUnreachable(f"{self._domain} answers without a roster")
        for entry in roster.elements(NS_ROSTER, "item"):
            if entry.getAttribute("jid") == jid:
                groups = tuple(str(group) for group in entry.elements(NS_ROSTER, "group"))
                subscription = entry.getAttribute("subscription") or "none"
                return RosterEntry(entry.getAttribute("name") or "", groups, subscription)
        return RosterEntry()

    async def _set(
        self, owner: str, jid: str, known: RosterEntry, deadline: Deadline
    ) -> domish.Element:
        iq = request(f"{owner}@{self._domain}", "set")
        item = iq.addElement((NS_ROSTER, "query")).addElement("item")
        item.attributes.update({"jid": jid, "subscription": "both"})
        if known.name:
            item["name"] = known.name
        for group in known.groups:
            item.addElement("group", content=group)
        return await self._component.ask(iq, deadline.left())
