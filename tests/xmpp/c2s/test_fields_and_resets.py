"""The operator's own fields, and setting a new password by an invite."""

from twisted.internet.defer import Deferred

from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import (
    GET,
    NS_REGISTER,
    children,
    error_of,
    form_fields,
    form_registration,
    plain,
    preauth,
    registration,
)


class FieldTests(DoorTestCase):
    def setUp(self):
        self.listener = Listener(policy={"fields": {"email": True, "zip": True, "nick": False}})
        self.listener.add_invite()
        self.client = self.listener.preauthorised()

    def test_form(self):
        """The operator's fields are in both forms, and say whether they must be filled in."""
        query = self.client.ask(GET).query
        names = ["instructions", "username", "password", "email", "zip", "nick"]
        self.assertEqual(children(query, NS_REGISTER), names)
        required = {name: needed for name, _, _, needed in form_fields(query)[1:]}
        self.assertEqual(
            required,
            {"username": True, "password": True, "email": True, "zip": True, "nick": False},
        )

    def test_missing(self):
        """A required one that is missing or empty is asked for, without the letters "ip"."""
        for more in ("", "<email/>", "<email> </email><zip>1</zip>", "<zip>1</zip>"):
            reply = self.client.ask(registration(more=more))
            self.assertError(reply, "modify", "not-acceptable")
            self.assertIn("email", error_of(reply)[2])
        reply = self.client.ask(registration(more="<email>a@b</email>"))
        self.assertError(reply, "modify", "not-acceptable")
        self.assertNotIn("ip", error_of(reply)[2])
        self.assertEqual(str(reply.query.email), "a@b")

    def test_doubled(self):
        """A field that is there twice is refused, in either form; empty and unknown are not."""
        good = "<email>a@b</email><zip>1</zip>"
        form = form_registration(email="a@b", zip="1")
        field = "<field var='email'><value>c@d</value></field>"
        for text in (
            registration(more=f"{good}<email>c@d</email>"),
            registration(more=f"{good}<email>a@b</email>"),
            registration(more=f"{good}<username>romeo</username>"),
            registration(more=f"{good}<password>another</password>"),
            form.replace("</x>", f"{field}</x>"),
        ):
            reply = self.client.ask(text)
            self.assertError(reply, "modify", "bad-request")
            self.assertNotIn("another", reply.toXml())
        self.assertIsNone(self.listener.account())
        more = f"<email/>{good}<email/><other>x</other><other>y</other>"
        self.assertResult(self.client.ask(registration(more=more)))
        self.assertEqual(self.listener.account().details["email"], "a@b")

    def test_kept(self):
        """What is filled in is kept with the account, from either form."""
        more = "<email>a@b</email><zip>1</zip><other>x</other>"
        self.assertResult(self.client.ask(registration(more=more)))
        kept = {"email": "a@b", "zip": "1"}
        details = self.listener.account().details
        self.assertEqual({k: v for k, v in details.items() if v}, kept)

    def test_kept_from_a_form(self):
        """And from a data form."""
        form = form_registration(email="a@b", zip="1", nick="Jule")
        self.assertResult(self.client.ask(form))
        self.assertEqual(
            self.listener.account().details, {"email": "a@b", "zip": "1", "nick": "Jule"}
        )


class FixedNameTests(DoorTestCase):
    def test_form(self):
        """A name that the invite fixes is filled in, in both forms; other fields are empty."""
        self.listener.add_invite(username="juliet")
        query = self.listener.preauthorised().ask(GET).query
        self.assertEqual((str(query.username), str(query.password)), ("juliet", ""))
        self.assertIn(("username", "text-single", "juliet", True), form_fields(query))


class ResetTests(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.start()

    def start(self, **policy):
        """A listener with an account and an invite to reset its password."""
        self.listener = Listener(policy=policy)
        self.listener.add_account("juliet", "the old password")
        self.listener.add_reset()

    def test_form(self):
        """The form shows whose password it is, and asks for nothing else."""
        query = self.listener.preauthorised().ask(GET).query
        self.assertIn(("username", "text-single", "juliet", True), form_fields(query))

    def test_reset(self):
        """The new password counts from then on, the old one no longer."""
        client = self.listener.preauthorised()
        self.listener.wait(seconds=1)
        self.assertResult(client.ask(registration()))
        self.assertFails(client.ask(plain(password="the old password")), "not-authorized")
        client.log_in()
        self.assertError(self.listener.opened().ask(preauth()), "cancel", "item-not-found")

    def test_other_name(self):
        """It is for this account and no other."""
        self.listener.add_account("romeo")
        client = self.listener.preauthorised()
        for name in ("romeo", "nobody"):
            reply = client.ask(registration(name))
            self.assertError(reply, "cancel", "not-allowed")
            self.assertIn("juliet", error_of(reply)[2])

    def test_weak(self):
        """A weak password is refused here too; the invite is kept."""
        client = self.listener.preauthorised()
        reply = client.ask(registration(password="short"))
        self.assertError(reply, "modify", "not-acceptable")
        self.assertResult(client.ask(registration()))

    def test_while_closed(self):
        """It works while no new accounts are taken, and needs no additional field."""
        self.start(allow_registration=False, fields={"email": True})
        self.assertResult(self.listener.preauthorised().ask(registration()))

    def test_sessions_end(self):
        """Whoever is logged in with the old password is logged out; others are not."""
        session, other = self.listener.opened(), self.listener.logged_in("romeo")
        session.log_in(password="the old password")
        session.ask(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
        )
        self.carry_out_ends()
        self.listener.wait(seconds=1)
        resetting = self.listener.preauthorised()
        resetting.ask(registration())
        resetting.log_in()
        self.assertResult(
            resetting.ask(
                "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
            )
        )
        self.carry_out_ends()
        self.assertEnded(session, "not-authorized")
        self.assertSilent(other)
        self.assertSilent(resetting)

    def test_reset_between_login_and_bind(self):
        """Nor does a session begin that logged in before the reset."""
        session = self.listener.opened()
        session.log_in(password="the old password")
        self.listener.wait(seconds=1)
        self.listener.preauthorised().ask(registration())
        session.send(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
        )
        self.assertEnded(session, "not-authorized")

    def carry_out_ends(self):
        """What the service does each second."""
        self.successResultOf(Deferred.fromCoroutine(self.listener.sessions.carry_out_ends()))
