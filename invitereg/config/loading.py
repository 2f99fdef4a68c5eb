"""From a file to what the service runs with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import ValidationError

from invitereg.config.checks import (
    are_ports_forgotten,
    ineffective_keys,
    report_disagreements,
    report_repetitions,
)
from invitereg.config.domains import NamedDomain, merged, named_domains, within
from invitereg.config.endpoints import Tls, WebListeners
from invitereg.config.messages import ConfigError, KeyPath, Mistake, message_of, why_unreadable
from invitereg.config.policy import StreamLimits, WebLimits
from invitereg.config.schema import C2s, DomainKeys, File
from invitereg.config.servers import Accounts, Component, UpstreamKeys
from invitereg.config.types import Section, ValidationContext, as_value, key_tree
from invitereg.config.web import WebKeys
from invitereg.config.yamlfile import Document, NotYaml, parse
from invitereg.model.roster import owner_of
from invitereg.policy.values import Domain, Limit, Network, PasswordRules, Policy, WatcherNotice


@lru_cache(maxsize=1)
def _listed_passwords(min_length: int) -> frozenset[str]:
    """Return common passwords of at least ``min_length`` characters, in lower case.

    They are most of the 30,000 that the package zxcvbn brings. Shorter ones are refused for
    their length anyway. The list is read once, and kept for one length.
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


def _domain_of(name: str, own: DomainKeys, c2s: C2s, common_passwords: bool) -> Domain:
    """Return the domain that these keys describe; ``c2s`` is where clients connect.

    ``common_passwords`` is as in `invitereg.config.loading.load`.
    """
    keys = own.policy
    passwords = keys.passwords
    listed = common_passwords and passwords.forbid_common
    policy = as_value(
        Policy,
        keys,
        fields={
            field.removesuffix("+"): field.endswith("+")
            for field in keys.additional_registration_fields
        },
        default_roles=tuple(dict.fromkeys(keys.default_roles)),
        admins=frozenset(user for host, user in map(owner_of, own.admins) if host == name),
        passwords=PasswordRules(
            min_length=passwords.min_length,
            common=_listed_passwords(passwords.min_length) if listed else frozenset(),
        ),
    )
    return Domain(
        name=name,
        policy=policy,
        site_name=own.site_name or name,
        time_zone=own.time_zone,
        title=keys.registration_title,
        instructions=keys.registration_instructions,
        watchers=tuple(map(owner_of, dict.fromkeys(own.registration_watchers))),
        watcher_notice=as_value(WatcherNotice, own.watcher_notice),
        welcome=own.welcome_message,
        contact_addresses=own.contact_addresses.by_role(),
        web_url=own.web.external_url or None,
        landing_url=f"{own.web.external_url}invite/" if own.web.external_url else None,
        website_only=own.is_website_only(ports=c2s.listens),
    )


_MAX_BYTES = 2**20
Keys = TypeVar("Keys", bound=Section)
_Checked = tuple[File, dict[str, DomainKeys], dict[str, str], tuple[Mistake, ...]]


@dataclass(frozen=True, slots=True)
class Backend:
    """The configuration of a domain's server.

    Attributes:
        accounts: who keeps the accounts.
        component: what we are there, if anything.
        host: the domain as the server spells it, which is how the file does.
        trusted: networks in which the server may be reached in clear text.
    """

    accounts: Accounts
    component: Component | None
    host: str
    trusted: tuple[Network, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration: checked, with every default filled in.

    Attributes:
        path: the file it was read from; absolute, as the other paths are.
        domains: by name, in the order of the file.
        hosts: how the file spells each domain, by its name: its server does, too.
        tls: the certificate of each domain, by its name; unused, it need not exist.
        upstreams: how clients' streams get to the upstream server of each domain with one; used
            by `gateways`, and to check passwords.
        data_dir: it need not exist yet.
        store: ``sqlite``.
        connections, streams, web_limits, work_queue: limits of the process, not of a domain.
        accounts: where those of each domain are kept, and how, by its name.
        backends: the server of each domain whose accounts another server keeps, by name.
        keep_addresses, keep_invites, keep_names: None is for ever.
        web: where the sites are served.
        sites: of each domain that has one, by its name.
        trusted_proxies: whose word counts for who a request of the web is from.
        api_rate: how much each key of the HTTP API may.
        idle: keys that are set and have no effect; no mistakes.
    """

    path: Path
    domains: Mapping[str, Domain]
    hosts: Mapping[str, str]
    tls: Mapping[str, Tls]
    upstreams: Mapping[str, UpstreamKeys]
    data_dir: Path
    store: str
    c2s: C2s
    accounts: Mapping[str, Accounts]
    backends: Mapping[str, Backend]
    connections: Limit
    streams: StreamLimits
    web_limits: WebLimits
    work_queue: int
    keep_addresses: timedelta | None
    keep_invites: timedelta | None
    keep_names: timedelta | None
    web: WebListeners
    sites: Mapping[str, WebKeys]
    trusted_proxies: tuple[Network, ...]
    api_rate: Limit
    idle: tuple[Mistake, ...]

    def __post_init__(self) -> None:
        """Let nobody change what is by the names of the domains."""
        for name, value in [(one.name, getattr(self, one.name)) for one in fields(self)]:
            if isinstance(value, dict):
                object.__setattr__(self, name, MappingProxyType(value))

    @property
    def trusted_networks(self) -> Mapping[str, tuple[Network, ...]]:
        """Return the networks in which passwords may go in clear, for each upstream server."""
        return {name: backend.trusted for name, backend in self.backends.items()}

    @property
    def gateways(self) -> Mapping[str, UpstreamKeys]:
        """Return the ``upstreams`` to which clients are handed over: none without clients."""
        return self.upstreams if self.c2s.listens else {}

    @property
    def client_certificates(self) -> Mapping[str, Tls]:
        """Return the certificates of the XMPP ports: none without such ports."""
        return self.tls if self.c2s.listens else {}


def load(path: Path, *, serving: bool = True, common_passwords: bool = True) -> Config:
    """Read and check a configuration file.

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
        text = f"cannot be read: {why_unreadable(error)}"
        raise ConfigError(path, (Mistake(None, "", text),)) from None
    except NotYaml as error:
        raise ConfigError(path, (error.mistake,)) from None
    checked = _checked(document, ValidationContext(absolute.parent, serving))
    if checked is None:
        in_order = sorted(document.mistakes, key=lambda mistake: mistake.line or 0)
        raise ConfigError(path, tuple(in_order))
    return _config(absolute, checked, common_passwords)


def json_schema() -> dict[str, object]:
    """Return the JSON schema of the file, for an editor."""
    # In this mode, as only then defaults are written as the file writes them: 7d, not P7D.
    return File.model_json_schema(mode="serialization")


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise NotYaml(None, "is larger than 1 MiB: is it the right file?")
    return content


def _checked(document: Document, context: ValidationContext) -> _Checked | None:
    """Return the file, the keys and the spelling of each domain, and the keys without effect.

    None where ``document`` has mistakes: all are noted there then.
    """
    before = len(document.mistakes)
    named = named_domains(document)
    if len(document.mistakes) == before:
        names = tuple(domain.name for domain in named)
        context = replace(context, domains=names, home=names)
    report_repetitions(document, [domain.path for domain in named], context.serving)
    file = _judged(document, File, document.value, context)
    shared = within(key_tree(DomainKeys), document.value)

    def judged(context: ValidationContext) -> dict[str, DomainKeys | None]:
        return {
            domain.name: _domain_keys(document, domain, shared, context) for domain in named
        }

    domains = judged(replace(context, secures=False))
    report_disagreements(document, named, file, domains)
    # Certificates come last: of ports that should not be there, they are not missed.
    needed = _ends_tls(file, document.value) and not are_ports_forgotten(file, domains)
    if context.serving and needed:
        domains = judged(replace(context, secures=True))
    if file is None or document.mistakes:
        return None
    known = {name: keys for name, keys in domains.items() if keys is not None}
    hosts = {domain.name: domain.host for domain in named}
    return (
        file,
        known,
        hosts,
        tuple(ineffective_keys(document, named, file, known, context.folder)),
    )


def _ends_tls(file: File | None, value: Mapping[str, object]) -> bool:
    """Return whether the service ends TLS anywhere, and so needs a certificate.

    Where ``file`` has mistakes, it is what ``value`` has, as far as that can be read.
    """
    if file is not None:
        return file.c2s.listens or bool(file.web.listen_tls)
    written = (("c2s", "listen"), ("c2s", "listen_tls"), ("web", "listen_tls"))
    sections = [(value.get(section), key) for section, key in written]
    # Without the section, ports open by default.
    return "c2s" not in value or any(
        isinstance(section, Mapping) and section.get(key) for section, key in sections
    )


def _domain_keys(
    document: Document,
    domain: NamedDomain,
    shared: Mapping[str, object],
    context: ValidationContext,
) -> DomainKeys | None:
    """Return the keys that hold for one domain, or None where there are mistakes."""
    home = (domain.name,) if "admins" in domain.own else context.domains
    context = replace(context, home=home, final=True)
    return _judged(document, DomainKeys, merged(shared, domain.own), context, domain)


def _judged(
    document: Document,
    model: type[Keys],
    value: Mapping[str, object],
    context: ValidationContext,
    domain: NamedDomain | None = None,
) -> Keys | None:
    """Return ``value`` as ``model`` takes it, or None where there are mistakes."""
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path: KeyPath = detail["loc"]
            place = path if domain is None else domain.place(document, path)
            if not document.is_spoiled(place):
                document.report(place, message_of(detail, key_tree(model), key_tree(File)))
        return None


def _config(path: Path, checked: _Checked, common_passwords: bool) -> Config:
    file, domains, hosts, idle = checked
    limits = file.policy.limits
    sites = {name: keys.web for name, keys in domains.items() if keys.web.external_url}
    return Config(
        path=path,
        domains={
            name: _domain_of(name, keys, file.c2s, common_passwords)
            for name, keys in domains.items()
        },
        hosts=hosts,
        tls={name: keys.tls for name, keys in domains.items()},
        upstreams={
            name: keys.c2s.upstream
            for name, keys in domains.items()
            if keys.c2s.upstream is not None
        },
        data_dir=file.data_dir,
        store=file.store,
        c2s=file.c2s,
        accounts={name: keys.accounts for name, keys in domains.items()},
        backends={
            name: Backend(keys.accounts, keys.component, hosts[name], keys.trusted_networks)
            for name, keys in domains.items()
            if not keys.accounts.embedded or keys.component is not None
        },
        connections=limits.connections.limit(),
        streams=limits.streams,
        web_limits=limits.web,
        work_queue=limits.work_queue,
        keep_addresses=file.keep_addresses,
        keep_invites=file.keep_invites,
        keep_names=file.keep_names,
        web=WebListeners(
            file.web.listen if sites else (),
            file.web.listen_tls if sites else (),
            file.web.metrics_listen,
        ),
        sites=sites,
        trusted_proxies=file.web.trusted_proxies,
        api_rate=as_value(Limit, file.web.api.rate),
        idle=idle,
    )
