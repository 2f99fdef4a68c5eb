"""From a file to what the service runs with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from invitereg.config.commonpasswords import common_passwords as common_list
from invitereg.config.doubles import complain_of_doubles
from invitereg.config.mistakes import ConfigError, KeyPath, Mistake
from invitereg.config.policykeys import StreamLimits
from invitereg.config.schema import Accounts, C2s, File, Tls
from invitereg.config.section import key_tree
from invitereg.config.values import Surroundings
from invitereg.config.wording import worded
from invitereg.config.yamlnodes import Document, NotYaml, parse
from invitereg.policy.values import Domain, PasswordRules, Policy

_MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What an operator configured: checked, with every default filled in.

    Attributes:
        path: the file it was read from; absolute, as the other paths are.
        domains: by name after nameprep.
        data_dir: it need not exist yet.
        store: ``sqlite``.
        streams, work_queue: limits of the process, not of a domain.
        keep_addresses: None is for ever.
    """

    path: Path
    domains: Mapping[str, Domain]
    data_dir: Path
    store: str
    tls: Tls
    c2s: C2s
    accounts: Accounts
    streams: StreamLimits
    work_queue: int
    keep_addresses: timedelta | None


def load(path: Path, *, serving: bool = True, common_passwords: bool = True) -> Config:
    """Reads and checks a configuration file.

    Args:
        path: the file; relative paths in it begin at its folder.
        serving: False for a command that does not listen: endpoints are not parsed (Twisted's
            parser takes 0.4 s to import), and the certificate and key, which whoever runs it
            may not be allowed to read, are not opened.
        common_passwords: False for a command that judges no password: the list of common ones
            is left empty.

    Raises:
        ConfigError: with every mistake in it.
    """
    try:
        absolute = path.absolute()
        document = parse(_content(path))
    except OSError as error:
        text = f"cannot be read: {error.strerror or 'no usable file'}"
        raise ConfigError(path, (Mistake(None, "", text),)) from None
    except NotYaml as error:
        raise ConfigError(path, (error.mistake,)) from None
    file = _checked(document, Surroundings(absolute.parent, serving))
    if file is None:
        in_order = sorted(document.mistakes, key=lambda mistake: mistake.line or 0)
        raise ConfigError(path, tuple(in_order))
    return _config(absolute, file, common_passwords)


def json_schema() -> dict[str, Any]:
    """The JSON schema of the file, for an editor."""
    # In this mode, as only then defaults are written as the file writes them: 7d, not P7D.
    return File.model_json_schema(mode="serialization")


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise NotYaml(None, "is larger than 1 MiB: is it the right file?")
    return content


def _checked(document: Document, around: Surroundings) -> File | None:
    """The file's content, or None where ``document`` has mistakes: all are noted there then."""
    complain_of_doubles(document, serving=around.serving)
    try:
        file = File.model_validate(document.value, context=around)
    except ValidationError as error:
        _complain(document, error)
        return None
    return None if document.mistakes else file


def _complain(document: Document, error: ValidationError) -> None:
    keys = key_tree(File)
    for detail in error.errors(include_url=False):
        path: KeyPath = detail["loc"]
        if not document.is_spoiled(path):
            document.complain(path, worded(detail, keys))


def _config(path: Path, file: File, common_passwords: bool) -> Config:
    limits = file.policy.limits
    domain = _domain(file, common_passwords)
    return Config(
        path=path,
        domains=MappingProxyType({domain.name: domain}),
        data_dir=file.data_dir,
        store=file.store,
        tls=file.tls,
        c2s=file.c2s,
        accounts=file.accounts,
        streams=limits.streams,
        work_queue=limits.work_queue,
        keep_addresses=file.keep_addresses,
    )


def _domain(file: File, common_passwords: bool) -> Domain:
    keys = file.policy
    passwords = keys.passwords
    listed = common_passwords and passwords.forbid_common
    policy = Policy(
        allow_registration=keys.allow_registration,
        registration_invite_only=keys.registration_invite_only,
        fields=MappingProxyType(
            {
                name.removesuffix("+"): name.endswith("+")
                for name in keys.additional_registration_fields
            }
        ),
        admins=frozenset(file.admins),
        invites=keys.invites.rules(),
        usernames=keys.usernames.rules(),
        passwords=PasswordRules(
            min_length=passwords.min_length,
            common=common_list(passwords.min_length) if listed else frozenset(),
        ),
        limits=keys.limits.limits(),
    )
    return Domain(
        name=file.domain,
        policy=policy,
        site_name=file.site_name or file.domain,
        instructions=keys.registration_instructions,
        watchers=tuple(
            (file.domain, name) for name in dict.fromkeys(file.registration_watchers)
        ),
        welcome=file.welcome_message,
        contact_addresses=MappingProxyType(file.contact_addresses.by_role()),
    )
