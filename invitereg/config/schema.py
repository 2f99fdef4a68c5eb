"""The keys of a configuration file, with their types, bounds and defaults.

The sections ``tls`` and ``c2s`` have defaults as a whole only: where one is in the file, no
port opens and no certificate is used that it does not name.
"""

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
    model_validator,
)

from invitereg.config.backendkeys import Accounts, Component, given
from invitereg.config.noticekeys import ContactAddresses, Welcome
from invitereg.config.policykeys import PolicyKeys, ServicePolicyKeys
from invitereg.config.section import Section
from invitereg.config.values import (
    Admin,
    CidrNetwork,
    DomainName,
    DurationOrNever,
    FilePath,
    FolderPath,
    LocalAddress,
    Title,
    surroundings,
)


def _endpoint(text: str, info: ValidationInfo) -> str:
    if surroundings(info).serving:
        from invitereg.config.endpoints import check_endpoint

        check_endpoint(text)
    return text


def _store(value: object) -> object:
    if isinstance(value, str) and value.partition(":")[0].startswith("postgres"):
        raise ValueError("PostgreSQL is not supported by this version yet: must be sqlite")
    return value


Endpoint = Annotated[str, AfterValidator(_endpoint)]


def _opens_files(info: ValidationInfo) -> bool:
    """Whether a certificate is one that is used, by somebody who may read it."""
    around = surroundings(info)
    return around.serving and around.final


class Tls(Section):
    """The certificate that clients see, with its chain, and its key: files in PEM form."""

    certificate: FilePath
    private_key: FilePath

    @field_validator("certificate")
    @classmethod
    def _is_usable(cls, path: Path, info: ValidationInfo) -> Path:
        if _opens_files(info):
            from invitereg.config.certificates import check_certificate

            check_certificate(path)
        return path

    @field_validator("private_key")
    @classmethod
    def _belongs_to_certificate(cls, path: Path, info: ValidationInfo) -> Path:
        if _opens_files(info):
            from invitereg.config.certificates import check_private_key

            check_private_key(path, info.data.get("certificate"))
        return path


class C2s(Section):
    """Where clients connect: Twisted endpoints, with STARTTLS or with TLS at once."""

    listen: tuple[Endpoint, ...] = ()
    listen_tls: tuple[Endpoint, ...] = ()

    @model_validator(mode="after")
    def _anywhere(self) -> "C2s":
        if not self.listen and not self.listen_tls:
            raise ValueError('must name at least one endpoint, as in listen: ["tcp:5222"]')
        return self


class DomainKeys(Section):
    """What one domain has; at the top level, what each has that says nothing else."""

    site_name: Title = ""  # the domain, then
    admins: tuple[Admin, ...] = ()
    contact_addresses: ContactAddresses = ContactAddresses()
    registration_watchers: tuple[LocalAddress, ...] = ()
    welcome_message: Welcome = ""
    tls: Tls = Field(
        default={"certificate": "fullchain.pem", "private_key": "privkey.pem"},
        validate_default=True,
    )
    policy: PolicyKeys = PolicyKeys()
    trusted_networks: tuple[CidrNetwork, ...] = ()
    component: Annotated[Component | None, BeforeValidator(given)] = None
    accounts: Accounts = Accounts()

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
        around = surroundings(info)
        if keys.backend == "xmpp" and around.final and info.data.get("component") is None:
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
