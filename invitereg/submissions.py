"""What newcomers send, and what their tokens were found good for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from invitereg.model.accounts import Account
from invitereg.model.invites import Invite, Kind, Use
from invitereg.model.names import prepare_localpart
from invitereg.policy.values import Origin, Policy, Sender


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token was found good for.

    Attributes:
        invite: as it was then.
        digest: of the token, by which it is asked for again: another token may have taken its
            place meanwhile.
    """

    invite: Invite
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What somebody sent to register, or to set a new password.

    Attributes:
        door: see `invitereg.model.invites.Use`.
        grant: what `Registrar.preauthorise` returned for their token, or None without one.
    """

    domain: str
    door: str
    address: Origin | None
    username: str | None
    password: str | None = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict)
    grant: Grant | None = None


def use_of(submission: Submission, invite: Invite | None, now: datetime) -> Use:
    """What the history is to say of a submission; raises InvalidUsername."""
    address = submission.address
    return Use(
        domain=submission.domain,
        username=prepare_localpart(submission.username or ""),
        kind=invite.kind if invite else Kind.ACCOUNT,
        at=now,
        door=submission.door,
        invite_id=invite.id if invite else None,
        inviter=invite.inviter if invite else None,
        address=str(address) if address and not isinstance(address, Sender) else None,
    )


def account_of(
    submission: Submission, invite: Invite | None, use: Use, policy: Policy
) -> Account:
    """Return the account that is asked for; of what was filled in, only the policy's fields."""
    return Account(
        domain=use.domain,
        username=use.username,
        created_at=use.at,
        roles=invite.roles if invite else policy.default_roles,
        groups=invite.groups if invite else (),
        details={name: submission.fields.get(name, "") for name in policy.fields},
    )
