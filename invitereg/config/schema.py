"""The keys of a configuration file, with their types, bounds and defaults.

The sections ``tls`` and ``c2s`` have defaults as a whole only: where one is in the file, no
port opens and no certificate is used that it does not name.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WrapValidator,
    field_validator,
)

from invitereg.config.endpoints import Endpoint, Tls
from invitereg.config.policy import PolicyKeys, ServicePolicyKeys
from invitereg.config.servers import Accounts, Component, DomainC2s
from invitereg.config.types import (
    UTC_ZONE,
    Admin,
    CidrNetwork,
    DomainName,
    DurationOrNever,
    FolderPath,
    LocalAddress,
    Section,
    TimeZone,
    Title,
    context_of,
    require_value,
)
from invitereg.config.urls import CONTACT, split_url
from invitereg.config.web import ServiceWebKeys, WebKeys
from invitereg.policy.notices import NEWCOMER, WATCHER, check_template

_LONGEST = 10_000


def _template(placeholders: tuple[str, ...]) -> AfterValidator:
    def check(text: str) -> str:
        check_template(text, placeholders)
        return text

    return AfterValidator(check)


def _uri(text: str) -> str:
    is_mail = re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", text) and ":" not in text
    split_url(text, CONTACT, f"URI, such as mailto:{text if is_mail else 'a@b.example'}")
    return text


Welcome = Annotated[str, Field(max_length=_LONGEST), _template(NEWCOMER)]
WatcherText = Annotated[str, Field(max_length=_LONGEST), _template(WATCHER)]
Uri = Annotated[str, AfterValidator(_uri)]


class WatcherNoticeKeys(Section):
    """The message that registration_watchers get: its text and its type (RFC 6121 §5.2.2)."""

    text: WatcherText = ""
    type: Literal["chat", "normal"] = "chat"


class ContactAddresses(Section):
    """Contact addresses of the service as URIs, one list for each role (XEP-0157)."""

    abuse: tuple[Uri, ...] = ()
    admin: tuple[Uri, ...] = ()
    feedback: tuple[Uri, ...] = ()
    sales: tuple[Uri, ...] = ()
    security: tuple[Uri, ...] = ()
    support: tuple[Uri, ...] = ()
    status: tuple[Uri, ...] = ()

    def by_role(self) -> Mapping[str, tuple[str, ...]]:
        """Return the addresses that are set, by their role."""
        return {role: addresses for role, addresses in self if addresses}


def _store(value: object) -> object:
    if isinstance(value, str) and value.partition(":")[0].startswith("postgres"):
        raise ValueError("PostgreSQL is not supported by this version yet: must be sqlite")
    return value


class C2s(DomainC2s):
    """Endpoints for clients: ``listen`` with STARTTLS, ``listen_tls`` with direct TLS."""

    listen: tuple[Endpoint, ...] = ()
    listen_tls: tuple[Endpoint, ...] = ()

    @property
    def listens(self) -> bool:
        """Whether clients can connect at all."""
        return bool(self.listen or self.listen_tls)


class DomainKeys(Section):
    """The keys of one domain; at the top level, the defaults for all domains."""

    site_name: Title = ""  # the domain, then
    time_zone: TimeZone = UTC_ZONE
    admins: tuple[Admin, ...] = ()
    contact_addresses: ContactAddresses = ContactAddresses()
    registration_watchers: tuple[LocalAddress, ...] = ()
    watcher_notice: WatcherNoticeKeys = WatcherNoticeKeys()
    welcome_message: Welcome = ""
    tls: Tls = Field(
        default={"certificate": "fullchain.pem", "private_key": "privkey.pem"},
        validate_default=True,
    )
    trusted_networks: tuple[CidrNetwork, ...] = ()
    c2s: DomainC2s = DomainC2s()
    policy: PolicyKeys = PolicyKeys()
    component: Annotated[Component | None, BeforeValidator(require_value)] = None
    accounts: Accounts = Accounts()
    web: WebKeys = Field(default_factory=WebKeys)

    def is_website_only(self, *, ports: bool) -> bool:
        """Return whether apps connect to another server, and people register on the site.

        ``ports`` is whether there are any for clients here.
        """
        gateway = ports and self.c2s.upstream is not None
        return not self.accounts.embedded and not gateway and bool(self.web.external_url)

    @field_validator("c2s")
    @classmethod
    def _safe_upstream(cls, keys: DomainC2s, info: ValidationInfo) -> DomainC2s:
        if keys.upstream is not None:
            keys.upstream.require_safe(info.data.get("trusted_networks", ()))
        return keys

    @field_validator("component", "accounts")
    @classmethod
    def _safe_way(
        cls, keys: Component | Accounts | None, info: ValidationInfo
    ) -> Component | Accounts | None:
        if keys is not None:
            keys.require_safe(info.data.get("trusted_networks", ()))
        return keys

    @field_validator("accounts")
    @classmethod
    def _has_component(cls, keys: Accounts, info: ValidationInfo) -> Accounts:
        context = context_of(info)
        # What is wrong with a component is said there; it is then not in the data at all.
        missing = info.data.get("component", keys) is None
        if keys.backend == "xmpp" and context.final and missing:
            raise ValueError("needs component: as well, for the backend xmpp")
        return keys


class File(DomainKeys):
    """The top level of the file; ``domains`` is judged domain by domain, not here."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["domain"]}, {"required": ["domains"]}]}
    )

    domain: DomainName = ""
    domains: Annotated[dict[str, DomainKeys], WrapValidator(lambda value, _judge: value)] = (
        Field(default_factory=dict)
    )
    data_dir: FolderPath = Path("/var/lib/invitereg")
    store: Annotated[Literal["sqlite"], BeforeValidator(_store)] = "sqlite"
    c2s: C2s = Field(
        default={"listen": ("tcp:5222",), "listen_tls": ("tcp:5223",)}, validate_default=True
    )
    keep_addresses: DurationOrNever = timedelta(days=30)
    keep_invites: DurationOrNever = timedelta(days=90)
    keep_names: DurationOrNever = None
    policy: ServicePolicyKeys = ServicePolicyKeys()
    web: ServiceWebKeys = Field(default_factory=ServiceWebKeys)
