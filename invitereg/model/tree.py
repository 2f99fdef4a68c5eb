"""The tree of invitations, read from the history of a domain: pure.

A member is a registration, not a name: when a deleted account's name is given away again, the
new account is another member. Each came through one who was there before; so there are no
circles, whatever was done to names.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from invitereg.model.invites import Use


@dataclass(eq=False, slots=True)
class Member:
    """Somebody who registered, or who is known as an inviter only.

    Attributes:
        use: the registration; None where the history has none.
        parent: through whom they came; None for the operator or an open door.
        children: who came through them, in the order of their registrations.
    """

    username: str
    use: Use | None = None
    parent: "Member | None" = None
    children: "list[Member]" = field(default_factory=list, repr=False)


class Tree:
    """The members of a domain.

    Attributes:
        roots: those who came through nobody, in the order of their registrations.
    """

    def __init__(self, uses: Iterable[Use], usernames: Iterable[str] = ()) -> None:
        """Read a history, in the order in which it was written.

        The accounts named by ``usernames`` are members, even if no history knows them.
        """
        self.roots: list[Member] = []
        self._bearers: dict[str, list[Member]] = {}
        # Imported uses stand after those that they may have happened before.
        for use in sorted((use for use in uses if use.registers), key=lambda use: use.at):
            self._add(Member(use.username, use), use.inviter)
        for username in usernames:
            if username not in self._bearers:
                self._add(Member(username), None)

    def of(self, username: str) -> Sequence[Member]:
        """Return all members who have had that name, the latest last."""
        return self._bearers.get(username, ())

    def is_latest(self, member: Member) -> bool:
        """Whether nobody has had the name after them."""
        return self._bearers[member.username][-1] is member

    def branch(self, username: str) -> set[str]:
        """Return the name, and the names that those who came through its bearers have now."""
        members = descendants(self.of(username))
        names = {member.username for member, _depth in members if self.is_latest(member)}
        return names | {username}

    def _add(self, member: Member, inviter: str | None) -> None:
        if inviter is None:
            self.roots.append(member)
        else:
            if inviter not in self._bearers:
                self._add(Member(inviter), None)
            member.parent = self._bearers[inviter][-1]
            member.parent.children.append(member)
        self._bearers.setdefault(member.username, []).append(member)


def ancestors(member: Member) -> list[Member]:
    """Return the inviter of a member, that one's inviter and so on; the first of all first."""
    found = []
    while member.parent is not None:
        member = member.parent
        found.append(member)
    return found[::-1]


def descendants(members: Sequence[Member]) -> Iterator[tuple[Member, int]]:
    """Yield members and all below them with their depth, each before those below it."""
    waiting = [(member, 0) for member in reversed(members)]
    seen: set[Member] = set()
    while waiting:
        member, depth = waiting.pop()
        if member not in seen:  # one bearer of a name may have come through another
            seen.add(member)
            yield member, depth
            waiting += [(child, depth + 1) for child in reversed(member.children)]
