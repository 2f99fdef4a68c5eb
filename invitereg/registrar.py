"""Registering and setting passwords, whichever door the request comes through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from twisted.logger import Logger

from invitereg.errors import (
    InvalidInvite,
    Refused,
    Throttled,
    UnacceptablePassword,
)
from invitereg.interfaces import Findings, IAccounts, IInviteStore, Query, Redemption
from invitereg.logs import RefusalLog
from invitereg.model import (
    MAX_PASSWORD_BYTES,
    Account,
    Invite,
    Kind,
    Use,
    prepare_localpart,
    prepare_password,
    token_digest,
)
from invitereg.notices import Notice, notices_about
from invitereg.policy import Decision, decide
from invitereg.policy.counters import guess_counter, registration_counter
from invitereg.policy.passwords import refuse_password
from invitereg.policy.values import Address, Domain, Facts, Request, Tally


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


class Registrar:
    """Decides and acts; the one way from every door to the store and the accounts.

    Attributes:
        domains: what is served, by name; may be replaced while running.
        keep_names: how long the name of a deleted account stays taken; None is for ever. May
            be replaced while running.
        refusals: what the log is told about those who are refused.
    """

    _log = Logger()

    def __init__(
        self,
        domains: Mapping[str, Domain],
        store: Any,
        accounts: Any,
        now: Callable[[], datetime],
        keep_names: timedelta | None = None,
    ) -> None:
        self.domains = domains
        self.keep_names = keep_names
        self.refusals = RefusalLog(self._log)
        self._store = IInviteStore(store)
        self._accounts = IAccounts(accounts)
        self._now = now

    async def preauthorise(self, domain: str, address: Address | None, token: str) -> Grant:
        """Find out whether a token opens the door; reads only, unless the token is unknown.

        Raises:
            InvalidInvite: unknown (then it counts as a guess), expired, used up or revoked.
            Refused: any other rule of the policy.
        """
        digest = token_digest(token)
        decision, findings = await self.explain(
            Request(domain=domain, address=address, has_token=True), digest
        )
        if findings.invite is None and decision.rule != "too-many-guesses":
            await self._count_guess(domain, address)
        if decision.refusal is not None:
            self._refused(decision.rule, domain, address, findings.invite)
            raise decision.refusal
        if findings.invite is None:
            raise InvalidInvite
        return Grant(findings.invite, digest)

    async def explain(
        self, request: Request, digest: bytes | None = None
    ) -> tuple[Decision, Findings]:
        """What the policy says to a request now, and what the store knows about it."""
        policy, now = self.domains[request.domain].policy, self._now()
        # A token that was found valid before is no guess.
        guessing = digest is not None and not request.preauthorised
        guesses = (guess_counter(policy, request.address),) if guessing else ()
        query = Query(
            domain=request.domain,
            now=now,
            digest=digest,
            username=_localpart_or_none(request.username),
            counters=guesses,
        )
        findings: Findings = await self._store.look_up(query)
        registrations = Tally()
        counter = registration_counter(policy, request.address, findings.invite)
        if counter is not None:
            counted = Query(domain=request.domain, now=now, counters=(counter,))
            registrations = (await self._store.look_up(counted)).tallies[0]
        facts = Facts(
            now=now,
            invite=findings.invite,
            guesses=findings.tallies[0] if guesses else Tally(),
            registrations=registrations,
            account_exists=findings.account_exists,
            reserved_for=findings.reserved_for,
            deleted=findings.deleted,
        )
        return decide(policy, request, facts), findings

    async def redeem(self, submission: Submission) -> str:
        """Register an account, or set the password of a reset invite's account.

        All or nothing; a refusal costs the invite nothing.

        Returns:
            The account's username, prepared.

        Raises:
            Refused: a rule of the policy, or what the account backend refuses.
        """
        grant = submission.grant
        invite = grant.invite if grant else None
        request = Request(
            domain=submission.domain,
            address=submission.address,
            has_token=grant is not None,
            username=submission.username or "",
            password=submission.password or "",
            fields=submission.fields,
            preauthorised=grant is not None,
        )
        decision, findings = await self.explain(request, grant.digest if grant else None)
        if decision.refusal is not None:
            self._refused(decision.rule, submission.domain, submission.address, invite)
            raise decision.refusal
        try:
            return await self._carry_out(submission, findings.invite)
        except Refused as refusal:
            reason = type(refusal).__name__
            self._refused(reason, submission.domain, submission.address, invite)
            raise

    async def _carry_out(self, submission: Submission, invite: Invite | None) -> str:
        policy, now = self.domains[submission.domain].policy, self._now()
        username = prepare_localpart(submission.username or "")
        use = Use(
            domain=submission.domain,
            username=username,
            kind=invite.kind if invite else Kind.ACCOUNT,
            at=now,
            door=submission.door,
            invite_id=invite.id if invite else None,
            inviter=invite.inviter if invite else None,
            address=str(submission.address) if submission.address else None,
        )
        password = submission.password or ""
        if use.kind is Kind.RESET:
            await self._accounts.reset(use, password)
        else:
            account = Account(
                domain=submission.domain,
                username=username,
                created_at=now,
                roles=invite.roles if invite else (),
                groups=invite.groups if invite else (),
                details={name: submission.fields.get(name, "") for name in policy.fields},
            )
            counter = registration_counter(policy, submission.address, invite)
            redemption = Redemption(
                account=account,
                use=use,
                counter=counter,
                contact=invite.inviter if invite and invite.subscribe else None,
                roster_limit=policy.limits.roster,
                notices=self._notices(use),
            )
            await self._accounts.redeem(redemption, password)
        self._log.info(
            "{what} {username}@{domain} through {door} from {address} (invite {invite_id})",
            what="password reset of" if use.kind is Kind.RESET else "registered",
            username=username,
            domain=use.domain,
            door=use.door,
            address=use.address,
            invite_id=use.invite_id,
        )
        return username

    async def create_account(
        self, domain: str, username: str, password: str, roles: tuple[str, ...] = ()
    ) -> str:
        """Make an account as the operator, whom no rule but validity binds.

        Raises:
            InvalidUsername, UsernameTaken: the name.
            UnacceptablePassword: empty, over 1,023 bytes, or impossible to prepare.
        """
        localpart, now = prepare_localpart(username), self._now()
        if not password:
            raise UnacceptablePassword("The password is empty.")
        if len(password.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
            raise UnacceptablePassword("The password is longer than 1,023 bytes.")
        try:
            prepare_password(password)
        except ValueError:
            text = "The password has characters that cannot be used."
            raise UnacceptablePassword(text) from None
        account = Account(domain=domain, username=localpart, created_at=now, roles=roles)
        use = Use(domain=domain, username=localpart, kind=Kind.ACCOUNT, at=now, door="cli")
        redemption = Redemption(
            account=account, use=use, operator=True, notices=self._notices(use)
        )
        await self._accounts.redeem(redemption, password)
        return localpart

    async def change_password(
        self, domain: str, username: str, password: str, since: datetime
    ) -> datetime:
        """Set another password for who has logged in with what was set at ``since``.

        Returns:
            When the new one was set.

        Raises:
            UnacceptablePassword: a rule of the policy about passwords.
            NotFound: the account has another password by now, or is gone.
        """
        policy, now = self.domains[domain].policy, self._now()
        request = Request(domain=domain, username=username, password=password)
        refusal = refuse_password(policy, request, Facts(now=now))
        if refusal is not None:
            raise refusal
        changed = await self._accounts.change_password(domain, username, password, since)
        self._log.info(
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
        await self._accounts.delete(domain, localpart, now, until=until, since=since)
        self._log.info("deleted {username}@{domain}", username=localpart, domain=domain)

    def _notices(self, use: Use) -> tuple[Notice, ...]:
        return tuple(notices_about(self.domains[use.domain], use))

    async def _count_guess(self, domain: str, address: Address | None) -> None:
        policy = self.domains[domain].policy
        if policy.limits.allowlisted(address):
            return
        counter = guess_counter(policy, address)
        if await self._store.hit(domain, (counter,), self._now()) is None:
            raise Throttled

    def _refused(
        self, rule: str, domain: str, address: Address | None, invite: Invite | None
    ) -> None:
        self.refusals.info(
            "refused at {domain} from {address}: {rule} (invite {invite_id})",
            domain=domain,
            address=address,
            rule=rule,
            invite_id=invite and invite.id,
        )


def _localpart_or_none(username: str | None) -> str | None:
    try:
        return prepare_localpart(username) if username else None
    except Refused:
        return None
