"""A redemption as JSON, to be carried out later: never with a password, or keys made of one."""

from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Any

from invitereg.interfaces.queries import Redemption
from invitereg.model.accounts import Account
from invitereg.model.invites import Kind, Use
from invitereg.policy.notices import Notice, NoticeKind

Text = dict[str, Any]


def redemption_text(redemption: Redemption) -> Text:
    """As values of JSON; without its counters, which are of no use any more."""
    account, use = redemption.account, redemption.use
    return {
        "account": {
            "created_at": account.created_at.isoformat(),
            "roles": list(account.roles),
            "groups": list(account.groups),
            "details": dict(account.details),
        },
        "use": {**asdict(use), "at": use.at.isoformat()},
        "notices": [
            {"domain": notice.domain, "username": notice.username, "kind": notice.kind}
            for notice in redemption.notices
        ],
        "operator": redemption.operator,
        "contact": redemption.contact,
        "roster_limit": redemption.roster_limit,
    }


def redemption_of(text: Text) -> Redemption:
    """The inverse of `redemption_text`."""
    use = {**text["use"], "at": datetime.fromisoformat(text["use"]["at"])}
    use["kind"] = Kind(use["kind"])
    account, made = text["account"], Use(**use)
    return Redemption(
        account=Account(
            domain=use["domain"],
            username=use["username"],
            created_at=datetime.fromisoformat(account["created_at"]),
            roles=tuple(account["roles"]),
            groups=tuple(account["groups"]),
            details=MappingProxyType(account["details"]),
        ),
        use=made,
        notices=tuple(
            Notice(
                domain=notice["domain"],
                username=notice["username"],
                kind=NoticeKind(notice["kind"]),
                use=made,
            )
            for notice in text["notices"]
        ),
        operator=text["operator"],
        contact=text["contact"],
        roster_limit=text["roster_limit"],
    )
