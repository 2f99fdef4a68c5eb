"""What may be asked of a new invite, and what becomes of those that are made."""

from datetime import timedelta

from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from invitereg.errors import (
    InvalidInvite,
    InvalidRequest,
    InvalidUsername,
    MayNotInvite,
    MayNotReset,
    NotFound,
    UsernameReserved,
    UsernameTaken,
)
from invitereg.interfaces.apikeys import IdempotencyKey
from invitereg.interfaces.queries import InviteChanges
from invitereg.model.invites import Kind, Status
from invitereg.policy.inviting import OPERATOR, Authority
from invitereg.runtime.logs import LINES_PER_ADDRESS
from invitereg.testing import START
from tests.spying import logged
from tests.usecases.case import DOMAIN, HOME, PASSWORD, UseCase, new


class CreateTests(UseCase):
    """Making invites."""

    def test_operators_own(self) -> None:
        """Without options, an invite is the operator's, good for one account within a week."""
        invite, token = self.invite()
        self.assertEqual(
            (invite.kind, invite.inviter, invite.uses_allowed, invite.expires_at),
            (Kind.ACCOUNT, None, 1, START + timedelta(days=7)),
        )
        self.assertEqual(self.preauthorise(token).invite, invite)

    def test_kinds(self) -> None:
        """An inviter who wants to be a contact makes either kind of contact invite."""
        self.account("juliet")
        both, _ = self.invite(inviter="Juliet", contact=True)
        only, _ = self.invite(inviter="juliet", contact=True, registration=False)
        self.assertEqual((both.kind, both.inviter), (Kind.ACCOUNT_AND_CONTACT, "juliet"))
        self.assertEqual(only.kind, Kind.CONTACT)

    def test_expiry(self) -> None:
        """An invite can be made for ever, or for a time of its own; not for no time."""
        self.assertIsNone(self.invite(expiry=None)[0].expires_at)
        hour = self.invite(expiry=timedelta(hours=1))[0]
        self.assertEqual(hour.expires_at, START + timedelta(hours=1))
        for expiry in (timedelta(), timedelta(days=-1), timedelta(days=999_999_999)):
            self.refused(InvalidRequest, self.issuer.create(new(expiry=expiry)))

    def test_many(self) -> None:
        """Many alike are made at once, each with a token of its own; never for one name."""
        made = self.done(self.issuer.create_many(new(uses=2, note="fair"), 3))
        self.assertEqual(len({token for _, token in made}), 3)
        for invite, token in made:
            self.assertEqual((invite.uses_allowed, invite.note), (2, "fair"))
            self.assertEqual(self.preauthorise(token).invite, invite)
        named = self.issuer.create_many(new(username="nurse"), 2)
        self.refused(InvalidRequest, named)
        self.refused(NotFound, self.issuer.create_many(new(inviter="nobody"), 2))

    def test_nonsense(self) -> None:
        """What cannot work is refused when the invite is made, not when it is used."""
        self.account("juliet")
        for asked in (
            {"uses": 0},
            {"uses": -1},
            {"username": "nurse", "uses": 2},
            {"username": "nurse", "uses": None},
            {"contact": True},
            {"registration": False},
            {"inviter": "juliet", "registration": False, "username": "nurse"},
            {"note": "a\x1b[0m"},
            {"groups": ("friends", "\uffff")},
        ):
            self.refused(InvalidRequest, self.issuer.create(new(**asked)))

    def test_unknown_inviter(self) -> None:
        """Nobody is invited by an account that does not exist."""
        self.refused(NotFound, self.issuer.create(new(inviter="tybalt")))

    def test_username(self) -> None:
        """A name can be given away once, if nobody has it."""
        self.account("juliet")
        self.refused(UsernameTaken, self.issuer.create(new(username="Juliet")))
        self.refused(InvalidUsername, self.issuer.create(new(username="the nurse")))
        self.assertEqual(self.invite(username="Nurse")[0].username, "nurse")
        self.refused(UsernameReserved, self.issuer.create(new(username="nurse")))

    def test_username_of_admin(self) -> None:
        """Only the operator's command line gives away an admin's name."""
        request = new(username="romeo", source="adhoc:juliet@example.com")
        self.refused(UsernameReserved, self.issuer.create(request))
        self.assertEqual(self.invite(username="romeo")[0].username, "romeo")

    def test_refused_often(self) -> None:
        """Whoever keeps asking for what they may not make does not fill the log."""
        self.account("juliet")
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        source = f"adhoc:juliet@{DOMAIN}"
        for _ in range(100):
            asked = new(source=source, requestor="juliet", inviter="juliet")
            self.refused(MayNotInvite, self.issuer.create(asked))
        self.assertEqual(len(lines), LINES_PER_ADDRESS)
        self.assertIn(f"refused at {DOMAIN} to {source}", formatEvent(lines[0]))

    def test_repeated_request(self) -> None:
        """A request that is repeated gives its invite another token, and the log says so."""
        lines = logged(self)
        key = IdempotencyKey(key_id="portal", name=b"n" * 32, request=b"r" * 32)
        tokens = []
        for what in ("made", "renewed"):
            invite, token = self.done(self.issuer.create(new(), key))
            tokens.append(token)
            said = f"invite {invite.id} (account) {what} at {DOMAIN} by cli"
            self.assertEqual(lines.pop(), said)
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, HOME, tokens[0]))
        self.assertEqual(self.preauthorise(tokens[1]).invite, invite)

    def test_reset(self) -> None:
        """A reset is for an account that exists, and for a day."""
        self.refused(NotFound, self.issuer.create_reset(DOMAIN, "juliet", OPERATOR))
        self.account("juliet")
        invite, _ = self.done(self.issuer.create_reset(DOMAIN, "Juliet", OPERATOR))
        self.assertEqual(
            (invite.kind, invite.username, invite.expires_at),
            (Kind.RESET, "juliet", START + timedelta(days=1)),
        )


class CreateOnSQLTests(CreateTests):
    """The same on SQLite."""

    make_store = UseCase.make_sql_store


class ChangeTests(UseCase):
    """Changing invites."""

    def test_renew(self) -> None:
        """A lost link is shared anew, and the old one is dead."""
        invite, lost = self.invite()
        renewed, token = self.done(self.issuer.renew(DOMAIN, invite.id, OPERATOR))
        self.assertEqual(
            (renewed.id, self.preauthorise(token).invite.id), (invite.id, invite.id)
        )
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, None, lost))

    def test_renew_what_is_over(self) -> None:
        """A revoked or expired invite is not renewed."""
        revoked, _ = self.invite()
        expired, _ = self.invite(expiry=timedelta(hours=1))
        self.done(self.issuer.revoke(DOMAIN, revoked.id, OPERATOR))
        self.clock.advance(3600)
        for invite in (revoked, expired):
            self.refused(InvalidRequest, self.issuer.renew(DOMAIN, invite.id, OPERATOR))
        self.refused(NotFound, self.issuer.renew(DOMAIN, "nothing", OPERATOR))

    def test_edit(self) -> None:
        """Expiry, uses and note can be changed while an invite is pending."""
        invite, _ = self.invite()
        changes = InviteChanges(values={"expires_at": None, "uses_allowed": 5, "note": "fair"})
        edited = self.done(self.issuer.edit(DOMAIN, invite.id, changes, OPERATOR))
        self.assertEqual(
            (edited.expires_at, edited.uses_allowed, edited.note), (None, 5, "fair")
        )

    def test_expired_reset(self) -> None:
        """A reset that has expired is opened again by nobody, the operator neither."""
        self.account("juliet")
        hour = timedelta(hours=1)
        made = self.issuer.create_reset(DOMAIN, "juliet", OPERATOR, hour)
        invite, token = self.done(made)
        self.clock.advance(3600)
        for values in ({"expires_at": None}, {"expires_at": self.now() + hour}, {"note": "x"}):
            changes = InviteChanges(values=values)
            working = self.issuer.edit(DOMAIN, invite.id, changes, OPERATOR)
            self.assertIn("expired", str(self.refused(InvalidRequest, working)))
        self.refused(InvalidRequest, self.issuer.renew(DOMAIN, invite.id, OPERATOR))
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, None, token))

    def test_not_theirs_often(self) -> None:
        """Whoever keeps asking for a reset that they may not open does not fill the log."""
        self.account("juliet")
        invite, _ = self.done(self.issuer.create_reset(DOMAIN, "juliet", OPERATOR))
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        somebody = Authority(f"adhoc:romeo@{DOMAIN}", resets=False)
        for _ in range(100):
            self.refused(MayNotReset, self.issuer.renew(DOMAIN, invite.id, somebody))
        self.assertEqual(len(lines), LINES_PER_ADDRESS)
        self.assertIn(f"is not for {somebody.source}: MayNotReset", formatEvent(lines[0]))

    def test_edit_nonsense(self) -> None:
        """Uses of none, and several uses for one username, are refused."""
        invite, _ = self.invite()
        named, _ = self.invite(username="nurse")
        for which, uses in ((invite, 0), (named, 2), (named, None)):
            changes = InviteChanges(values={"uses_allowed": uses})
            self.refused(InvalidRequest, self.issuer.edit(DOMAIN, which.id, changes, OPERATOR))

    def test_edit_unreadable(self) -> None:
        """A note that no app could be sent is refused; the one before it stays."""
        invite, _ = self.invite(note="fair")
        for note in ("\x00", "\x1b", "\ud800"):
            changes = InviteChanges(values={"note": note})
            self.refused(InvalidRequest, self.issuer.edit(DOMAIN, invite.id, changes, OPERATOR))
        changes = InviteChanges(values={"note": "two\nlines\t☃"})
        self.assertEqual(
            self.done(self.issuer.edit(DOMAIN, invite.id, changes, OPERATOR)).note,
            "two\nlines\t☃",
        )

    def test_revoke(self) -> None:
        """A revoked invite opens nothing, its name is free, and revoking twice is harmless."""
        invite, token = self.invite(username="nurse")
        for _ in range(2):
            revoked = self.done(self.issuer.revoke(DOMAIN, invite.id, OPERATOR))
            self.assertEqual(revoked.status(self.now()), Status.REVOKED)
        self.refused(InvalidInvite, self.registrar.preauthorise(DOMAIN, None, token))
        self.invite(username="nurse")
        self.refused(NotFound, self.issuer.revoke(DOMAIN, "nothing", OPERATOR))

    def test_revoke_used(self) -> None:
        """An invite that has been used cannot be revoked any more."""
        invite, token = self.invite()
        submission = self.submission(grant=self.preauthorise(token), password=PASSWORD)
        self.done(self.registrar.redeem(submission))
        self.refused(InvalidRequest, self.issuer.revoke(DOMAIN, invite.id, OPERATOR))


class ChangeOnSQLTests(ChangeTests):
    """The same on SQLite."""

    make_store = UseCase.make_sql_store


class ResetTests(UseCase):
    """Links to one account, of which several are open."""

    def test_changed_password(self) -> None:
        """A password that its owner changes is not set again by a link from before."""
        self.account("juliet")
        since = self.now()
        made = [
            self.done(self.issuer.create_reset(DOMAIN, "juliet", by))[1]
            for by in (OPERATOR, Authority("api:key", resets=True))
        ]
        held = self.preauthorise(made[0])
        self.clock.advance(60)
        changed = self.registrar.change_password(DOMAIN, "juliet", "o happy dagger", since)
        self.done(changed)
        for token in made:
            preauthorising = self.registrar.preauthorise(DOMAIN, None, token)
            self.refused(InvalidInvite, preauthorising)
        late = self.submission("juliet", grant=held, password="their own choice")
        self.refused(InvalidInvite, self.registrar.redeem(late))
        self.assertTrue(self.password_of("juliet", "o happy dagger"))

    def test_two_on_streams(self) -> None:
        """Of two who had both presented a link, the second sets no password any more."""
        self.account("juliet")
        held = [
            self.preauthorise(
                self.done(self.issuer.create_reset(DOMAIN, "juliet", OPERATOR))[1]
            )
            for _ in range(2)
        ]
        first, second = (
            self.submission("juliet", grant=grant, password=f"the choice of {number}")
            for number, grant in enumerate(held)
        )
        self.done(self.registrar.redeem(first))
        self.refused(InvalidInvite, self.registrar.redeem(second))
        self.assertTrue(self.password_of("juliet", "the choice of 0"))
