"""Subscriptions between people who are connected, or are not (RFC 6121 §3)."""

from twisted.internet.defer import Deferred

from tests.xmpp.contacts import JULIET, NURSE, ROMEO, RosterTestCase, presence, roster_set
from tests.xmpp.messages import DOMAIN

LANGUAGE = ("http://www.w3.org/XML/1998/namespace", "lang")
PEOPLE = (JULIET, ROMEO)


def states(client):
    """The states that have been pushed to a client: subscription, and ask."""
    pushes = [one for one in client.receive() if one.name == "iq"]
    pushed = [next(push.query.elements()) for push in pushes]
    return [(item["subscription"], item.getAttribute("ask")) for item in pushed]


class SubscriptionTests(RosterTestCase):
    def test_whole_story(self):
        """From a request to mutual presence, and back, in the RFC's order of stanzas."""
        juliet, romeo = self.session(JULIET), self.session(ROMEO)
        asked = self.say(juliet, presence("subscribe", ROMEO))
        self.assertEqual(asked, [f"push {ROMEO} none ask"])
        self.assertEqual(self.heard(romeo), [f"subscribe from {JULIET}"])
        approved = self.say(romeo, presence("subscribed", JULIET))
        self.assertEqual(approved, [f"push {JULIET} from"])
        granted = [f"subscribed from {ROMEO}", f"push {ROMEO} to", f"here {ROMEO}/r"]
        self.assertEqual(self.heard(juliet), granted)
        asked = self.say(romeo, presence("subscribe", JULIET))
        self.assertEqual(asked, [f"push {JULIET} from ask"])
        self.assertEqual(self.heard(juliet), [f"subscribe from {ROMEO}"])
        approved = self.say(juliet, presence("subscribed", ROMEO))
        self.assertEqual(approved, [f"push {ROMEO} both"])
        granted = [f"subscribed from {JULIET}", f"push {JULIET} both", f"here {JULIET}/r"]
        self.assertEqual(self.heard(romeo), granted)
        ended = self.say(juliet, presence("unsubscribe", ROMEO))
        self.assertEqual(ended, [f"push {ROMEO} from", f"unavailable {ROMEO}/r"])
        left = [f"unsubscribe from {JULIET}", f"push {JULIET} to"]
        self.assertEqual(self.heard(romeo), left)
        ended = self.say(juliet, presence("unsubscribed", ROMEO))
        self.assertEqual(ended, [f"push {ROMEO} none"])
        left = [
            f"unsubscribed from {JULIET}",
            f"push {JULIET} none",
            f"unavailable {JULIET}/r",
        ]
        self.assertEqual(self.heard(romeo), left)

    def test_request_as_sent(self):
        """The request arrives whole, and from the bare JID."""
        romeo = self.session(ROMEO)
        content = "<nick xmlns='http://jabber.org/protocol/nick'>J &amp; co</nick>"
        text = presence("subscribe", f"{ROMEO}/orchard", content).replace(" to", " id='1' to")
        self.session(JULIET).send(text)
        (request,) = romeo.receive()
        self.assertEqual((request["from"], request["id"]), (JULIET, "1"))
        self.assertEqual(request["to"], ROMEO)
        self.assertEqual(str(request.nick), "J & co")

    def test_bare_recipient(self):
        """Stanzas about subscriptions come with the bare JID, live and at login (§3.1.3)."""
        juliet, romeo = self.session(JULIET), self.session(ROMEO)
        stanzas = [
            (juliet, romeo, "subscribe"),
            (romeo, juliet, "subscribed"),
            (juliet, romeo, "unsubscribe"),
            (romeo, juliet, "subscribe"),
            (juliet, romeo, "unsubscribed"),
        ]
        for sender, recipient, kind in stanzas:
            me, them = (JULIET, ROMEO) if recipient is juliet else (ROMEO, JULIET)
            sender.send(presence(kind, f"{me}/elsewhere"))
            got = [one for one in recipient.receive() if one.getAttribute("type") == kind]
            self.assertEqual([(one["from"], one["to"]) for one in got], [(them, me)])
            sender.receive()

    def test_request_is_whole(self):
        """All of a request arrives, at once and after the next login (§3.1.3)."""
        content = (
            "<status xml:lang='de'>Hallo</status><x xmlns='urn:a' b:c='d' xmlns:b='urn:b'>"
            "<y/>t&lt;</x><nick xmlns='http://jabber.org/protocol/nick'>J</nick>"
        )
        text = presence("subscribe", ROMEO, content).replace(" to", " id='i1' xml:lang='en' to")
        romeo, juliet = self.session(ROMEO), self.session(JULIET)
        juliet.send(text)
        (live,) = romeo.receive()
        later = self.listener.logged_in("romeo")
        later.send("<presence/>")
        for request in (live, later.receive()[-1]):
            self.assertEqual((request["id"], request[LANGUAGE]), ("i1", "en"))
            self.assertEqual((request["from"], request["to"]), (JULIET, ROMEO))
            self.assertEqual([one.name for one in request.elements()], ["status", "x", "nick"])
            self.assertEqual(request.status[LANGUAGE], "de")
            x = next(request.elements("urn:a", "x"))
            self.assertEqual((x[("urn:b", "c")], str(x), x.y.uri), ("d", "t<", "urn:a"))

    def test_asked_again(self):
        """Who asks again with other words is one request: who logs in is asked once."""
        juliet = self.session(JULIET)
        for content in ("<status>Hi</status>", "<status>It is me</status>"):
            juliet.send(presence("subscribe", ROMEO, content))
        romeo = self.listener.logged_in("romeo")
        romeo.send("<presence/>")
        kinds = [one.getAttribute("type") for one in romeo.receive()]
        self.assertEqual(kinds.count("subscribe"), 1)

    def test_every_push(self):
        """All who have the roster see each state in turn, the asking first (§3.1.2)."""
        sessions = {jid: [self.session(f"{jid}/{end}") for end in "ab"] for jid in PEOPLE}
        silent = self.session(f"{JULIET}/c", texts=("<presence/>",))
        sessions[ROMEO][0].send(presence("subscribed", JULIET))
        for client in (*sessions[JULIET], *sessions[ROMEO], silent):
            client.receive()
        sessions[JULIET][0].send(presence("subscribe", ROMEO))
        expected = {JULIET: [("none", "subscribe"), ("to", None)], ROMEO: [("from", None)]}
        for jid, clients in sessions.items():
            for client in clients:
                self.assertEqual(states(client), expected[jid])
        self.assertEqual(states(silent), [])

    def test_request_kept(self):
        """Who is not there is asked at every login until the request is answered."""
        content = "<status>Hi &amp; ☃</status>"
        juliet = self.session(JULIET, texts=())
        juliet.send(presence("subscribe", ROMEO, content))
        for _ in range(2):
            romeo = self.listener.logged_in("romeo")
            romeo.send("<presence/>")
            request = romeo.receive()[-1]
            self.assertEqual((request["type"], request["from"]), ("subscribe", JULIET))
            self.assertEqual(str(request.status), "Hi & ☃")
        self.assertEqual(self.roster(ROMEO), {})
        romeo.send(presence("unsubscribed", JULIET))
        romeo = self.listener.logged_in("romeo")
        self.assertEqual(self.say(romeo, "<presence/>"), [f"here {ROMEO}/balcony"])
        self.assertEqual(self.roster(JULIET), {ROMEO: ("none",)})

    def test_taken_back(self):
        """A request that is taken back waits no more."""
        juliet = self.session(JULIET)
        self.say(juliet, presence("subscribe", ROMEO))
        self.assertEqual(
            self.say(juliet, presence("unsubscribe", ROMEO)), [f"push {ROMEO} none"]
        )
        romeo = self.listener.logged_in("romeo")
        self.assertEqual(self.say(romeo, "<presence/>"), [f"here {ROMEO}/balcony"])

    def test_not_shown_before_approval(self):
        """Who only asks sees nothing, and removing the contact withdraws the request."""
        romeo = self.session(ROMEO)
        juliet = self.session(JULIET)
        self.say(juliet, presence("subscribe", ROMEO))
        self.say(romeo, "<presence><show>away</show></presence>")
        self.assertEqual(self.heard(juliet), [])
        self.say(juliet, roster_set(f"<item jid='{ROMEO}' subscription='remove'/>"))
        self.assertEqual(self.heard(romeo), [f"unsubscribe from {JULIET}"])

    def test_in_advance(self):
        """An approval in advance is nobody else's business until the request comes."""
        juliet, romeo = self.session(JULIET), self.session(ROMEO)
        approved = self.say(juliet, presence("subscribed", ROMEO))
        self.assertEqual(approved, [f"push {ROMEO} none approved"])
        self.assertSilent(romeo)
        granted = [
            f"push {JULIET} none ask",
            f"subscribed from {JULIET}",
            f"push {JULIET} to",
            f"here {JULIET}/r",
        ]
        self.assertEqual(self.say(romeo, presence("subscribe", JULIET)), granted)
        self.assertEqual(self.heard(juliet), [f"push {ROMEO} from approved"])
        self.say(juliet, presence("unsubscribed", ROMEO))
        self.assertEqual(self.roster(JULIET), {ROMEO: ("none",)})

    def test_to_whom_it_cannot_be(self):
        """Oneself, a server, another domain and what is no JID get an error; nothing stays."""
        client = self.session(JULIET)
        for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
            for to, error in (
                (JULIET, ("cancel", "not-allowed")),
                (f"{JULIET}/other", ("cancel", "not-allowed")),
                (DOMAIN, ("cancel", "service-unavailable")),
                ("romeo@example.net", ("cancel", "remote-server-not-found")),
                ("@example.com", ("modify", "jid-malformed")),
                ("a@b@example.com", ("modify", "jid-malformed")),
            ):
                reply = client.ask(presence(kind, to))
                self.assertEqual((reply.name, reply["from"]), ("presence", to))
                self.assertError(reply, *error)
        self.assertEqual(self.roster(JULIET), {})

    def test_too_long(self):
        """A request that nobody could keep is refused, and none of it is kept."""
        client = self.session(JULIET)
        long = presence("subscribe", ROMEO, f"<status>{'x' * 4096}</status>")
        self.assertError(client.ask(long), "modify", "policy-violation")
        self.assertEqual(self.roster(JULIET), {})

    def test_to_nobody(self):
        """Whether an account exists cannot be told from what a request leads to."""
        juliet = self.session(JULIET)
        for name in ("nobody", "nurse"):
            jid = f"{name}@{DOMAIN}"
            asked = self.say(juliet, presence("subscribe", jid))
            self.assertEqual(asked, [f"push {jid} none ask"])

    def test_deleted_account(self):
        """Who deletes an account is seen no more, and can be no one's contact by it."""
        self.befriend(JULIET, ROMEO)
        romeo, juliet = self.session(ROMEO), self.session(JULIET)
        juliet.send(presence("subscribe", NURSE))
        nurse = self.session(NURSE, texts=())
        romeo.receive()
        listener = self.listener
        self.successResultOf(listener.store.delete_account(DOMAIN, "juliet", listener.now()))
        self.look_for_changes()
        told = [f"push {JULIET} none", f"unavailable {JULIET}/r"]
        self.assertEqual(self.heard(romeo), told)
        self.assertEqual(self.say(nurse, "<presence/>"), [f"here {NURSE}/r"])

    def test_deleted_account_ended_first(self):
        """It is told once, too, where the account's sessions are ended before that."""
        self.befriend(JULIET, ROMEO)
        listener, ends = self.listener, self.listener.sessions.carry_out_ends
        self.successResultOf(Deferred.fromCoroutine(ends()))
        romeo, juliet = self.session(ROMEO), self.session(JULIET)
        romeo.receive()
        self.successResultOf(listener.store.delete_account(DOMAIN, "juliet", listener.now()))
        self.successResultOf(Deferred.fromCoroutine(ends()))
        self.assertEnded(juliet, "not-authorized")
        self.look_for_changes()
        told = [f"unavailable {JULIET}/r", f"push {JULIET} none"]
        self.assertEqual(self.heard(romeo), told)
