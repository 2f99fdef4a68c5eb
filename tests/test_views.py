"""The JSON that scripts read, where it is documented."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from invitereg.views import IssuedInvite, Preview, Registered
from invitereg.web.api.errors import ProblemDocument

DOCUMENT = Path(__file__).parents[1] / "docs" / "api.md"


class DocumentedTests(SynchronousTestCase):
    def test_answers(self) -> None:
        """The answers in the manual are what the API answers, to the last comma."""
        lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
        answers = [line for line in lines if line.startswith("{")]
        views = (IssuedInvite, Preview, Registered, ProblemDocument)
        for view, answer in zip(views, answers, strict=True):
            shown = view.model_validate_json(answer)
            self.assertEqual(shown.to_json(), answer)
