"""A password that is changed by a form of its own (XEP-0077 §3.3)."""

from datetime import timedelta

from invitereg.policy.values import Limit
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import (
    GET,
    PASSWORD,
    children,
    error_of,
    form_registration,
    plain,
    preauth,
)

NEW = "a new and longer one"
FORM_TYPE = "jabber:iq:register:changepassword"


def change(**fields):
    """The form as a client submits it."""
    return form_registration(**({"FORM_TYPE": FORM_TYPE, "password": NEW} | fields))


class PasswordFormTests(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.client = self.listener.logged_in()
        self.listener.wait(seconds=1)

    def fits(self, password):
        return self.listener.opened().ask(plain(password=password)).name == "success"

    def test_changed(self):
        """The password is changed, with the old one beside it or not."""
        self.assertResult(self.client.ask(change()))
        self.assertTrue(self.fits(NEW))
        self.listener.wait(seconds=1)
        self.assertResult(self.client.ask(change(old_password=NEW, password=f"{NEW}r")))
        self.assertTrue(self.fits(f"{NEW}r"))

    def test_cancelled(self):
        """A form that was cancelled changes nothing, whatever is in it (XEP-0004 §3.2)."""
        cancelled = change().replace("type='submit'", "type='cancel'")
        self.assertError(self.client.ask(cancelled), "modify", "bad-request")
        self.assertTrue(self.fits(PASSWORD))
        self.listener.add_invite()
        cancelled = form_registration(username="nurse").replace("='submit'", "='cancel'")
        reply = self.listener.preauthorised().ask(cancelled)
        self.assertError(reply, "modify", "not-acceptable")
        self.assertIsNone(self.listener.account("nurse"))

    def test_wrong_old_password(self):
        """Who says a wrong old password is refused; nothing changes, or is repeated."""
        for old in ("another password", "\ue000", PASSWORD.upper()):
            reply = self.client.ask(change(old_password=old))
            self.assertEqual(
                error_of(reply), ("auth", "not-authorized", "The old password is wrong.")
            )
            self.assertEqual(children(reply), ["error"])
        self.assertTrue(self.fits(PASSWORD))
        self.assertResult(self.client.ask(GET))

    def test_guesses(self):
        """Old passwords are not guessed in a session that was left open: each try counts."""
        limit = Limit(max=3, period=timedelta(hours=1))
        self.listener = Listener(limits={"password_changes": limit})
        self.client = self.listener.logged_in()
        for _ in range(3):
            reply = self.client.ask(change(old_password="another password"))
            self.assertError(reply, "auth", "not-authorized")
        runs = self.listener.work.runs
        reply = self.client.ask(change(old_password=PASSWORD))
        self.assertError(reply, "wait", "resource-constraint")
        self.assertEqual(self.listener.work.runs, runs)

    def test_refused(self):
        """The rules about passwords hold, and of two old ones nobody knows which is meant."""
        reply = self.client.ask(change(password="short"))
        self.assertEqual(error_of(reply)[2], "The password is too weak")
        twice = "<field var='old_password'><value>x</value></field></x>"
        text = change(old_password=PASSWORD).replace("</x>", twice)
        self.assertError(self.client.ask(text), "modify", "bad-request")
        self.assertError(self.client.ask(change(username="romeo")), "modify", "bad-request")
        self.assertTrue(self.fits(PASSWORD))

    def test_no_other_form(self):
        """Another form says nothing; and before login, this one registers nobody."""
        reply = self.client.ask(change(FORM_TYPE="jabber:iq:search"))
        self.assertError(reply, "modify", "bad-request")
        self.listener.add_invite()
        newcomer = self.listener.opened()
        newcomer.ask(preauth())
        reply = newcomer.ask(change(username="romeo"))
        self.assertError(reply, "modify", "not-acceptable")
        self.assertIsNone(self.listener.account("romeo"))
