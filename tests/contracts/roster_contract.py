"""What any store of rosters does."""

from datetime import timedelta
from typing import Any

from twisted.internet.defer import Deferred

from invitereg.errors import NotFound, RosterFull
from invitereg.interfaces.queries import RosterChange, Subscribing
from invitereg.model.invites import Invite, Kind, token_digest
from invitereg.model.roster import RosterItem, Subscription
from invitereg.model.subscribing import Push, Side, Stanza, SubscriptionChange
from tests.contracts.store_case import DOMAIN, HOUR, StoreCase

NONE, TO, FROM, BOTH = Subscription
REQUEST = "<presence type='subscribe'><status>☃</status></presence>"


class RosterCase(StoreCase):
    """There are juliet, romeo and the nurse."""

    async def people(self, *usernames: str) -> None:
        for username in usernames or ("juliet", "romeo", "nurse"):
            await self.redeem(username)

    async def roster(self, username: str) -> dict[str, RosterItem]:
        """The items by username."""
        roster = await self.store.get_roster(DOMAIN, username)
        return {jid.partition("@")[0]: item for jid, item in roster.items()}

    async def subscription(self, username: str, contact: str) -> Subscription | None:
        item = (await self.roster(username)).get(contact)
        return None if item is None else item.subscription

    async def assertMutual(self, one: str, other: str) -> None:
        for username, contact in ((one, other), (other, one)):
            item = (await self.roster(username))[contact]
            self.assertEqual((item.subscription, item.ask, item.request), (BOTH, False, None))
            self.assertTrue(item.listed)

    def set_item(self, username: str, contact: str, name: str = "", limit: int = 9) -> Any:
        jid = f"{contact}@{DOMAIN}"
        return self.store.set_item(DOMAIN, username, jid, name, (), limit)

    def remove(self, username: str, contact: str) -> Any:
        return self.store.remove_item(DOMAIN, username, f"{contact}@{DOMAIN}")

    def send(
        self,
        username: str,
        contact: str,
        stanza: Stanza = Stanza.SUBSCRIBE,
        token: str | None = None,
        roster_limit: int = 9,
        requests_limit: int = 9,
    ) -> "Deferred[SubscriptionChange]":
        asked = Subscribing(
            stanza=stanza,
            domain=DOMAIN,
            username=username,
            contact=contact if "@" in contact else f"{contact}@{DOMAIN}",
            roster_limit=roster_limit,
            requests_limit=requests_limit,
            request=REQUEST,
            digest=None if token is None else token_digest(token),
            use=self.use(username, kind=Kind.CONTACT),
        )
        sent: Deferred[SubscriptionChange] = self.store.subscribe(asked)
        return sent

    async def befriend(self, one: str, other: str) -> None:
        """Let them become mutual contacts by stanzas."""
        await self.send(one, other)
        await self.send(other, one, Stanza.SUBSCRIBED)
        await self.send(other, one)
        await self.send(one, other, Stanza.SUBSCRIBED)

    async def contact_invite(self, **changes: Any) -> Invite:
        """An invite of romeo's with the token "token"."""
        values = {"kind": Kind.CONTACT, "inviter": "romeo", "uses_allowed": 2}
        return await self.invite("token", **(values | changes))


class RosterContract(RosterCase):
    async def test_items(self) -> None:
        """Items are kept as they were given, and are changed and read back in order."""
        await self.people()
        jid = f"romeo@{DOMAIN}"
        groups = ("Montagues", "☃ & <friends>")
        item = await self.store.set_item(DOMAIN, "juliet", jid, "Romeo", groups, 9)
        self.assertEqual(item, RosterItem(jid=jid, name="Romeo", groups=groups))
        await self.set_item("juliet", "nurse", "Angelica")
        await self.set_item("juliet", "a")
        self.assertEqual(list(await self.roster("juliet")), ["a", "nurse", "romeo"])
        await self.store.set_item(DOMAIN, "juliet", jid, "", (), 9)
        self.assertEqual((await self.roster("juliet"))["romeo"], RosterItem(jid=jid))
        self.assertEqual(await self.roster("romeo"), {})

    async def test_of_nobody(self) -> None:
        """Who has no account has no roster."""
        self.assertEqual(await self.roster("juliet"), {})
        await self.refused(self.set_item("juliet", "romeo"), NotFound)
        await self.refused(self.remove("juliet", "romeo"), NotFound)
        await self.refused(self.send("juliet", "romeo"), NotFound)

    async def test_item_keeps_subscription(self) -> None:
        """Who renames a contact changes nothing else, and lists who is only asking."""
        await self.people()
        await self.send("juliet", "romeo")
        await self.set_item("juliet", "romeo", "R")
        item = (await self.roster("juliet"))["romeo"]
        self.assertEqual((item.name, item.ask), ("R", True))
        item = await self.set_item("romeo", "juliet", "J")
        self.assertEqual((item.name, item.request, item.listed), ("J", REQUEST, True))

    async def test_both_sides(self) -> None:
        """A subscription is stored for both, with the request until it is answered."""
        await self.people()
        exchange = await self.send("juliet", "romeo")
        mine, theirs = (await self.roster("juliet"))["romeo"], (await self.roster("romeo"))
        self.assertEqual(mine, RosterItem(jid=f"romeo@{DOMAIN}", ask=True))
        waiting = RosterItem(jid=f"juliet@{DOMAIN}", request=REQUEST, listed=False)
        self.assertEqual(theirs, {"juliet": waiting})
        self.assertEqual((exchange.user, exchange.contact), (mine, waiting))
        await self.send("romeo", "juliet", Stanza.SUBSCRIBED)
        self.assertIs(await self.subscription("juliet", "romeo"), TO)
        self.assertIs(await self.subscription("romeo", "juliet"), FROM)

    async def test_refused(self) -> None:
        """Nothing stays of a request that is refused."""
        await self.people()
        await self.send("juliet", "romeo")
        await self.send("romeo", "juliet", Stanza.UNSUBSCRIBED)
        self.assertEqual(await self.roster("romeo"), {})
        self.assertIs(await self.subscription("juliet", "romeo"), NONE)

    async def test_to_nobody(self) -> None:
        """A request to a name that nobody has stays with who asks."""
        await self.people()
        await self.send("juliet", "paris")
        self.assertEqual(list(await self.roster("juliet")), ["paris"])

    async def test_removal(self) -> None:
        """A removed contact is gone, and has no subscription left."""
        await self.people()
        await self.befriend("juliet", "romeo")
        await self.assertMutual("juliet", "romeo")
        exchange = await self.remove("juliet", "romeo")
        self.assertIn(Push(Side.USER, None), exchange.effects)
        self.assertEqual(await self.roster("juliet"), {})
        self.assertIs(await self.subscription("romeo", "juliet"), NONE)
        await self.refused(self.remove("juliet", "romeo"), NotFound)

    async def test_removal_of_a_request(self) -> None:
        """What is not listed cannot be removed."""
        await self.people()
        await self.send("juliet", "romeo")
        await self.refused(self.remove("romeo", "juliet"), NotFound)
        self.assertEqual(list(await self.roster("romeo")), ["juliet"])

    async def test_limit(self) -> None:
        """A roster has an end; what is there may be changed and answered."""
        await self.people()
        await self.set_item("juliet", "a", limit=2)
        await self.send("juliet", "romeo", roster_limit=2)
        await self.refused(self.set_item("juliet", "b", limit=2), RosterFull)
        await self.refused(self.send("juliet", "nurse", roster_limit=2), RosterFull)
        self.assertEqual(await self.roster("nurse"), {})
        await self.set_item("juliet", "a", "A", limit=2)
        await self.send("juliet", "romeo", roster_limit=2)

    async def test_limit_of_requests(self) -> None:
        """Strangers cannot fill somebody's storage, and what is refused is not half stored."""
        await self.people()
        await self.send("juliet", "romeo", requests_limit=1)
        await self.refused(self.send("nurse", "romeo", requests_limit=1), RosterFull)
        self.assertEqual(await self.roster("nurse"), {})
        self.assertEqual(list(await self.roster("romeo")), ["juliet"])
        await self.send("juliet", "romeo", requests_limit=1)

    async def test_registration(self) -> None:
        """Account and contacts are made together, and the inviter's sessions can be told."""
        await self.people("romeo")
        invite = await self.contact_invite(kind=Kind.ACCOUNT_AND_CONTACT)
        await self.redeem("juliet", invite, contact="romeo")
        await self.assertMutual("juliet", "romeo")
        changes = await self.store.roster_changes(0)
        self.assertEqual(changes, [self.change(1, "romeo", "juliet")])
        self.assertEqual(await self.store.roster_changes(1), [])
        self.assertEqual(await self.store.roster_changes(None), changes)

    def change(self, number: int, username: str, contact: str) -> RosterChange:
        jid = f"{contact}@{DOMAIN}"
        return RosterChange(number=number, domain=DOMAIN, username=username, jid=jid)

    async def test_registration_without_inviter(self) -> None:
        """It works without the contact if the inviter is gone, or has a full roster."""
        invite = await self.contact_invite(kind=Kind.ACCOUNT_AND_CONTACT, uses_allowed=9)
        await self.redeem("juliet", invite, contact="romeo")
        await self.people("romeo")
        await self.set_item("romeo", "a")
        await self.redeem("nurse", invite, contact="romeo", roster_limit=1)
        for username in ("juliet", "nurse"):
            self.assertEqual(await self.roster(username), {})
        self.assertEqual(await self.store.roster_changes(0), [])

    async def test_refused_registration(self) -> None:
        """A registration that is refused makes no contact."""
        await self.people("romeo", "juliet")
        invite = await self.contact_invite(kind=Kind.ACCOUNT_AND_CONTACT)
        with self.assertRaises(Exception):  # noqa: B017 - which one is the redemption's matter
            await self.redeem("juliet", invite, contact="romeo")
        self.assertEqual(await self.roster("romeo"), {})

    async def test_deletion(self) -> None:
        """With an account its roster goes, and its contacts see it no more."""
        await self.people()
        await self.befriend("juliet", "romeo")
        await self.send("juliet", "nurse")
        await self.set_item("juliet", "a")
        await self.store.delete_account(DOMAIN, "juliet", self.now)
        self.assertEqual(await self.roster("juliet"), {})
        self.assertIs(await self.subscription("romeo", "juliet"), NONE)
        self.assertEqual(await self.roster("nurse"), {})
        changes = await self.store.roster_changes(0)
        told = [self.change(1, "nurse", "juliet"), self.change(2, "romeo", "juliet")]
        self.assertEqual(changes, told)

    async def test_changes_are_kept_for_an_hour(self) -> None:
        """What has changed is told to sessions for an hour, and then it is no longer kept."""
        friends = ("juliet", "nurse", "tybalt")
        await self.people("romeo", *friends)
        for username, minutes in zip(friends, (0, 59, 60), strict=True):
            await self.befriend(username, "romeo")
            at = self.now + timedelta(minutes=minutes)
            await self.store.delete_account(DOMAIN, username, at)
            changes = await self.store.roster_changes(0)
            if username == "nurse":
                both = [self.change(1, "romeo", "juliet"), self.change(2, "romeo", "nurse")]
                self.assertEqual(changes, both)
        left = [self.change(2, "romeo", "nurse"), self.change(3, "romeo", "tybalt")]
        self.assertEqual(changes, left)

    async def test_deletion_ends_approvals(self) -> None:
        """Who has a name next is not let in for who had it before."""
        await self.people()
        await self.send("romeo", "juliet", Stanza.SUBSCRIBED)
        await self.store.delete_account(DOMAIN, "juliet", self.now)
        self.assertFalse((await self.roster("romeo"))["juliet"].approved)
        await self.redeem("juliet", operator=True)
        await self.send("juliet", "romeo")
        self.assertIs(await self.subscription("romeo", "juliet"), NONE)


class InvitationContract(RosterCase):
    """Subscriptions by invitation (XEP-0379)."""

    async def assertUses(self, invite: Invite, *usernames: str) -> None:
        """The invite has been used by these, in this order."""
        uses = await self.store.list_uses(DOMAIN, invite.id)
        self.assertEqual([use.username for use in uses], list(usernames))
        self.assertEqual((await self.get(invite)).uses, len(usernames))

    async def test_mutual(self) -> None:
        """A token of romeo's makes both contacts at once, and takes one use."""
        await self.people()
        invite = await self.contact_invite()
        await self.send("juliet", "romeo", token="token")
        await self.assertMutual("juliet", "romeo")
        await self.assertUses(invite, "juliet")
        (use,) = await self.store.list_uses(DOMAIN, invite.id)
        self.assertEqual((use.kind, use.door), (Kind.CONTACT, "c2s"))

    async def test_twice(self) -> None:
        """The same token twice is no error, and no second use."""
        await self.people()
        invite = await self.contact_invite()
        for _ in range(2):
            await self.send("juliet", "romeo", token="token")
        await self.assertMutual("juliet", "romeo")
        await self.assertUses(invite, "juliet")

    async def test_after_removal(self) -> None:
        """Who was removed does not get in again with a token used before."""
        await self.people()
        invite = await self.contact_invite()
        await self.send("juliet", "romeo", token="token")
        await self.remove("romeo", "juliet")
        await self.send("juliet", "romeo", token="token")
        self.assertIsNotNone((await self.roster("romeo"))["juliet"].request)
        await self.assertUses(invite, "juliet")

    async def test_mutual_already(self) -> None:
        """Between mutual contacts a token is not used."""
        await self.people()
        invite = await self.contact_invite()
        await self.befriend("juliet", "romeo")
        await self.send("juliet", "romeo", token="token")
        await self.assertUses(invite)

    async def test_after_a_request(self) -> None:
        """A request that waits is granted when the token comes after all."""
        await self.people()
        invite = await self.contact_invite()
        await self.send("juliet", "romeo")
        await self.send("juliet", "romeo", token="token")
        await self.assertMutual("juliet", "romeo")
        await self.assertUses(invite, "juliet")

    async def test_approved_in_advance(self) -> None:
        """In whatever order the newcomer's app approves and asks, the outcome is the same."""
        await self.people()
        await self.contact_invite()
        await self.send("juliet", "romeo", Stanza.SUBSCRIBED)
        await self.send("juliet", "romeo", token="token")
        await self.send("nurse", "romeo", token="token")
        await self.send("nurse", "romeo", Stanza.SUBSCRIBED)
        await self.assertMutual("juliet", "romeo")
        await self.assertMutual("nurse", "romeo")

    async def test_used_up(self) -> None:
        """It is used as often as it allows; after that, requests are ordinary ones."""
        await self.people("romeo", "a", "b", "c")
        invite = await self.contact_invite()
        for username in ("a", "b", "c"):
            await self.send(username, "romeo", token="token")
        await self.assertUses(invite, "a", "b")
        self.assertIsNotNone((await self.roster("romeo"))["c"].request)

    async def test_wrong(self) -> None:
        """A token that is expired, revoked, another's or for no contacts grants nothing."""
        await self.people()
        await self.invite("account", inviter="romeo")
        await self.invite("nurse's", kind=Kind.CONTACT, inviter="nurse")
        await self.invite("fixed", kind=Kind.CONTACT, inviter="romeo", username="paris")
        await self.invite("old", kind=Kind.CONTACT, inviter="romeo", expires_at=self.now + HOUR)
        revoked = await self.invite("revoked", kind=Kind.CONTACT, inviter="romeo")
        await self.store.revoke_invite(DOMAIN, revoked.id, self.now)
        self.advance(HOUR)
        for token in ("account", "nurse's", "fixed", "old", "revoked", "unknown"):
            await self.send("juliet", "romeo", token=token)
            self.assertIs(await self.subscription("romeo", "juliet"), NONE, token)
        self.assertEqual(
            [use.invite_id for use in await self.store.list_uses(DOMAIN)], [None] * 3
        )

    async def test_not_for_answers(self) -> None:
        """Only a request uses an invitation."""
        await self.people()
        invite = await self.contact_invite()
        for stanza in (Stanza.SUBSCRIBED, Stanza.UNSUBSCRIBE, Stanza.UNSUBSCRIBED):
            await self.send("juliet", "romeo", stanza, token="token")
        await self.assertUses(invite)
        self.assertEqual(await self.roster("romeo"), {})

    async def test_full(self) -> None:
        """A refused subscription costs no use."""
        await self.people()
        invite = await self.contact_invite()
        await self.set_item("romeo", "a")
        full = self.send("juliet", "romeo", token="token", roster_limit=1)
        await self.refused(full, RosterFull)
        await self.assertUses(invite)
        self.assertEqual(await self.roster("juliet"), {})

    async def test_of_the_own_account(self) -> None:
        """The token that made an account is good for its own subscription, though used up."""
        await self.people("romeo", "nurse")
        invite = await self.contact_invite(kind=Kind.ACCOUNT_AND_CONTACT, uses_allowed=1)
        await self.redeem("juliet", invite, contact="romeo")
        await self.send("juliet", "romeo", token="token")
        await self.assertMutual("juliet", "romeo")
        await self.remove("juliet", "romeo")
        await self.send("juliet", "romeo", token="token")
        await self.assertMutual("juliet", "romeo")
        await self.send("nurse", "romeo", token="token")
        self.assertIs(await self.subscription("romeo", "nurse"), NONE)
        await self.assertUses(invite, "juliet")

    async def test_removed_by_the_inviter(self) -> None:
        """Whom the inviter has removed is not let in again by it."""
        await self.people("romeo")
        invite = await self.contact_invite(kind=Kind.ACCOUNT_AND_CONTACT)
        await self.redeem("juliet", invite, contact="romeo")
        await self.remove("romeo", "juliet")
        await self.send("juliet", "romeo", token="token")
        self.assertIs(await self.subscription("romeo", "juliet"), NONE)
        await self.assertUses(invite, "juliet")

    async def test_remaining_uses(self) -> None:
        """What is left of such an invite is for other accounts, too."""
        await self.people("romeo", "nurse")
        invite = await self.contact_invite(kind=Kind.ACCOUNT_AND_CONTACT)
        await self.redeem("juliet", invite, contact="romeo")
        await self.send("nurse", "romeo", token="token")
        await self.assertMutual("nurse", "romeo")
        await self.assertUses(invite, "juliet", "nurse")

    async def next_bearer(self, username: str) -> None:
        """Delete an account; somebody else gets its name."""
        await self.store.delete_account(DOMAIN, username, self.now)
        await self.redeem(username, operator=True)

    async def test_next_bearer(self) -> None:
        """Who gets the name of a deleted account takes a use of their own, if one is left."""
        await self.people()
        invite = await self.contact_invite()
        await self.send("juliet", "romeo", token="token")
        await self.next_bearer("juliet")
        for _ in range(2):
            await self.send("juliet", "romeo", token="token")
            await self.assertMutual("juliet", "romeo")
            await self.assertUses(invite, "juliet", "juliet")
        await self.next_bearer("juliet")
        await self.send("juliet", "romeo", token="token")
        self.assertIs(await self.subscription("romeo", "juliet"), NONE)
        await self.assertUses(invite, "juliet", "juliet")

    async def test_next_bearer_of_a_name_made_with_it(self) -> None:
        """Nor does the token that made an account open the inviter to who has its name next."""
        await self.people("romeo")
        invite = await self.contact_invite(kind=Kind.ACCOUNT_AND_CONTACT, uses_allowed=1)
        await self.redeem("juliet", invite, contact="romeo")
        await self.next_bearer("juliet")
        await self.set_item("romeo", "juliet")
        await self.send("juliet", "romeo", token="token")
        self.assertIs(await self.subscription("romeo", "juliet"), NONE)
        await self.assertUses(invite, "juliet")

    async def test_expired_meanwhile(self) -> None:
        """Expiry counts when the request comes."""
        await self.people()
        invite = await self.contact_invite(expires_at=self.now + HOUR)
        self.advance(HOUR - timedelta(microseconds=1))
        await self.send("juliet", "romeo", token="token")
        self.advance(timedelta(microseconds=1))
        await self.send("nurse", "romeo", token="token")
        await self.assertUses(invite, "juliet")
