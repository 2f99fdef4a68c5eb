"""Names that look alike, and honest names of all scripts."""

import signal
import unicodedata
from types import FrameType

from confusable_homoglyphs import utils
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.errors import InvalidUsername
from invitereg.model.lookalikes import is_listed, load_looks, looks_listed, skeleton
from invitereg.model.names import prepare_localpart
from invitereg.policy.registering import decide
from invitereg.policy.values import RESERVED, Policy, Request
from tests.policy.test_registering import KNOWN

NAMES = """
    romeo juliet anna jean-luc zoë müller łukasz żółw søren åsa ñandú françois jürgen
    ipek ışık özgür şule ğ dvořák čapek þór æsa mâriâ nguyễn trần hồ.chí.minh
    анна роман иван дмитрий фёдор оксана єва їжак міла вук ђорђе љубица қайрат
    γιώργος ελένη νίκος αλέξανδρος σοφία μαρία
    محمد فاطمة علی زهرا پرویز דוד שרה יוסף
    太郎 花子 あきら さくら カタカナ 王小明 李娜 张伟 김철수 이영희 박지성
    राम सीता অনিতা ராஜா ప్రియ ਗੁਰਪ੍ਰੀਤ ગીતા ಕವಿತಾ മീര සුනිල් สมชาย ลาว ကမလ សុខា
    დავით անահիտ አበበ
    administrative admins rooted supporter helper informer securityguard abused postmasters
    hel infos 0range l0l 1one adm1n r.oot
"""
HONEST = tuple(NAMES.split())


# By hand, and not from the table that is tested: what these letters are imitated with most.
LETTERS = """
    aаɑα⍺ａ𝐚 b𝗯ᖯｂ cсⅽｃ dԁⅾ𝒅 eеҽ℮ｅ fք𝖿ｆ gɡցｇ hһℎｈ iıіɩι𝑖 jјϳｊ kＫ𝓀 l1ⅼן∣ا nոռｎ
    oοօ0೦൦ｏס pрρ⍴ｐ rг𝒓ｒ sѕ𝔰ｓ tｔ𝕥 uυսｕ vνѵⅴ wѡաｗ xх×ⅹ yуγүｙ
"""
IMITATED = {"m": ["rn", "ⅿ", "𝐦"]} | {one[0]: list(one[1:]) for one in LETTERS.split()}


@st.composite
def imitations(draw: st.DrawFn) -> tuple[str, str]:
    """A reserved name, and one that looks like it."""
    name = draw(st.sampled_from(RESERVED))
    parts = [draw(st.sampled_from([one, *IMITATED.get(one, ())])) for one in name]
    return name, "".join(parts)


def rule_for(name: str, policy: Policy) -> str:
    request = Request(domain="example.com", has_token=False, username=name)
    return decide(policy, request, KNOWN).rule


def _pairs_of_library() -> list[tuple[str, str]]:
    """Each small letter with all that Unicode's table says it looks like in small letters.

    Without composed ones, which are compared by their parts.
    """
    table = utils.load("confusables.json")
    pairs = ((one, other["c"]) for one, others in table.items() for other in others)
    newer = frozenset("þƒƿϭшւ३૩ടင០")
    return [
        (one, other)
        for one, other in pairs
        if unicodedata.normalize("NFD", prepared(one) + prepared(other)) == one + other
        and not newer & {one, other}
    ]


def prepared(text: str) -> str:
    try:
        return prepare_localpart(text)
    except InvalidUsername:
        return ""


class LookAlikeTests(SynchronousTestCase):
    policy = Policy(
        registration_invite_only=False, admins=frozenset({"boss", "жанна", "太郎2"})
    )

    @given(imitations())
    def test_any_imitation(self, pair: tuple[str, str]) -> None:
        """However a reserved name is imitated, letter by letter, it cannot be chosen."""
        name, imitation = pair
        try:
            same = prepare_localpart(imitation) == name
        except InvalidUsername:  # letters from right to left beside others (RFC 3454 §6)
            return
        rule = "username-reserved" if same else "username-look-alike"
        self.assertEqual(rule_for(imitation, self.policy), rule)

    def test_honest(self) -> None:
        """Names of all scripts are welcome."""
        for name in HONEST:
            self.assertEqual(rule_for(name, self.policy), "allowed", name)

    def test_any_script(self) -> None:
        """Letters and digits of scripts that few know imitate as well."""
        for name in ("inƒo", "шebmaster", "admւn", "r០០t", "rϭϭt", "ƿostmaster", "suþport"):
            self.assertEqual(rule_for(name, self.policy), "username-look-alike", name)
        for name in ("ടupport", "ടecurity", "noreρly", "seсurity", "seငurity"):
            self.assertEqual(rule_for(name, self.policy), "username-look-alike", name)

    def test_unlike(self) -> None:
        """A letter that looks like another one's capital, in which no name is, is welcome."""
        self.assertEqual(rule_for("ቡoreply", self.policy), "allowed")

    @given(
        st.sampled_from([name for name in RESERVED if "i" in name]),
        st.sampled_from(["i\u0307", "i\u0307\u0307", "ı\u0307", "İ", "і\u0307", "ι\u0307"]),
    )
    def test_dots(self, name: str, imitation: str) -> None:
        """A dot on an i, which has one, is not seen."""
        imitated = name.replace("i", imitation)
        self.assertEqual(rule_for(imitated, self.policy), "username-look-alike")

    def test_dots_of_admins(self) -> None:
        """Nor is it in an admin's name, nor a mark that is there twice."""
        policy = Policy(registration_invite_only=False, admins=frozenset({"i\u0307pek", "zoë"}))
        for name in ("ipek", "ıpek", "zoë\u0308", "zоe\u0308\u0308\u0308"):
            self.assertEqual(rule_for(name, policy), "username-look-alike", name)
        for name in ("ïpek", "ị̈pek", "zoe", "zoé"):
            self.assertEqual(rule_for(name, policy), "allowed", name)

    def test_classes(self) -> None:
        """What looks like the same letter looks alike, whichever of the two is in a list."""
        for first, second in _pairs_of_library():
            self.assertEqual(skeleton(first), skeleton(second), (first, second))

    def test_every_letter(self) -> None:
        """The table has what is most often used for it."""
        for letter, looks in zip("аеорсухѕіјһԁɑοıⅼ０ｏ", "aeopcyxsijhdaoiloo", strict=True):
            self.assertEqual(skeleton(unicodedata.normalize("NFKC", letter)), skeleton(looks))

    def test_settled(self) -> None:
        """Nothing in the table looks like something else again."""
        table = load_looks()
        self.assertGreater(len(table), 6000)
        for looks in table.values():
            self.assertEqual(skeleton(looks), looks)

    @given(st.text(max_size=20))
    def test_skeleton(self, text: str) -> None:
        """What a name looks like, looks like itself."""
        try:
            name = prepare_localpart(text)
        except InvalidUsername:
            return
        self.assertEqual(skeleton(skeleton(name)), skeleton(name))
        self.assertTrue(looks_listed(name, frozenset({name})))


class LinearTests(SynchronousTestCase):
    def test_many_stars(self) -> None:
        """No name takes long, whatever is reserved."""

        def give_up(_signal: int, _frame: FrameType | None) -> None:
            raise AssertionError("a name holds up everybody")

        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, give_up))
        self.addCleanup(signal.alarm, 0)
        signal.alarm(60)
        names = frozenset({"*a" * 300 + "*b", "*" * 1000 + "b", "*aa*" * 200})
        for name in ("a" * 1022, "a" * 511 + "ba", "ab" * 511):
            is_listed(name, names)
            looks_listed(name, names)
        self.assertTrue(is_listed("a" * 1022 + "b", names))

    @given(st.text("ab*", max_size=6), st.text("ab", max_size=8))
    def test_meaning(self, glob: str, name: str) -> None:
        """A * stands for any characters, or none, as in a shell."""
        import fnmatch

        self.assertEqual(
            is_listed(name, frozenset({glob})), fnmatch.fnmatchcase(name, glob) or name == glob
        )
