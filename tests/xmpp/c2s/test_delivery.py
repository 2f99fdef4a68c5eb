"""Messages and IQs between people (RFC 6121 §8.5)."""

from tests.xmpp.messages import DOMAIN, children
from tests.xmpp.people import JULIET, NURSE, ROMEO, PeopleTestCase, bodies


def message(to, kind="", body="x", more=""):
    """A message as a client writes it."""
    kind = f" type='{kind}'" if kind else ""
    return f"<message to='{to}'{kind} id='m'><body>{body}</body>{more}</message>"


def priority(number):
    """Presence with a priority."""
    return f"<presence><priority>{number}</priority></presence>"


def ping(to, kind="get"):
    """A request to somebody."""
    return f"<iq type='{kind}' id='p' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>"


class MessageTests(PeopleTestCase):
    def setUp(self):
        super().setUp()
        self.juliet = self.session(JULIET)

    def test_arrives(self):
        """A message arrives as it was written, with its sender's full JID."""
        romeo = self.session(ROMEO)
        body = "&lt;hist! &amp; 'hark' \u2665"
        active = "<active xmlns='http://jabber.org/protocol/chatstates'/>"
        self.juliet.send(
            message(ROMEO, "chat", body, active + "<n:a xmlns:n='urn:n' n:b='c'/>")
        )
        (arrived,) = romeo.receive()
        self.assertEqual((arrived["from"], arrived["to"]), (f"{JULIET}/r", ROMEO))
        self.assertEqual((arrived["type"], arrived["id"]), ("chat", "m"))
        self.assertEqual(str(arrived.body), "<hist! & 'hark' \u2665")
        self.assertEqual(children(arrived), ["body", "active", "a"])
        _, active, foreign = arrived.elements()
        self.assertEqual(active.uri, "http://jabber.org/protocol/chatstates")
        self.assertEqual((foreign.uri, foreign["urn:n", "b"]), ("urn:n", "c"))
        self.assertSilent(self.juliet)

    def test_in_order(self):
        """Messages arrive in the order in which they were sent, whatever else is going on."""
        romeo = self.session(ROMEO)
        self.juliet.send("".join(message(ROMEO, "chat", n) + "<presence/>" for n in range(20)))
        self.assertEqual(bodies(romeo), [str(n) for n in range(20)])

    def test_differently_written(self):
        """An address is the same address however it is written."""
        romeo = self.session(f"{ROMEO}/Orchard")
        for to in ("ROMEO@Example.COM", "Romeo@example.com/Orchard"):
            self.juliet.send(message(to, "chat"))
            (arrived,) = romeo.receive()
            self.assertIn(arrived["to"], (ROMEO, f"{ROMEO}/Orchard"))

    def test_odd_resource(self):
        """A resource of any characters is written so that it can be read."""
        romeo = self.listener.logged_in("romeo", "&lt;'&amp;>&quot;")
        name = f"{ROMEO}/<'&>\""
        romeo.send(f"<message to='{JULIET}'><body>1</body></message>")
        self.assertEqual(self.juliet.receive()[0]["from"], name)
        self.juliet.send(message(f"{ROMEO}/&lt;&apos;&amp;>&quot;"))
        self.assertEqual(romeo.receive()[0]["to"], name)

    def test_nobody_there(self):
        """Without a session, and without an account, a message comes back just the same."""
        self.listener.add_account("romeo")
        for kind in ("", "normal", "chat", "groupchat", "odd"):
            replies = []
            for to in (ROMEO, f"{ROMEO}/orchard", f"nobody@{DOMAIN}", f"nobody@{DOMAIN}/x"):
                reply = self.juliet.ask(message(to, kind))
                self.assertUnavailable(reply)
                self.assertEqual((reply["from"], reply["id"]), (to, "m"))
                replies.append(reply.toXml().replace(to, ""))
            self.assertEqual(len(set(replies)), 1)

    def test_never_back(self):
        """An error never comes back, nor does a headline (§8.5.2.2.1); a missed one may."""
        for to in (ROMEO, f"{ROMEO}/x"):
            self.juliet.send(message(to, "error"))
        self.juliet.send(message(ROMEO, "headline"))
        self.assertSilent(self.juliet)
        self.assertUnavailable(self.juliet.ask(message(f"{ROMEO}/x", "headline")))

    def test_no_presence(self):
        """Who is connected without presence gets what names the session, and nothing else."""
        romeo = self.session(ROMEO, presence="")
        self.assertUnavailable(self.juliet.ask(message(ROMEO, "chat")))
        self.juliet.send(message(f"{ROMEO}/r", "chat", "1"))
        self.assertEqual(bodies(romeo), ["1"])

    def test_highest_priority(self):
        """A message to an account goes to the session, or those, of the highest priority."""
        low, high, too = (
            self.session(f"{ROMEO}/{number}", priority(number % 10)) for number in (1, 5, 15)
        )
        self.session(f"{ROMEO}/negative", priority(-1))
        for client in (low, high, too):
            client.receive()
        for kind in ("", "chat", "odd"):
            self.juliet.send(message(ROMEO, kind))
            self.assertEqual([bodies(c) for c in (low, high, too)], [[], ["x"], ["x"]])
        low.send(priority(100))
        for client in (low, high, too):
            client.receive()
        self.juliet.send(message(ROMEO))
        self.assertEqual([bodies(c) for c in (low, high, too)], [["x"], [], []])

    def test_headline(self):
        """A headline goes to all sessions but those of negative priority."""
        low, high, negative = (
            self.session(f"{ROMEO}/{number}", priority(number)) for number in (0, 5, -1)
        )
        for client in (low, high, negative):
            client.receive()
        self.juliet.send(message(ROMEO, "headline"))
        self.assertEqual([bodies(c) for c in (low, high, negative)], [["x"], ["x"], []])

    def test_negative_priority(self):
        """A session of negative priority gets only what is addressed to itself."""
        romeo = self.session(ROMEO, priority(-1))
        for kind in ("", "chat"):
            self.assertUnavailable(self.juliet.ask(message(ROMEO, kind)))
        self.assertUnavailable(self.juliet.ask(message(f"{ROMEO}/gone", "chat")))
        self.juliet.send(message(ROMEO, "headline"), message(f"{ROMEO}/r", body="1"))
        self.assertEqual(bodies(romeo), ["1"])

    def test_groupchat(self):
        """A groupchat message is for one session, never for an account."""
        romeo = self.session(ROMEO)
        self.assertUnavailable(self.juliet.ask(message(ROMEO, "groupchat")))
        self.juliet.send(message(f"{ROMEO}/r", "groupchat"))
        self.assertEqual(bodies(romeo), ["x"])

    def test_resource_gone(self):
        """A chat goes on with the account's other sessions; other messages come back."""
        romeo = self.session(ROMEO)
        self.juliet.send(message(f"{ROMEO}/gone", "chat"))
        self.assertEqual(bodies(romeo), ["x"])
        for kind in ("", "groupchat", "headline"):
            self.assertUnavailable(self.juliet.ask(message(f"{ROMEO}/gone", kind)))
        self.juliet.send(message(f"{ROMEO}/gone", "error"))
        self.assertAllSilent(romeo, self.juliet)

    def test_error_message(self):
        """An error reaches the session that it answers, and no account."""
        romeo = self.session(ROMEO)
        self.juliet.send(message(ROMEO, "error"))
        self.assertSilent(romeo)
        self.juliet.send(message(f"{ROMEO}/r", "error"))
        self.assertEqual(bodies(romeo), ["x"])

    def test_to_oneself(self):
        """A message to nobody, or to oneself, is for one's own sessions (RFC 6120 §10.3.1)."""
        for text in ("<message><body>x</body></message>", message(JULIET)):
            self.juliet.send(text)
            self.assertEqual(bodies(self.juliet), ["x"])

    def test_to_the_domain(self):
        """The domain itself reads no messages."""
        self.assertUnavailable(self.juliet.ask(message(DOMAIN)))

    def test_after_the_end(self):
        """Nothing goes to a stream that has ended, not even before its connection closes."""
        romeo = self.session(ROMEO)
        romeo.send("</stream:stream>")
        romeo.receive()
        self.assertUnavailable(self.juliet.ask(message(ROMEO)))
        self.assertUnavailable(self.juliet.ask(message(f"{ROMEO}/r")))
        self.assertEqual(romeo.receive(), [])


class IqTests(PeopleTestCase):
    def setUp(self):
        super().setUp()
        self.book.befriend(JULIET, ROMEO, "from")
        self.juliet, self.romeo = self.session(JULIET), self.session(ROMEO)
        self.nurse = self.session(NURSE)
        for client in (self.juliet, self.romeo, self.nurse):
            client.receive()

    def test_contact(self):
        """Who may see somebody's presence may ask the session, and is answered."""
        self.romeo.send(ping(f"{JULIET}/r"))
        (request,) = self.juliet.receive()
        self.assertEqual((request["type"], request["from"]), ("get", f"{ROMEO}/r"))
        self.juliet.send(f"<iq type='result' id='p' to='{ROMEO}/r'/>")
        (answer,) = self.romeo.receive()
        self.assertEqual((answer["type"], answer["from"]), ("result", f"{JULIET}/r"))

    def test_stranger(self):
        """Who may not see presence cannot tell a connected session from none (§8.5.3.1)."""
        for asker in (self.nurse, self.juliet):
            for kind in ("get", "set"):
                there = asker.ask(ping(f"{ROMEO}/r", kind))
                not_there = asker.ask(ping(f"{ROMEO}/q", kind))
                self.assertUnavailable(there)
                written = there.toXml().replace("/r", "/q").replace("/q'", "/r'")
                self.assertEqual(written, not_there.toXml().replace("/q'", "/r'"))
        self.assertSilent(self.romeo)

    def test_directed_presence(self):
        """Who was sent presence by name may ask, until it is taken back."""
        self.romeo.send(f"<presence to='{NURSE}/r'/>")
        self.nurse.receive()
        self.nurse.send(ping(f"{ROMEO}/r"))
        self.assertEqual([iq["type"] for iq in self.romeo.receive()], ["get"])
        self.romeo.send(f"<presence to='{NURSE}/r' type='unavailable'/>")
        self.nurse.receive()
        self.assertUnavailable(self.nurse.ask(ping(f"{ROMEO}/r")))

    def test_unsubscribed(self):
        """Who is no contact any more cannot ask any more."""
        self.listener.embedded.delivery.hide(DOMAIN, "juliet", self.romeo.stream.session.jid)
        self.romeo.receive()
        self.assertUnavailable(self.romeo.ask(ping(f"{JULIET}/r")))

    def test_own_session(self):
        """One's own sessions may ask each other."""
        other = self.session(f"{JULIET}/other", presence="")
        other.send(ping(f"{JULIET}/r"))
        self.assertEqual([iq.getAttribute("type") for iq in self.juliet.receive()], ["get"])

    def test_account(self):
        """An account answers nobody but its owner: not even whether it exists."""
        replies = {
            self.romeo.ask(ping(to)).toXml().replace(to, "")
            for to in (JULIET, NURSE, f"nobody@{DOMAIN}")
        }
        self.assertEqual(len(replies), 1)
        self.assertIn("service-unavailable", replies.pop())
        self.assertAllSilent(self.juliet, self.nurse)

    def test_answer_to_nobody(self):
        """An answer that comes too late is dropped."""
        self.romeo.send(f"<iq type='result' id='p' to='{JULIET}/gone'/>")
        self.romeo.send(f"<iq type='error' id='p' to='{JULIET}'/>")
        self.assertAllSilent(self.romeo, self.juliet)
