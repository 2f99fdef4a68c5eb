"""Names that wokkel 18.0.0, its last release, needs and that Twisted has dropped."""

import sys
import warnings

import constantly
from twisted.python import compat


def restore() -> None:
    """Put the missing names back where wokkel looks for them; calling it again is harmless.

    Twisted warns of the names that it has only deprecated. Wokkel's use of them is nothing
    that an operator could mend, so those warnings are silenced for wokkel alone.
    """
    sys.modules.setdefault("twisted.python.constants", constantly)
    vars(compat)["_PY3"] = True
    warnings.filterwarnings(
        "ignore", r"twisted\.python\.compat\.", DeprecationWarning, r"wokkel(\.|$)"
    )
