"""Views: the JSON that the command line prints and the HTTP API answers.

Scripts rely on every name, and on the order. The API's document (OpenAPI) is made of these
classes, too.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from invitereg.interfaces.apikeys import Scope
from invitereg.model.invites import Invite, Kind, Status
from invitereg.model.invites import Use as Used
from invitereg.policy.decision import Decision
from invitereg.policy.inviting import Inviter
from invitereg.policy.texts import app_uri, page_url
from invitereg.policy.values import Domain, Policy


def timestamp(moment: datetime | None) -> str | None:
    """Return a time as ``2026-11-29T12:00:00Z``."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Moment = Annotated[
    datetime,
    PlainSerializer(timestamp),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class View(BaseModel):
    """Members of a JSON object; all of them are always there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def of(cls, value: object = None, **members: object) -> Self:
        """Return the view of a value: its attributes by name, unless ``members`` has them.

        Nothing is checked, as all values are our own.
        """
        found: dict[str, Any] = {
            name: members[name] if name in members else getattr(value, name)
            for name in cls.model_fields
        }
        return cls.model_construct(None, **found)

    def members(self) -> dict[str, Any]:
        """Return the members as JSON has them."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """Return one line of JSON, in ASCII."""
        return json.dumps(self.members())


class Named(View):
    """A thing with a public name."""

    id: str


class Link(Named):
    """A link that is shown only now."""

    token: str
    uri: str = Field(
        description="What apps open; empty where only its page is of use (website only)."
    )
    landing_url: str = Field(description="Its page; empty without a site.")


class Terms(View):
    """The terms of an invite, which everybody who holds its token may know."""

    kind: Kind
    domain: str
    inviter: str | None
    username: str | None
    expires_at: Moment | None
    uses_allowed: int | None
    per_network_allowed: int | None


# Of several bases, pydantic puts the fields of the last one first.
class IssuedInvite(Terms, Link):
    """An invite that was just made or renewed; token and links are shown only now."""


class StoredInvite(Terms, Named):
    """An invite as it is now."""

    uses: int
    status: Status
    created_at: Moment
    revoked_at: Moment | None
    source: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    note: str


class Use(View):
    """A use of an invite: by whom, when and how."""

    username: str
    at: Moment
    door: str
    address: str | None = Field(
        description="The IP address it was done from; null where there was none, or it is "
        "removed by now."
    )


class InviteWithHistory(StoredInvite):
    """An invite with its uses."""

    history: tuple[Use, ...]


class InvitePage(View):
    """Some invites, the oldest first."""

    items: tuple[StoredInvite, ...]
    next: str | None = Field(description="What `after` is for the next page; null at the end.")


class AskedField(View):
    """A field that registration asks for besides name and password."""

    name: str
    required: bool


class Preview(Terms):
    """The terms of a token's invite, and the registration that it allows."""

    site_name: str
    uses: int
    fields: tuple[AskedField, ...]


class AccountName(View):
    """The name of an account."""

    username: str
    domain: str


class Registered(AccountName):
    """The account that was made, or has a new password."""

    kind: Literal["account", "reset"]


class TreeMember(View):
    """An account in the tree of who invited whom."""

    username: str
    domain: str
    inviter: str | None
    invite_id: str | None
    at: Moment | None
    door: str | None
    depth: int
    deleted: bool | None


class StoredAccount(AccountName):
    """An account, without anything that could be used to log in."""

    created_at: Moment
    roles: tuple[str, ...]
    groups: tuple[str, ...]


class IssuedKey(Named):
    """A key that was just made; ``key``, its secret, is shown only now."""

    name: str
    key: str
    scopes: tuple[Scope, ...]
    domain: str | None
    expires_at: Moment | None


class StoredKey(Named):
    """A key, without the secret."""

    name: str
    scopes: tuple[Scope, ...]
    domain: str | None
    expires_at: Moment | None
    created_at: Moment
    revoked_at: Moment | None


class RevokedInvite(View):
    """An invite that ended with its key."""

    domain: str
    id: str


class RevokedKey(StoredKey):
    """A key with the invites that ended with it."""

    invites_revoked: tuple[RevokedInvite, ...]


class Explanation(View):
    """The policy's decision about a request, and the rules that it passed."""

    allowed: bool
    rule: str
    text: str | None
    passed: tuple[str, ...]


class TokenExplanation(Explanation):
    """The policy's decision about a request with a token."""

    invite_id: str | None


class Usage(View):
    """The use of a limit; ``most`` is null where there is no limit."""

    count: int
    most: int | None


class PeriodUsage(Usage):
    """The use of a limit in a period."""

    seconds: int


class InviterExplanation(Explanation):
    """The policy's decision about an invite by a user, and the use of their limits."""

    open_invites: Usage
    invites_made: PeriodUsage


def issued_invite(invite: Invite, token: str, domain: Domain) -> IssuedInvite:
    """Return the view of an invite that has just been made or renewed."""
    uri, landing_url = app_uri(domain, invite, token), page_url(domain, token)
    return IssuedInvite.of(invite, token=token, uri=uri, landing_url=landing_url)


def stored_invite(invite: Invite, now: datetime) -> StoredInvite:
    """Return the view of an invite as it is at ``now``."""
    return StoredInvite.of(invite, status=invite.status(now))


def with_history(invite: Invite, uses: Iterable[Used], now: datetime) -> InviteWithHistory:
    """Return the view of an invite as it is at ``now``, and of its uses."""
    history = tuple(Use.of(use) for use in uses)
    return InviteWithHistory.of(invite, status=invite.status(now), history=history)


def explanation(decision: Decision, passed: tuple[str, ...]) -> Explanation:
    """Return the view of a decision, and of the rules that judged it."""
    text = decision.refusal and decision.refusal.text
    allowed = decision.refusal is None
    return Explanation.of(decision, allowed=allowed, text=text, passed=passed)


def token_explanation(
    decision: Decision, passed: tuple[str, ...], invite: Invite | None
) -> TokenExplanation:
    """Return the view of a decision about a request with the token of ``invite``."""
    explained = explanation(decision, passed)
    return TokenExplanation.of(explained, invite_id=invite and invite.id)


def inviter_explanation(
    decision: Decision, policy: Policy, inviter: Inviter
) -> InviterExplanation:
    """Return the view of a decision about an invite by a user."""
    bounds, made = policy.invites.users, inviter.made
    seconds = int(bounds.made.period.total_seconds())
    return InviterExplanation.of(
        explanation(decision, decision.passed),
        open_invites=Usage.of(count=inviter.open_invites, most=bounds.max_open),
        invites_made=PeriodUsage.of(count=made.count, most=bounds.made.max, seconds=seconds),
    )
