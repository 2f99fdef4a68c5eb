"""Execute ad-hoc commands, independent of the stream that they are given on (XEP-0050).

https://xmpp.org/extensions/xep-0050.html

A `Command` says who may execute it, and what follows the answers so far: the next `Stage`, or
`Completed`. `AdHocCommands` does the rest: requests, sessions and errors.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel import disco
from wokkel.data_form import NS_X_DATA

from invitereg.model.namespaces import NS_COMMANDS
from invitereg.policy.values import Domain
from invitereg.translations import N_, translator
from invitereg.xmpp.adhoc.forms import Form, FormValues, Result, WrongForm
from invitereg.xmpp.stanzas import LANGUAGE

LIFETIME_SECONDS = 600.0
MAX_PER_USER = 10


Answers = Sequence[FormValues]
"""The values of all forms that were filled in so far, the first form's first."""


class UnknownSession(Exception):
    """No such session of this command and requester has ever existed."""


class ExpiredSession(Exception):
    """The session is over: completed, cancelled, or timed out."""


@dataclass(slots=True, kw_only=True)
class CommandSession:
    """One execution of a command.

    Attributes:
        jid: the full JID that executes it; no other may continue it.
        language: the language that it began in, and stays in.
        stages: the stages so far, first to last.
        answers: the answers to all stages but the last.
        touched: when it was last continued, in seconds of the clock.
    """

    id: str
    jid: JID
    node: str
    language: str
    stages: Sequence["Stage"] = ()
    answers: Answers = ()
    touched: float = field(default=0.0)


class CommandSessions:
    """The open sessions: a few for each user, each for a limited time.

    An id is signed for its user with a key of this process. So a session that is over can be
    told from one that never was, without keeping anything of it.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._key = secrets.token_bytes(32)
        self._last = 0
        # Both from the one untouched for longest to the latest.
        self._open: OrderedDict[str, CommandSession] = OrderedDict()
        self._of_users: dict[str, OrderedDict[str, CommandSession]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, jid: JID, node: str, language: str) -> CommandSession:
        """Return a session with a new id, which is not open until it is kept."""
        self._last += 1
        number = f"{self._last:x}"
        session_id = f"{number}-{self._seal(number, jid, node)}"
        return CommandSession(id=session_id, jid=jid, node=node, language=language)

    def keep(self, session: CommandSession) -> None:
        """Keep a session open; if the user has too many, the oldest is closed."""
        self._forget_expired()
        session.touched = self._seconds()
        self._open[session.id] = session
        of_user = self._of_users.setdefault(session.jid.userhost(), OrderedDict())
        of_user[session.id] = session
        if len(of_user) > MAX_PER_USER:
            self._remove(next(iter(of_user.values())))

    def take(self, session_id: str, jid: JID, node: str) -> CommandSession:
        """Take an open session out, to continue it; it is over unless it is kept again.

        Raises:
            UnknownSession: it is no session of this command and user.
            ExpiredSession: it is over.
        """
        self._forget_expired()
        number, _, seal = session_id.partition("-")
        if not hmac.compare_digest(seal.encode(), self._seal(number, jid, node).encode()):
            raise UnknownSession
        session = self._open.get(session_id)
        if session is None:
            raise ExpiredSession
        self._remove(session)
        return session

    def _seal(self, number: str, jid: JID, node: str) -> str:
        text = "\0".join((number, jid.full(), node))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]

    def _forget_expired(self) -> None:
        before = self._seconds() - LIFETIME_SECONDS
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.touched > before:
                return
            self._remove(oldest)

    def _remove(self, session: CommandSession) -> None:
        del self._open[session.id]
        user = session.jid.userhost()
        of_user = self._of_users[user]
        del of_user[session.id]
        if not of_user:
            del self._of_users[user]


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
class Requester:
    """The user who executes a command.

    Attributes:
        jid: the full JID, which alone identifies the requester.
        domain: the domain that was asked.
        language: the language of the replies.
        memory: what commands have found out about the requester, for this request.
    """

    jid: JID
    domain: Domain
    language: str
    memory: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def gettext(self) -> Callable[[str], str]:
        """The translation of English texts into the requester's language."""
        return translator([self.language])


@dataclass(frozen=True, slots=True)
class Stage:
    """A form to be filled in.

    Attributes:
        last: whether the command is completed by it.
    """

    form: Form
    last: bool = True

    @property
    def forward(self) -> str:
        """The action that continues from here."""
        return "complete" if self.last else "next"


@dataclass(frozen=True, slots=True)
class Completed:
    """The end of a command: a result, a note to read, or both."""

    result: Result | None = None
    note: str = ""


Outcome = Stage | Completed
_NOTHING = Completed()


class Command(Protocol):
    """A command that can be executed.

    Attributes:
        node: its name on the wire.
        name: its name for people, in English; translated by the catalogues.
    """

    node: str
    name: str

    async def is_allowed(self, requester: Requester) -> bool:
        """Return whether the requester may execute it now."""

    async def proceed(self, requester: Requester, answers: Answers) -> Outcome:
        """Return the stage after these answers; after the last, act and return the result.

        Raises:
            Refused: it cannot be done with these answers; the last one may be given again.
        """


def _error(
    requester: Requester, kind: str, condition: str, specific: str | None, text: str
) -> StanzaError:
    """Return an error of §4.6, with ``text`` in the requester's language."""
    element = domish.Element((NS_COMMANDS, specific)) if specific else None
    return StanzaError(condition, kind, requester.gettext(text), requester.language, element)


class AdHocCommands:
    """The commands of a service, and the sessions of those who execute them."""

    def __init__(
        self,
        commands: Iterable[Command],
        sessions: CommandSessions,
        aliases: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``aliases`` are further nodes, not listed, by the node that they stand for."""
        self._commands = {command.node: command for command in commands}
        self._found = self._commands | {
            alias: self._commands[node] for alias, node in aliases.items()
        }
        self._sessions = sessions

    def has(self, node: str) -> bool:
        """Return whether service discovery has something at a node."""
        return node == NS_COMMANDS or node in self._found

    async def items(self, requester: Requester, address: str) -> domish.Element:
        """Return the commands that a requester may execute, as disco#items (§2.2)."""
        items = disco.DiscoItems()
        items.nodeIdentifier = NS_COMMANDS
        for command in self._commands.values():
            if await command.is_allowed(requester):
                name = requester.gettext(command.name)
                items.append(disco.DiscoItem(JID(address), command.node, name))
        element: domish.Element = items.toElement()
        return element

    async def info(self, requester: Requester, node: str) -> domish.Element:
        """Return the disco#info of a node: of the list of commands, or of a command (§2.2).

        Raises:
            StanzaError: there is no such command, or the requester may not execute it.
        """
        info = disco.DiscoInfo()
        info.nodeIdentifier = node
        kind, name = "command-list", _LIST_NAME
        if node != NS_COMMANDS:
            command = await self._find(requester, node)
            kind, name = "command-node", command.name
        info.append(disco.DiscoIdentity("automation", kind, requester.gettext(name)))
        for feature in (NS_COMMANDS, NS_X_DATA):
            info.append(disco.DiscoFeature(feature))
        element: domish.Element = info.toElement()
        return element

    async def perform(self, requester: Requester, request: domish.Element) -> domish.Element:
        """Return the payload that answers a ``<command/>``.

        Raises:
            StanzaError: an error of §4.6.
            Refused: the command cannot be done; the session goes on.
        """
        node = request.getAttribute("node")
        if not node:
            raise _error(requester, "modify", "bad-request", None, _NO_NODE)
        action = request.getAttribute("action") or "execute"
        if action not in ACTIONS or request.getAttribute("action") == "":
            specific = "malformed-action"
            raise _error(requester, "modify", "bad-request", specific, _MALFORMED_ACTION)
        command = await self._find(requester, node)
        session_id = request.getAttribute("sessionid")
        if session_id is None:
            if action != "execute":
                raise _error(requester, "modify", "bad-request", "bad-action", _BAD_ACTION)
            session = self._sessions.begin(requester.jid, node, requester.language)
            return await self._go_on(command, requester, session, ())
        session = self._take(session_id, requester, node)
        requester = replace(requester, language=session.language)
        if action == "cancel":
            return _answer(session, "canceled")
        try:
            return await self._continue(command, requester, session, action, request)
        except BaseException:
            self._sessions.keep(session)
            raise

    async def _find(self, requester: Requester, node: str) -> Command:
        command = self._found.get(node)
        if command is None:
            raise _error(requester, "cancel", "item-not-found", None, _NO_COMMAND)
        if not await command.is_allowed(requester):
            raise _error(requester, "cancel", "forbidden", None, _FORBIDDEN)
        return command

    def _take(self, session_id: str, requester: Requester, node: str) -> CommandSession:
        try:
            return self._sessions.take(session_id, requester.jid, node)
        except UnknownSession:
            specific = "bad-sessionid"
            raise _error(requester, "modify", "bad-request", specific, _BAD_SESSION) from None
        except ExpiredSession:
            specific = "session-expired"
            raise _error(requester, "cancel", "not-allowed", specific, _EXPIRED) from None

    async def _continue(
        self,
        command: Command,
        requester: Requester,
        session: CommandSession,
        action: str,
        request: domish.Element,
    ) -> domish.Element:
        stage = session.stages[-1]
        if action == "prev" and session.answers:
            session.stages, session.answers = session.stages[:-1], session.answers[:-1]
            self._sessions.keep(session)
            return _answer(session, "executing")
        if action not in ("execute", stage.forward):
            raise _error(requester, "modify", "bad-request", "bad-action", _BAD_ACTION)
        try:
            answers = (*session.answers, stage.form.read(request))
        except WrongForm as wrong:
            text = wrong.told(requester.gettext)
            raise _error(requester, "modify", "bad-request", "bad-payload", text) from None
        return await self._go_on(command, requester, session, answers)

    async def _go_on(
        self,
        command: Command,
        requester: Requester,
        session: CommandSession,
        answers: Answers,
    ) -> domish.Element:
        reached = await command.proceed(requester, answers)
        if isinstance(reached, Completed):
            return _answer(session, "completed", reached)
        session.stages, session.answers = (*session.stages, reached), answers
        self._sessions.keep(session)
        return _answer(session, "executing")


def _answer(
    session: CommandSession, status: str, outcome: Completed = _NOTHING
) -> domish.Element:
    """Return the ``<command/>`` that tells the state of a session (§4.1)."""
    command = domish.Element((NS_COMMANDS, "command"))
    command["node"] = session.node
    command["sessionid"] = session.id
    command["status"] = status
    command[LANGUAGE] = session.language
    if status == "executing":
        stage = session.stages[-1]
        actions = command.addElement("actions")
        actions["execute"] = stage.forward
        if session.answers:
            actions.addElement("prev")
        actions.addElement(stage.forward)
        command.addChild(stage.form.to_element())
    if outcome.note:
        command.addElement("note", content=outcome.note)["type"] = "info"
    if outcome.result is not None:
        command.addChild(outcome.result.to_element())
    return command
