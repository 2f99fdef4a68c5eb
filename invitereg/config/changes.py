"""Finds which changes of the configuration take effect at a restart only."""

from collections.abc import Iterable

from invitereg.config.loading import Config

_FIXED = ("data_dir", "store", "c2s", "accounts", "backends", "streams", "work_queue", "web")


def fixed_changes(running: Config, read: Config, served: Iterable[str]) -> list[str]:
    """Return the keys that differ in what was ``read``, and cannot change while it runs.

    Args:
        running: what the service was started with.
        read: what the file says now.
        served: the names of all domains that are served.
    """
    changed = [name for name in _FIXED if getattr(read, name) != getattr(running, name)]
    if removed := [name for name in served if name not in read.domains]:
        changed.append(f"domains (still served: {', '.join(removed)})")
    if read.upstreams != running.upstreams and "c2s" not in changed:
        changed.append("c2s.upstream")
    return changed
