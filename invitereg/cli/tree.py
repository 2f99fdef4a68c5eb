"""``invitereg invite tree``."""

from collections.abc import Iterable, Iterator
from itertools import chain

import click

from invitereg.cli.options import domain_option, json_option
from invitereg.cli.output import print_lines, printable
from invitereg.cli.workspace import Workspace, pass_workspace
from invitereg.errors import NotFound
from invitereg.model.tree import Member, Tree, ancestors, descendants
from invitereg.views import TreeMember, timestamp

DRAWN_LEVELS = 40
"""Deeper levels are not indented further, but numbered: a chain of thousands stays readable."""


TreeRow = tuple[Member, int]


@click.command()
@click.argument("user", required=False)
@domain_option
@json_option
@pass_workspace
def command(workspace: Workspace, user: str | None, domain: str | None, as_json: bool) -> None:
    """Show who came through whom, from the history of registrations.

    With USER: through whom they came, and who came through them. It tells of accounts that
    are deleted and of invites that are purged, too. Who came through nobody was invited by
    the operator, or needed no invite.
    """
    name, (username,) = workspace.users(domain, user)
    deletions = _Deletions(workspace, name)
    tree = deletions.tree
    if username is not None and not tree.of(username):
        raise NotFound(
            f"No account {username} is known at {name}, and nobody came through that name."
        )
    if as_json:
        lines = _lines(tree, username)
        print_lines(_view(deletions, name, member, depth).to_json() for member, depth in lines)
    else:
        print_lines(chain([name], _drawn(deletions, username)))


class _Deletions:
    """Tells of the members of a domain which accounts are gone.

    Attributes:
        tree: the members.
    """

    def __init__(self, workspace: Workspace, domain: str) -> None:
        usernames = workspace.run(workspace.store.list_usernames(domain))
        history = workspace.run(workspace.store.list_uses(domain))
        deleted = workspace.run(workspace.store.list_usernames(domain, deleted=True))
        self.tree = Tree(history, usernames)
        self._there = frozenset(usernames)
        self._deleted = frozenset(deleted)
        self._is_remote = workspace.is_remote(domain)

    def is_deleted(self, member: Member) -> bool | None:
        """Whether the account is gone, also if somebody else has its name by now.

        None if nobody here knows: another server may have accounts that it never told of.
        """
        if not self.tree.is_latest(member):
            return True
        if member.username in self._there:
            return False
        was_here = member.use is not None or member.username in self._deleted
        return True if was_here or not self._is_remote else None


def _lines(tree: Tree, username: str | None) -> Iterator[TreeRow]:
    """Yield the members to show and their depth: all, or those of a name with their line."""
    if username is None:
        yield from descendants(tree.roots)
        return
    shown: set[Member] = set()
    for member in tree.of(username):
        if member in shown:  # a bearer of the name who came through another
            continue
        above = ancestors(member)
        yield from ((one, depth) for depth, one in enumerate(above))
        for one, depth in descendants([member]):
            shown.add(one)
            yield one, len(above) + depth


def _view(deletions: _Deletions, domain: str, member: Member, depth: int) -> TreeMember:
    use = member.use
    return TreeMember.of(
        username=member.username,
        domain=domain,
        inviter=None if member.parent is None else member.parent.username,
        invite_id=None if use is None else use.invite_id,
        at=None if use is None else use.at,
        door=None if use is None else use.door,
        depth=depth,
        deleted=deletions.is_deleted(member),
    )


def _drawn(deletions: _Deletions, username: str | None) -> Iterator[str]:
    """Yield a line for each member, with what joins it to the one above it."""
    lines = list(_lines(deletions.tree, username))
    last = _last_of_their_parents(lines)
    bars: list[str] = []
    for place, (member, depth) in enumerate(lines):
        del bars[depth:]
        ends = place in last
        level = "" if depth < DRAWN_LEVELS else f"[{depth + 1}] "
        branch = "└── " if ends else "├── "
        words = _words(member, deletions.is_deleted(member), member.username == username)
        yield "".join(bars[:DRAWN_LEVELS]) + branch + level + words
        bars.append("    " if ends else "│   ")


def _last_of_their_parents(lines: Iterable[TreeRow]) -> set[int]:
    """Return the places of the last member below each parent."""
    latest: list[int] = []
    last: set[int] = set()
    for place, (_member, depth) in enumerate(lines):
        last.update(latest[depth + 1 :])
        del latest[depth + 1 :]
        latest[depth:] = [place]
    return last | set(latest)


def _words(member: Member, deleted: bool | None, asked_for: bool) -> str:
    name = printable(member.username)
    words = [click.style(name, bold=True) if asked_for else name]
    if member.use is not None:
        words.append(timestamp(member.use.at) or "")
        if member.use.invite_id is not None:
            words.append(f"invite {printable(member.use.invite_id)}")
    if deleted is None:
        words.append("(not met yet)")
    elif deleted:
        words.append("(deleted)")
    return "  ".join(words)
