"""Invitations on a page: links and QR code, and pages that are kept."""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote
from weakref import WeakKeyDictionary

import segno
from markupsafe import Markup, escape

from invitereg.model.invites import Invite
from invitereg.policy.texts import app_uri
from invitereg.policy.values import Domain
from invitereg.web.settings import SiteSettings

_DARK = re.compile("1+")


@dataclass(frozen=True, kw_only=True)
class InvitationView:
    """Describes an invitation for its page.

    Attributes:
        uri: what an app opens; "" where it is opened in the browser only, and people log in
            with an app afterwards.
        quoted_uri: what other addresses have in them for it: the same, or its page's address.
        url: its page.
        until: when it ends, as the reader writes it; "" is never.
        ends: the same as programs write it.
    """

    invite: Invite
    token: str
    uri: str
    quoted_uri: str
    url: str
    until: str
    ends: str

    @classmethod
    def at(
        cls,
        site: SiteSettings,
        domain: Domain,
        invite: Invite,
        token: str,
        date: Callable[[datetime], str],
    ) -> "InvitationView":
        """Return an invitation of a site; ``date`` writes a moment for the reader."""
        uri, end = app_uri(domain, invite, token), invite.expires_at
        url = site.url(f"invite/{token}")
        return cls(
            invite=invite,
            token=token,
            uri=uri,
            quoted_uri=quote(uri or url, safe=""),
            url=url,
            until=date(end) if end else "",
            ends=end.isoformat(timespec="seconds") if end else "",
        )

    @property
    def registers(self) -> bool:
        """Whether an account can be made with it."""
        return self.invite.kind.registers

    @property
    def code(self) -> Markup:
        """The QR code of its page, as SVG."""
        return qr_code(self.url)


@lru_cache(maxsize=1024)
def qr_code(text: str) -> Markup:
    """Return a QR code as SVG to put into a page."""
    # To choose the best mask takes most of the time, and cameras read them all.
    code = segno.make(text, error="l", micro=False, mask=0, boost_error=False)
    rows = ["".join("1" if dark else "0" for dark in row) for row in code.matrix]
    strokes = "".join(
        f"M{run.start()} {number}.5h{run.end() - run.start()}"
        for number, row in enumerate(rows)
        for run in _DARK.finditer(row)
    )
    side = len(rows) + 8  # with four quiet modules on each side (ISO/IEC 18004 §5.3.8)
    return Markup(  # noqa: S704 - it is numbers only
        f'<svg viewBox="-4 -4 {side} {side}" xmlns="http://www.w3.org/2000/svg">'
        f'<path fill="#fff" d="M-4-4h{side}v{side}h-{side}z"/>'
        f'<path stroke="#000" d="{strokes}"/></svg>'
    )


_MOST_PAGES = 500
"""Pages kept of all sites together; a page has some 20 KB."""
_GAP = re.compile("GAP0([a-z_]+)0GAP")


class KeptPages:
    """Keeps rendered pages with gaps, by the site and by what else they depend on.

    Those of a site are gone with its settings, which each reload makes anew.
    """

    def __init__(self) -> None:
        self._sites: WeakKeyDictionary[SiteSettings, dict[Hashable, str]] = WeakKeyDictionary()

    def page(
        self,
        site: SiteSettings,
        depends_on: Hashable,
        opened: InvitationView,
        make: Callable[[InvitationView], str],
    ) -> str:
        """Return the page of an invitation.

        Args:
            site: its settings.
            depends_on: all else that it depends on but the invitation.
            opened: the invitation.
            make: makes it for one that is all gaps, if there is none yet.
        """
        with_gaps = _with_gaps(opened)
        key = (depends_on, with_gaps.invite)
        page = self._sites.get(site, {}).get(key)
        if page is None:
            page = make(with_gaps)
            self._keep(site, key, page)
        own = {name: escape(text) for name, text in _own_texts(opened).items()}
        own["code"] = opened.code
        return _GAP.sub(lambda gap: own[gap[1]], page)

    def __len__(self) -> int:
        return sum(map(len, self._sites.values()))

    def _keep(self, site: SiteSettings, key: Hashable, page: str) -> None:
        if len(self) >= _MOST_PAGES:
            self._sites.clear()
        self._sites.setdefault(site, {})[key] = page


@dataclass(frozen=True, kw_only=True)
class _WithGaps(InvitationView):
    """Stands for all invitations of a kind, with gaps for what differs."""

    @property
    def code(self) -> Markup:
        return Markup(_gap("code"))  # noqa: S704 - filled in by ourselves


def _gap(name: str) -> str:
    """Return a gap, which escaping does not change: letters, digits and underscores only."""
    return f"GAP0{name}0GAP"


def _with_gaps(opened: InvitationView) -> _WithGaps:
    invite = opened.invite
    gaps = {name: text and _gap(name) for name, text in _own_texts(opened).items()}
    alike = Invite(
        id="",
        domain=invite.domain,
        kind=invite.kind,
        source="",
        created_at=invite.created_at.min,
        expires_at=invite.expires_at and invite.expires_at.min,
        inviter=gaps.pop("inviter") or None,
        username=gaps.pop("username") or None,
        uses_allowed=invite.uses_allowed,
        uses=invite.uses if invite.uses_allowed else 0,
    )
    return _WithGaps(invite=alike, **gaps)


def _own_texts(opened: InvitationView) -> dict[str, str]:
    """Return what an invitation has of its own, by the names of the gaps for it."""
    return {
        "inviter": opened.invite.inviter or "",
        "username": opened.invite.username or "",
        "token": opened.token,
        "uri": opened.uri,
        "quoted_uri": opened.quoted_uri,
        "url": opened.url,
        "until": opened.until,
        "ends": opened.ends,
    }
