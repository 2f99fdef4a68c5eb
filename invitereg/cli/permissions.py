"""Finds out who besides the service may change what it trusts, or read what is secret."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from invitereg.config import Config
from invitereg.config.section import Section

# As many as Linux follows (path_resolution(7)).
_MOST_LINKS = 40


def open_to_others(config: Config) -> Iterator[str]:
    """Yield what others than the service may write, and what is secret and they may read."""
    yield from _written_by_others(config)
    yield from _read_by_others(config)


def _written_by_others(config: Config) -> Iterator[str]:
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


def _read_by_others(config: Config) -> Iterator[str]:
    """Yield the keys and secrets that everybody may read; a group may, as the service's own."""
    secrets = (path.resolve() for key, path in _keys(config) if _is_secret(key))
    for path in dict.fromkeys(secrets):
        try:
            is_read = path.stat().st_mode & stat.S_IROTH
            reached = all(above.stat().st_mode & stat.S_IXOTH for above in path.parents)
        except OSError:
            continue
        if is_read and reached:
            yield f"{path} is secret, and can be read by everybody: chmod o-r {path}"


def _is_secret(key: str) -> bool:
    return key == "private_key" or key.endswith("_file")


def _is_open(status: os.stat_result) -> bool:
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) and not sticky


def _named(config: Config) -> Iterator[Path]:
    yield config.path
    yield config.data_dir
    yield from (path for _key, path in _keys(config))


def _keys(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the keys that have a path, each with it."""
    backends = config.backends.values()
    return _paths(
        "",
        [config.tls, config.sites, config.upstreams]
        + [(backend.accounts, backend.component) for backend in backends],
    )


def _paths(key: str, value: object) -> Iterator[tuple[str, Path]]:
    """Yield the paths of all keys in sections, however deep, each below its own key."""
    if isinstance(value, Path):
        yield key, value
    elif isinstance(value, Section):
        for name, below in value:
            yield from _paths(name, below)
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from _paths(key, below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _paths(key, below)


def _with_parents(paths: Iterable[Path]) -> Iterable[Path]:
    """Return the paths with what is in those that are folders, and with all on the way."""
    found: dict[Path, None] = {}
    for path in paths:
        whole = path.resolve()
        inside = sorted(whole.iterdir()) if whole.is_dir() and os.access(whole, os.R_OK) else []
        found |= dict.fromkeys(step for each in (path, *inside) for step in _way(each))
    return found


def _way(path: Path) -> Iterator[Path]:
    """Yield the folders on the way to a file, and the file: before and after each link.

    Whoever may write the folder that a link is in may let it point elsewhere.
    """
    here, ahead, links = Path("/"), _steps(path.absolute()), _MOST_LINKS
    yield here
    while ahead:
        step = here / ahead.pop()
        if step.name == "..":
            here = here.parent
        elif links and os.path.islink(step):
            target = step.readlink()
            here = Path("/") if target.is_absolute() else here
            ahead += _steps(target)
            links -= 1
        else:
            here = step
            yield here


def _steps(path: Path) -> list[str]:
    """Return the names that a path is made of, the last one first."""
    return [name for name in reversed(path.parts) if name != path.anchor]
