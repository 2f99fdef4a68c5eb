"""What people do with their own account after login (XEP-0077 §3.2, §3.3)."""

from dataclasses import replace
from datetime import timedelta

from twisted.internet.defer import Deferred

from invitereg.errors import Unavailable
from invitereg.model.invites import Kind
from invitereg.policy.values import Limit
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import (
    DOMAIN,
    GET,
    NS_REGISTER,
    PASSWORD,
    children,
    error_of,
    form_registration,
    plain,
    registration,
)

NEW = "a new and longer one"
REMOVE = f"<iq type='set' id='remove'><query xmlns='{NS_REGISTER}'><remove/></query></iq>"
INFO = (
    "<iq type='get' id='i' to='{}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
)


class StaleStore:
    """A store whose answers about accounts arrive when the test says so."""

    def __init__(self, store):
        self._store = store
        self.held = None

    def __getattr__(self, name):
        return getattr(self._store, name)

    def get_account(self, *args):
        answer = self._store.get_account(*args)
        if self.held is None:
            return answer
        self.held.append(Deferred())
        return answer.addCallback(lambda account: self.held[-1].addCallback(lambda _: account))


class HeldStore:
    """A store whose changes of passwords are answered when the test says so."""

    def __init__(self, store):
        self._store = store
        self.committed = None
        self.answer = Deferred()
        self.failing = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    def set_credentials(self, *args):
        self.committed = self._store.set_credentials(*args)
        return self.answer

    def get_account(self, *args):
        if self.failing:
            raise Unavailable("id")
        return self._store.get_account(*args)


class AccountCase(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.client = self.listener.logged_in()
        self.listener.wait(minutes=1)

    def other(self, username="juliet", resource="garden"):
        """Another session."""
        return self.listener.logged_in(username, resource)

    def look(self):
        """What a service does every second."""
        self.successResultOf(Deferred.fromCoroutine(self.listener.sessions.carry_out_ends()))

    def fits(self, password, username="juliet"):
        """Whether somebody can log in so."""
        return self.listener.opened().ask(plain(username, password)).name == "success"


class RegisteredTests(AccountCase):
    def test_get(self):
        """The account is registered, has its name, and its password is not told."""
        reply = self.client.ask(GET)
        self.assertResult(reply)
        self.assertEqual(children(reply.query), ["registered", "username", "password"])
        self.assertEqual((str(reply.query.username), str(reply.query.password)), ("juliet", ""))
        self.assertEqual(reply["from"], DOMAIN)

    def test_announced(self):
        """The domain says that it takes registrations, the account does not."""
        features = [
            [f.getAttribute("var") for f in self.client.ask(INFO.format(to)).query.elements()]
            for to in (DOMAIN, f"juliet@{DOMAIN}")
        ]
        self.assertEqual([NS_REGISTER in found for found in features], [True, False])


class PasswordTests(AccountCase):
    def test_changes(self):
        """The new password opens the door, the old one no more."""
        self.assertResult(self.client.ask(registration(password=NEW)))
        self.assertTrue(self.fits(NEW))
        self.assertFalse(self.fits(PASSWORD))

    def test_forms(self):
        """With and without ``to``, as form, and with the name written in another way."""
        for number, text in enumerate(
            (
                registration(password=NEW + "0", attributes=""),
                form_registration(password=NEW + "1"),
                registration(" JULIET ", NEW + "2", attributes=f" to='juliet@{DOMAIN}'"),
            )
        ):
            self.assertResult(self.client.ask(text))
            self.assertTrue(self.fits(f"{NEW}{number}"))
            self.listener.wait(seconds=1)

    def test_doubled(self):
        """Of two passwords nobody knows which is meant: none is set."""
        twice = registration(password=NEW, more=f"<password>{NEW}er</password>")
        self.assertError(self.client.ask(twice), "modify", "bad-request")
        self.assertTrue(self.fits(PASSWORD))

    def test_other_sessions_end(self):
        """Whoever logged in with the old password is out; who changed it, and others, stay."""
        garden, romeo = self.other(), self.other("romeo")
        self.assertResult(self.client.ask(registration(password=NEW)))
        self.assertEnded(garden, "not-authorized")
        self.look()
        self.look()
        self.assertSilent(self.client)
        self.assertSilent(romeo)
        self.listener.wait(minutes=1)
        self.assertResult(self.client.ask(registration(password=NEW + "er")))
        self.assertSilent(self.client)

    def test_looked_at_meanwhile(self):
        """The session is not taken for an outdated one between the change and its answer."""
        listener = Listener(wrap_store=HeldStore)
        store = listener.sessions._store
        client = listener.logged_in()
        garden = listener.logged_in(resource="garden")
        listener.wait(minutes=1)
        self.successResultOf(Deferred.fromCoroutine(listener.sessions.carry_out_ends()))
        client.send(registration(password=NEW))
        self.successResultOf(Deferred.fromCoroutine(listener.sessions.carry_out_ends()))
        self.assertEnded(garden, "not-authorized")
        self.assertSilent(client)
        store.answer.callback(None)
        (reply,) = client.receive()
        self.assertResult(reply)
        self.assertSilent(client)

    def test_answered_late(self):
        """Nor by what was asked before the change, and is answered after it."""
        listener = Listener(wrap_store=StaleStore)
        store = listener.sessions._store
        client = listener.logged_in()
        look = listener.sessions.carry_out_ends
        self.successResultOf(Deferred.fromCoroutine(look()))
        self.assertResult(client.ask(registration(password=NEW)))
        listener.wait(seconds=1)
        store.held = held = []
        looking = Deferred.fromCoroutine(look())
        store.held = None
        self.assertResult(client.ask(registration(password=NEW + "er")))
        (asked,) = held
        asked.callback(None)
        self.successResultOf(looking)
        self.assertSilent(client)
        self.assertResult(client.ask(GET))

    def test_too_often(self):
        """One account changes its password so often; others are not in its way."""
        limit = Limit(max=3, period=timedelta(seconds=30))
        listener = Listener(limits={"password_changes": limit})
        client, romeo = listener.logged_in(), listener.logged_in("romeo")
        for number in range(3):
            self.assertResult(client.ask(registration(password=f"{NEW}{number}")))
            listener.wait(seconds=1)
        ends = self.successResultOf(listener.store.session_ends(0))
        for _ in range(5):
            reply = client.ask(registration(password=NEW))
            self.assertError(reply, "wait", "resource-constraint")
            self.assertIn("too often", error_of(reply)[2])
        self.assertEqual(self.successResultOf(listener.store.session_ends(0)), ends)
        self.assertEqual(listener.opened().ask(plain("juliet", f"{NEW}2")).name, "success")
        self.assertResult(romeo.ask(registration("romeo", NEW)))
        listener.wait(seconds=28)
        self.assertResult(client.ask(registration(password=NEW)))

    def test_not_checked(self):
        """A session that cannot be checked after a change does not stay unchecked."""
        listener = Listener(wrap_store=HeldStore)
        store = listener.sessions._store
        client = listener.logged_in()
        client.send(registration(password=NEW))
        store.failing = True
        store.answer.callback(None)
        reply, error = client.receive()
        self.assertResult(reply)
        self.assertEqual(error.name, "error")
        self.assertTrue(client.closed)

    def test_policy(self):
        """The rules for passwords hold as they do at registration; nothing changes."""
        for password, text in (
            ("short", "The password is too weak"),
            ("juliet", "The password is too weak"),
            ("x" * 1024, "The password is too long: longer than 1,023 bytes."),
            ("\ue000" * 8, "The password has characters that cannot be used: U+E000."),
            (
                "\u0627\u0031" * 8,
                "A password with letters that are written from right to left must begin and "
                "end with one of them, and have none that are written from left to right.",
            ),
        ):
            reply = self.client.ask(registration(password=password))
            self.assertError(reply, "modify", "not-acceptable")
            self.assertEqual(error_of(reply)[2], text)
        self.assertTrue(self.fits(PASSWORD))

    def test_closed_for_newcomers(self):
        """That nobody may register keeps nobody from changing a password."""
        listener = Listener(policy={"allow_registration": False})
        client = listener.logged_in()
        self.assertResult(client.ask(registration(password=NEW)))

    def test_incomplete(self):
        """Without name or password nothing is changed; an empty one is none (§3.3)."""
        for text in (
            registration(password=""),
            registration(username=""),
            f"<iq type='set' id='x'><query xmlns='{NS_REGISTER}'><password>{NEW}</password>"
            "</query></iq>",
            f"<iq type='set' id='x'><query xmlns='{NS_REGISTER}'/></iq>",
        ):
            self.assertError(self.client.ask(text), "modify", "bad-request")
        self.assertTrue(self.fits(PASSWORD))

    def test_somebody_elses(self):
        """Nobody changes another's password, and nobody registers another account."""
        self.listener.add_account("romeo")
        for username in ("romeo", "benvolio", "not@valid"):
            reply = self.client.ask(registration(username, NEW))
            self.assertError(reply, "modify", "bad-request")
        self.assertTrue(self.fits(PASSWORD, "romeo"))
        self.assertIsNone(self.listener.account("benvolio"))

    def test_never_repeated(self):
        """An error repeats nothing of what was sent."""
        reply = self.client.ask(registration(password="short"))
        self.assertEqual(children(reply), ["error"])

    def test_outdated(self):
        """A session whose password was changed by somebody else changes nothing any more."""
        for text in (registration(password=NEW), REMOVE):
            self.setUp()
            credentials = self.listener.account().credentials
            changed = replace(credentials, changed_at=self.listener.now())
            changing = self.listener.store.set_credentials(
                DOMAIN, "juliet", changed, credentials.changed_at
            )
            self.successResultOf(changing)
            self.client.send(text)
            reply, end = self.client.receive()
            self.assertError(reply, "auth", "not-authorized")
            self.assertEqual(children(end)[0], "not-authorized")
            self.assertEqual(self.listener.account().credentials, changed)


class RemovalTests(AccountCase):
    def test_removes_if_clear(self):
        """Written out, it is the same element."""
        self.client.send(REMOVE.replace("<remove/>", "<remove></remove>"))
        reply, _end = self.client.receive()
        self.assertResult(reply)

    def test_removes(self):
        """The account is gone, its sessions are over, and nobody takes its name."""
        garden, romeo = self.other(), self.other("romeo")
        self.client.send(REMOVE)
        reply, end = self.client.receive()
        self.assertResult(reply)
        self.assertEqual(reply["id"], "remove")
        self.assertEqual((end.name, children(end)[0]), ("error", "not-authorized"))
        self.assertEqual(str(end.text), "The account was removed.")
        self.assertTrue(self.client.closed)
        self.assertEnded(garden, "not-authorized")
        self.assertSilent(romeo)
        self.assertIsNone(self.listener.account())
        self.listener.add_invite()
        reply = self.listener.preauthorised().ask(registration())
        self.assertError(reply, "cancel", "not-allowed")

    def test_ends_invites(self):
        """The links of somebody who has gone open nothing."""
        own = self.listener.add_invite("own", inviter="juliet")
        contact = self.listener.add_invite("contact", inviter="juliet", kind=Kind.CONTACT)
        others = self.listener.add_invite("others", inviter="romeo")
        self.client.send(REMOVE)
        self.assertIsNotNone(self.listener.invite(own).revoked_at)
        self.assertIsNotNone(self.listener.invite(contact).revoked_at)
        self.assertIsNone(self.listener.invite(others).revoked_at)

    def test_nothing_after_it(self):
        """What was sent behind the removal is not acted on."""
        self.client.send(REMOVE + GET)
        self.assertEqual(len(self.client.receive()), 2)

    def test_with_more(self):
        """With anything beside it, nothing is removed (§3.2)."""
        for more in ("<username>juliet</username>", "<remove/>", "<x xmlns='jabber:x:data'/>"):
            text = REMOVE.replace("<remove/>", f"<remove/>{more}")
            self.assertError(self.client.ask(text), "modify", "bad-request")
        self.assertIsNotNone(self.listener.account())

    def test_with_content(self):
        """Nor is anything with something in it, where nothing belongs (§14.1)."""
        for content in ("x", " ", "<username/>"):
            text = REMOVE.replace("<remove/>", f"<remove>{content}</remove>")
            self.assertError(self.client.ask(text), "modify", "bad-request")
        self.assertIsNotNone(self.listener.account())

    def test_before_login(self):
        """Nobody removes an account without logging in."""
        reply = self.listener.opened().ask(REMOVE)
        self.assertError(reply, "auth", "forbidden")
