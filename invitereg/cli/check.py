"""``invitereg check``."""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import click

from invitereg.cli.errors import Misconfigured
from invitereg.cli.output import print_lines, print_text
from invitereg.config import Config, Tls, json_schema, load
from invitereg.config.checks import policy_warnings
from invitereg.config.types import Section
from invitereg.errors import StoreError
from invitereg.store.sqlite import check_folder, has_account


@click.command()
@click.option(
    "--schema", is_flag=True, help="Print the JSON schema of the configuration; needs no file."
)
@click.option("--online", is_flag=True, help="Also try what upstream servers allow.")
@click.pass_obj
def command(path: Path, schema: bool, online: bool) -> None:
    """Check the configuration file.

    Prints nothing if the service can run with it, otherwise each mistake on a line. Warns of
    what may be unintended: a certificate that has expired, or is for another name; a component
    at a server whose accounts are not used; a pattern for usernames that means less than it
    seems to; keys without effect; a missing data_dir; registration_watchers without an account;
    files that others may write, and secrets that they may read.

    With --online, the servers that keep accounts are tried: accounts are made there and removed
    again. The gateway's upstream servers are asked whether they leave registration to us, and
    whether they let in clients that know channel binding, which cannot pass.
    """
    if schema:
        print_lines([json.dumps(json_schema(), indent=2)])
        return
    config = load(path)
    try:
        check_folder(config.data_dir)
    except StoreError as error:
        raise Misconfigured(f"{path}: {error}") from None
    doubtful = (
        _about_data,
        _about_watchers,
        _about_certificates,
        _about_components,
        lambda config: policy_warnings(config.domains.values()),
        lambda config: (mistake.located(config.path) for mistake in config.idle),
        _written_by_others,
        _read_by_others,
    )
    for complaint in chain.from_iterable(about(config) for about in doubtful):
        print_text(f"warning: {complaint}", err=True)
    if online:
        from invitereg.cli.onlinecheck import problems

        found = list(problems(path, lambda text: print_text(f"warning: {text}", err=True)))
        if found:
            raise Misconfigured("\n".join(found))


def _about_data(config: Config) -> Iterator[str]:
    if not config.data_dir.exists():
        yield (
            f"data_dir {config.data_dir} does not exist yet: it will be made, with an empty "
            "database"
        )


def _about_watchers(config: Config) -> Iterator[str]:
    """Name those who are told of nothing, as they have no account."""
    watchers = {who for domain in config.domains.values() for who in domain.watchers}
    for domain, username in sorted(watchers):
        keys = config.accounts.get(domain)
        if keys is None or not keys.embedded:
            continue
        if has_account(config.data_dir, domain, username) is False:
            yield (
                f"registration_watchers: {username}@{domain} has no account yet, and is told "
                f"nothing: invitereg account create {username}@{domain}"
            )


def _about_certificates(config: Config) -> Iterator[str]:
    """Yield what clients and browsers would refuse in a certificate, as the log will say."""
    from invitereg.runtime.tls import complaints

    clients = config.client_certificates
    shown: list[tuple[Tls, str]] = [(tls, domain) for domain, tls in clients.items()]
    if config.web.listen_tls:
        for domain, site in config.sites.items():
            host = urlsplit(site.external_url).hostname or ""
            shown.append((site.tls or config.tls[domain], host))
    now = datetime.now(UTC)
    for tls, name in shown:
        yield from complaints(tls.certificate, [name], now)


def _about_components(config: Config) -> Iterator[str]:
    for domain, backend in config.backends.items():
        if backend.component is not None and backend.accounts.embedded:
            yield (
                f"{domain} has a component at another server, and keeps its accounts itself: "
                "is accounts: {backend: xmpp} missing?"
            )


# As many as Linux follows (path_resolution(7)).
_MOST_LINKS = 40


def _written_by_others(config: Config) -> Iterator[str]:
    """Yield what others may write of what the configuration names, and of itself.

    Whoever may write a folder may put another file in the place of one in it, unless the
    folder is sticky, as /tmp is.
    """
    named = (path for _key, path in _keys(config))
    for path in _with_parents((config.path, config.data_dir, *named)):
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


def _keys(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the keys that have a path, each with it."""
    backends = [(backend.accounts, backend.component) for backend in config.backends.values()]
    return _paths("", [config.tls, config.sites, config.upstreams, backends])


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
