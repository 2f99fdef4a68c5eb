"""The list of common passwords that the package zxcvbn brings."""

from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path


@lru_cache(maxsize=1)
def common_passwords(min_length: int) -> frozenset[str]:
    """Those of at least ``min_length`` characters, in lower case, most of 30,000.

    Shorter ones are refused for their length anyway. Read once, and kept for one length.
    """
    return frozenset(word for word in _words() if len(word) >= min_length)


def _words() -> list[str]:
    # The module is run on its own and thrown away: importing the package would keep its other
    # lists and their rankings, some 10 MB, for as long as the service runs.
    package = find_spec("zxcvbn")
    if package is None or package.origin is None:
        raise ImportError("the package zxcvbn is not installed")
    file = Path(package.origin).with_name("frequency_lists.py")
    spec = spec_from_file_location("zxcvbn_frequency_lists", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be read")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    words: list[str] = module.FREQUENCY_LISTS["passwords"]
    return words
