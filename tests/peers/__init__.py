"""Clients that other people wrote, against the service as it runs."""

import importlib
import os
from types import ModuleType

import pytest


def require_peer(module: str) -> ModuleType:
    """A client library; without it, the tests in the calling module are skipped.

    With INVITEREG_REQUIRE_PEERS=1 they fail instead, so that nobody takes a skip for a pass.
    """
    if os.environ.get("INVITEREG_REQUIRE_PEERS") == "1":
        return importlib.import_module(module)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = f"{module} cannot be imported ({error}): pip install -e '.[test]'"
        pytest.skip(reason, allow_module_level=True)
