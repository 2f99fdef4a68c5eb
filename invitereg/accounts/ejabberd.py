"""A domain's accounts at ejabberd, by the commands of its HTTP API (mod_http_api).

https://docs.ejabberd.im/developer/ejabberd-api/admin-api/ - the arguments are those that
23.01 and later versions know alike; where they differ, the server's answer tells which.
"""

import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from invitereg.accounts.ejabberdapi import HTTPAPI, NO_JSON, Access, ApiAnswer
from invitereg.accounts.privilegecheck import try_all
from invitereg.interfaces.server import (
    OWN_INVITES,
    PATIENCE_SECONDS,
    AlreadyThere,
    IServer,
    MissingPrivilege,
    NotThere,
    OutcomeUnknown,
    PasswordRefused,
    ServerFault,
    ServerRefused,
    ServerUnreachable,
)
from invitereg.model.names import prepare_domain
from invitereg.runtime.logs import quoted

COMMANDS = (
    "check_account",
    "register",
    "unregister",
    "change_password",
    "get_roster",
    "add_rosteritem",
    "delete_rosteritem",
    "kick_user",
    "status",
)
"""The commands that ejabberd must let us call; the last tells its version."""
CHECK_PASSWORD = "check_password"  # noqa: S105 - a command
"""Another one, where nothing else checks passwords."""

Version = tuple[int, int]

_PERMISSIONS = """\
api_permissions:
  "invitereg":
    from: mod_http_api
    who: {who}
    what: [{commands}]"""
_ADMIN = """\
acl:
  invitereg: {{user: "{user}"}}
  blocked: {{user: "{user}"}}
append_host_config:
  "{domain}":
    access_rules:
      configure: [{{allow: admin}}, {{allow: invitereg}}]"""
_ASKS_ADMINS: Version = (26, 7)
"""Since then a command with a host is for accounts that ``configure`` allows at that host.

That allows commands over XMPP, too, so the account is kept from logging in there: ``c2s``
denies ``blocked`` in the file that it comes with.
"""
_RUNNING = re.compile(r"ejabberd ([0-9]{2})\.([0-9]{2})")


def version_in(status: ApiAnswer) -> Version | None:
    """Return the version that the command ``status`` tells, as (26, 7); None without one."""
    found = _RUNNING.search(status.body) if isinstance(status.body, str) else None
    return None if found is None else (int(found[1]), int(found[2]))


def needed(
    access: Access, domain: str, version: Version | None, *, checks_passwords: bool = False
) -> str:
    """Return the lines that let us call the commands at a domain.

    ``version`` is the server's, and None where it is not known; ``checks_passwords`` says that
    passwords are checked by the API, too.
    """
    commands = (*COMMANDS, *([CHECK_PASSWORD] if checks_passwords else []))
    lines = _PERMISSIONS.format(who=_who(access), commands=", ".join(commands))
    user = "USER@DOMAIN" if access.token is not None else access.user
    # Whom it knows by the address alone is nobody's account, and needs no rights of one.
    if user is None or (version is not None and version < _ASKS_ADMINS):
        return lines
    since = "" if version is not None else "and, if it is ejabberd 26.07 or later,\n"
    return f"{lines}\n{since}{_ADMIN.format(user=user, domain=domain)}"


def _who(access: Access) -> str:
    if access.token is not None:
        return '{oauth: {scope: "ejabberd:admin", access: {allow: {user: USER@DOMAIN}}}}'
    if access.user is not None:
        return f'{{user: "{access.user}"}}'
    return "{ip: 127.0.0.1/32}"


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """What an account knows about a contact: nothing, unless the server says otherwise."""

    nick: str = ""
    groups: tuple[str, ...] = ()
    subscription: str = "none"

    def groups_argument(self, *, as_list: bool) -> dict[str, Any]:
        """The groups as an argument: a list since 24.02, before that one text."""
        return {"groups": list(self.groups)} if as_list else {"group": ";".join(self.groups)}


def entry_for(roster: Any, jid: str) -> RosterEntry | None:
    """The entry for a bare JID in the answer to ``get_roster``; None if that makes no sense.

    Up to 23.10 a contact in several groups is there once for each.
    """
    if not isinstance(roster, list) or not all(isinstance(item, dict) for item in roster):
        return None
    mine = [item for item in roster if item.get("jid") == jid]
    groups: list[str] = []
    for item in mine:
        groups.extend(item["groups"] if isinstance(item.get("groups"), list) else [])
        groups.extend([item["group"]] if item.get("group") else [])
    if not mine:
        return RosterEntry()
    first = mine[0]
    return RosterEntry(
        nick=str(first.get("nick") or ""),
        groups=tuple(dict.fromkeys(map(str, groups))),
        subscription=str(first.get("subscription") or "none"),
    )


T = TypeVar("T")
P = ParamSpec("P")

_ALREADY_REGISTERED, _CANNOT_REGISTER = 10090, 10001
# What it says with the latter where it certainly has registered nobody.
_REFUSALS = ("malformed username", "not allowed", "unknown virtual host", "too quickly")
_NO_LOCALPART = "@"


def _method(
    work: Callable[Concatenate["Ejabberd", float, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Ejabberd", P], Deferred[T]]:
    """A method of `IServer`, from a coroutine that is told when its time is over."""

    def method(self: "Ejabberd", /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        until = self.reactor.seconds() + PATIENCE_SECONDS
        return Deferred.fromCoroutine(work(self, until, *args, **kwargs))

    method.__doc__ = work.__doc__
    return method


@implementer(IServer)
class Ejabberd:
    """The ejabberd that serves one domain.

    Attributes:
        domain: its name, in the normal form.
        reactor: what connects, and tells the time.
    """

    def __init__(
        self, host: str, access: Access, reactor: Any, *, checks_passwords: bool = False
    ) -> None:
        """Connect to nothing yet.

        Args:
            host: the domain as ejabberd spells it.
            access: where its API is.
            reactor: see above.
            checks_passwords: whether passwords are checked by the API, too.

        Raises:
            OSError, ValueError: as `Access.policy`.
        """
        self.domain = prepare_domain(host)
        self._host = host
        self.reactor = reactor
        self._access = access
        self._api = HTTPAPI(reactor, access, host)
        self._groups_as_list = False
        self._checks_passwords = checks_passwords

    @property
    def own_username(self) -> str | None:
        """See `IServer`: the account of this domain by which we use the API."""
        username, _, domain = (self._access.user or "").partition("@")
        return username if domain in (self._host, self.domain) else None

    def close(self) -> Deferred[Any]:
        """Close the connections that are kept; fires when they are."""
        return self._api.close()

    @_method
    async def exists(self, until: float, username: str) -> bool:
        """See `IServer`."""
        return await self._exists(until, username)

    @_method
    async def check_password(self, until: float, username: str, password: str) -> bool:
        """Whether it is the password of an account; False if there is no such account.

        Raises:
            ServerRefused, ServerUnreachable: the server does not tell.
        """
        answer = await self._ask(until, CHECK_PASSWORD, username, password=password)
        return _verdict(CHECK_PASSWORD, answer)

    @_method
    async def create(self, until: float, username: str, password: str) -> None:
        """See `IServer`."""
        answer = await self._change(until, "register", username, password=password)
        if answer.code == _ALREADY_REGISTERED or answer.status == 409:
            raise AlreadyThere(answer.text)
        if answer.code == _CANNOT_REGISTER:
            said = answer.text.lower()
            if "password" in said:
                raise PasswordRefused("The server does not take this password.")
            if any(refusal in said for refusal in _REFUSALS):
                raise ServerRefused(f"ejabberd registers nobody here: {answer.quoted}")
        if answer.status != 200 or answer.body == 1:
            raise OutcomeUnknown(_unexpected("register", answer))

    @_method
    async def set_password(self, until: float, username: str, password: str) -> None:
        """See `IServer`."""
        answer = await self._change(until, "change_password", username, newpass=password)
        if answer.body == "unknown_user":
            raise NotThere(f"ejabberd knows no {username}@{self.domain}")
        if answer.body == "invalid_password":
            raise PasswordRefused("The server does not take this password.")
        if answer.status != 200 or answer.body != 0:
            raise OutcomeUnknown(_unexpected("change_password", answer))

    @_method
    async def delete(self, until: float, username: str) -> None:
        """See `IServer`. ejabberd answers the same whether there was an account: we ask."""
        await self._must_exist(until, username)
        answer = await self._change(until, "unregister", username)
        if answer.status != 200:
            raise OutcomeUnknown(_unexpected("unregister", answer))

    @_method
    async def end_sessions(self, until: float, username: str) -> None:
        """See `IServer`."""
        answer = await self._change(until, "kick_user", username)
        if answer.status != 200:
            raise OutcomeUnknown(_unexpected("kick_user", answer))

    @_method
    async def make_contacts(self, until: float, username: str, contact: str) -> None:
        """See `IServer`. ejabberd gives rosters to whoever it does not know: we ask."""
        entries: list[tuple[str, str, RosterEntry]] = []
        for owner, other in ((username, contact), (contact, username)):
            await self._must_exist(until, owner)
            entry = await self._entry(until, owner, other)
            if entry.subscription != "both":
                entries.append((owner, other, entry))
        for number, (owner, other, entry) in enumerate(entries):
            try:
                await self._add(until, owner, other, entry)
            except ServerUnreachable as fault:
                if number:
                    raise OutcomeUnknown(fault.text) from None
                raise
        for owner, other, _entry in entries:
            await self._require_kept(until, owner, other)

    @_method
    async def contacts_problem(self, until: float) -> str | None:
        """See `IServer`. What is asked for has a name that no account can have."""
        try:
            answer = await self._ask(until, "get_roster", _NO_LOCALPART)
            if not _was_run(answer):
                return _unexpected("get_roster", answer)
            answer = await self._add_as_it_likes(
                until, _NO_LOCALPART, _NO_LOCALPART, RosterEntry()
            )
        except ServerFault as fault:
            return fault.text
        return None if _was_run(answer) else _unexpected("add_rosteritem", answer)

    @_method
    async def warnings(self, until: float) -> Sequence[str]:
        """See `IServer`. A command that it does not have is 404, and 403 if it is not ours."""
        arguments = {"host": self._host}
        answer = await self._api.ask("list_invites", arguments, until)
        return [OWN_INVITES] if answer.status in (200, 403) else []

    def try_privileges(self) -> Deferred[Sequence[str]]:
        """See `IServer`."""
        check = self.check_password if self._checks_passwords else None
        return Deferred.fromCoroutine(try_all(self, check))

    async def _version(self, until: float) -> Version | None:
        try:
            return version_in(await self._api.ask("status", {}, until))
        except ServerFault:
            return None

    async def _exists(self, until: float, username: str) -> bool:
        return _verdict("check_account", await self._ask(until, "check_account", username))

    async def _must_exist(self, until: float, username: str) -> None:
        if not await self._exists(until, username):
            raise NotThere(f"ejabberd knows no {username}@{self.domain}")

    async def _entry(self, until: float, owner: str, other: str) -> RosterEntry:
        answer = await self._ask(until, "get_roster", owner)
        entry = (
            entry_for(answer.body, f"{other}@{self._host}") if answer.status == 200 else None
        )
        if entry is None:
            raise ServerUnreachable(_unexpected("get_roster", answer))
        return entry

    async def _require_kept(self, until: float, owner: str, other: str) -> None:
        """Read back what was added, as a server may say that it did so, and did not."""
        try:
            kept = await self._entry(until, owner, other)
        except ServerFault as fault:
            raise OutcomeUnknown(fault.text) from None
        if kept.subscription != "both":
            raise ServerRefused(
                "ejabberd says that add_rosteritem has made a contact, and get_roster has it "
                f"with subscription {quoted(kept.subscription)}: is another module than "
                "mod_roster in charge of rosters?"
            )

    async def _add(self, until: float, owner: str, other: str, entry: RosterEntry) -> None:
        answer = await self._add_as_it_likes(until, owner, other, entry)
        if answer.status != 200 or answer.body not in (0, ""):
            raise OutcomeUnknown(_unexpected("add_rosteritem", answer))

    async def _add_as_it_likes(
        self, until: float, owner: str, other: str, entry: RosterEntry
    ) -> ApiAnswer:
        """Add an item; one that is refused for how its groups are given is given otherwise."""
        answer = await self._add_once(until, owner, other, entry)
        if answer.status == 400 and "argument" in answer.text:
            self._groups_as_list = not self._groups_as_list
            answer = await self._add_once(until, owner, other, entry)
        return answer

    async def _add_once(
        self, until: float, owner: str, other: str, entry: RosterEntry
    ) -> ApiAnswer:
        groups = entry.groups_argument(as_list=self._groups_as_list)
        arguments = {
            "localuser": owner,
            "localhost": self._host,
            "user": other,
            "host": self._host,
            "nick": entry.nick,
            "subs": "both",
        }
        answer = await self._api.change("add_rosteritem", {**arguments, **groups}, until)
        return await self._allowed(until, "add_rosteritem", answer)

    async def _ask(self, until: float, command: str, username: str, **more: str) -> ApiAnswer:
        arguments = {"user": username, "host": self._host, **more}
        answer = await self._api.ask(command, arguments, until)
        return await self._allowed(until, command, answer)

    async def _change(
        self, until: float, command: str, username: str, **more: str
    ) -> ApiAnswer:
        arguments = {"user": username, "host": self._host, **more}
        answer = await self._api.change(command, arguments, until)
        return await self._allowed(until, command, answer)

    async def _allowed(self, until: float, command: str, answer: ApiAnswer) -> ApiAnswer:
        """The answer of a command that was let through."""
        if answer.status == 401:
            raise MissingPrivilege(
                f"ejabberd does not take our credentials ({answer.quoted}): correct user and "
                "password_file, or token_file, in the section accounts"
            )
        if answer.status == 403:
            raise MissingPrivilege(
                f"ejabberd does not let us call {command} ({answer.quoted}): it needs\n"
                + needed(
                    self._access,
                    self._host,
                    await self._version(until),
                    checks_passwords=self._checks_passwords,
                )
            )
        if answer.status == 404 and answer.code is not None:
            raise MissingPrivilege(
                f"ejabberd has no command {command} at {self._access.url}: it needs\n"
                "modules:\n  mod_admin_extra: {}"
            )
        if answer.status in (301, 302, 307, 308):
            raise ServerRefused(f"{self._access.url} redirects elsewhere: name the API itself")
        return answer


def _verdict(command: str, answer: ApiAnswer) -> bool:
    """Return what a command says that answers 0 for yes, and 1 for no."""
    if answer.status == 200 and type(answer.body) is int and answer.body in (0, 1):
        return answer.body == 0
    raise ServerUnreachable(_unexpected(command, answer))


def _unexpected(command: str, answer: ApiAnswer) -> str:
    text = f"ejabberd answered {command} with status {answer.status}"
    if answer.body is not NO_JSON:
        return f"{text}: {answer.quoted}"
    return f"{text}: does url end in /api?" if answer.status == 404 else text


def _was_run(answer: ApiAnswer) -> bool:
    """Whether a command got as far as to look at the name that nobody can have."""
    return answer.status == 200 or (answer.status == 400 and "nvalid" in answer.text)
