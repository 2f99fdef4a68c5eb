"""Contacts by invitation: at registration, and by a request with a token (XEP-0379)."""

from unittest import mock

from twisted.internet.defer import fail

from invitereg.errors import Unavailable
from invitereg.interfaces.queries import Redemption
from invitereg.model.invites import Kind, Use
from invitereg.testing import make_account
from tests.xmpp.contacts import (
    GET_ROSTER,
    GRANTED,
    JULIET,
    NURSE,
    ROMEO,
    RosterTestCase,
    presence,
    roster_set,
    subscribe,
)
from tests.xmpp.door import Listener
from tests.xmpp.messages import BIND, TOKEN, preauth, registration

ADD_ROMEO = roster_set(f"<item jid='{ROMEO}' name='Romeo'/>")
APPROVE_ROMEO = presence("subscribed", ROMEO)


class ClientTests(RosterTestCase):
    """What the apps send for ``xmpp:romeo@example.com?roster;preauth=…``, in their order."""

    def setUp(self):
        super().setUp()
        self.contact = self.invite()
        self.romeo = self.session(ROMEO)

    def assertGranted(self, juliet):
        """Both are mutual contacts; romeo was not asked, and one use was taken."""
        self.assertEqual(self.heard(self.romeo), GRANTED)
        self.assertMutual(JULIET, ROMEO)
        self.assertEqual(self.uses(self.contact), 1)
        again = [stanza for stanza in self.heard(juliet) if stanza.startswith("push")]
        self.assertEqual([push for push in again if "none" in push or " to" in push], [])

    def test_conversations(self):
        """Conversations sets the item, asks, and answers the request that comes back."""
        juliet = self.session(JULIET)
        self.say(juliet, ADD_ROMEO)
        told = [
            f"push {ROMEO} none ask",
            f"subscribed from {ROMEO}",
            f"push {ROMEO} to",
            f"subscribe from {ROMEO}",
            f"push {ROMEO} both",
            f"here {ROMEO}/r",
        ]
        self.assertEqual(self.say(juliet, subscribe(ROMEO)), told)
        self.assertEqual(self.say(juliet, APPROVE_ROMEO), [])
        self.assertGranted(juliet)

    def test_monal(self):
        """Monal approves in advance, then asks; nobody is asked back."""
        juliet = self.session(JULIET)
        self.say(juliet, ADD_ROMEO, APPROVE_ROMEO)
        told = [
            f"push {ROMEO} none ask approved",
            f"subscribed from {ROMEO}",
            f"push {ROMEO} to approved",
            f"push {ROMEO} both approved",
            f"here {ROMEO}/r",
        ]
        self.assertEqual(self.say(juliet, subscribe(ROMEO)), told)
        self.assertGranted(juliet)

    def test_siskin(self):
        """Siskin asks as soon as the item is set, and approves right after."""
        juliet = self.session(JULIET)
        told = self.say(juliet, ADD_ROMEO, subscribe(ROMEO), APPROVE_ROMEO)
        self.assertIn(f"push {ROMEO} both", told)
        self.assertGranted(juliet)

    def test_snikket_ios(self):
        """Its build for Snikket approves first, and sets the item last."""
        juliet = self.session(JULIET)
        told = self.say(juliet, APPROVE_ROMEO, subscribe(ROMEO), ADD_ROMEO)
        self.assertEqual(told[-2:], [f"push {ROMEO} both approved", "iq result"])
        self.assertGranted(juliet)

    def test_yaxim(self):
        """The app yaxim asks more than once, again after a reconnect, and always answers."""
        juliet = self.session(JULIET)
        self.say(juliet, ADD_ROMEO, subscribe(ROMEO), subscribe(ROMEO))
        self.say(juliet, APPROVE_ROMEO, subscribe(ROMEO))
        juliet.lose()
        juliet = self.session(JULIET)
        self.assertEqual(self.say(juliet, subscribe(ROMEO), APPROVE_ROMEO), [])
        self.assertMutual(JULIET, ROMEO)
        self.assertEqual(self.uses(self.contact), 1)

    def test_inviter_offline(self):
        """The inviter need not be there: at the next login the contact is in the roster."""
        self.romeo.lose()
        juliet = self.session(JULIET)
        told = self.say(juliet, subscribe(ROMEO))
        self.assertEqual(told[-1], f"push {ROMEO} both")
        self.romeo = self.listener.logged_in("romeo")
        told = self.say(self.romeo, GET_ROSTER, "<presence/>")
        self.assertEqual(told, ["iq result", f"here {ROMEO}/balcony", f"here {JULIET}/r"])
        self.assertEqual(self.heard(juliet), [f"here {ROMEO}/balcony"])

    def test_ask_before_the_token(self):
        """A request that waits is granted when the token comes after all."""
        juliet = self.session(JULIET)
        self.say(juliet, presence("subscribe", ROMEO))
        self.assertEqual(self.heard(self.romeo), [f"subscribe from {JULIET}"])
        self.say(juliet, subscribe(ROMEO))
        self.assertGranted(juliet)


class TokenTests(RosterTestCase):
    def make_listener(self):
        return Listener(policy={"registration_invite_only": False})

    def assertOrdinary(self, token, told=f"subscribe from {JULIET}"):
        """With this token the request goes on as if there were none."""
        romeo, juliet = self.session(ROMEO), self.session(JULIET)
        asked = self.say(juliet, subscribe(ROMEO, token))
        self.assertEqual(asked, [f"push {ROMEO} none ask"])
        (request,) = romeo.receive()
        self.assertEqual((request["type"], request["from"]), ("subscribe", JULIET))
        return request

    def test_expired(self):
        """An invitation that has expired grants nothing."""
        self.invite(expires_at=self.listener.now())
        self.assertOrdinary(TOKEN)

    def test_revoked(self):
        """Nor does one that was revoked."""
        self.listener.revoke(self.invite())
        self.assertOrdinary(TOKEN)

    def test_used_up(self):
        """Nor one that somebody else has used."""
        contact = self.invite()
        self.session(NURSE).send(subscribe(ROMEO))
        self.assertOrdinary(TOKEN)
        self.assertEqual(self.uses(contact), 1)

    def test_of_another(self):
        """Nor one of somebody else's; its secret is shown to nobody and kept nowhere."""
        self.listener.add_invite(TOKEN, kind=Kind.CONTACT, inviter="nurse")
        request = self.assertOrdinary(TOKEN)
        self.assertNotIn(TOKEN, request.toXml())
        kept = self.successResultOf(self.listener.store.get_roster("example.com", "romeo"))
        self.assertNotIn(TOKEN, kept[JULIET].request)

    def test_unknown(self):
        """A token of the contact's own client reaches it, live and at the next login (§3.4)."""
        later = self.assertOrdinary("of-the-app"), self.asked_again()
        for request in later:
            self.assertEqual(request.preauth["token"], "of-the-app")

    def test_over(self):
        """A token of ours is shown to nobody, even if it is over."""
        self.listener.revoke(self.invite())
        for request in (self.assertOrdinary(TOKEN), self.asked_again()):
            self.assertNotIn(TOKEN, request.toXml())

    def test_several(self):
        """Of several tokens the first one counts, and no other is kept."""
        self.listener.add_invite(TOKEN, kind=Kind.CONTACT, inviter="nurse")
        second = f"x'/><preauth xmlns='urn:xmpp:pars:0' token='{TOKEN}"
        for request in (self.assertOrdinary(second), self.asked_again()):
            self.assertNotIn(TOKEN, request.toXml())
            self.assertEqual(request.preauth["token"], "x")

    def asked_again(self):
        """The request as romeo gets it at the next login."""
        romeo = self.listener.logged_in("romeo")
        romeo.send("<presence/>")
        return romeo.receive()[-1]

    def test_malformed(self):
        """A preauth without a token is none."""
        for token in ("", "x' more='"):
            self.session(JULIET).send(presence("unsubscribe", ROMEO))
            self.session(ROMEO).send(presence("unsubscribed", JULIET))
            self.assertOrdinary(token)

    def test_guessing(self):
        """Unknown tokens count as guesses; the right one makes contacts all the same."""
        juliet = self.session(JULIET)
        for number in range(10):
            juliet.send(presence("unsubscribe", ROMEO), subscribe(ROMEO, f"guess{number}"))
        juliet.send(presence("unsubscribe", ROMEO))
        refused = self.listener.opened().ask(preauth("wrong"))
        self.assertError(refused, "wait", "resource-constraint")
        self.invite()
        juliet.send(subscribe(ROMEO))
        self.assertMutual(JULIET, ROMEO)

    def test_answers_use_nothing(self):
        """An approval in advance that carries the token takes no use."""
        contact = self.invite()
        token = f"<preauth xmlns='urn:xmpp:pars:0' token='{TOKEN}'/>"
        juliet = self.session(JULIET)
        self.say(juliet, presence("subscribed", ROMEO, token))
        self.assertEqual(self.uses(contact), 0)
        self.say(juliet, subscribe(ROMEO))
        self.assertMutual(JULIET, ROMEO)


class RegistrationTests(RosterTestCase):
    """What comes of ``xmpp:romeo@example.com?roster;preauth=…;ibr=y``."""

    def register(self, username="paris", token=TOKEN):
        """Register with the token, log in on the same stream, and send presence."""
        client = self.listener.preauthorised(token)
        self.assertResult(client.ask(registration(username)))
        client.log_in(username)
        client.ask(BIND.format("r"))
        return client

    def test_contacts_at_once(self):
        """Both have each other and see each other, and nobody was asked."""
        invite = self.invite(Kind.ACCOUNT_AND_CONTACT)
        romeo = self.session(ROMEO)
        client = self.register()
        paris = "paris@example.com"
        told = self.say(client, GET_ROSTER, "<presence/>")
        self.assertEqual(told, ["iq result", f"here {paris}/r", f"here {ROMEO}/r"])
        self.assertEqual(self.heard(romeo), [f"push {paris} both", f"here {paris}/r"])
        self.look_for_changes()
        self.assertEqual((self.heard(client), self.heard(romeo)), ([], []))
        # The app subscribes nevertheless, as the link tells it to.
        told = self.say(client, APPROVE_ROMEO, subscribe(ROMEO), subscribe(ROMEO))
        self.assertEqual((told, self.heard(romeo)), ([], []))
        self.assertMutual(paris, ROMEO)
        self.assertEqual(self.uses(invite), 1)

    def test_pushed_before_login(self):
        """The inviter's app is told though the newcomer has not logged in yet."""
        self.invite(Kind.ACCOUNT_AND_CONTACT)
        romeo = self.session(ROMEO)
        client = self.listener.preauthorised()
        client.ask(registration("paris"))
        self.assertEqual(self.heard(romeo), ["push paris@example.com both"])

    def test_registered_elsewhere(self):
        """The inviter's app is told, too, if another process has registered the newcomer."""
        self.befriend(JULIET, NURSE)
        invite = self.invite(Kind.ACCOUNT_AND_CONTACT)
        romeo = self.session(ROMEO)
        listener, account = self.listener, make_account(username="paris")
        use = Use(
            domain="example.com",
            username="paris",
            kind=invite.kind,
            at=listener.now(),
            door="web",
            invite_id=invite.id,
        )
        redemption = Redemption(account=account, use=use, contact="romeo")
        self.successResultOf(listener.store.redeem(redemption))
        self.assertSilent(romeo)
        self.look_for_changes()
        self.assertEqual(self.heard(romeo), ["push paris@example.com both"])

    def test_store_fails_afterwards(self):
        """A registration is not refused because the inviter could not be told at once."""
        self.invite(Kind.ACCOUNT_AND_CONTACT)
        romeo = self.session(ROMEO)
        client = self.listener.preauthorised()
        failing = mock.Mock(return_value=fail(Unavailable("e1")))
        with mock.patch.object(self.listener.store, "roster_changes", failing):
            self.assertResult(client.ask(registration("paris")))
        self.assertSilent(romeo)
        self.look_for_changes()
        self.assertEqual(self.heard(romeo), ["push paris@example.com both"])

    def test_token_stays_good_for_the_account(self):
        """An app that removes and adds the inviter again is not asked to wait."""
        invite = self.invite(Kind.ACCOUNT_AND_CONTACT)
        client = self.register()
        client.send(GET_ROSTER, roster_set(f"<item jid='{ROMEO}' subscription='remove'/>"))
        client.receive()
        self.assertIn(f"push {ROMEO} both", self.say(client, subscribe(ROMEO)))
        self.session(JULIET).send(subscribe(ROMEO))
        self.assertNotIn(JULIET, self.roster(ROMEO))
        self.assertEqual(self.uses(invite), 1)

    def test_inviter_gone(self):
        """An account takes its open invites along when it goes."""
        self.invite(Kind.ACCOUNT_AND_CONTACT)
        listener = self.listener
        client = listener.preauthorised()
        deleted = listener.store.delete_account("example.com", "romeo", listener.now())
        self.successResultOf(deleted)
        answer = client.ask(registration("paris"))
        self.assertError(answer, "cancel", "item-not-found")

    def test_account_only(self):
        """An invite that is for an account alone makes no contact."""
        self.invite(Kind.ACCOUNT)
        self.register()
        self.assertEqual(self.roster(ROMEO), {})
