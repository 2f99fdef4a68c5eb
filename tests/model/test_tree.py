"""Who came through whom, whatever was done to names."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.model.invites import Kind, Use
from invitereg.model.tree import Tree, ancestors, descendants
from invitereg.testing import START

NAMES = st.sampled_from("abcdef")
MANY = 20_000


def use(username, inviter=None, seconds=0, kind=Kind.ACCOUNT):
    at = START + timedelta(seconds=seconds)
    return Use(
        domain="example.com", username=username, kind=kind, at=at, door="c2s", inviter=inviter
    )


@st.composite
def histories(draw):
    """Registrations of few names over and over, in any order of time, by whomever."""
    rows = draw(st.lists(st.tuples(NAMES, st.none() | NAMES, st.integers(0, 9)), max_size=20))
    return [use(*row) for row in rows]


class TreeTests(SynchronousTestCase):
    @given(histories())
    def test_every_member_once(self, history):
        """Each registration is there once, below an earlier one of the inviter's name."""
        tree = Tree(history)
        everybody = list(descendants(tree.roots))
        found = [member.use for member, _depth in everybody if member.use is not None]
        self.assertCountEqual(map(id, found), map(id, history))
        for member, depth in everybody:
            self.assertEqual(len(ancestors(member)), depth)
            if member.use is not None:
                inviter = member.parent and member.parent.username
                self.assertEqual(inviter, member.use.inviter)
            if member.parent is not None and member.parent.use is not None:
                self.assertLessEqual(member.parent.use.at, member.use.at)

    @given(histories(), NAMES)
    def test_branch(self, history, name):
        """A branch has the name, and who has now a name that came through its bearers."""
        tree = Tree(history)
        below = {member for member, _depth in descendants(tree.of(name))}
        for member in below:
            bearers = set(tree.of(name))
            self.assertTrue(bearers & {member, *ancestors(member)})
        expected = {name} | {m.username for m in below if tree.is_latest(m)}
        self.assertEqual(tree.branch(name), expected)

    def test_before_each_below_it(self):
        """Who came through somebody stands right below them, in the order of coming."""
        history = [
            use("a"),
            use("b", "a"),
            use("c"),
            use("d", "b"),
            use("e", "a"),
            use("f", "c"),
        ]
        lines = [(m.username, depth) for m, depth in descendants(Tree(history).roots)]
        self.assertEqual(lines, [("a", 0), ("b", 1), ("d", 2), ("e", 1), ("c", 0), ("f", 1)])

    def test_name_given_away(self):
        """Who invited before a name was given away invited for its bearer of that time."""
        history = [
            use("romeo", seconds=1),
            use("juliet", "romeo", seconds=2),
            use("romeo", "juliet", seconds=3),
            use("nurse", "romeo", seconds=4),
        ]
        first, second = Tree(history).of("romeo")
        self.assertEqual([m.username for m in ancestors(second)], ["romeo", "juliet"])
        self.assertEqual([m.username for m in first.children], ["juliet"])
        self.assertEqual([m.username for m in second.children], ["nurse"])

    def test_only_registrations(self):
        """Resets and contacts say nothing of how somebody came."""
        history = [
            use("a"),
            use("b"),
            use("b", "a", kind=Kind.RESET),
            use("b", "a", 0, Kind.CONTACT),
        ]
        self.assertEqual([m.username for m in Tree(history).roots], ["a", "b"])

    def test_account_without_history(self):
        """An account of which the history knows nothing is there all the same."""
        tree = Tree([use("b", "a")], ["a", "b", "c"])
        lines = [(m.username, depth) for m, depth in descendants(tree.roots)]
        self.assertEqual(lines, [("a", 0), ("b", 1), ("c", 0)])

    def test_chain(self):
        """A chain of many thousands is no deeper than the program can go."""
        history = [use(f"u{n}", f"u{n - 1}" if n else None) for n in range(MANY)]
        tree = Tree(history)
        depths = [depth for _member, depth in descendants(tree.roots)]
        self.assertEqual(depths, list(range(MANY)))
        self.assertEqual(len(tree.branch("u0")), MANY)
        self.assertEqual(len(ancestors(tree.of(f"u{MANY - 1}")[0])), MANY - 1)
