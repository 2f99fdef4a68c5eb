"""The keys under ``policy``, and the `Policy` that they make."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from invitereg.config.types import (
    CidrNetwork,
    Count,
    CountOrUnlimited,
    Duration,
    DurationOrNever,
    DurationOrNone,
    Pattern,
    RegistrationField,
    Role,
    Section,
    Username,
)
from invitereg.policy.patterns import InvalidPattern, check_work
from invitereg.policy.values import (
    DEFAULT_INSTRUCTIONS,
    RESERVED,
    InviteRules,
    Limit,
    Limits,
    UsernameRules,
)

_INVITES, _USERNAMES, _LIMITS = InviteRules(), UsernameRules(), Limits()
_USERS = _INVITES.users

Length = Annotated[int, Field(ge=1, le=1023)]


class _PeriodLimitKeys(Section):
    """At most ``max`` of something in any ``period``; each limit has its own defaults."""

    max: Count
    period: Duration


class MadeInviteKeys(_PeriodLimitKeys):
    """Invites that one user makes, whatever becomes of them."""

    max: Count = _USERS.made.max
    period: Duration = _USERS.made.period


class UserInviteKeys(Section):
    """Limits on the invites of users who are not admins."""

    max_open: CountOrUnlimited = _USERS.max_open
    made: MadeInviteKeys = MadeInviteKeys()
    max_expiry: DurationOrNever = _USERS.max_expiry
    max_uses: CountOrUnlimited = _USERS.max_uses
    min_account_age: DurationOrNone = _USERS.min_account_age


class InviteKeys(Section):
    """Defaults for new invites, and who among the users may make them."""

    expiry: DurationOrNever = _INVITES.expiry
    reset_expiry: DurationOrNever = _INVITES.reset_expiry
    allow_user_invites: bool = _INVITES.allow_user_invites
    allow_contact_invites: bool = _INVITES.allow_contact_invites
    allow_user_invites_by_roles: tuple[Role, ...] = ()
    deny_user_invites_by_roles: tuple[Role, ...] = ()
    users: UserInviteKeys = UserInviteKeys()


class RateKeys(_PeriodLimitKeys):
    """Requests of one key of the HTTP API; so many at once, and then evenly spread."""

    max: Count = 600
    period: Duration = timedelta(minutes=1)


class UsernameKeys(Section):
    """Rules for freely chosen usernames."""

    min_length: Length = _USERNAMES.min_length
    max_length: Length = Field(default=_USERNAMES.max_length, validate_default=True)
    pattern: Pattern = _USERNAMES.pattern
    reserved: tuple[Username, ...] = RESERVED
    look_alikes: Literal["refuse", "allow"] = "refuse"

    @field_validator("max_length")
    @classmethod
    def _not_below_min_length(cls, length: int, info: ValidationInfo) -> int:
        least = info.data.get("min_length", 0)
        if length < least:
            raise ValueError(f"must be at least min_length, but {length} is less than {least}")
        return length

    @field_validator("pattern")
    @classmethod
    def _soon_done(cls, pattern: str, info: ValidationInfo) -> str:
        try:
            check_work(pattern, info.data.get("max_length", _USERNAMES.max_length))
        except InvalidPattern as error:
            raise ValueError(str(error)) from None
        return pattern

    @property
    def refuse_look_alikes(self) -> bool:
        return self.look_alikes == "refuse"


class PasswordKeys(Section):
    """Rules for passwords."""

    min_length: Length = 8
    forbid_common: bool = True


class RegistrationLimitKeys(_PeriodLimitKeys):
    """Accounts made from one network, and what one network is."""

    max: Count = _LIMITS.registration.max
    period: Duration = _LIMITS.registration.period
    ipv4_prefix: Annotated[int, Field(ge=1, le=32)] = _LIMITS.ipv4_prefix
    ipv6_prefix: Annotated[int, Field(ge=1, le=128)] = _LIMITS.ipv6_prefix


class TokenGuessKeys(_PeriodLimitKeys):
    """Unknown tokens from one network."""

    max: Count = _LIMITS.token_guesses.max
    period: Duration = _LIMITS.token_guesses.period


class LoginKeys(_PeriodLimitKeys):
    """Failed logins per account and network; ten times as many per network."""

    max: Count = _LIMITS.logins.max
    period: Duration = _LIMITS.logins.period


class SharedInviteKeys(_PeriodLimitKeys):
    """Registrations per invite with several uses, and network."""

    max: Count = _LIMITS.shared_invite.max
    period: Duration = _LIMITS.shared_invite.period


class PasswordChangeKeys(_PeriodLimitKeys):
    """Passwords that one account sets by itself; resets do not count."""

    max: Count = _LIMITS.password_changes.max
    period: Duration = _LIMITS.password_changes.period


class LimitKeys(Section):
    """Rate limits and quotas, and the networks that are exempt from them or refused."""

    registration: RegistrationLimitKeys = RegistrationLimitKeys()
    token_guesses: TokenGuessKeys = TokenGuessKeys()
    logins: LoginKeys = LoginKeys()
    shared_invite: SharedInviteKeys = SharedInviteKeys()
    password_changes: PasswordChangeKeys = PasswordChangeKeys()
    roster: Count = _LIMITS.roster
    roster_groups: Annotated[Count, Field(le=1000)] = _LIMITS.roster_groups
    roster_requests: Count = _LIMITS.roster_requests
    allowlist: tuple[CidrNetwork, ...] = ()
    allowlist_only: bool = False
    blocklist: tuple[CidrNetwork, ...] = ()

    @property
    def ipv4_prefix(self) -> int:
        """Return how many bits of an IPv4 address are one network."""
        return self.registration.ipv4_prefix

    @property
    def ipv6_prefix(self) -> int:
        """Return how many bits of an IPv6 address are one network."""
        return self.registration.ipv6_prefix


class PolicyKeys(Section):
    """Rules of registration, invites, usernames and passwords."""

    allow_registration: bool = True
    registration_invite_only: bool = True
    registration_title: Annotated[str, Field(max_length=200)] = ""
    registration_instructions: str = DEFAULT_INSTRUCTIONS
    additional_registration_fields: tuple[RegistrationField, ...] = ()
    default_roles: tuple[Role, ...] = ()
    invites: InviteKeys = InviteKeys()
    usernames: UsernameKeys = UsernameKeys()
    passwords: PasswordKeys = PasswordKeys()
    limits: LimitKeys = LimitKeys()


class ConnectionLimitKeys(Section):
    """Connections begun from one network, at all ports: so many at once, then evenly spread."""

    per_network: Annotated[Count, Field(le=100_000)] = 20
    period: Duration = timedelta(seconds=1)

    @field_validator("period")
    @classmethod
    def _short(cls, period: timedelta) -> timedelta:
        if period > timedelta(minutes=1):
            raise ValueError("must be at most 1m, as who is refused waits so long")
        return period

    def limit(self) -> Limit:
        """Return these keys as a value of the policy."""
        return Limit(max=self.per_network, period=self.period)


class StreamLimits(Section):
    """Limits on open streams: those without a session, and the sessions of one account."""

    unauthenticated_per_network: Count = 100
    unauthenticated: Count = 5000
    per_account: Count = 20


class WebLimits(Section):
    """Bound the connections to the site that are open, of one network and altogether."""

    # First, as those of one network are compared with it.
    connections: Annotated[Count, Field(le=1_000_000)] = 2000
    connections_per_network: Count = 100

    @field_validator("connections_per_network")
    @classmethod
    def _not_above_all(cls, count: int, info: ValidationInfo) -> int:
        most = info.data.get("connections", count)
        if count > most:
            raise ValueError(f"must be at most connections, but {count} is more than {most}")
        return count


class ServiceLimitKeys(LimitKeys):
    """The limits of all domains, with those of the service as a whole."""

    connections: ConnectionLimitKeys = ConnectionLimitKeys()
    streams: StreamLimits = StreamLimits()
    web: WebLimits = WebLimits()
    work_queue: Count = 512


class ServicePolicyKeys(PolicyKeys):
    """The policy of all domains, with the limits of the service as a whole."""

    limits: ServiceLimitKeys = ServiceLimitKeys()
