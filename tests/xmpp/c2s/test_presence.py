"""Who sees whose presence, and when (RFC 6121 §4)."""

from twisted.internet.defer import Deferred

from invitereg.errors import Unavailable
from tests.xmpp.messages import DOMAIN
from tests.xmpp.people import JULIET, NURSE, ROMEO, PeopleTestCase, told

GONE = "unavailable"


class Failing:
    """A store that cannot be read."""

    async def __call__(self):
        raise Unavailable("e1")


class Waiting:
    """A store that answers when it is told to."""

    def __init__(self):
        self.waiting = []

    async def __call__(self):
        self.waiting.append(Deferred())
        await self.waiting[-1]

    def fail(self):
        """Fail to answer."""
        self.waiting.pop().errback(Unavailable("e1"))

    def answer(self):
        """Answer what has been asked so far."""
        waiting, self.waiting = self.waiting, []
        for deferred in waiting:
            deferred.callback(None)


class BroadcastTests(PeopleTestCase):
    def test_initial(self):
        """Both learn that the other is there, whoever comes first."""
        self.book.befriend(JULIET, ROMEO)
        juliet = self.session(JULIET, "<presence><show>away</show></presence>")
        romeo = self.session(ROMEO, forget=False)
        (own, hers) = romeo.receive()[-2:]
        self.assertEqual((own["from"], own["to"]), (f"{ROMEO}/r", ROMEO))
        self.assertEqual((hers["from"], hers["to"]), (f"{JULIET}/r", ROMEO))
        self.assertEqual(str(hers.show), "away")
        self.assertEqual(told(juliet), [(f"{ROMEO}/r", "", "")])

    def test_one_way(self):
        """Presence goes the way of the subscription, and no other."""
        self.book.befriend(JULIET, ROMEO, "from")
        self.book.befriend(JULIET, NURSE, "none")
        juliet, nurse = self.session(JULIET), self.session(NURSE)
        romeo = self.session(ROMEO, forget=False)
        seen = [stanza["from"] for stanza in romeo.receive() if stanza.name == "presence"]
        self.assertEqual(seen, [f"{ROMEO}/r", f"{JULIET}/r"])
        juliet.send("<presence><show>dnd</show></presence>")
        self.assertEqual(told(romeo), [(f"{JULIET}/r", "", "dnd")])
        self.assertEqual(told(juliet), [(f"{JULIET}/r", "", "dnd")])
        juliet.lose()
        romeo.lose()
        self.assertSilent(nurse)

    def test_only_one_side(self):
        """A roster that claims a subscription shows nothing the other's does not grant."""
        self.book.put(JULIET, ROMEO, "both")
        romeo = self.session(ROMEO)
        juliet = self.session(JULIET, forget=False)
        self.assertEqual(told(juliet), [(f"{JULIET}/r", "", "")])
        romeo.send("<presence/>")
        self.assertSilent(juliet)

    def test_all_resources(self):
        """All sessions of both sides are told, and those of one account of each other."""
        self.book.befriend(JULIET, ROMEO)
        names = [f"{ROMEO}/1", f"{ROMEO}/2", f"{JULIET}/1"]
        one, two, juliet = (self.session(name) for name in names)
        silent = self.session(f"{ROMEO}/silent", presence="")
        one.receive(), two.receive()
        late = self.session(f"{JULIET}/2", forget=False)
        seen = [s["from"] for s in late.receive() if s.name == "presence"]
        self.assertEqual(seen[0], f"{JULIET}/2")
        self.assertEqual(sorted(seen[1:]), sorted(names))
        for client in (one, two, juliet):
            self.assertEqual(told(client), [(f"{JULIET}/2", "", "")])
        self.assertSilent(silent)

    def test_update(self):
        """A change is told with all that belongs to it, and nobody is told of others again."""
        self.book.befriend(JULIET, ROMEO)
        juliet, romeo = self.session(JULIET), self.session(ROMEO)
        juliet.receive()
        caps = "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v' hash='sha-1'/>"
        juliet.send(f"<presence id='1' xml:lang='it'><status>Ahi</status>{caps}</presence>")
        (arrived,) = romeo.receive()
        self.assertEqual((arrived["id"], str(arrived.status)), ("1", "Ahi"))
        self.assertEqual(arrived["http://www.w3.org/XML/1998/namespace", "lang"], "it")
        self.assertEqual((arrived.c.uri, arrived.c["ver"]), (caps.split("'")[1], "v"))
        self.assertEqual(told(juliet), [(f"{JULIET}/r", "", "")])

    def test_unavailable(self):
        """Who becomes unavailable is connected, gets no more presence, and may come again."""
        self.book.befriend(JULIET, ROMEO)
        juliet, romeo = self.session(JULIET), self.session(ROMEO)
        juliet.receive()
        juliet.send("<presence type='unavailable'><status>Adieu</status></presence>")
        (gone,) = romeo.receive()
        self.assertEqual((gone["type"], str(gone.status)), (GONE, "Adieu"))
        self.assertEqual(told(juliet), [(f"{JULIET}/r", GONE, "")])
        romeo.send("<presence><show>xa</show></presence>")
        romeo.receive()
        self.assertSilent(juliet)
        juliet.send("<presence type='unavailable'/>")
        self.assertAllSilent(juliet, romeo)
        juliet.send("<presence/>")
        self.assertEqual(told(juliet), [(f"{JULIET}/r", "", ""), (f"{ROMEO}/r", "", "xa")])
        self.assertEqual(told(romeo), [(f"{JULIET}/r", "", "")])

    def test_end(self):
        """However a stream ends, contacts learn at once, and once, that it has."""
        self.book.befriend(JULIET, ROMEO)
        romeo = self.session(ROMEO)
        other = self.session(f"{JULIET}/other")
        for number, end in enumerate(
            (
                lambda client: client.lose(),
                lambda client: client.send("</stream:stream>"),
                lambda client: client.send("<<"),
                lambda client: client.stream.abort(),
                lambda client: self.listener.logged_in("juliet", client.name),
            )
        ):
            client = self.session(f"{JULIET}/{number}")
            client.name = str(number)
            romeo.receive(), other.receive()
            end(client)
            for witness in (romeo, other):
                self.assertEqual(told(witness), [(f"{JULIET}/{number}", GONE, "")])
            if number:
                client.lose()
            self.assertAllSilent(romeo, other)

    def test_end_without_presence(self):
        """A session that never sent presence goes as it came."""
        self.book.befriend(JULIET, ROMEO)
        romeo, juliet = self.session(ROMEO), self.session(JULIET, presence="")
        juliet.lose()
        self.assertSilent(romeo)

    def test_priority(self):
        """What is no priority is refused, and changes nothing."""
        juliet = self.session(JULIET)
        for wrong in ("128", "-129", "high", "1.5", ""):
            reply = juliet.ask(f"<presence><priority>{wrong}</priority></presence>")
            self.assertError(reply, "modify", "bad-request")
        for right in ("127", "-128", " 5 ", "+5"):
            juliet.send(f"<presence><priority>{right}</priority></presence>")
            self.assertEqual(told(juliet), [(f"{JULIET}/r", "", "")])

    def test_requests(self):
        """Who asked for a subscription meanwhile is told of after the first presence only."""
        request = f"<presence xmlns='jabber:client' from='{ROMEO}' type='subscribe'/>"
        self.book.put(JULIET, ROMEO, "none", request)
        juliet = self.session(JULIET, forget=False)
        (own, asked) = juliet.receive()
        self.assertEqual((own["from"], asked["from"]), (f"{JULIET}/r", ROMEO))
        self.assertEqual((asked["type"], asked["to"]), ("subscribe", JULIET))
        juliet.send("<presence/>")
        self.assertEqual(len(juliet.receive()), 1)

    def test_unknown_type(self):
        """Presence of a type that there is not is refused."""
        juliet = self.session(JULIET)
        for text in ("type='x'", "type='subscribe'", "type='probe'", f"type='x' to='{ROMEO}'"):
            self.assertError(juliet.ask(f"<presence {text}/>"), "modify", "bad-request")


class DirectedTests(PeopleTestCase):
    def setUp(self):
        super().setUp()
        self.juliet, self.nurse = self.session(JULIET), self.session(NURSE)

    def test_delivered(self):
        """Presence by name reaches a stranger, who is told when it is over."""
        for to in (NURSE, f"{NURSE}/r"):
            self.juliet.send(f"<presence to='{to}'><show>chat</show></presence>")
            self.assertEqual(told(self.nurse), [(f"{JULIET}/r", "", "chat")])
            self.juliet.send("<presence><show>dnd</show></presence>")
            self.assertSilent(self.nurse)
            self.juliet.send("<presence type='unavailable'/>")
            self.assertEqual(told(self.nurse), [(f"{JULIET}/r", GONE, "")])
            self.juliet.send("<presence type='unavailable'/>")
            self.assertSilent(self.nurse)

    def test_lost(self):
        """The same when the stream is lost, even of a session without other presence."""
        client = self.session(f"{JULIET}/other", presence="")
        client.send(f"<presence to='{NURSE}'/>")
        self.nurse.receive()
        client.lose()
        self.assertEqual(told(self.nurse), [(f"{JULIET}/other", GONE, "")])

    def test_taken_back(self):
        """What was taken back by name is not taken back again."""
        self.juliet.send(f"<presence to='{NURSE}'/>", f"<presence to='{NURSE}' type='{GONE}'/>")
        self.assertEqual(told(self.nurse), [(f"{JULIET}/r", "", ""), (f"{JULIET}/r", GONE, "")])
        self.juliet.lose()
        self.assertSilent(self.nurse)

    def test_contact(self):
        """A contact who was sent presence by name is told only once that it is over."""
        self.book.befriend(JULIET, NURSE)
        self.juliet.send("<presence type='unavailable'/><presence/>")
        self.juliet.send(f"<presence to='{NURSE}'/>")
        self.nurse.receive()
        self.juliet.lose()
        self.assertEqual(told(self.nurse), [(f"{JULIET}/r", GONE, "")])

    def test_nobody(self):
        """Presence for nobody is dropped, and nothing of it is kept."""
        for to in (ROMEO, f"{ROMEO}/x", DOMAIN, f"{NURSE}/x"):
            self.juliet.send(f"<presence to='{to}'/>", f"<presence to='{to}' type='{GONE}'/>")
        self.assertAllSilent(self.juliet, self.nurse)
        self.assertEqual(self.juliet.stream.session.directed, set())

    def test_probe(self):
        """A client's own probe is answered for whom it may see; else, that it may not."""
        self.book.befriend(JULIET, NURSE, "from")
        self.juliet.send("<presence type='unavailable'/><presence/>")
        self.nurse.receive()
        self.nurse.send(f"<presence type='probe' to='{JULIET}'/>")
        self.assertEqual(told(self.nurse), [(f"{JULIET}/r", "", "")])
        self.juliet.receive()
        for contact in (NURSE, f"nobody@{DOMAIN}"):
            for resource in ("", "/x"):
                self.juliet.send(f"<presence type='probe' to='{contact}{resource}'/>")
                (answer,) = self.juliet.receive()
                self.assertEqual((answer["from"], answer["to"]), (contact, JULIET))
                self.assertEqual(answer["type"], "unsubscribed")
        self.assertSilent(self.nurse)

    def test_probe_nobody_there(self):
        """Nothing comes of a contact who is not there, and none for oneself or the domain."""
        self.book.befriend(JULIET, ROMEO)
        for to in (ROMEO, JULIET, f"{JULIET}/r", DOMAIN):
            self.juliet.send(f"<presence type='probe' to='{to}'/>")
        self.assertAllSilent(self.juliet, self.nurse)

    def test_probe_directed(self):
        """Who was only sent presence by name has no subscription, and is told so (§4.3.2)."""
        self.juliet.send(f"<presence to='{NURSE}'/>")
        self.nurse.receive()
        self.nurse.send(f"<presence type='probe' to='{JULIET}/r'/>")
        self.assertEqual(told(self.nurse), [(JULIET, "unsubscribed", "")])

    def test_error(self):
        """An error reaches the session that it answers, and nobody else."""
        self.juliet.send(f"<presence type='error' to='{NURSE}/r'/>")
        self.assertEqual(told(self.nurse), [(f"{JULIET}/r", "error", "")])
        for to in (f" to='{NURSE}'", f" to='{NURSE}/x'", ""):
            self.juliet.send(f"<presence type='error'{to}/>")
        self.assertAllSilent(self.juliet, self.nurse)


class MeanwhileTests(PeopleTestCase):
    """What happens while the store is asked."""

    def setUp(self):
        super().setUp()
        self.book.befriend(JULIET, ROMEO)
        self.romeo = self.session(ROMEO)
        self.store = Waiting()

    def test_store_unreachable(self):
        """Without the store nobody becomes available; the stream goes on, and so do others."""
        juliet, other = self.session(JULIET, presence=""), self.session(f"{JULIET}/other")
        self.romeo.receive()
        other.send(f"<presence to='{NURSE}'/>")
        self.book.reading = Failing()
        reply = juliet.ask("<presence><priority>-1</priority></presence>")
        self.assertError(reply, "wait", "resource-constraint")
        self.assertSilent(self.romeo)
        self.romeo.send(f"<message to='{JULIET}/r'/>", f"<message to='{JULIET}'/>")
        self.assertEqual([len(c.receive()) for c in (juliet, other)], [1, 2])
        self.book.reading = self.book.nothing
        juliet.send("<presence><show>away</show></presence>")
        self.assertEqual(told(self.romeo), [(f"{JULIET}/r", "", "away")])

    def test_changes_without_store(self):
        """A change of presence needs no store."""
        juliet = self.session(JULIET)
        self.romeo.receive()
        self.book.reading = Failing()
        juliet.send("<presence><show>away</show></presence>")
        self.assertEqual(told(self.romeo), [(f"{JULIET}/r", "", "away")])

    def test_shown_before_the_failure(self):
        """Who was shown a presence that is refused in the end is told that it is over."""
        juliet, nurse = self.session(JULIET, presence=""), self.session(NURSE)
        self.book.reading = self.store
        juliet.send("<presence/>")
        self.listener.embedded.delivery.show(DOMAIN, "juliet", nurse.stream.session.jid)
        self.assertEqual(told(nurse), [(f"{JULIET}/r", "", "")])
        self.store.fail()
        self.assertEqual(told(nurse), [(f"{JULIET}/r", GONE, "")])
        self.assertError(juliet.receive()[0], "wait", "resource-constraint")

    def test_end_without_store(self):
        """That a session is gone is told without the store."""
        juliet = self.session(JULIET)
        self.romeo.receive()
        self.book.reading = Failing()
        juliet.lose()
        self.assertEqual(told(self.romeo), [(f"{JULIET}/r", GONE, "")])

    def test_in_order(self):
        """What follows presence waits for it."""
        juliet = self.session(JULIET, presence="")
        self.book.reading = self.store
        juliet.send(f"<presence/><message to='{ROMEO}'/><presence type='{GONE}'/>")
        self.assertSilent(self.romeo)
        self.store.answer()
        self.assertEqual(
            [s.name for s in self.romeo.receive()], ["presence", "message", "presence"]
        )

    def test_others_do_not_wait(self):
        """What others send arrives meanwhile."""
        juliet = self.session(JULIET, presence="")
        self.book.reading = self.store
        juliet.send("<presence/>")
        self.romeo.send(f"<message to='{JULIET}'/>")
        self.assertEqual([stanza.name for stanza in juliet.receive()], ["message"])

    def test_lost(self):
        """A session that is lost before its presence was told is never told of."""
        juliet = self.session(JULIET, presence="")
        self.book.reading = self.store
        juliet.send("<presence/>")
        juliet.lose()
        self.store.answer()
        self.assertSilent(self.romeo)
        self.assertEqual(self.listener.sessions.available(JULIET), [])

    def test_unsubscribed(self):
        """Who is cut off while the roster is read sees nothing of what was read."""
        juliet = self.session(JULIET, presence="")
        self.book.reading = self.store
        juliet.send("<presence/>")
        self.book.befriend(JULIET, ROMEO, "none")
        for name, other in (("juliet", self.romeo), ("romeo", juliet)):
            self.listener.embedded.delivery.hide(DOMAIN, name, other.stream.session.jid)
        while self.store.waiting:
            self.store.answer()
        self.assertNotIn((f"{JULIET}/r", "", ""), told(self.romeo))
        self.assertNotIn((f"{ROMEO}/r", "", ""), told(juliet))
        juliet.lose()
        self.assertSilent(self.romeo)

    def test_subscribed(self):
        """Who becomes a contact while the roster is read is told of."""
        juliet, nurse = self.session(JULIET, presence=""), self.session(NURSE)
        self.book.reading = self.store
        juliet.send("<presence/>")
        self.book.befriend(JULIET, NURSE)
        self.listener.embedded.delivery.show(DOMAIN, "juliet", nurse.stream.session.jid)
        self.listener.embedded.delivery.show(DOMAIN, "nurse", juliet.stream.session.jid)
        while self.store.waiting:
            self.store.answer()
        self.assertIn((f"{JULIET}/r", "", ""), told(nurse))
        self.assertIn((f"{NURSE}/r", "", ""), told(juliet))
        juliet.lose()
        self.assertEqual(told(nurse), [(f"{JULIET}/r", GONE, "")])

    def test_unsubscribed_later(self):
        """Who is cut off is told that it is over, and then of nothing any more."""
        juliet = self.session(JULIET)
        self.romeo.receive()
        romeo = self.romeo.stream.session.jid
        for seen in ([(f"{JULIET}/r", GONE, "")], []):
            self.listener.embedded.delivery.hide(DOMAIN, "juliet", romeo)
            self.assertEqual(told(self.romeo), seen)
        juliet.send("<presence><show>away</show></presence>")
        juliet.lose()
        self.assertSilent(self.romeo)

    def test_defect(self):
        """A defect ends the stream, and is logged; others go on."""

        async def defect():
            raise ZeroDivisionError

        juliet = self.session(JULIET, presence="")
        self.book.reading = defect
        juliet.send("<presence/>")
        self.assertEnded(juliet, "internal-server-error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertSilent(self.romeo)
