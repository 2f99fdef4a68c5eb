"""Finds out who besides the service may change what it trusts."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from invitereg.config import Config
from invitereg.config.section import Section


def written_by_others(config: Config) -> Iterator[str]:
    """Yield what others may write of what the configuration names, and of itself.

    Whoever may write a folder may put another file in the place of one in it, unless the
    folder is sticky, as /tmp is.
    """
    for path in _with_parents(_named(config)):
        try:
            is_open = _is_open(path.stat())
        except OSError:
            continue  # said elsewhere, where it is needed
        if is_open:
            yield f"{path} can be written by others than its owner: chmod go-w {path}"


def _is_open(status: os.stat_result) -> bool:
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) and not sticky


def _named(config: Config) -> Iterator[Path]:
    yield config.path
    yield config.data_dir
    backends = config.backends.values()
    yield from _paths(
        [config.tls, config.sites, config.upstreams]
        + [(backend.accounts, backend.component) for backend in backends]
    )


def _paths(value: object) -> Iterator[Path]:
    """Yield the paths of all keys in sections, however deep."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Section):
        yield from _paths([below for _key, below in value])
    elif isinstance(value, Mapping):
        yield from _paths([*value.values()])
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _paths(below)


def _with_parents(paths: Iterable[Path]) -> Iterable[Path]:
    """Return the paths with what is in those that are folders, and with those they are in."""
    found: dict[Path, None] = {}
    for path in paths:
        whole = path.resolve()
        inside = sorted(whole.iterdir()) if whole.is_dir() and os.access(whole, os.R_OK) else []
        found |= dict.fromkeys((*reversed(whole.parents), whole, *inside))
    return found
