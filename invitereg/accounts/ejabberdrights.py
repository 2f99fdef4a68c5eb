"""The lines of ejabberd.yml that let us do our work by its API; they differ by version."""

import re

from invitereg.accounts.apianswer import Answer
from invitereg.accounts.httpapi import Access

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


def version_in(status: Answer) -> Version | None:
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
