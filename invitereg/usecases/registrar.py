"""Registering and setting passwords, whichever door the request comes through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from twisted.logger import Logger

from invitereg.errors import (
    InvalidInvite,
    Refused,
    Throttled,
    UnacceptablePassword,
    WrongPassword,
)
from invitereg.interfaces.accounts import IAccounts, IPasswords
from invitereg.interfaces.queries import Findings, Query, Redemption
from invitereg.interfaces.stores import IInviteStore
from invitereg.model.accounts import Account
from invitereg.model.invites import Invite, Kind, Use, token_digest
from invitereg.model.names import (
    localpart_or_none,
    prepare_localpart,
    prepare_password,
    unusable_password,
)
from invitereg.policy.counters import (
    guess_counters,
    password_change_counter,
    registration_counters,
)
from invitereg.policy.decision import Decision
from invitereg.policy.notices import Notice, notices_about
from invitereg.policy.registering import accepts_token, decide, refuse_password
from invitereg.policy.values import Domain, Facts, Origin, Request, Sender
from invitereg.runtime.logs import RefusalLog
from invitereg.runtime.meter import Meter
from invitereg.translations import N_
from invitereg.usecases.throttles import TokenThrottle


@dataclass(frozen=True, slots=True)
class Grant:
    """The invite of a token that was found valid.

    Attributes:
        invite: as it was then.
        digest: of the token, by which it is asked for again: another token may have taken its
            place meanwhile.
    """

    invite: Invite
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A filled-in form to register, or to set a new password.

    Attributes:
        door: see `invitereg.model.invites.Use`.
        username: None in the form of a reset, which is for the invite's own; "" is a name that
            is missing.
        token: sent together with all else, where it was not shown before; or None.
        grant: what `Registrar.preauthorise` returned for a token that was; or None.
    """

    domain: str
    door: str
    address: Origin | None
    username: str | None
    password: str | None = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict)
    token: str | None = field(default=None, repr=False)
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The outcome of a submission.

    Attributes:
        username: the account's, prepared.
        kind: RESET where a new password was set.
        contact: the username of whom a new account has as its first contact; "" for nobody.
    """

    username: str
    kind: Kind
    contact: str


def use_of(submission: Submission, invite: Invite | None, now: datetime) -> Use:
    """Return the row of history of a submission; raise InvalidUsername."""
    address = submission.address
    return Use(
        domain=submission.domain,
        username=prepare_localpart(submission.username or (invite and invite.username) or ""),
        kind=invite.kind if invite else Kind.ACCOUNT,
        at=now,
        door=submission.door,
        invite_id=invite.id if invite else None,
        inviter=invite.inviter if invite else None,
        address=str(address) if address and not isinstance(address, Sender) else None,
    )


_log = Logger("invitereg.registrar.Registrar")  # operators' filters match on it


class Registrar:
    """Registers accounts: the one way from every door to the store and the accounts.

    Attributes:
        domains: what is served, by name; may be replaced while running.
        keep_names: how long the name of a deleted account stays taken; None is for ever. May
            be replaced while running.
        refusals: what the log is told about those who are refused.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        store: IInviteStore,
        accounts: Mapping[str, IAccounts],
        now: Callable[[], datetime],
        keep_names: timedelta | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.domains = domains
        self.keep_names = keep_names
        self.refusals = RefusalLog(_log)
        self._meter = meter or Meter()
        self._store = store
        self._tokens = TokenThrottle(store)
        self._accounts = accounts
        self._now = now

    async def preauthorise(self, domain: str, address: Origin | None, token: str) -> Grant:
        """Return the grant of a token; only a token that is refused is written down.

        Raises:
            InvalidInvite: unknown (then it counts as a guess), expired, used up or revoked.
            Refused: any other rule of the policy.
        """
        return await self._grant(Request(domain=domain, address=address, has_token=True), token)

    async def preview(
        self, domain: str, address: Origin | None, token: str, *, scripted: bool = False
    ) -> Grant:
        """Look up the invite of a token to show it, also one that only makes contacts.

        ``scripted`` is as in `Request`. Raises as `preauthorise`, but not as too many have
        registered: others still may.
        """
        request = Request(
            domain=domain, address=address, has_token=True, viewing=True, scripted=scripted
        )
        return await self._grant(request, token)

    async def signing_key(self) -> bytes:
        """Return the secret that signs what browsers keep: on every node the same."""
        return await self._store.signing_key()

    async def admit(self, domain: str, address: Origin | None) -> None:
        """Raise a refusal unless somebody may register here without an invite.

        Raises:
            Refused: they may not, by the rule that says so.
        """
        decision, _findings = await self.explain(Request(domain=domain, address=address))
        if decision.refusal is not None:
            raise decision.refusal

    async def has_open_reset(self, domain: str) -> bool:
        """Return whether some account's password can be set by a token now."""
        return await self._store.has_open_reset(domain, self._now())

    async def _grant(self, request: Request, token: str) -> Grant:
        domain, address = request.domain, request.address
        digest = token_digest(token)
        decision, findings = await self.explain(request, digest)
        if decision.refusal is not None:
            refusal = await self._count(request, findings, decision.refusal)
            self._refused(decision.rule, domain, address, findings.invite)
            raise refusal
        if findings.invite is None:
            raise InvalidInvite
        return Grant(findings.invite, digest)

    async def _count(self, request: Request, findings: Findings, refusal: Refused) -> Refused:
        policy = self.domains[request.domain].policy
        return await self._tokens.count(policy, request, findings, refusal, self._now())

    async def explain(
        self, request: Request, digest: bytes | None = None, grant: Grant | None = None
    ) -> tuple[Decision, Findings]:
        """Return the policy's decision about a request as of now, and the facts in the store.

        Args:
            request: as far as it has come.
            digest: of the token that comes with it, which may be a guess.
            grant: what its token was found good for before, in place of ``digest``.
        """
        policy, now = self.domains[request.domain].policy, self._now()
        query = Query(
            domain=request.domain,
            now=now,
            digest=grant.digest if grant else digest,
            username=localpart_or_none(request.username),
        )
        # Accounts are counted by the invite: as long as that is unknown, so are the counters.
        guessing = digest is not None and grant is None
        if guessing:
            counters = guess_counters(policy, request.address, request.scripted)
            findings = await self._tokens.look_up(replace(query, counters=counters))
        else:
            known = grant.invite if grant else None
            counters = registration_counters(policy, request.address, known)
            findings = await self._store.look_up(replace(query, counters=counters))
        if request.username is None and request.password is not None:
            # A form without one is for the account of its reset.
            invite = findings.invite
            username = invite.username if invite and invite.kind is Kind.RESET else None
            request = replace(request, username=username or "")
        facts = Facts(
            now=now,
            invite=findings.invite,
            guesses=findings.tallies if guessing else (),
            registrations=() if guessing else findings.tallies,
            account_exists=findings.account_exists,
            reserved_for=findings.reserved_for,
            deleted=findings.deleted,
        )
        decision = decide(policy, request, facts)
        counters = registration_counters(policy, request.address, findings.invite)
        # What is refused before is all answered with the same work.
        if not (guessing and counters) or request.viewing or "throttled" not in decision.passed:
            return decision, findings
        counted = Query(domain=request.domain, now=now, counters=counters)
        registrations = (await self._store.look_up(counted)).tallies
        return decide(policy, request, replace(facts, registrations=registrations)), findings

    async def redeem(self, submission: Submission) -> Redeemed:
        """Register an account, or set the password of a reset invite's account.

        All or nothing; a refusal costs the invite nothing. A token that comes with the
        submission is decided on together with it, and counts as in `preauthorise`.

        Raises:
            Refused: a rule of the policy, or what the account backend refuses.
        """
        grant, token = submission.grant, submission.token
        digest = None if grant or token is None else token_digest(token)
        request = Request(
            domain=submission.domain,
            address=submission.address,
            has_token=grant is not None or digest is not None,
            # None is for the account of a reset, if the token turns out to be one.
            username=submission.username,
            password=submission.password or "",
            fields=submission.fields,
            preauthorised=grant is not None,
        )
        decision, findings = await self.explain(request, digest, grant)
        invite = grant.invite if grant else findings.invite
        refusal = decision.refusal
        if refusal is not None:
            if digest is not None and not accepts_token(decision):
                refusal = await self._count(request, findings, refusal)
            else:
                self._meter.registered(submission.door, "refused")
            self._refused(decision.rule, submission.domain, submission.address, invite)
            raise refusal
        try:
            return await self._carry_out(submission, findings.invite)
        except Refused as refusal:
            reason = type(refusal).__name__
            self._refused(reason, submission.domain, submission.address, invite)
            self._meter.registered(submission.door, "refused")
            raise

    async def _carry_out(self, submission: Submission, invite: Invite | None) -> Redeemed:
        policy = self.domains[submission.domain].policy
        use, password = use_of(submission, invite, self._now()), submission.password or ""
        contact = invite.inviter if invite and invite.subscribe else None
        if use.kind is Kind.RESET:
            await IPasswords(self._accounts[use.domain]).reset(use, password)
        else:
            account = Account(
                domain=use.domain,
                username=use.username,
                created_at=use.at,
                roles=invite.roles if invite else policy.default_roles,
                groups=invite.groups if invite else (),
                details={name: submission.fields.get(name, "") for name in policy.fields},
            )
            redemption = Redemption(
                account=account,
                use=use,
                counters=registration_counters(policy, submission.address, invite),
                contact=contact,
                roster_limit=policy.limits.roster,
                notices=self._notices(use),
            )
            await self._accounts[use.domain].redeem(redemption, password)
        is_reset = use.kind is Kind.RESET
        self._meter.registered(use.door, "reset" if is_reset else "registered")
        _log.info(
            "{what} {username}@{domain} through {door} from {address} (invite {invite_id})",
            what="password reset of" if is_reset else "registered",
            username=use.username,
            domain=use.domain,
            door=use.door,
            address=use.address,
            invite_id=use.invite_id,
        )
        return Redeemed(use.username, use.kind, contact or "")

    async def create_account(
        self, domain: str, username: str, password: str, roles: tuple[str, ...] = ()
    ) -> str:
        """Make an account as the operator, whom no rule but validity binds.

        Without ``roles`` it gets those of the policy for accounts without an invite.

        Raises:
            InvalidUsername, UsernameTaken: the name.
            UnacceptablePassword: empty, over 1,023 bytes, or impossible to prepare.
        """
        localpart, now = prepare_localpart(username), self._now()
        if not password:
            raise UnacceptablePassword(N_("The password is empty."))
        try:
            prepare_password(password)
        except ValueError:
            raise unusable_password(password) from None
        roles = roles or self.domains[domain].policy.default_roles
        account = Account(domain=domain, username=localpart, created_at=now, roles=roles)
        use = Use(domain=domain, username=localpart, kind=Kind.ACCOUNT, at=now, door="cli")
        redemption = Redemption(
            account=account, use=use, operator=True, notices=self._notices(use)
        )
        await self._accounts[domain].redeem(redemption, password)
        return localpart

    async def change_password(
        self, domain: str, username: str, password: str, since: datetime, old: str | None = None
    ) -> datetime:
        """Set another password for who has logged in with what was set at ``since``.

        Who says the ``old`` one, too, must be right.

        Returns:
            When the new one was set.

        Raises:
            UnacceptablePassword: a rule of the policy about passwords.
            Throttled: the account has asked for others too often.
            WrongPassword: it is not ``old``.
            NotFound: the account has another password by now, or is gone.
        """
        policy, now = self.domains[domain].policy, self._now()
        request = Request(domain=domain, username=username, password=password)
        refusal = refuse_password(policy, request, Facts(now=now))
        if refusal is not None:
            raise refusal
        counter = password_change_counter(policy, username)
        if await self._store.hit(domain, (counter,), now) is None:
            raise Throttled(
                text=N_("The password was changed too often. Please try again later.")
            )
        passwords = IPasswords(self._accounts[domain])
        if old and await passwords.check_password(username, old) is None:
            raise WrongPassword
        changed = await passwords.change_password(username, password, since)
        _log.info(
            "{username}@{domain} has changed the password", username=username, domain=domain
        )
        return changed

    async def delete_account(
        self, domain: str, username: str, since: datetime | None = None
    ) -> None:
        """Delete an account with its invites, and end its sessions.

        It must still have the password that was set at ``since``, which whoever asks for it
        has logged in with; None, as the operator says, asks for none. Its name becomes free
        after ``keep_names``.

        Raises:
            NotFound: there is no such account, or it has another password by now.
        """
        localpart, now = prepare_localpart(username), self._now()
        until = None if self.keep_names is None else now + self.keep_names
        await self._accounts[domain].delete(localpart, now, until=until, since=since)
        _log.info("deleted {username}@{domain}", username=localpart, domain=domain)

    def _notices(self, use: Use) -> tuple[Notice, ...]:
        return tuple(notices_about(self.domains[use.domain], use))

    def _refused(
        self, rule: str, domain: str, address: Origin | None, invite: Invite | None
    ) -> None:
        self._meter.refused(rule)
        self.refusals.info(
            "refused at {domain} from {address}: {rule} (invite {invite_id})",
            domain=domain,
            address=address,
            rule=rule,
            invite_id=invite and invite.id,
        )
