"""What commands print and the HTTP API answers as JSON: scripts rely on every key and shape."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from invitereg.interfaces.apikeys import ApiKey
from invitereg.model.accounts import Account
from invitereg.model.invites import Invite, Use
from invitereg.policy.decision import Decision
from invitereg.policy.inviting import Inviter
from invitereg.policy.texts import app_uri, page_url
from invitereg.policy.values import Domain, Policy

Object = dict[str, Any]


def timestamp(moment: datetime | None) -> str | None:
    """As ``2026-11-29T12:00:00Z``."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def terms_object(invite: Invite) -> Object:
    """What an invite is for, which everybody who holds its token may know."""
    return {
        "kind": invite.kind.value,
        "domain": invite.domain,
        "inviter": invite.inviter,
        "username": invite.username,
        "expires_at": timestamp(invite.expires_at),
        "uses_allowed": invite.uses_allowed,
        "per_network_allowed": invite.per_network_allowed,
    }


def issued_object(invite: Invite, token: str, domain: Domain) -> Object:
    """An invite that has just been made or renewed: the only time its token is there."""
    return {
        "id": invite.id,
        "token": token,
        "uri": app_uri(domain, invite, token),
        "landing_url": page_url(domain, token),
        **terms_object(invite),
    }


def invite_object(invite: Invite, now: datetime) -> Object:
    """A stored invite, as it is at ``now``."""
    return {
        "id": invite.id,
        **terms_object(invite),
        "uses": invite.uses,
        "status": invite.status(now).value,
        "created_at": timestamp(invite.created_at),
        "revoked_at": timestamp(invite.revoked_at),
        "source": invite.source,
        "roles": list(invite.roles),
        "groups": list(invite.groups),
        "note": invite.note,
    }


def use_object(use: Use) -> Object:
    """One use in an invite's history."""
    return {
        "username": use.username,
        "at": timestamp(use.at),
        "door": use.door,
        "address": use.address,
    }


def account_object(account: Account) -> Object:
    """An account, without anything that could be used to log in."""
    return {
        "username": account.username,
        "domain": account.domain,
        "created_at": timestamp(account.created_at),
        "roles": list(account.roles),
        "groups": list(account.groups),
    }


def key_object(key: ApiKey) -> Object:
    """A key, without the secret."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": [scope.value for scope in key.scopes],
        "domain": key.domain,
        "expires_at": timestamp(key.expires_at),
        "created_at": timestamp(key.created_at),
        "revoked_at": timestamp(key.revoked_at),
    }


def issued_key_object(key: ApiKey, secret: str) -> Object:
    """A key that has just been made: the only time its secret is there."""
    return {
        "id": key.id,
        "name": key.name,
        "key": secret,
        "scopes": [scope.value for scope in key.scopes],
        "domain": key.domain,
        "expires_at": timestamp(key.expires_at),
    }


def quota_object(policy: Policy, inviter: Inviter) -> Object:
    """How much of what bounds a user's invites is used; ``most`` null is any number."""
    bounds = policy.invites.users
    return {
        "open_invites": {"count": inviter.open_invites, "most": bounds.max_open},
        "invites_made": {
            "count": inviter.made.count,
            "most": bounds.made.max,
            "seconds": int(bounds.made.period.total_seconds()),
        },
    }


def decision_object(decision: Decision, passed: Iterable[str]) -> Object:
    """What the policy says."""
    refusal = decision.refusal
    return {
        "allowed": refusal is None,
        "rule": decision.rule,
        "text": None if refusal is None else refusal.text,
        "passed": list(passed),
    }
