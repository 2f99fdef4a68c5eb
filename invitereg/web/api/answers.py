"""What answers look like: for the document alone, as `invitereg.objects` makes them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from invitereg.model.invites import Kind, Status

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Answer(BaseModel):
    """All members are always there."""

    model_config = ConfigDict(extra="forbid")


class Terms(Answer):
    """What an invite is for, as `invitereg.objects.terms_object`."""

    kind: Kind
    domain: str
    inviter: str | None
    username: str | None
    expires_at: Moment | None
    uses_allowed: int | None
    per_network_allowed: int | None


class IssuedInvite(Terms):
    """An invite that was just made or renewed; token and links are shown only now."""

    id: str
    token: str
    uri: str = Field(
        description="What apps open; empty where only its page is of use (website only)."
    )
    landing_url: str = Field(description="Its page; empty without a site.")


class StoredInvite(Terms):
    """An invite as it is now."""

    id: str
    uses: int
    status: Status
    created_at: Moment
    revoked_at: Moment | None
    source: str
    roles: list[str]
    groups: list[str]
    note: str


class Use(Answer):
    """Who has used an invite, when and how."""

    username: str
    at: Moment
    door: str
    address: str | None = Field(
        description="The IP address it was done from; null where there was none, or it is "
        "removed by now."
    )


class InviteWithHistory(StoredInvite):
    """An invite with its uses."""

    history: list[Use]


class InvitePage(Answer):
    """Some invites, the oldest first."""

    items: list[StoredInvite]
    next: str | None = Field(description="What `after` is for the next page; null at the end.")


class AskedField(Answer):
    """What is asked for at registration besides name and password."""

    name: str
    required: bool


class Preview(Terms):
    """What a token is good for."""

    site_name: str
    uses: int
    fields: list[AskedField]


class Registered(Answer):
    """The account that was made, or has a new password."""

    username: str
    domain: str
    kind: Literal["account", "reset"]


class ErrorAt(Answer):
    """What is wrong with one part of the request."""

    at: str
    detail: str


class ProblemDocument(BaseModel):
    """Why a request was not done (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    code: str
    detail: str
    errors: list[ErrorAt] | None = None
    error_id: str | None = Field(None, description="Under which the operator finds the cause.")
    username: str | None = Field(None, description="The one to take, where it is fixed.")
