"""What users do with invites by their own account."""

from datetime import timedelta
from typing import Any

from invitereg.errors import (
    InvalidInvite,
    InvalidRequest,
    MayNotInvite,
    NotFound,
    RegistrationClosed,
    Throttled,
    TooManyOpenInvites,
    UnacceptableUsername,
    UsernameReserved,
)
from invitereg.model.invites import Invite, Kind, Status
from invitereg.policy.values import Domain, InviteRules, Limit, Policy, UserInviteLimits
from invitereg.testing import START
from invitereg.usecases.userinvites import User, UserInvites
from tests.usecases.case import DOMAIN, UseCase, new

DAY = timedelta(days=1)
JULIET, ROMEO, NURSE = (User(DOMAIN, name, "adhoc") for name in ("juliet", "romeo", "nurse"))


class UserCase(UseCase):
    """juliet and nurse have accounts, and so has romeo, the admin."""

    def setUp(self) -> None:
        super().setUp()
        self.invites = UserInvites(self.issuer, self.store)
        for username in ("juliet", "romeo", "nurse"):
            self.account(username)
        self.allow()

    def allow(self, closed: bool = False, users: dict[str, Any] | None = None, **rules: Any):
        """Change the policy; users may invite to register, if nothing is said."""
        limits = UserInviteLimits(**(users or {}))
        invites = InviteRules(**({"allow_user_invites": True} | rules), users=limits)
        policy = Policy(
            admins=frozenset({"romeo"}), allow_registration=not closed, invites=invites
        )
        self.issuer.domains[DOMAIN] = Domain(name=DOMAIN, policy=policy)

    def made(self, user: User = JULIET) -> tuple[Invite, str]:
        return self.done(self.invites.invite(user))


class InviteTests(UserCase):
    def test_both(self) -> None:
        """Who may invite to register makes an invite for that, and becomes a contact."""
        invite, token = self.made()
        self.assertEqual(
            (invite.kind, invite.inviter, invite.source, invite.uses_allowed),
            (Kind.ACCOUNT_AND_CONTACT, "juliet", "adhoc:juliet@example.com", 1),
        )
        self.assertTrue(invite.uri(token).endswith(";ibr=y"))
        self.preauthorise(token)

    def test_contact_only(self) -> None:
        """Who may not makes one for a contact, which lets nobody register."""
        for change in ({"allow_user_invites": False}, {"closed": True}):
            self.allow(**change)
            invite, token = self.made()
            self.assertEqual(invite.kind, Kind.CONTACT)
            self.assertNotIn("ibr", invite.uri(token))
        self.allow()
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, None, token))

    def test_registration_only(self) -> None:
        """Where contacts are not invited, the invite is for an account alone."""
        self.allow(allow_contact_invites=False)
        self.assertEqual(self.made()[0].kind, Kind.ACCOUNT)

    def test_nothing(self) -> None:
        """Who may do neither makes none."""
        self.allow(allow_user_invites=False, allow_contact_invites=False)
        self.refused(MayNotInvite, self.invites.invite(JULIET))
        self.assertEqual(self.done(self.invites.list_own(JULIET, 9)), [])
        self.assertEqual(self.made(ROMEO)[0].kind, Kind.ACCOUNT_AND_CONTACT)

    def test_roles(self) -> None:
        """A role counts from when it is given, and until it is taken."""
        self.allow(allow_user_invites=False, allow_user_invites_by_roles={"team"})
        self.assertFalse(self.done(self.invites.rights(JULIET)).registration)
        self.successResultOf(
            self.store.change_roles(DOMAIN, "juliet", frozenset({"team"}), frozenset())
        )
        self.assertTrue(self.done(self.invites.rights(JULIET)).registration)
        self.allow(deny_user_invites_by_roles={"team"})
        self.assertFalse(self.done(self.invites.rights(JULIET)).registration)

    def test_nobody(self) -> None:
        """An account that is gone, or was never there, invites nobody."""
        self.made(NURSE)
        self.done(self.registrar.delete_account(DOMAIN, "nurse"))
        for name in ("nurse", "tybalt"):
            self.refused(NotFound, self.invites.invite(User(DOMAIN, name, "adhoc")))

    def test_limits(self) -> None:
        """The limits bind users, and no admin; what is revoked makes room."""
        self.allow(users={"max_open": 2, "made": Limit(max=3, period=DAY)})
        first, _ = self.made()
        self.made()
        self.refused(TooManyOpenInvites, self.invites.invite(JULIET))
        self.done(self.invites.revoke(JULIET, first.id))
        second, _ = self.made()
        self.done(self.invites.revoke(JULIET, second.id))
        error = self.refused(Throttled, self.invites.invite(JULIET))
        self.assertEqual(error.retry_after, DAY.total_seconds())
        for _ in range(4):
            self.made(ROMEO)
        self.clock.advance(DAY.total_seconds())
        self.made()

    def test_age(self) -> None:
        """A new account waits."""
        self.allow(users={"min_account_age": DAY})
        self.refused(MayNotInvite, self.invites.invite(JULIET))
        self.clock.advance(DAY.total_seconds())
        self.made()

    def test_create(self) -> None:
        """An invite for one name, within what users may; the rest is for admins."""
        self.allow(users={"max_uses": 2, "max_expiry": 9 * DAY})
        create = self.invites.create
        invite, _ = self.done(create(JULIET, username="Tybalt", contact=True))
        self.assertEqual((invite.username, invite.subscribe), ("tybalt", True))
        self.assertEqual(self.done(create(JULIET, uses=2, expiry=9 * DAY))[0].uses_allowed, 2)
        self.refused(InvalidRequest, create(JULIET, uses=3))
        self.refused(InvalidRequest, create(JULIET, expiry=None))
        self.refused(MayNotInvite, create(JULIET, roles=("team",)))
        self.refused(UsernameReserved, create(JULIET, username="romeo"))
        invite, _ = self.done(create(ROMEO, uses=None, expiry=None, roles=("team",), note="x"))
        self.assertEqual((invite.roles, invite.expires_at), (("team",), None))
        self.allow(closed=True)
        self.refused(RegistrationClosed, create(JULIET))
        self.refused(RegistrationClosed, create(ROMEO))

    def test_name_that_nobody_chooses(self):
        """A user gives away no name that a newcomer could not choose; an admin may."""
        self.allow()
        for username in ("root", "Administrator"):
            self.refused(UsernameReserved, self.invites.create(JULIET, username=username))
            invite, _ = self.done(self.invites.create(ROMEO, username=username))
            self.assertEqual(invite.username, username.lower())
        self.refused(UnacceptableUsername, self.invites.create(JULIET, username="x" * 65))

    def test_default_expiry(self) -> None:
        """Without a word about it, an invite is good for what users may at most."""
        self.allow(expiry=None, users={"max_expiry": 2 * DAY})
        self.assertEqual(self.made()[0].expires_at, START + 2 * DAY)
        self.assertIsNone(self.made(ROMEO)[0].expires_at)

    def test_no_way_around(self) -> None:
        """Users make no invites in somebody else's name, nor many at once."""
        mine = {"source": JULIET.source, "requestor": "juliet"}
        asked = new(inviter="nurse", **mine)
        self.refused(InvalidRequest, self.issuer.create(asked))
        self.refused(InvalidRequest, self.issuer.create(new(**mine)))
        self.refused(InvalidRequest, self.issuer.create_many(new(inviter="juliet", **mine), 2))


class OwnTests(UserCase):
    """One's own invites, and everybody's."""

    def test_own(self) -> None:
        """A user sees and changes what they have made, and nothing else."""
        mine, token = self.made()
        hers, _ = self.made(NURSE)
        operators, _ = self.invite(inviter="juliet", roles=("team",))
        self.assertEqual(self.done(self.invites.list_own(JULIET, 9)), [mine])
        for other in (hers, operators):
            for change in (self.invites.get, self.invites.renew, self.invites.revoke):
                self.refused(NotFound, change(JULIET, other.id))
        _, renewed = self.done(self.invites.renew(JULIET, mine.id))
        self.preauthorise(renewed)
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, None, token))
        self.done(self.invites.revoke(JULIET, mine.id))
        self.assertEqual(self.done(self.invites.list_own(JULIET, 9)), [])

    def test_other_door(self) -> None:
        """An invite that was made at another door is the user's all the same."""
        invite, _ = self.made(User(DOMAIN, "juliet", "web"))
        self.assertEqual(self.done(self.invites.get(JULIET, invite.id)), invite)
        self.assertEqual(self.done(self.invites.list_own(JULIET, 9)), [invite])

    def test_admin(self) -> None:
        """An admin sees and changes everybody's, and only an admin does."""
        made = [self.made(user)[0] for user in (JULIET, NURSE)]
        made.append(self.invite()[0])
        self.done(self.invites.revoke(ROMEO, made[0].id))
        list_all = self.invites.list_all
        pending = self.done(list_all(ROMEO, Status.PENDING, 9))
        self.assertEqual(pending, made[1:])
        self.assertEqual(len(self.done(list_all(ROMEO, None, 9))), 3)
        self.assertEqual(self.done(list_all(ROMEO, None, 9, made[1].id)), made[2:])
        self.done(self.invites.renew(ROMEO, made[2].id))
        self.refused(MayNotInvite, list_all(JULIET, None, 9))

    def test_reset(self) -> None:
        """An admin makes reset links, and renews them; nobody else does."""
        invite, token = self.done(self.invites.create_reset(ROMEO, "juliet"))
        self.assertEqual((invite.kind, invite.source), (Kind.RESET, ROMEO.source))
        self.preauthorise(token)
        self.done(self.invites.renew(ROMEO, invite.id))
        self.refused(NotFound, self.invites.create_reset(ROMEO, "tybalt"))
        self.refused(MayNotInvite, self.invites.create_reset(JULIET, "romeo"))

    def test_renewal_after_rights_are_lost(self) -> None:
        """Whoever may not invite any more renews nothing, but may still revoke."""
        invite, _ = self.made()
        self.allow(allow_user_invites=False)
        self.refused(MayNotInvite, self.invites.renew(JULIET, invite.id))
        self.assertTrue(self.done(self.invites.rights(JULIET)).has_open)
        self.done(self.invites.revoke(JULIET, invite.id))
        self.assertFalse(self.done(self.invites.rights(JULIET)).has_open)


class InviteOnSQLTests(InviteTests):
    """The same on SQLite."""

    make_store = UseCase.make_sql_store


class OwnOnSQLTests(OwnTests):
    """The same on SQLite."""

    make_store = UseCase.make_sql_store
