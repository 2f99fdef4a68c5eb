"""Ad-hoc commands: what is executed, whatever stream the requests come on (XEP-0050).

https://xmpp.org/extensions/xep-0050.html

A `Command` says who may execute it, and what comes after the answers given so far: another
`Stage`, or its `Outcome`. `AdHocCommands` makes requests of it, and sessions, and errors.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel import disco
from wokkel.data_form import NS_X_DATA

from invitereg.policy.values import Domain
from invitereg.translations import N_, chosen_language, translator
from invitereg.xmpp.commandsessions import (
    CommandSessions,
    ExpiredSession,
    Session,
    UnknownSession,
)
from invitereg.xmpp.forms import Answers, Form, Result, WrongForm
from invitereg.xmpp.stanzas import LANGUAGE, NS_COMMANDS

ACTIONS = ("execute", "next", "prev", "complete", "cancel")
_LIST_NAME = N_("Commands")
_NO_NODE = N_("A command is named by its node.")
_NO_COMMAND = N_("There is no such command.")
_FORBIDDEN = N_("You may not use this command.")
_MALFORMED_ACTION = N_("There is no such action.")
_BAD_ACTION = N_("That cannot be done now.")
_BAD_SESSION = N_("This command was not begun here.")
_EXPIRED = N_("This command is over. Please begin anew.")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who executes a command.

    Attributes:
        jid: their full JID; by it alone they are known.
        domain: the one that was asked.
        language: in which they are answered.
        memory: what commands have found out about them, for this one request.
    """

    jid: JID
    domain: Domain
    language: str
    memory: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def speaking(cls, jid: JID, domain: Domain, tags: Iterable[str]) -> "Asker":
        """One who would like these languages, best first."""
        return cls(jid, domain, chosen_language(tags))

    @property
    def gettext(self) -> Callable[[str], str]:
        """What puts an English text into their language."""
        return translator([self.language])


@dataclass(frozen=True, slots=True)
class Stage:
    """A form that must be filled in; after the last one, the command is done."""

    form: Form
    last: bool = True

    @property
    def forward(self) -> str:
        """The action that goes on from here."""
        return "complete" if self.last else "next"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command has done: a result, a note to read, or both."""

    result: Result | None = None
    note: str = ""


class Command(Protocol):
    """Something that can be executed.

    Attributes:
        node: its name on the wire.
        name: its name for people, in English; in the catalogues of translations.
    """

    node: str
    name: str

    async def is_allowed(self, asker: Asker) -> bool:
        """Whether ``asker`` may execute it now."""

    async def proceed(self, asker: Asker, answers: Sequence[Answers]) -> Stage | Outcome:
        """What comes after the answers to its stages so far; what it does, it does at the end.

        Raises:
            Refused: it cannot be done so; the last answer may be given anew.
        """


def _error(
    asker: Asker, kind: str, condition: str, specific: str | None, text: str
) -> StanzaError:
    """An error of §4.6, which says ``text`` in the asker's language."""
    element = domish.Element((NS_COMMANDS, specific)) if specific else None
    return StanzaError(condition, kind, asker.gettext(text), asker.language, element)


class AdHocCommands:
    """The commands of a service, and the sessions of those who execute them."""

    def __init__(
        self,
        commands: Iterable[Command],
        sessions: CommandSessions,
        aliases: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``aliases`` are other nodes, not listed, at which a command is found by its own."""
        self._commands = {command.node: command for command in commands}
        self._found = self._commands | {
            alias: self._commands[node] for alias, node in aliases.items()
        }
        self._sessions = sessions

    def has(self, node: str) -> bool:
        """Whether there is something at a node for service discovery."""
        return node == NS_COMMANDS or node in self._found

    async def items(self, asker: Asker, address: str) -> domish.Element:
        """The commands that ``asker`` may execute at ``address``, as disco#items (§2.2)."""
        items = disco.DiscoItems()
        items.nodeIdentifier = NS_COMMANDS
        for command in self._commands.values():
            if await command.is_allowed(asker):
                name = asker.gettext(command.name)
                items.append(disco.DiscoItem(JID(address), command.node, name))
        element: domish.Element = items.toElement()
        return element

    async def info(self, asker: Asker, node: str) -> domish.Element:
        """What the list of commands is, or one of them, as disco#info (§2.2).

        Raises:
            StanzaError: there is none of that node, or it is not for ``asker``.
        """
        info = disco.DiscoInfo()
        info.nodeIdentifier = node
        kind, name = "command-list", _LIST_NAME
        if node != NS_COMMANDS:
            command = await self._find(asker, node)
            kind, name = "command-node", command.name
        info.append(disco.DiscoIdentity("automation", kind, asker.gettext(name)))
        for feature in (NS_COMMANDS, NS_X_DATA):
            info.append(disco.DiscoFeature(feature))
        element: domish.Element = info.toElement()
        return element

    async def perform(self, asker: Asker, request: domish.Element) -> domish.Element:
        """What answers a ``<command/>``.

        Raises:
            StanzaError: an error of §4.6.
            Refused: the command says why it cannot be done; the session goes on.
        """
        node = request.getAttribute("node")
        if not node:
            raise _error(asker, "modify", "bad-request", None, _NO_NODE)
        action = request.getAttribute("action") or "execute"
        if action not in ACTIONS or request.getAttribute("action") == "":
            raise _error(asker, "modify", "bad-request", "malformed-action", _MALFORMED_ACTION)
        command = await self._find(asker, node)
        session_id = request.getAttribute("sessionid")
        if session_id is None:
            if action != "execute":
                raise _error(asker, "modify", "bad-request", "bad-action", _BAD_ACTION)
            session = self._sessions.begin(asker.jid, node, asker.language)
            return await self._go_on(command, asker, session, ())
        session = self._take(session_id, asker, node)
        asker = replace(asker, language=session.language)
        if action == "cancel":
            return _answer(session, "canceled")
        try:
            return await self._continue(command, asker, session, action, request)
        except BaseException:
            self._sessions.keep(session)
            raise

    async def _find(self, asker: Asker, node: str) -> Command:
        command = self._found.get(node)
        if command is None:
            raise _error(asker, "cancel", "item-not-found", None, _NO_COMMAND)
        if not await command.is_allowed(asker):
            raise _error(asker, "cancel", "forbidden", None, _FORBIDDEN)
        return command

    def _take(self, session_id: str, asker: Asker, node: str) -> Session:
        try:
            return self._sessions.take(session_id, asker.jid, node)
        except UnknownSession:
            specific = "bad-sessionid"
            raise _error(asker, "modify", "bad-request", specific, _BAD_SESSION) from None
        except ExpiredSession:
            specific = "session-expired"
            raise _error(asker, "cancel", "not-allowed", specific, _EXPIRED) from None

    async def _continue(
        self,
        command: Command,
        asker: Asker,
        session: Session,
        action: str,
        request: domish.Element,
    ) -> domish.Element:
        stage: Stage = session.stages[-1]
        if action == "prev" and session.answers:
            session.stages, session.answers = session.stages[:-1], session.answers[:-1]
            self._sessions.keep(session)
            return _answer(session, "executing")
        if action not in ("execute", stage.forward):
            raise _error(asker, "modify", "bad-request", "bad-action", _BAD_ACTION)
        try:
            answers = (*session.answers, stage.form.read(request))
        except WrongForm as wrong:
            text = wrong.told(asker.gettext)
            raise _error(asker, "modify", "bad-request", "bad-payload", text) from None
        return await self._go_on(command, asker, session, answers)

    async def _go_on(
        self, command: Command, asker: Asker, session: Session, answers: Sequence[Answers]
    ) -> domish.Element:
        reached = await command.proceed(asker, answers)
        if isinstance(reached, Outcome):
            return _answer(session, "completed", reached)
        session.stages, session.answers = (*session.stages, reached), answers
        self._sessions.keep(session)
        return _answer(session, "executing")


def _answer(session: Session, status: str, outcome: Outcome | None = None) -> domish.Element:
    """What tells where a session is now (§4.1)."""
    command = domish.Element((NS_COMMANDS, "command"))
    command["node"] = session.node
    command["sessionid"] = session.id
    command["status"] = status
    command[LANGUAGE] = session.language
    if status == "executing":
        stage: Stage = session.stages[-1]
        actions = command.addElement("actions")
        actions["execute"] = stage.forward
        if session.answers:
            actions.addElement("prev")
        actions.addElement(stage.forward)
        command.addChild(stage.form.to_element())
    if outcome is not None and outcome.note:
        command.addElement("note", content=outcome.note)["type"] = "info"
    if outcome is not None and outcome.result is not None:
        command.addChild(outcome.result.to_element())
    return command
