"""Names that look alike, and honest names of all scripts."""

import signal
import unicodedata
from types import FrameType

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.errors import InvalidUsername
from invitereg.model import prepare_localpart
from invitereg.policy import decide
from invitereg.policy.lookalikes import is_listed, load_looks, looks_listed, skeleton
from invitereg.policy.values import RESERVED, Policy, Request
from tests.test_policy import KNOWN

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
