"""Clients and servers that other people wrote, against the service as it runs."""

import importlib
import os
import shutil
from types import ModuleType
from typing import NoReturn

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


def require_program(name: str, package: str) -> str:
    """The path of a program of a Debian ``package``, or what `require_peer` does without."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        missing_peer(f"{name} is not installed: apt-get install {package}")
    return path


def missing_peer(reason: str) -> NoReturn:
    """Skip the tests of the calling module, or fail with INVITEREG_REQUIRE_PEERS=1."""
    if os.environ.get("INVITEREG_REQUIRE_PEERS") == "1":
        raise ImportError(reason)
    pytest.skip(reason, allow_module_level=True)
