"""The roster as a client reads and changes it (RFC 6121 §2)."""

from twisted.internet.defer import Deferred

from tests.xmpp.contacts import (
    GET_ROSTER,
    JULIET,
    NURSE,
    ROMEO,
    RosterTestCase,
    items,
    presence,
    roster_set,
)
from tests.xmpp.door import Listener
from tests.xmpp.messages import DOMAIN, children

ITEM = "<item jid='romeo@example.com' name='Romeo'><group>Friends</group></item>"


class RosterTests(RosterTestCase):
    def test_empty(self):
        """A new account has a roster, with nobody in it."""
        self.assertEqual(self.roster(JULIET), {})

    def test_feature(self):
        """After login it is said that subscriptions can be approved in advance."""
        client = self.listener.opened()
        features = client.log_in()
        self.assertIn("sub", children(features, "urn:xmpp:features:pre-approval"))

    def test_set(self):
        """An item is stored, and pushed to each session that has asked for the roster."""
        one, other = self.session(f"{JULIET}/a"), self.session(f"{JULIET}/b")
        ignorant = self.session(f"{JULIET}/c", texts=["<presence/>"])
        for client in (one, other):
            client.receive()
        self.assertEqual(self.say(one, roster_set(ITEM)), [f"push {ROMEO} none", "iq result"])
        (push,) = other.receive()
        self.assertEqual((push["to"], push.getAttribute("from")), (f"{JULIET}/b", None))
        self.assertTrue(push["id"])
        self.assertEqual(items(push), {ROMEO: ("none", ("name", "Romeo"), "Friends")})
        self.assertSilent(ignorant)
        self.assertEqual(self.roster(JULIET), items(push))

    def test_nothing_kept(self):
        """What has been pushed is remembered only while a roster is being read."""
        client = self.session(JULIET)
        client.send(presence("subscribe", ROMEO), roster_set(ITEM), GET_ROSTER)
        self.assertGreaterEqual(len(client.receive()), 3)
        contacts = self.listener.embedded.contacts
        self.assertEqual((contacts._pushed, contacts._reading), ({}, {}))

    def test_odd_names(self):
        """Names and groups of any characters come back as they were."""
        client, odd = self.session(JULIET), "&lt;'&amp;>&quot; &lt;/item>"
        client.send(
            roster_set(f"<item jid='{ROMEO}' name=\"{odd}\"><group>{odd}</group></item>")
        )
        push, _result = client.receive()
        text = "<'&>\" </item>"
        self.assertEqual(items(push), {ROMEO: ("none", ("name", text), text)})
        self.assertEqual(self.roster(JULIET), items(push))

    def test_answer_to_push(self):
        """What a client answers to a push is taken without a word."""
        client = self.session(JULIET)
        client.send(roster_set(ITEM))
        push, _result = client.receive()
        client.send(f"<iq type='result' id='{push['id']}'/>")
        self.assertSilent(client)

    def test_change(self):
        """A second set changes name and groups, and nothing else."""
        client = self.session(JULIET)
        client.send(presence("subscribe", ROMEO), roster_set(ITEM))
        client.receive()
        changed = f"<item jid='{ROMEO}' subscription='both' ask='x'/>"
        self.say(client, roster_set(changed))
        self.assertEqual(self.roster(JULIET), {ROMEO: ("none", ("ask", "subscribe"))})

    def test_any_jid(self):
        """A roster may hold whom we cannot reach, too; JIDs are kept as they are compared."""
        client = self.session(JULIET)
        for jid in ("Paris@Example.ORG", "gateway.example.net", "o\u00b5@example.com"):
            self.assertEqual(
                self.say(client, roster_set(f"<item jid='{jid}'/>"))[-1], "iq result"
            )
        expected = ["gateway.example.net", "o\u03bc@example.com", "paris@example.org"]
        self.assertEqual(sorted(self.roster(JULIET)), expected)

    def test_remove(self):
        """A removed contact is pushed as removed, and can be removed once."""
        client = self.session(JULIET)
        self.say(client, roster_set(ITEM))
        remove = roster_set(f"<item jid='{ROMEO}' subscription='remove'/>")
        self.assertEqual(self.say(client, remove), [f"push {ROMEO} remove", "iq result"])
        self.assertEqual(self.roster(JULIET), {})
        self.assertError(client.ask(remove), "cancel", "item-not-found")

    def test_remove_mutual(self):
        """Who is removed learns that all is over, and sees the other no more."""
        self.befriend(JULIET, ROMEO)
        juliet, romeo = self.session(JULIET), self.session(ROMEO)
        juliet.receive()
        remove = roster_set(f"<item jid='{ROMEO}' subscription='remove'/>")
        pushed = [f"push {ROMEO} remove", f"unavailable {ROMEO}/r", "iq result"]
        self.assertEqual(self.say(juliet, remove), pushed)
        expected = [
            f"unsubscribe from {JULIET}",
            f"push {JULIET} to approved",
            f"unsubscribed from {JULIET}",
            # romeo had approved juliet in advance, and has not taken that back
            f"push {JULIET} none approved",
            f"unavailable {JULIET}/r",
        ]
        self.assertEqual(self.heard(romeo), expected)

    def test_own_account_only(self):
        """Nobody reads or changes another's roster, and the domain has none."""
        client = self.session(JULIET)
        for to in (ROMEO, f"{ROMEO}/r", DOMAIN):
            for text in (GET_ROSTER, roster_set(ITEM)):
                reply = client.ask(text.replace("<iq", f"<iq to='{to}'"))
                self.assertError(reply, "cancel", "service-unavailable")
        self.assertResult(client.ask(GET_ROSTER.replace("<iq", f"<iq to='{JULIET}'")))
        self.assertEqual(self.roster(ROMEO), {})

    def test_malformed(self):
        """What is no roster item is refused by the RFC's condition, and nothing is stored."""
        client = self.session(JULIET)
        long, many = "n" * 1024, "<group>" + "g" * 4097 + "</group>"
        for content, condition in (
            ("", "bad-request"),
            (ITEM + ITEM, "bad-request"),
            (ITEM + "<other/>", "bad-request"),
            ("<other jid='romeo@example.com'/>", "bad-request"),
            ("<item xmlns='other' jid='romeo@example.com'/>", "bad-request"),
            ("<item/>", "bad-request"),
            ("<item jid=''/>", "bad-request"),
            ("<item jid='@example.com'/>", "jid-malformed"),
            ("<item jid='a@b@example.com'/>", "jid-malformed"),
            ("<item jid='romeo@example.com/orchard'/>", "jid-malformed"),
            (f"<item jid='{'x' * 1024}@example.com'/>", "jid-malformed"),
            (f"<item jid='{ROMEO}' name='{long}'/>", "not-acceptable"),
            (f"<item jid='{ROMEO}'>{many}</item>", "not-acceptable"),
            (f"<item jid='{ROMEO}'><group/></item>", "not-acceptable"),
            (f"<item jid='{ROMEO}'><group>a</group><group>a</group></item>", "bad-request"),
        ):
            self.assertError(client.ask(roster_set(content)), "modify", condition)
        own = client.ask(roster_set(f"<item jid='{JULIET}'/>"))
        self.assertError(own, "cancel", "not-allowed")
        self.assertEqual(self.roster(JULIET), {})

    def test_read_while_it_changes(self):
        """What a roster get returns is never older than a push that came before it."""
        other = self.session(f"{JULIET}/b")
        client = self.session(f"{JULIET}/a", texts=())
        other.receive()
        store, waiting = self.listener.store, []
        read = store.get_roster

        def slowly(*owner):
            found = read(*owner)
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: found)

        self.patch(store, "get_roster", slowly)
        client.send(GET_ROSTER)
        other.send(roster_set(ITEM))
        self.assertEqual(self.heard(client), [f"push {ROMEO} none"])
        while waiting:
            waiting.pop().callback(None)
        (reply,) = client.receive()
        self.assertIn(ROMEO, items(reply))


class LimitTests(RosterTestCase):
    def make_listener(self):
        return Listener(limits={"roster": 2, "roster_groups": 3, "roster_requests": 1})

    def test_roster(self):
        """A roster past its limit takes nobody more; what is there can be changed."""
        client = self.session(JULIET)
        for jid in ("a@example.org", "b@example.org"):
            self.say(client, roster_set(f"<item jid='{jid}'/>"))
        full = client.ask(roster_set(ITEM))
        self.assertError(full, "wait", "resource-constraint")
        asked = client.ask(presence("subscribe", ROMEO))
        self.assertError(asked, "wait", "resource-constraint")
        self.assertEqual(asked["from"], ROMEO)
        self.assertEqual(len(self.roster(JULIET)), 2)
        changed = roster_set("<item jid='a@example.org' name='A'/>")
        self.assertEqual(self.say(client, changed)[-1], "iq result")

    def test_groups(self):
        """A contact is in so many groups, however short their names are."""
        client = self.session(JULIET)
        groups = [f"<group>{letter}</group>" for letter in "abcd"]
        most = roster_set(f"<item jid='{ROMEO}'>{''.join(groups[:3])}</item>")
        self.assertEqual(self.say(client, most)[-1], "iq result")
        refused = client.ask(roster_set(f"<item jid='{NURSE}'>{''.join(groups)}</item>"))
        self.assertError(refused, "modify", "not-acceptable")
        self.assertIn("3 groups at most", str(refused.error.text))
        self.assertEqual(self.roster(JULIET), {ROMEO: ("none", "a", "b", "c")})

    def test_length(self):
        """All contacts together have a length, too; what does not grow can be changed."""
        client = self.session(JULIET)
        long = roster_set(f"<item jid='{ROMEO}' name='{'n' * 1000}'/>")
        self.assertEqual(self.say(client, long)[-1], "iq result")
        for content in ("name='0123456789abcdef'/>", "><group>0123456789</group></item>"):
            refused = client.ask(roster_set(f"<item jid='{NURSE}' {content}"))
            self.assertError(refused, "wait", "resource-constraint")
        self.assertError(
            client.ask(presence("subscribe", f"{'n' * 40}@example.com")),
            "wait",
            "resource-constraint",
        )
        self.assertEqual(len(self.roster(JULIET)), 1)
        shorter = roster_set(f"<item jid='{ROMEO}' name='{'n' * 900}'/>")
        self.assertEqual(self.say(client, shorter)[-1], "iq result")
        self.assertEqual(self.say(client, long)[-1], "iq result")
        self.say(client, shorter)
        self.assertEqual(
            self.say(client, roster_set(f"<item jid='{NURSE}'/>"))[-1], "iq result"
        )

    def test_requests(self):
        """Strangers cannot fill somebody's storage."""
        self.session(NURSE).send(presence("subscribe", ROMEO))
        client = self.session(JULIET)
        asked = client.ask(presence("subscribe", ROMEO))
        self.assertError(asked, "wait", "resource-constraint")
        self.assertEqual(self.roster(JULIET), {})
