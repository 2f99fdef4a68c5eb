"""Pages of invitations that are kept, with gaps for what is one invitation's own.

To fill a template takes longer than all the rest of an answer, and the outcome is the same for
everybody who reads the same language on the same kind of device, but for a few words.
"""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from markupsafe import Markup, escape

from invitereg.model.invites import Invite
from invitereg.web.presenting import Opened, qr_code
from invitereg.web.settings import SiteSettings

_MOST_PAGES = 500
"""Of all sites together; a page has some 20 KB."""
_GAP = re.compile("GAP0([a-z]+)0GAP")


class KeptPages:
    """The pages with their gaps, by the site and by what else they depend on.

    Those of a site are gone with its settings, which each reload makes anew.
    """

    def __init__(self) -> None:
        self._sites: WeakKeyDictionary[SiteSettings, dict[Hashable, str]] = WeakKeyDictionary()

    def page(
        self,
        site: SiteSettings,
        depends_on: Hashable,
        opened: Opened,
        make: Callable[[Opened], str],
    ) -> str:
        """The page of an invitation.

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
        return _GAP.sub(lambda gap: _own(opened, gap[1]), page)

    def __len__(self) -> int:
        """Return how many pages are kept."""
        return sum(map(len, self._sites.values()))

    def _keep(self, site: SiteSettings, key: Hashable, page: str) -> None:
        if len(self) >= _MOST_PAGES:
            self._sites.clear()
        self._sites.setdefault(site, {})[key] = page


@dataclass(frozen=True, kw_only=True)
class _WithGaps(Opened):
    """Any invitation of a kind."""

    @property
    def code(self) -> Markup:
        """The place for the QR code."""
        return Markup(_gap("code"))  # noqa: S704 - filled in by ourselves


def _gap(name: str) -> str:
    """Letters and digits only, so that nothing between template and page changes it."""
    return f"GAP0{name}0GAP"


def _with_gaps(opened: Opened) -> _WithGaps:
    invite = opened.invite
    alike = Invite(
        id="",
        domain=invite.domain,
        kind=invite.kind,
        source="",
        created_at=invite.created_at.min,
        expires_at=invite.expires_at and invite.expires_at.min,
        inviter=invite.inviter and _gap("inviter"),
        username=invite.username and _gap("username"),
        uses_allowed=invite.uses_allowed,
        uses=invite.uses if invite.uses_allowed else 0,
    )
    return _WithGaps(
        invite=alike,
        token=_gap("token"),
        uri=_gap("uri") if opened.uri else "",
        quoted_uri=_gap("quoted"),
        url=_gap("url"),
        until=_gap("until") if opened.until else "",
        ends=_gap("ends") if opened.ends else "",
    )


def _own(opened: Opened, name: str) -> str:
    """What belongs into a gap, as HTML."""
    if name == "code":
        return str(qr_code(opened.url))
    texts = {
        "inviter": opened.invite.inviter or "",
        "username": opened.invite.username or "",
        "token": opened.token,
        "uri": opened.uri,
        "quoted": opened.quoted_uri,
        "url": opened.url,
        "until": opened.until,
        "ends": opened.ends,
    }
    return str(escape(texts[name]))
