"""A domain's accounts at ejabberd, by the commands of its HTTP API (mod_http_api).

https://docs.ejabberd.im/developer/ejabberd-api/admin-api/ lists the commands. The arguments are
those that all versions from 23.01 take; where these differ, the server's answer tells which.
"""

import re
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from invitereg.accounts.ejabberdapi import HTTPAPI, NO_JSON, Access, ApiAnswer
from invitereg.accounts.privilegecheck import try_all
from invitereg.accounts.rosteraccess import RosterEntry
from invitereg.accounts.servercalls import with_deadline
from invitereg.interfaces.server import (
    OWN_INVITES,
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
from invitereg.runtime import IReactor
from invitereg.runtime.deferreds import Deadline
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
"""The commands that ejabberd must let us call; the last one tells its version."""
CHECK_PASSWORD = "check_password"  # noqa: S105 - a command
"""One more command, where passwords are checked by the API."""

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
"""From this version on, a command with a host needs an account that ``configure`` allows.

That right includes commands over XMPP, so the account is kept from logging in: ``c2s`` denies
``blocked`` in ejabberd's default configuration.
"""
_ALREADY_REGISTERED, _CANNOT_REGISTER = 10090, 10001
# Texts with the latter code that mean that nobody was registered.
_REFUSALS = ("malformed username", "not allowed", "unknown virtual host", "too quickly")
_NO_LOCALPART = "@"
_RUNNING = re.compile(r"ejabberd ([0-9]{2})\.([0-9]{2})")


def version_in(status: ApiAnswer) -> Version | None:
    """Return the version in an answer to ``status``, such as (26, 7); None without one."""
    found = _RUNNING.search(status.body) if isinstance(status.body, str) else None
    return None if found is None else (int(found[1]), int(found[2]))


def needed(
    access: Access, domain: str, version: Version | None, *, checks_passwords: bool = False
) -> str:
    """Return the lines of ejabberd.yml that let us call the commands at a domain.

    Args:
        access: by which credentials they are called.
        domain: the virtual host.
        version: the server's version; None if it is not known.
        checks_passwords: whether passwords are checked by the API, too.
    """
    commands = (*COMMANDS, *([CHECK_PASSWORD] if checks_passwords else []))
    lines = _PERMISSIONS.format(who=_who(access), commands=", ".join(commands))
    user = "USER@DOMAIN" if access.token is not None else access.user
    # Who is trusted by address alone is no account, and needs no rights of one.
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


def entry_for(roster: object, jid: str) -> RosterEntry | None:
    """Return the entry of a bare JID in an answer to ``get_roster``; None if it is malformed.

    Until 23.10, a contact in several groups is listed once for each of them.
    """
    if not isinstance(roster, list) or not all(isinstance(item, dict) for item in roster):
        return None
    listed = [item for item in roster if item.get("jid") == jid]
    groups: list[object] = []
    for item in listed:
        groups.extend(item["groups"] if isinstance(item.get("groups"), list) else [])
        groups.extend([item["group"]] if item.get("group") else [])
    if not listed:
        return RosterEntry()
    return RosterEntry(
        name=str(listed[0].get("nick") or ""),
        groups=tuple(dict.fromkeys(map(str, groups))),
        subscription=str(listed[0].get("subscription") or "none"),
    )


@implementer(IServer)
class Ejabberd:
    """Call the ejabberd that serves one domain.

    Attributes:
        domain: the domain's name, in its normal form.
        clock: what tells the deadlines of calls.
    """

    def __init__(
        self, host: str, access: Access, reactor: IReactor, *, checks_passwords: bool = False
    ) -> None:
        """Prepare, without connecting.

        Args:
            host: the domain as ejabberd spells it.
            access: where the API is, and by which credentials it is called.
            reactor: what connects, and tells the time.
            checks_passwords: whether passwords are checked by the API, too.

        Raises:
            OSError, ValueError: the file `Access.ca` cannot be read, or has no certificate.
        """
        self.domain = prepare_domain(host)
        self._host = host
        self.clock: IReactorTime = reactor
        self._access = access
        self._api = HTTPAPI(reactor, access, host)
        self._groups_as_list = False
        self._checks_passwords = checks_passwords

    @property
    def own_username(self) -> str | None:
        """The account of this domain by which the API is called; None without one."""
        username, _, domain = (self._access.user or "").partition("@")
        return username if domain in (self._host, self.domain) else None

    def close(self) -> Deferred[None]:
        """Close the persistent connections; the Deferred fires when they are closed."""
        return self._api.close()

    @with_deadline
    async def exists(self, deadline: Deadline, username: str) -> bool:
        return await self._exists(deadline, username)

    @with_deadline
    async def check_password(self, deadline: Deadline, username: str, password: str) -> bool:
        """Return whether it is the password of an account; False if there is no such account.

        Raises:
            ServerRefused, ServerUnreachable: the server does not tell.
        """
        answer = await self._ask(deadline, CHECK_PASSWORD, username, password=password)
        return _verdict(CHECK_PASSWORD, answer)

    @with_deadline
    async def create(self, deadline: Deadline, username: str, password: str) -> None:
        answer = await self._change(deadline, "register", username, password=password)
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

    @with_deadline
    async def set_password(self, deadline: Deadline, username: str, password: str) -> None:
        answer = await self._change(deadline, "change_password", username, newpass=password)
        if answer.body == "unknown_user":
            raise NotThere(f"ejabberd knows no {username}@{self.domain}")
        if answer.body == "invalid_password":
            raise PasswordRefused("The server does not take this password.")
        if answer.status != 200 or answer.body != 0:
            raise OutcomeUnknown(_unexpected("change_password", answer))

    @with_deadline
    async def delete(self, deadline: Deadline, username: str) -> None:
        # ejabberd answers the same whether there was an account or not.
        await self._must_exist(deadline, username)
        answer = await self._change(deadline, "unregister", username)
        if answer.status != 200:
            raise OutcomeUnknown(_unexpected("unregister", answer))

    @with_deadline
    async def end_sessions(self, deadline: Deadline, username: str) -> None:
        answer = await self._change(deadline, "kick_user", username)
        if answer.status != 200:
            raise OutcomeUnknown(_unexpected("kick_user", answer))

    @with_deadline
    async def make_contacts(self, deadline: Deadline, username: str, contact: str) -> None:
        # ejabberd also makes rosters for accounts that it does not have.
        entries: list[tuple[str, str, RosterEntry]] = []
        for owner, other in ((username, contact), (contact, username)):
            await self._must_exist(deadline, owner)
            entry = await self._entry(deadline, owner, other)
            if entry.subscription != "both":
                entries.append((owner, other, entry))
        for number, (owner, other, entry) in enumerate(entries):
            try:
                await self._add(deadline, owner, other, entry)
            except ServerUnreachable as fault:
                if number:
                    raise OutcomeUnknown(fault.text) from None
                raise
        for owner, other, _entry in entries:
            await self._require_kept(deadline, owner, other)

    @with_deadline
    async def contacts_problem(self, deadline: Deadline) -> str | None:
        """Try the commands for rosters with a name that no account can have."""
        try:
            answer = await self._ask(deadline, "get_roster", _NO_LOCALPART)
            if not _was_run(answer):
                return _unexpected("get_roster", answer)
            nobody, nothing = _NO_LOCALPART, RosterEntry()
            answer = await self._add_in_its_form(deadline, nobody, nobody, nothing)
        except ServerFault as fault:
            return fault.text
        return None if _was_run(answer) else _unexpected("add_rosteritem", answer)

    @with_deadline
    async def warnings(self, deadline: Deadline) -> Sequence[str]:
        # A command that the server does not have is 404; 403 is one that we may not call.
        arguments = {"host": self._host}
        answer = await self._api.query("list_invites", arguments, deadline)
        return [OWN_INVITES] if answer.status in (200, 403) else []

    def try_privileges(self) -> Deferred[Sequence[str]]:
        check = self.check_password if self._checks_passwords else None
        return Deferred.fromCoroutine(try_all(self, check))

    async def _version(self, deadline: Deadline) -> Version | None:
        try:
            return version_in(await self._api.query("status", {}, deadline))
        except ServerFault:
            return None

    async def _exists(self, deadline: Deadline, username: str) -> bool:
        return _verdict("check_account", await self._ask(deadline, "check_account", username))

    async def _must_exist(self, deadline: Deadline, username: str) -> None:
        if not await self._exists(deadline, username):
            raise NotThere(f"ejabberd knows no {username}@{self.domain}")

    async def _entry(self, deadline: Deadline, owner: str, other: str) -> RosterEntry:
        answer = await self._ask(deadline, "get_roster", owner)
        entry = (
            entry_for(answer.body, f"{other}@{self._host}") if answer.status == 200 else None
        )
        if entry is None:
            raise ServerUnreachable(_unexpected("get_roster", answer))
        return entry

    async def _require_kept(self, deadline: Deadline, owner: str, other: str) -> None:
        """Read back an entry, as a server may say that it has added it, and has not."""
        try:
            kept = await self._entry(deadline, owner, other)
        except ServerFault as fault:
            raise OutcomeUnknown(fault.text) from None
        if kept.subscription != "both":
            raise ServerRefused(
                "ejabberd says that add_rosteritem has made a contact, and get_roster has it "
                f"with subscription {quoted(kept.subscription)}: is another module than "
                "mod_roster in charge of rosters?"
            )

    async def _add(
        self, deadline: Deadline, owner: str, other: str, entry: RosterEntry
    ) -> None:
        answer = await self._add_in_its_form(deadline, owner, other, entry)
        if answer.status != 200 or answer.body not in (0, ""):
            raise OutcomeUnknown(_unexpected("add_rosteritem", answer))

    async def _add_in_its_form(
        self, deadline: Deadline, owner: str, other: str, entry: RosterEntry
    ) -> ApiAnswer:
        """Add an entry; if the form of its groups is refused, try the other form."""
        answer = await self._add_once(deadline, owner, other, entry)
        if answer.status == 400 and "argument" in answer.text:
            self._groups_as_list = not self._groups_as_list
            answer = await self._add_once(deadline, owner, other, entry)
        return answer

    async def _add_once(
        self, deadline: Deadline, owner: str, other: str, entry: RosterEntry
    ) -> ApiAnswer:
        # A list since 24.02, and before that one text.
        if self._groups_as_list:
            groups: dict[str, object] = {"groups": list(entry.groups)}
        else:
            groups = {"group": ";".join(entry.groups)}
        arguments = {
            "localuser": owner,
            "localhost": self._host,
            "user": other,
            "host": self._host,
            "nick": entry.name,
            "subs": "both",
        }
        answer = await self._api.change("add_rosteritem", {**arguments, **groups}, deadline)
        return await self._allowed(deadline, "add_rosteritem", answer)

    async def _ask(
        self, deadline: Deadline, command: str, username: str, **more: str
    ) -> ApiAnswer:
        arguments = {"user": username, "host": self._host, **more}
        answer = await self._api.query(command, arguments, deadline)
        return await self._allowed(deadline, command, answer)

    async def _change(
        self, deadline: Deadline, command: str, username: str, **more: str
    ) -> ApiAnswer:
        arguments = {"user": username, "host": self._host, **more}
        answer = await self._api.change(command, arguments, deadline)
        return await self._allowed(deadline, command, answer)

    async def _allowed(self, deadline: Deadline, command: str, answer: ApiAnswer) -> ApiAnswer:
        """Return the answer of a command; raise if the server did not let us call it."""
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
                    await self._version(deadline),
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
    """Return the answer of a command that says 0 for yes, and 1 for no."""
    if answer.status == 200 and type(answer.body) is int and answer.body in (0, 1):
        return answer.body == 0
    raise ServerUnreachable(_unexpected(command, answer))


def _unexpected(command: str, answer: ApiAnswer) -> str:
    text = f"ejabberd answered {command} with status {answer.status}"
    if answer.body is not NO_JSON:
        return f"{text}: {answer.quoted}"
    return f"{text}: does url end in /api?" if answer.status == 404 else text


def _was_run(answer: ApiAnswer) -> bool:
    """Return whether a command was run up to the check of the name that nobody can have."""
    return answer.status == 200 or (answer.status == 400 and "nvalid" in answer.text)
