"""A server's commands for administrators, executed by a component (XEP-0133, XEP-0050).

https://xmpp.org/extensions/xep-0133.html

Servers report errors in several ways. Prosody 0.12 answers ``completed`` with a note of type
``error``, or even ``info``. ejabberd 23.01 answers a stanza error, and success without a note.
ejabberd 26.07 answers ``item-not-found`` if its own code has failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish
from wokkel.data_form import NS_X_DATA, Field, Form
from wokkel.disco import NS_DISCO_INFO, NS_DISCO_ITEMS

from invitereg.interfaces.server import (
    AlreadyThere,
    MissingPrivilege,
    OutcomeUnknown,
    ServerFault,
    ServerRefused,
    ServerUnreachable,
)
from invitereg.model.namespaces import NS_ADMIN, NS_COMMANDS
from invitereg.runtime.deferreds import Deadline
from invitereg.runtime.logs import named, quoted

# Conditions that mean that nothing was done.
_REFUSALS = {
    "bad-request",
    "feature-not-implemented",
    "forbidden",
    "jid-malformed",
    "not-acceptable",
    "not-allowed",
    "not-authorized",
    "policy-violation",
    "resource-constraint",
    "service-unavailable",
}
_FORBIDDEN = {"forbidden", "not-allowed", "not-authorized"}
ABSENT = {"service-unavailable", "item-not-found", "feature-not-implemented"}
_NO_ADMIN = (
    '{domain} does not let {jid} administer accounts. Prosody: admins = {{ "{jid}" }} for the '
    'host, with "adhoc" and "admin_adhoc" in modules_enabled. ejabberd: acl: {{admin: '
    '{{server: ["{jid}"]}}}}, access_rules: {{configure: {{allow: admin}}}}, and the modules '
    "mod_adhoc and mod_configure."
)


class ComponentConnection(Protocol):
    """Send requests as a component: `invitereg.xmpp.component` has an implementation.

    Attributes:
        jid: the component's address.
    """

    jid: str

    @property
    def privileges(self) -> "GrantedPrivileges":
        """The privileges that the server has granted on this connection (XEP-0356)."""

    def ask(self, iq: domish.Element, seconds: float) -> Deferred[domish.Element]:
        """Send a request, and return its result.

        Raises:
            StanzaError, ServerUnreachable, OutcomeUnknown: there was none.
        """


class GrantedPrivileges(Protocol):
    """Tell what a server grants its component (XEP-0356)."""

    def of(self, domain: str, access: str) -> str:
        """Return the grant of an access at a domain: none, get, set or both."""


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """Hold the outcome of a command.

    Attributes:
        has_form: whether the answer has a form.
        error: the text of the notes of type ``error``; empty without one.
    """

    has_form: bool = False
    error: str = ""


class NoSuchCommand(ServerRefused):
    """The server does not have the command, or does not show it to us."""


class Unprocessed(OutcomeUnknown):
    """The server answers ``item-not-found``: no such account, or its own code has failed."""


def account_fields(jid: str) -> dict[str, str]:
    """Return the field that names an account, under both of its names.

    XEP-0133 calls it ``accountjids`` in commands that take several, and servers differ in which
    commands do.
    """
    return {"accountjid": jid, "accountjids": jid}


class AdminCommands:
    """Execute commands of the server of one domain."""

    def __init__(self, component: ComponentConnection, domain: str) -> None:
        self.domain = domain
        self._component = component

    @property
    def no_admin(self) -> str:
        """The text for the operator if the server does not let us execute commands."""
        return _NO_ADMIN.format(domain=self.domain, jid=self._component.jid)

    async def run(
        self, command: str, fields: Mapping[str, str], deadline: Deadline
    ) -> CommandOutcome:
        """Execute a command, and submit its form; fields that the form lacks are left out.

        Args:
            command: its node in XEP-0133, after the ``#``.
            fields: values by the names of fields.
            deadline: the moment by which there must be an answer.

        Raises:
            NoSuchCommand, MissingPrivilege: the server does not let us execute it.
            AlreadyThere: the server answers ``conflict``.
            ServerRefused, ServerUnreachable, OutcomeUnknown: it failed otherwise.
        """
        try:
            first = await self._step(command, "execute", deadline.left())
        except StanzaError as error:
            raise self._refusal(error) from None
        except OutcomeUnknown as fault:
            # The first step changes nothing.
            raise ServerUnreachable(fault.text) from None
        form = _child(first, NS_COMMANDS, "command")
        wanted = form and _child(form, NS_X_DATA, "x")
        if form is None or wanted is None or form.getAttribute("status") != "executing":
            raise ServerUnreachable(f"{self.domain} answered {command} with no form")
        session = form.getAttribute("sessionid") or ""
        names = {
            field["var"]
            for field in wanted.elements(NS_X_DATA, "field")
            if field.hasAttribute("var")
        }
        filled = {name: value for name, value in fields.items() if name in names}
        try:
            answer = await self._step(command, "complete", deadline.left(), session, filled)
        except StanzaError as error:
            raise self._completion_refusal(error) from None
        return _outcome(_child(answer, NS_COMMANDS, "command"), command)

    async def items(self, node: str, deadline: Deadline) -> list[tuple[str, str, str]]:
        """Return address, node and name of each item at a node of the domain (XEP-0030)."""
        iq = request(self.domain, "get")
        iq.addElement((NS_DISCO_ITEMS, "query"))["node"] = node
        try:
            answer = await self._component.ask(iq, deadline.left())
        except StanzaError as error:
            raise self._refusal(error) from None
        except OutcomeUnknown as fault:
            raise ServerUnreachable(fault.text) from None
        listed = _child(answer, NS_DISCO_ITEMS, "query")
        if listed is None:
            raise ServerUnreachable(f"{self.domain} answered with no list of {node}")
        return [
            (
                item.getAttribute("jid") or "",
                item.getAttribute("node") or "",
                item.getAttribute("name") or "",
            )
            for item in listed.elements()
        ]

    async def knows(self, node: str, deadline: Deadline) -> bool:
        """Return whether the domain has a node (XEP-0030), even if we may not see it."""
        iq = request(self.domain, "get")
        iq.addElement((NS_DISCO_INFO, "query"))["node"] = node
        try:
            answer = await self._component.ask(iq, deadline.left())
        except StanzaError as error:
            return error.condition in _FORBIDDEN
        except OutcomeUnknown as fault:
            raise ServerUnreachable(fault.text) from None
        info = _child(answer, NS_DISCO_INFO, "query")
        return (
            info is not None
            and next(info.elements(NS_DISCO_INFO, "identity"), None) is not None
        )

    def _step(
        self,
        command: str,
        action: str,
        seconds: float,
        session: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> Deferred[domish.Element]:
        iq = request(self.domain, "set")
        element = iq.addElement((NS_COMMANDS, "command"))
        element.attributes.update({"node": f"{NS_ADMIN}#{command}", "action": action})
        if session:
            element["sessionid"] = session
        if fields is not None:
            form = Form("submit", formNamespace=NS_ADMIN)
            for name, value in fields.items():
                form.addField(Field(var=name, value=value))
            element.addChild(form.toElement())
        return self._component.ask(iq, seconds)

    def _refusal(self, error: StanzaError) -> ServerFault:
        """Return the fault for an error at a step that changes nothing."""
        if error.condition in _FORBIDDEN:
            return MissingPrivilege(self.no_admin)
        text = f"{self.domain} answered {loggable(error)}"
        return NoSuchCommand(text) if error.condition in ABSENT else ServerRefused(text)

    def _completion_refusal(self, error: StanzaError) -> ServerFault:
        if error.condition == "conflict":
            return AlreadyThere(f"{self.domain} has such an account")
        if error.condition in _FORBIDDEN:
            return self._refusal(error)
        text = f"{self.domain} answered {loggable(error)}"
        if error.condition == "item-not-found":
            return Unprocessed(text)
        # Other errors do not tell what was done before them.
        return ServerRefused(text) if error.condition in _REFUSALS else OutcomeUnknown(text)


def request(to: str, kind: str) -> domish.Element:
    """Return an IQ without a payload."""
    iq = domish.Element((None, "iq"))
    iq["to"], iq["type"] = to, kind
    return iq


def loggable(error: StanzaError) -> str:
    """Return a stanza error as text for the log."""
    condition = named(str(error.condition))
    return f"{condition} ({quoted(error.text)})" if error.text else condition


def _child(element: domish.Element, uri: str, name: str) -> domish.Element | None:
    return next(element.elements(uri, name), None)


def _outcome(command: domish.Element | None, name: str) -> CommandOutcome:
    if command is None or command.getAttribute("status") != "completed":
        raise OutcomeUnknown(f"the server did not complete {name}, nor say why")
    notes = command.elements(NS_COMMANDS, "note")
    errors = [str(note) or "error" for note in notes if note.getAttribute("type") == "error"]
    form = _child(command, NS_X_DATA, "x")
    return CommandOutcome(form is not None, "; ".join(errors))
