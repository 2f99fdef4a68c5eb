"""Registering and resetting: what is refused, how it is said, and what is kept."""

from datetime import timedelta
from ipaddress import ip_network

from twisted.internet.defer import fail

from invitereg.errors import Overloaded, Unavailable
from invitereg.model.invites import Kind
from invitereg.policy.values import Limit, PasswordRules, UsernameRules
from invitereg.testing import START
from invitereg.translations import languages
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import (
    GET,
    PASSWORD,
    children,
    error_of,
    form_registration,
    preauth,
    registration,
)


class RefusalTests(DoorTestCase):
    """The rows of the design's table of errors."""

    def assertRefused(self, expected, username="juliet", password=PASSWORD, text=None):
        """Both forms are refused in the same way, cost nothing, and a retry succeeds."""
        invite = self.listener.add_invite()
        client = self.listener.preauthorised()
        for request in (
            registration(username, password),
            form_registration(username=username, password=password),
        ):
            reply = client.ask(request)
            self.assertEqual(error_of(reply)[:2], expected)
            self.assertIn(text or "", error_of(reply)[2])
            self.assertEqual(children(reply), ["query", "error"])
            self.assertEqual(str(reply.query.username or ""), username)
            self.assertNotIn("password", children(reply.query))
            if password not in ("", username):
                self.assertNotIn(f">{password}<", reply.toXml())
            if expected[1] == "not-acceptable":
                self.assertNoAddress(client, request)
        self.assertEqual(self.listener.invite(invite).uses, 0)
        self.assertResult(client.ask(registration("benvolio")))
        self.assertEqual(self.listener.invite(invite).uses, 1)

    def assertNoAddress(self, client, request):
        """The error has no "ip" in any language: a client takes it for a blocked address."""
        for tag in languages():
            reply = client.ask(request.replace("<iq", f"<iq xml:lang='{tag}'"))
            self.assertNotIn("ip", error_of(reply)[2].lower(), tag)

    def test_taken(self):
        """A name that somebody has, however it is written."""
        self.listener.add_account("juliet")
        for spelling in ("juliet", "Juliet"):
            self.listener.add_invite(spelling)
            client = self.listener.opened()
            client.ask(preauth(spelling))
            self.assertError(client.ask(registration(spelling)), "cancel", "conflict")
        self.assertRefused(("cancel", "conflict"))

    def test_reserved_by_operator(self):
        """A name on the operator's list."""
        self.assertRefused(("cancel", "not-allowed"), "admin")

    def test_looks_like_reserved(self):
        """A name that looks like one on the list, or that has what is not seen."""
        for name in ("аdmin", "admın", "root\u3164", "juliet\u2800"):
            self.listener = Listener()
            self.assertRefused(("cancel", "not-allowed"), name)

    def test_reserved_by_invite(self):
        """A name that another invite reserves."""
        self.listener.add_invite("other", username="juliet")
        self.assertRefused(("cancel", "not-allowed"))

    def test_admin(self):
        """The name of an admin."""
        self.listener = Listener(policy={"admins": frozenset({"romeo"})})
        self.assertRefused(("cancel", "not-allowed"), "romeo")

    def test_deleted(self):
        """The name of an account that was deleted."""
        self.listener.add_account("juliet")
        self.listener.store.delete_account("example.com", "juliet", self.listener.now())
        self.assertRefused(("cancel", "not-allowed"))

    def test_no_localpart(self):
        """A name that is no localpart."""
        self.assertRefused(("modify", "jid-malformed"), "a@b", text="end with @example.com")

    def test_more_than_the_name(self):
        """What an app could not log in with is refused, with the name to type."""
        names = (
            "sp1 ",
            " sp1",
            "sp1\u00a0",
            "\u3000sp1",
            "sp1\u2003",
            "sp1\u200b",
            "\ufeffsp1",
        )
        for name in (*names, "sp1@example.com", "sp1@EXAMPLE.com/x", "xmpp:sp1@example.com"):
            self.listener = Listener()
            self.assertRefused(("modify", "jid-malformed"), name, text=": sp1")

    def test_length(self):
        """A name outside the length; the text says which."""
        rules = {"usernames": UsernameRules(min_length=3, max_length=10)}
        for name in ("ab", "abcdefghijk"):
            self.listener = Listener(policy=rules)
            self.assertRefused(("modify", "not-acceptable"), name, text="3 to 10")

    def test_pattern(self):
        """A name outside the pattern; the text shows it, unless "ip" is in it."""
        for pattern, shown in (("[a-z]+", "[a-z]+"), ("(?:ip)?[a-z]+", "pattern")):
            self.listener = Listener(policy={"usernames": UsernameRules(pattern=pattern)})
            self.assertRefused(("modify", "not-acceptable"), "j.1", text=shown)

    def test_missing(self):
        """No name, no password: the text names the field."""
        self.assertRefused(("modify", "not-acceptable"), "", text="username")
        self.listener = Listener()
        self.assertRefused(("modify", "not-acceptable"), password="", text="password")

    def test_weak(self):
        """Short, common, or the name again: too weak."""
        rules = {"passwords": PasswordRules(common=frozenset({"passw0rd"}))}
        for password in ("short", "Passw0rd", "juliet.capulet"):
            self.listener = Listener(policy=rules)
            self.assertRefused(
                ("modify", "not-acceptable"),
                "juliet.capulet",
                password,
                text="The password is too weak",
            )

    def test_impossible_password(self):
        """A password that cannot be prepared, or is too long."""
        for password in ("\u0627123456789a", "x" * 1024):
            self.listener = Listener()
            self.assertRefused(("modify", "not-acceptable"), password=password)

    def test_invite_required(self):
        """No invite."""
        reply = self.listener.opened().ask(registration())
        self.assertError(reply, "auth", "forbidden")
        self.assertIn("invitation", error_of(reply)[2])
        self.assertEqual(children(reply.query), ["username"])

    def test_closed(self):
        """No new accounts at all: said at preauth, and at the set."""
        self.listener = Listener(policy={"allow_registration": False})
        self.listener.add_invite()
        client = self.listener.opened()
        self.assertError(client.ask(preauth()), "cancel", "not-allowed")
        self.assertError(client.ask(registration()), "cancel", "not-allowed")

    def test_contact_invite(self):
        """An invite that is for contacts only registers nobody."""
        self.listener.add_invite(kind=Kind.CONTACT, inviter="romeo")
        reply = self.listener.opened().ask(preauth())
        self.assertError(reply, "cancel", "item-not-found")

    def test_address_refused(self):
        """A network on the blocklist."""
        self.listener = Listener(limits={"blocklist": (ip_network("192.0.2.0/24"),)})
        self.listener.add_invite()
        self.assertError(self.listener.opened().ask(preauth()), "auth", "forbidden")
        self.listener.preauthorised(address="198.51.100.7")

    def test_throttled(self):
        """Too many registrations from a network."""
        limit = {"registration": Limit(max=0, period=timedelta(hours=1))}
        policy = {"registration_invite_only": False}
        self.listener = Listener(policy=policy, limits=limit)
        reply = self.listener.opened().ask(registration())
        self.assertError(reply, "wait", "resource-constraint")

    def test_queue_full(self):
        """Too much work waits: try again; nothing is lost by it."""
        invite = self.listener.add_invite()
        client = self.listener.preauthorised()
        run = self.listener.work.run
        self.listener.work.run = lambda *_: fail(Overloaded(1.0))
        self.assertError(client.ask(registration()), "wait", "resource-constraint")
        self.listener.work.run = run
        self.assertEqual(self.listener.invite(invite).uses, 0)
        self.assertResult(client.ask(registration()))

    def test_store_unreachable(self):
        """The store's failure is told with the id under which it is in the log."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        self.listener.work.run = lambda *_: fail(Unavailable("f00"))
        reply = client.ask(registration())
        self.assertError(reply, "wait", "resource-constraint")
        self.assertIn("f00", error_of(reply)[2])

    def test_defect(self):
        """A defect of ours is told with an id too, and logged; the stream stays open."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        self.listener.work.run = lambda *_: fail(ZeroDivisionError())
        reply = client.ask(registration())
        self.assertError(reply, "wait", "resource-constraint")
        self.assertIn(client.stream.sid, error_of(reply)[2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertResult(client.ask(GET))

    def test_remove(self):
        """Nobody removes an account before login."""
        self.listener.add_account()
        removal = registration(more="<remove/>")
        reply = self.listener.opened().ask(removal)
        self.assertError(reply, "auth", "forbidden")
        self.assertIsNotNone(self.listener.account())


class OpenTests(DoorTestCase):
    def test_open_registration(self):
        """Where registration is open, no token is needed."""
        self.listener = Listener(policy={"registration_invite_only": False})
        client = self.listener.opened()
        self.assertResult(client.ask(GET))
        self.assertResult(client.ask(registration()))
        client.log_in()

    def test_history(self):
        """What happened is kept: who, when, by which invite, from where."""
        invite = self.listener.add_invite(roles=("member",), groups=("friends",))
        self.listener.preauthorised().ask(registration("Juliet"))
        (use,) = self.successResultOf(self.listener.store.list_uses("example.com"))
        self.assertEqual((use.username, use.invite_id, use.at), ("juliet", invite.id, START))
        self.assertEqual((use.door, use.address), ("c2s", "192.0.2.1"))
        account = self.listener.account()
        self.assertEqual((account.roles, account.groups), (("member",), ("friends",)))
