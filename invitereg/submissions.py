"""What newcomers send, and what their tokens were found good for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from invitereg.model import Invite
from invitereg.policy.values import Address


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
        door: see `invitereg.model.Use`.
        grant: what `Registrar.preauthorise` returned for their token, or None without one.
    """

    domain: str
    door: str
    address: Address | None
    username: str | None
    password: str | None = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict)
    grant: Grant | None = None
