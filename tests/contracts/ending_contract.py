"""What any store ends with a new password, and with whoever has made it."""

from datetime import timedelta
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from invitereg.errors import InvalidInvite, NotFound, Overloaded, UsernameTaken
from invitereg.interfaces.apikeys import ApiKey, Scope
from invitereg.interfaces.queries import AccountTraces, InviteChanges
from invitereg.model.invites import Invite, Kind, Status, token_digest
from invitereg.testing import make_credentials, make_invite
from tests.contracts.store_case import DOMAIN, HOUR, StoreCase

SOURCES = ("cli", "api:key", f"adhoc:boss@{DOMAIN}", f"web:boss@{DOMAIN}", "prosody")


class EndingContract(StoreCase):
    async def people(self, *usernames: str) -> None:
        for username in usernames:
            await self.redeem(username)

    async def resets(self, username: str = "romeo") -> list[Invite]:
        """A reset of the account by everybody who may make one, and an expired one."""
        made = [
            await self.invite(kind=Kind.RESET, username=username, source=source)
            for source in SOURCES
        ]
        expired = {"created_at": self.now - HOUR, "expires_at": self.now}
        return [*made, await self.invite(kind=Kind.RESET, username=username, **expired)]

    async def states(self, *invites: Invite) -> list[str]:
        """The status of each; "ended" is an expired one that was revoked since."""
        return [self.state(await self.get(invite)) for invite in invites]

    def state(self, invite: Invite) -> str:
        status = invite.status(self.now)
        is_ended = status is Status.EXPIRED and invite.revoked_at is not None
        return "ended" if is_ended else status.value

    def make_key(self, key_id: str = "key") -> Deferred[None]:
        key = ApiKey(id=key_id, name="x", scopes=(Scope.RESETS_CREATE,), created_at=self.now)
        return self.store.create_key(key, token_digest(key_id))

    async def test_reset_ends_the_others(self) -> None:
        """Who has a new password by a link leaves no other link to the account open."""
        await self.people("romeo", "juliet")
        used, *others = await self.resets()
        of_juliet = await self.resets("juliet")
        guest = await self.invite(username="nurse")
        self.advance(HOUR)
        await self.reset("romeo", used)
        self.assertEqual(
            await self.states(used, *others), ["used"] + ["revoked"] * 4 + ["ended"]
        )
        self.assertEqual((await self.get(others[0])).revoked_at, self.now)
        self.assertNotIn("revoked", await self.states(*of_juliet, guest))
        for invite in others:
            await self.refused(self.reset("romeo", invite), InvalidInvite)

    async def test_refused_reset_ends_nothing(self) -> None:
        """A link that was no good has changed nothing."""
        await self.people("romeo", "juliet")
        first, second, *_ = await self.resets()
        await self.store.revoke_invite(DOMAIN, first.id, self.now)
        await self.refused(self.reset("romeo", first), InvalidInvite)
        await self.refused(self.reset("juliet", second), InvalidInvite)
        self.assertEqual(await self.states(second), [Status.PENDING])
        credentials = (await self.account("romeo")).credentials
        self.assertEqual(credentials, make_credentials())

    async def test_change_ends_resets(self) -> None:
        """Who changes the password ends the links that would set another."""
        await self.people("romeo", "juliet")
        mine, theirs = await self.resets(), await self.resets("juliet")
        since = (await self.account("romeo")).credentials.changed_at
        self.advance(HOUR)
        wrong = self.store.set_credentials(DOMAIN, "romeo", self.credentials(), since + HOUR)
        await self.refused(wrong, NotFound)
        self.assertNotIn("revoked", await self.states(*mine))
        await self.store.set_credentials(DOMAIN, "romeo", self.credentials(), since)
        self.assertEqual(await self.states(*mine), ["revoked"] * 5 + ["ended"])
        self.assertNotIn("revoked", await self.states(*theirs))

    async def test_resets_end(self) -> None:
        """The links to an account end by themselves, too, for a password set elsewhere."""
        await self.people("romeo")
        mine = await self.resets()
        self.assertEqual(await self.store.end_resets(DOMAIN, "romeo", self.now), 6)
        self.assertEqual(await self.states(*mine), ["revoked"] * 5 + ["ended"])
        self.assertEqual(await self.store.end_resets(DOMAIN, "romeo", self.now), 0)

    async def test_resets_at_once(self) -> None:
        """Of several links that are used at the same moment, one sets the password."""
        await self.people("romeo")
        for _ in range(5):
            racing = [self.reset("romeo", invite) for invite in await self.resets()]
            results = await DeferredList(racing, consumeErrors=True)
            self.assertEqual(sum(success for success, _ in results), 1)
            errors = {type(result.value) for success, result in results if not success}
            self.assertEqual(errors, {InvalidInvite})

    async def test_leased_reset_ends_the_others(self) -> None:
        """A link that sets a password at another server ends the others when it has."""
        await self.people("romeo")
        used, *others = await self.resets()
        lease = await self.store.reserve(self.redemption("romeo", used), self.now)
        self.assertNotIn("revoked", await self.states(*others))
        self.assertTrue(await self.store.complete(lease.number))
        self.assertEqual(
            await self.states(used, *others), ["used"] + ["revoked"] * 4 + ["ended"]
        )
        for invite in others:
            reserving = self.store.reserve(self.redemption("romeo", invite), self.now)
            await self.refused(reserving, InvalidInvite)

    async def test_released_reset_ends_nothing(self) -> None:
        """If it has not, or nobody knows, all links are as good as before."""
        await self.people("romeo")
        used, *others = await self.resets()
        lease = await self.store.reserve(self.redemption("romeo", used), self.now)
        self.assertTrue(await self.store.release(lease.number))
        self.assertNotIn("revoked", await self.states(used, *others))

    async def test_leased_resets_at_once(self) -> None:
        """Of several links at the same moment, one is tried at the other server."""
        await self.people("romeo", "juliet")
        mine, theirs = await self.resets(), await self.resets("juliet")
        asked = [self.redemption("romeo", invite) for invite in mine]
        racing = [self.store.reserve(one, self.now) for one in asked]
        results = await DeferredList(racing, consumeErrors=True)
        leases = [result for success, result in results if success]
        errors = {type(result.value) for success, result in results if not success}
        self.assertEqual((len(leases), errors), (1, {Overloaded}))
        uses = [(await self.get(one)).uses for one in mine]
        self.assertEqual(sum(uses), 1)
        await self.store.reserve(self.redemption("juliet", theirs[0]), self.now)
        await self.store.release(leases[0].number)
        await self.store.reserve(asked[1], self.now)

    async def test_deleting_ends_what_was_made(self) -> None:
        """The links that somebody made for others end with their account, at every door."""
        await self.people("romeo", "boss", "juliet")
        made = await self.resets()
        named = await self.invite(username="nurse", source=f"web:boss@{DOMAIN}", inviter="boss")
        elsewhere = await self.invite(
            domain="example.org", source=f"adhoc:boss@{DOMAIN}", id="elsewhere"
        )
        await self.store.delete_account(DOMAIN, "boss", self.now)
        states = await self.states(*made, named)
        self.assertEqual(
            states,
            [*("pending", "pending", "revoked", "revoked", "pending", "expired"), "revoked"],
        )
        await self.redeem("nurse")
        kept = await self.store.get_invite("example.org", elsewhere.id)
        self.assertIsNone(kept.revoked_at)

    async def test_branch_ends_resets(self) -> None:
        """A branch ends with the links that those in it have made for others."""
        await self.people("romeo", "boss")
        invite = await self.invite(inviter="boss")
        await self.redeem("juliet", invite)
        made = await self.resets()
        below = await self.invite(
            kind=Kind.RESET, username="romeo", source=f"adhoc:juliet@{DOMAIN}"
        )
        ended = await self.store.revoke_branch(DOMAIN, "boss", self.now)
        self.assertEqual([one.id for one in ended], [made[2].id, made[3].id, below.id])
        self.assertEqual(ended[0], await self.get(made[2]))

    async def test_revoked_key_ends_resets(self) -> None:
        """The links to accounts that a key has made end with it, at all domains."""
        await self.people("romeo")
        await self.make_key()
        made = await self.resets()
        invite = await self.invite(source="api:key", username="nurse")
        other = await self.invite(source="api:key2")
        far = await self.invite(source="api:key", domain="example.org", username="nurse")
        key, ended = await self.store.revoke_key("key", self.now)
        self.assertEqual((key.revoked_at, list(ended)), (self.now, [await self.get(made[1])]))
        states = await self.states(*made, invite)
        self.assertEqual(states.count("revoked"), 1)
        _key, ended = await self.store.revoke_key("key", self.now, with_invites=True)
        self.assertEqual([one.id for one in ended], [invite.id, far.id])
        self.assertEqual(await self.states(invite, other), ["revoked", "pending"])
        await self.redeem("nurse")

    async def test_revoked_key_makes_nothing(self) -> None:
        """A request that is under way while its key ends leaves nothing behind."""
        await self.people("romeo")
        await self.make_key()
        await self.store.revoke_key("key", self.now)
        for values in ({}, {"kind": Kind.RESET, "username": "romeo"}):
            late = make_invite(source="api:key", created_at=self.now, **values)
            making = self.store.create_invite(late, token_digest("late"))
            await self.refused(making, NotFound)
            await self.refused(
                self.store.create_invites([(late, token_digest("late"))]), NotFound
            )
        self.assertEqual(await self.store.list_invites(DOMAIN, self.now), [])

    async def test_deleted_admin_makes_nothing(self) -> None:
        """So it is while its account is deleted."""
        await self.people("romeo", "boss")
        await self.store.delete_account(DOMAIN, "boss", self.now)
        late = self.invited(f"adhoc:boss@{DOMAIN}", kind=Kind.RESET, username="romeo")
        await self.refused(late, NotFound)

    async def test_revoked_key_changes_nothing(self) -> None:
        """Nor does it change what others have made, or get its token."""
        await self.people("romeo")
        await self.make_key()
        reset, invite = (await self.resets())[0], await self.invite("old")
        await self.store.revoke_key("key", self.now)
        change = InviteChanges(values={"note": "n", "expires_at": None})
        for one in (reset, invite):
            for changes in (change, InviteChanges()):
                editing = self.store.edit_invite(DOMAIN, one.id, changes, self.now, "api:key")
                await self.refused(editing, NotFound)
            digest = token_digest("new")
            renewing = self.store.renew_invite(DOMAIN, one.id, digest, self.now, "api:key")
            await self.refused(renewing, NotFound)
            self.assertEqual(await self.get(one), one)
        self.assertIsNone((await self.look_up(digest=token_digest("new"))).invite)

    async def test_renewed_is_the_renewers(self) -> None:
        """What somebody has the token of ends with them, and with nobody else."""
        await self.people("romeo", "boss", "juliet")
        await self.make_key()
        doors = {
            "api:key": lambda: self.store.revoke_key("key", self.now, with_invites=True),
            f"adhoc:boss@{DOMAIN}": lambda: self.store.revoke_branch(DOMAIN, "boss", self.now),
            f"web:juliet@{DOMAIN}": lambda: self.store.delete_account(
                DOMAIN, "juliet", self.now
            ),
            "prosody": lambda: self.store.revoke_source(DOMAIN, "prosody", self.now),
        }
        for source, end in doors.items():
            taken = [await self.renewed(source, one) for one in await self.handed_out("cli")]
            given = [await self.renewed("cli", one) for one in await self.handed_out(source)]
            await end()
            self.assertEqual(await self.states(*taken), ["revoked"] * 2, source)
            self.assertEqual(await self.states(*given), ["pending"] * 2, source)

    async def handed_out(self, source: str) -> list[Invite]:
        reset = await self.invite(kind=Kind.RESET, username="romeo", source=source)
        return [reset, await self.invite(source=source)]

    def renewed(self, source: str, invite: Invite) -> Deferred[Invite]:
        digest = token_digest(f"{invite.id} anew")
        return self.store.renew_invite(DOMAIN, invite.id, digest, self.now, source)

    def invited(self, source: str, **values: Any) -> Deferred[None]:
        invite = make_invite(source=source, created_at=self.now, **values)
        return self.store.create_invite(invite, token_digest(invite.id))

    async def test_revoke_source(self) -> None:
        """All that one source has made ends at once, and nothing else."""
        await self.people("romeo", "boss")
        await self.make_key()
        made = await self.resets()
        for number, source in enumerate(SOURCES):
            invite = await self.invite(source=source, username=f"guest{number}")
            used = await self.invite(source=source, uses_allowed=1)
            await self.redeem(f"user{number}", used)
            self.advance(timedelta(seconds=1))
            ended = await self.store.revoke_source(DOMAIN, source, self.now)
            last = [made[5].id] if source == "cli" else []
            self.assertEqual(
                [one.id for one in ended], [made[number].id, *last, invite.id], source
            )
            self.assertEqual(ended[-1], await self.get(invite))
            self.assertEqual(await self.states(used), ["used"])
            await self.redeem(f"guest{number}")
            again = await self.store.revoke_source(DOMAIN, source, self.now)
            self.assertEqual(list(again), [])

    async def test_revoke_unknown_source(self) -> None:
        """A source that is known and has made nothing is no mistake; one that is not, is."""
        await self.people("boss")
        await self.make_key()
        for source in ("cli", "api:key", f"adhoc:boss@{DOMAIN}"):
            self.assertEqual(list(await self.store.revoke_source(DOMAIN, source, self.now)), [])
        for source in ("api:other", f"adhoc:tybalt@{DOMAIN}", "web:boss@example.org", "api:"):
            revoking = self.store.revoke_source(DOMAIN, source, self.now)
            await self.refused(revoking, NotFound)

    async def end_gone(self, username: str, left: AccountTraces) -> Any:
        return await self.store.end_gone(DOMAIN, username, left, self.now)

    async def test_traces(self) -> None:
        """An account that has left nothing is not worth a word; roles or links are."""
        await self.people("romeo")
        await self.redeem("juliet", roles=("team",))
        await self.redeem("nurse", groups=("friends",))
        made_at = self.now
        await self.invite(kind=Kind.RESET, username="juliet", source="adhoc:paris@x.net")
        found = {}
        for username in ("romeo", "juliet", "nurse", "tybalt"):
            found[username] = await self.store.traces(DOMAIN, username)
        known = AccountTraces(created_at=made_at)
        expected = {"romeo": None, "juliet": known, "nurse": known, "tybalt": None}
        self.assertEqual(found, expected)
        for values in (
            {"inviter": "tybalt"},
            {"kind": Kind.RESET, "username": "romeo", "source": f"web:tybalt@{DOMAIN}"},
        ):
            invite = await self.invite(**values)
            left = await self.store.traces(DOMAIN, "tybalt")
            self.assertEqual(left, AccountTraces(created_at=None))
            await self.end_gone("tybalt", left)
            self.assertEqual(await self.states(invite), ["revoked"])
            self.assertIsNone(await self.store.traces(DOMAIN, "tybalt"))

    async def test_gone(self) -> None:
        """An account that is gone has no roles any more, nor links, but keeps its name."""
        await self.people("romeo", "boss")
        await self.redeem("juliet", roles=("team",), groups=("friends",))
        made = await self.resets()
        of_boss = await self.resets("boss")
        own = await self.invite(inviter="boss", username="nurse")
        left = AccountTraces(created_at=self.now)
        ended = await self.end_gone("boss", left)
        self.assertEqual([one.id for one in ended], [made[2].id, made[3].id, own.id])
        self.assertEqual(await self.states(*of_boss), ["revoked"] * 5 + ["ended"])
        self.assertEqual((await self.states(*made)).count("revoked"), 2)
        await self.end_gone("juliet", left)
        account = await self.account("juliet")
        self.assertEqual((account.roles, account.groups), ((), ()))
        await self.refused(self.redeem("juliet"), UsernameTaken)
        await self.redeem("nurse")

    async def test_gone_and_made_meanwhile(self) -> None:
        """What was asked before an account was made, or is being made, ends nothing of it."""
        invite = await self.invite(inviter="juliet")
        left = AccountTraces(created_at=None)
        lease = await self.store.reserve(self.redemption("juliet"), self.now)
        self.assertIsNone(await self.end_gone("juliet", left))
        await self.store.complete(lease.number)
        self.assertIsNone(await self.end_gone("juliet", left))
        self.assertEqual(await self.states(invite), ["pending"])
        self.assertIsNone(
            await self.end_gone("juliet", AccountTraces(created_at=self.now + HOUR))
        )
        self.assertIsNotNone(await self.end_gone("juliet", AccountTraces(created_at=self.now)))
        self.assertEqual(await self.states(invite), ["revoked"])
