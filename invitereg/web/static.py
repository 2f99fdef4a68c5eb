"""Static files: style sheets, scripts and pictures."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from invitereg.config.web import contrast
from invitereg.policy.values import Domain
from invitereg.web.channel import WebRequest
from invitereg.web.settings import SiteSettings

_FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


@dataclass(frozen=True, slots=True)
class _StaticFile:
    content: bytes
    kind: str
    digest: str

    @classmethod
    def of(cls, content: bytes, kind: str) -> "_StaticFile":
        return cls(content, kind, hashlib.sha256(content).hexdigest()[:16])


class StaticFiles:
    """Serves the package's files, and those made from a domain's settings."""

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        self._domains = domains

    def address(self, site: SiteSettings, name: str) -> str:
        """Return the path of a file, with a short digest of its content."""
        found = self._file(site, name)
        return site.path(f"static/{name}?v={found.digest if found else ''}")

    def answer(self, request: WebRequest, name: str) -> bytes | None:
        """Set the headers for a file and return it; None if there is no such file."""
        found = self._file(request.served, name)
        if found is None:
            return None
        current = (request.args or {}).get(b"v") == [found.digest.encode()]
        request.setHeader("Cache-Control", _FOR_EVER if current else _ASK_AGAIN)
        request.setHeader("Content-Type", found.kind)
        if request.setETag(f'"{found.digest}"'.encode()):
            return b""
        request.setHeader("Content-Length", str(len(found.content)))
        return found.content

    def _file(self, site: SiteSettings, name: str) -> _StaticFile | None:
        if name == "theme.css":
            return _theme(site.colours.light, site.colours.dark)
        if name == "logo" and site.logo:
            return _StaticFile.of(*site.logo)
        if name == "common.txt":
            return _common(self._domains[site.domain].policy.passwords.common)
        return _files().get(name)


@lru_cache(maxsize=64)
def _theme(light: str, dark: str) -> _StaticFile:
    """Return the operator's colours as CSS custom properties."""

    def properties(accent: str) -> str:
        return f"--accent:{accent};--on-accent:{_readable_on(accent)}"

    text = (
        f":root{{{properties(light)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{properties(dark)}}}}}\n"
    )
    return _StaticFile.of(text.encode(), _TYPES[".css"])


@lru_cache(maxsize=4)
def _common(words: frozenset[str]) -> _StaticFile:
    """Return the list of common passwords, for the hint beside the field."""
    return _StaticFile.of("\n".join(sorted(words)).encode(), _TYPES[".txt"])


def _readable_on(colour: str) -> str:
    """Return black or white, whichever has more contrast."""
    return max(("#ffffff", "#000000"), key=lambda text: contrast(text, colour))


@lru_cache(maxsize=1)
def _files() -> dict[str, _StaticFile]:
    return {
        path.relative_to(_FOLDER).as_posix(): _StaticFile.of(
            path.read_bytes(), _TYPES[path.suffix]
        )
        for path in _FOLDER.rglob("*")
        if path.suffix in _TYPES
    }
