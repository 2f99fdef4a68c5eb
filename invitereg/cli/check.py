"""``invitereg check``."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import click

from invitereg.cli.failures import Misconfigured
from invitereg.cli.permissions import open_to_others
from invitereg.cli.printing import print_lines, say
from invitereg.config import Config, Tls, json_schema, load
from invitereg.config.doubts import policy_doubts
from invitereg.errors import StoreError
from invitereg.store.folder import check_folder
from invitereg.store.peeking import has_account


@click.command()
@click.option(
    "--schema", is_flag=True, help="Print the JSON schema of the configuration; needs no file."
)
@click.option("--online", is_flag=True, help="Also try what the servers behind let us do.")
@click.pass_obj
def command(path: Path, schema: bool, online: bool) -> None:
    """Check the configuration file.

    Prints nothing if it can be used, otherwise every mistake on a line. What is doubtful is
    named as well, and is no mistake, as the service runs: a certificate that has expired, or
    is for another name; a component at a server whose accounts are not used; a pattern for
    usernames that means less than it seems to; keys that are set and have no effect; a data_dir
    that is not there yet, and registration_watchers without an account; what others may write,
    of the files that it names and itself, and secrets that they may read.
    With --online, the servers that keep accounts are asked as well: accounts are made there
    and removed again. So are servers behind the gateway: whether they leave registration to us,
    and whether they let in clients that know channel binding, which cannot pass.
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
        _about_policy,
        _about_idle_keys,
        open_to_others,
    )
    for complaint in chain.from_iterable(about(config) for about in doubtful):
        say(f"warning: {complaint}", err=True)
    if online:
        from invitereg.cli.online import problems

        found = list(problems(path, lambda doubt: say(f"warning: {doubt}", err=True)))
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
    """What clients and browsers would dislike about them, as the service's log will say."""
    from invitereg.tls import complaints

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


def _about_idle_keys(config: Config) -> Iterator[str]:
    return (mistake.located(config.path) for mistake in config.idle)


def _about_policy(config: Config) -> Iterator[str]:
    """List what an operator may not have meant, as the service's log will say."""
    return policy_doubts(config.domains.values())
