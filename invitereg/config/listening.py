"""Where the service listens, and with which certificate: values of several sections."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator

from invitereg.config.section import Section
from invitereg.config.values import FilePath, surroundings


def _endpoint(text: str, info: ValidationInfo) -> str:
    if surroundings(info).serving:
        from invitereg.config.endpoints import check_endpoint

        check_endpoint(text)
    return text


Endpoint = Annotated[str, AfterValidator(_endpoint)]


def _opens_files(info: ValidationInfo) -> bool:
    """Whether a certificate is one that is used, by somebody who may read it."""
    around = surroundings(info)
    return around.serving and around.final and around.secures


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


@dataclass(frozen=True, slots=True)
class WebListeners:
    """Where the site, and the metrics, are served; all empty where there is no site."""

    listen: tuple[str, ...] = ()
    listen_tls: tuple[str, ...] = ()
    metrics_listen: tuple[str, ...] = ()
