"""The values of decisions: the operator's policy, a request, and the facts about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from invitereg.model.invites import Invite
from invitereg.policy.networks import IPV4_PREFIX, IPV6_PREFIX, Share, nested_shares
from invitereg.policy.networks import Address as Address
from invitereg.policy.networks import Network as Network
from invitereg.translations import N_

DEFAULT_INSTRUCTIONS = N_("Choose a username and password for use with this service.")


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody who asks through an XMPP server, from a network that only that server knows.

    Attributes:
        guesser: whose wrong tokens are counted: an account, or all of a server.
        server: the domain whose accounts are counted together when they register somebody.
    """

    guesser: str
    server: str

    def __str__(self) -> str:
        """Return it as it is logged: never like an address, which might get banned for it."""
        return f"xmpp:{self.guesser}"


Origin = Address | Sender
"""Where a request comes from."""


@lru_cache(maxsize=1024)
def parse_address(text: str) -> Address | None:
    """Return the address in ``text``; None if it is none, such as a UNIX socket's path.

    An IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2), as a socket for both families
    reports it, becomes the IPv4 address, and a zone id is dropped: so lists and prefixes mean
    the same whatever the socket. None has the rights of the operator in a `Request`: a door
    must not let a forwarded header that it cannot read become None.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def within(address: Origin | None, networks: tuple[Network, ...]) -> bool:
    """Return whether ``address`` lies in one of ``networks``; False without an address."""
    if address is None or isinstance(address, Sender):
        return False
    return any(address in network for network in networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most ``max`` of something in any ``period``."""

    max: int
    period: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a domain, and the networks that are exempt or kept out.

    Attributes:
        ipv4_prefix, ipv6_prefix: how much of an address is one network, the narrowest of those
            that are counted: see `shares`.
        logins: failures per account and network; ten times as many per network.
        shared_invite: registrations per invite with several uses, and network.
        password_changes: how often one account may set another password by itself.
        roster: contacts of one account; `invitereg.model.roster` bounds their length, too.
        roster_groups: groups that one contact may be in.
        roster_requests: subscription requests that wait for one account's answer.
    """

    registration: Limit = Limit(max=5, period=timedelta(hours=1))
    ipv4_prefix: int = IPV4_PREFIX
    ipv6_prefix: int = IPV6_PREFIX
    token_guesses: Limit = Limit(max=10, period=timedelta(minutes=10))
    logins: Limit = Limit(max=10, period=timedelta(minutes=10))
    shared_invite: Limit = Limit(max=30, period=timedelta(hours=1))
    password_changes: Limit = Limit(max=10, period=timedelta(hours=1))
    roster: int = 1000
    roster_groups: int = 32
    roster_requests: int = 100
    allowlist: tuple[Network, ...] = ()
    allowlist_only: bool = False
    blocklist: tuple[Network, ...] = ()

    def allowlisted(self, address: Origin | None) -> bool:
        """Return whether ``address`` is exempt from the throttles."""
        return within(address, self.allowlist)

    def shares(self, origin: Origin | None) -> tuple[Share, ...]:
        """Return the networks in which ``origin`` is counted, the narrowest first.

        None, as at a UNIX socket, is counted in none.
        """
        if origin is None:
            return ()
        if isinstance(origin, Sender):
            return (Share(str(origin)),)
        return nested_shares(origin, self.ipv4_prefix, self.ipv6_prefix)

    def network(self, origin: Origin) -> str:
        """Return the narrowest network in which ``origin`` is counted."""
        return self.shares(origin)[0].network


RESERVED = (
    *("admin", "administrator", "postmaster", "abuse", "root", "support", "moderator"),
    *("webmaster", "hostmaster", "security", "help", "info", "noreply"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsernameRules:
    """The rules of a freely chosen username.

    Attributes:
        pattern: of RE2; it must match all of a name.
        reserved: names that nobody may choose; * in one stands for any characters, or none.
        refuse_look_alikes: whether this holds for what looks like one of these or an admin.
    """

    min_length: int = 1
    max_length: int = 64
    pattern: str = ""
    reserved: frozenset[str] = frozenset(RESERVED)
    refuse_look_alikes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRules:
    """The rules of a password; ``common`` holds the ones refused, in lower case."""

    min_length: int = 8
    common: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInviteLimits:
    """The limits of users' invites; there are none for admins and for the operator.

    Attributes:
        max_open: how many of one user's invites may be pending; None is any number.
        made: how many one user may make in a period.
        max_expiry: how long one may be valid; None is for ever.
        max_uses: how often one may be redeemed; None is unlimited.
        min_account_age: how old the inviter's account must be.
    """

    max_open: int | None = 20
    made: Limit = Limit(max=20, period=timedelta(days=1))
    max_expiry: timedelta | None = timedelta(days=30)
    max_uses: int | None = 1
    min_account_age: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteRules:
    """Defaults for new invites, and who among the users may make them."""

    expiry: timedelta | None = timedelta(days=7)
    reset_expiry: timedelta | None = timedelta(days=1)
    allow_user_invites: bool = False
    allow_contact_invites: bool = True
    allow_user_invites_by_roles: frozenset[str] = frozenset()
    deny_user_invites_by_roles: frozenset[str] = frozenset()
    users: UserInviteLimits = UserInviteLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The decisions of one domain's operator.

    Attributes:
        fields: what is asked for besides username and password: name to required.
        default_roles: what an account gets that is made without an invite.
        admins: localparts of the domain's admins, which only the operator gives away.
    """

    allow_registration: bool = True
    registration_invite_only: bool = True
    fields: Mapping[str, bool] = field(default_factory=dict)
    default_roles: tuple[str, ...] = ()
    admins: frozenset[str] = frozenset()
    invites: InviteRules = InviteRules()
    usernames: UsernameRules = UsernameRules()
    passwords: PasswordRules = PasswordRules()
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to register or to set a password, as far as it has come.

    Attributes:
        address: None where there is no network between, as for the operator.
        username, password: as typed; None as long as they were not asked for, so a submission
            without one has "" there.
        preauthorised: the token was found valid earlier on this stream, so its expiry does
            not count any more (XEP-0445 §4).
        viewing: somebody only looks at what their invite is for: one that makes contacts is as
            good as any then, and how many have registered does not count.
        scripted: a script on a web page asks, maybe without its visitor's knowledge: its
            guesses are counted apart from those of people and apps.
    """

    domain: str
    address: Origin | None = None
    has_token: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    fields: Mapping[str, str] = field(default_factory=dict)
    preauthorised: bool = False
    viewing: bool = False
    scripted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The number of a counter's hits within its period, and the time of the oldest."""

    count: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts about a request that the store knows.

    Attributes:
        guesses: unknown tokens from this network, by each of the `guess_counters`.
        registrations: accounts made, by each of the `registration_counters`.
        account_exists: an account has the requested username.
        reserved_for: id of the invite that reserves the requested username, if any does.
        deleted: the username belonged to an account that was deleted.
    """

    now: datetime
    invite: Invite | None = None
    guesses: tuple[Tally, ...] = ()
    registrations: tuple[Tally, ...] = ()
    account_exists: bool = False
    reserved_for: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherNotice:
    """The message that watchers are sent about a registration.

    Attributes:
        text: with the placeholders of `invitereg.policy.notices`; empty for ours.
        type: of the message: ``chat`` or ``normal``.
    """

    text: str = ""
    type: str = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One XMPP domain that is served, with what its operator decided.

    Attributes:
        name: in its normal form (`invitereg.model.names.prepare_domain`).
        title: of a registration form; empty for none.
        instructions: what a registration form says first.
        web_url: its site; ends with a slash. None without a web.
        landing_url: what a token is appended to for a link to its page; None without a web.
        website_only: whether people register, and set new passwords, on the site alone: their
            apps connect to another server, which knows nothing of tokens.
        watchers: who is told of each registration, as domain and username.
        welcome: what newcomers are told, with the placeholders of `invitereg.policy.notices`;
            empty for nothing.
        contact_addresses: URIs by role, as XEP-0157 names the roles: ``abuse`` and so on.
        time_zone: in which people are told times where nobody knows their own.
    """

    name: str
    policy: Policy = Policy()
    site_name: str = ""
    title: str = ""
    instructions: str = DEFAULT_INSTRUCTIONS
    web_url: str | None = None
    landing_url: str | None = None
    website_only: bool = False
    watchers: tuple[tuple[str, str], ...] = ()
    watcher_notice: WatcherNotice = WatcherNotice()
    welcome: str = ""
    contact_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    time_zone: tzinfo = UTC
