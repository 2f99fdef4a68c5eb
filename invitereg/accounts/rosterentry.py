"""A contact in an account's roster, as ejabberd's API tells it and wants it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """What an account knows about a contact: nothing, unless the server says otherwise."""

    nick: str = ""
    groups: tuple[str, ...] = ()
    subscription: str = "none"

    def groups_argument(self, *, as_list: bool) -> dict[str, Any]:
        """The groups as an argument: a list since 24.02, before that one text."""
        return {"groups": list(self.groups)} if as_list else {"group": ";".join(self.groups)}


def entry_for(roster: Any, jid: str) -> Entry | None:
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
        return Entry()
    first = mine[0]
    return Entry(
        nick=str(first.get("nick") or ""),
        groups=tuple(dict.fromkeys(map(str, groups))),
        subscription=str(first.get("subscription") or "none"),
    )
