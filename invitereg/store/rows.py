"""Turn rows into values, and values into rows."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row

from invitereg.interfaces.queries import Redemption
from invitereg.model.accounts import Account, Credentials, ScramKeys
from invitereg.model.invites import Invite, Kind, Use
from invitereg.model.roster import RosterItem, Subscription
from invitereg.policy.notices import Notice, NoticeKind
from invitereg.store.tables import uses


def invite_of(row: Row[Any]) -> Invite:
    """The invite in a row of ``invites``."""
    return Invite(
        id=row.id,
        domain=row.domain,
        kind=Kind(row.kind),
        source=row.source,
        inviter=row.inviter,
        username=row.username,
        roles=row.roles,
        groups=row.groups,
        note=row.note,
        uses_allowed=row.uses_allowed,
        per_network_allowed=row.per_network_allowed,
        uses=row.uses,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def invite_row(invite: Invite, digest: bytes) -> dict[str, Any]:
    """The row of ``invites`` for a new invite."""
    return {
        "id": invite.id,
        "domain": invite.domain,
        "digest": digest,
        "kind": invite.kind,
        "source": invite.source,
        "inviter": invite.inviter,
        "username": invite.username,
        "roles": invite.roles,
        "groups": invite.groups,
        "note": invite.note,
        "uses_allowed": invite.uses_allowed,
        "per_network_allowed": invite.per_network_allowed,
        "uses": invite.uses,
        "created_at": invite.created_at,
        "expires_at": invite.expires_at,
        "revoked_at": invite.revoked_at,
    }


def account_of(row: Row[Any]) -> Account:
    """The account in a row of ``accounts``."""
    return Account(
        domain=row.domain,
        username=row.username,
        created_at=row.created_at,
        credentials=_credentials_of(row),
        roles=row.roles,
        groups=row.groups,
        details=MappingProxyType(row.details),
    )


def account_row(account: Account) -> dict[str, Any]:
    """The row of ``accounts`` for an account."""
    return {
        "domain": account.domain,
        "username": account.username,
        "created_at": account.created_at,
        **credentials_columns(account.credentials),
        "roles": account.roles,
        "groups": account.groups,
        "details": dict(account.details),
    }


def credentials_columns(credentials: Credentials | None) -> dict[str, Any]:
    """The columns of ``accounts`` that hold credentials."""
    if credentials is None:
        return {"credentials": None, "changed_at": None}
    text = "\n".join(keys.to_string() for keys in credentials.keys)
    return {"credentials": text, "changed_at": credentials.changed_at}


def _credentials_of(row: Row[Any]) -> Credentials | None:
    if row.credentials is None:
        return None
    keys = tuple(ScramKeys.from_string(line) for line in row.credentials.splitlines())
    return Credentials(keys=keys, changed_at=row.changed_at)


def use_of(row: Row[Any]) -> Use:
    """The use in a row of ``uses``."""
    return Use(
        domain=row.domain,
        username=row.username,
        kind=Kind(row.kind),
        at=row.at,
        door=row.door,
        invite_id=row.invite_id,
        inviter=row.inviter,
        address=row.address,
    )


USE_COLUMNS = (
    *(uses.c.domain, uses.c.username, uses.c.kind, uses.c.at),
    *(uses.c.door, uses.c.invite_id, uses.c.inviter, uses.c.address),
)
"""What `uses_of` reads, in its order."""

_KINDS = {kind.value: kind for kind in Kind}


def uses_of(rows: Iterable[Any]) -> Sequence[Use]:
    """The uses in rows of `USE_COLUMNS`; to read them by name takes twice as long."""
    return [
        Use(
            domain=domain,
            username=username,
            kind=_KINDS[kind],
            at=at,
            door=door,
            invite_id=invite_id,
            inviter=inviter,
            address=address,
        )
        for domain, username, kind, at, door, invite_id, inviter, address in rows
    ]


def use_row(use: Use) -> dict[str, Any]:
    """The row of ``uses`` for a use."""
    return {
        "domain": use.domain,
        "username": use.username,
        "kind": use.kind,
        "at": use.at,
        "door": use.door,
        "invite_id": use.invite_id,
        "inviter": use.inviter,
        "address": use.address,
    }


def roster_item_of(row: Row[Any]) -> RosterItem:
    """The item in a row of ``roster_items``."""
    return RosterItem(
        jid=row.jid,
        name=row.name,
        groups=row.groups,
        subscription=Subscription(row.subscription),
        ask=row.ask,
        approved=row.approved,
        request=row.request,
        listed=row.listed,
    )


def roster_item_row(owner: tuple[str, str], item: RosterItem) -> dict[str, Any]:
    """The row of ``roster_items`` for an item of an account, given by domain and username."""
    return {
        "domain": owner[0],
        "username": owner[1],
        "jid": item.jid,
        "name": item.name,
        "groups": item.groups,
        "subscription": item.subscription,
        "ask": item.ask,
        "approved": item.approved,
        "request": item.request,
        "listed": item.listed,
    }


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
