"""From login to a session, and what a session may send."""

from twisted.internet.defer import Deferred

from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import BIND, DOMAIN, GET, children, preauth, registration

SESSION = "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"
PING = "<iq type='get' id='p'{}><ping xmlns='urn:xmpp:ping'/></iq>"
JID = f"juliet@{DOMAIN}/balcony"


class BindTests(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.listener.add_account()
        self.client = self.listener.opened()
        self.features = self.client.log_in()

    def test_features(self):
        """After login binding is offered, and a session request that nobody needs."""
        self.assertEqual(children(self.features), ["bind", "session", "sub"])
        self.assertEqual(children(self.features.session), ["optional"])

    def test_requested_resource(self):
        """A client gets the resource it asks for."""
        reply = self.client.ask(BIND.format("balcony"))
        self.assertResult(reply)
        self.assertEqual(str(reply.bind.jid), JID)

    def test_generated_resource(self):
        """A client that asks for none gets one that nobody has."""
        jids = set()
        for text in (BIND.format(""), BIND.replace("<resource>{}</resource>", "")):
            client = self.listener.opened()
            client.log_in()
            jids.add(str(client.ask(text).bind.jid))
        self.assertEqual(len(jids), 2)
        for jid in jids:
            self.assertRegex(jid, rf"\Ajuliet@{DOMAIN}/.+\Z")

    def test_malformed_resource(self):
        """A resource that is none is refused; another one may be tried."""
        for resource in ("x" * 1024, "\u00ad", "\ue000", "\u0627a"):
            self.assertError(self.client.ask(BIND.format(resource)), "modify", "bad-request")
        self.assertResult(self.client.ask(BIND.format("x" * 1023)))

    def test_second_bind(self):
        """A stream has one resource."""
        self.client.ask(BIND.format("balcony"))
        self.assertError(self.client.ask(BIND.format("orchard")), "cancel", "not-allowed")
        self.assertEqual(self.client.stream.session.address, JID)

    def test_same_resource_again(self):
        """A new connection with the same resource replaces the old one."""
        self.client.ask(BIND.format("balcony"))
        new = self.listener.logged_in()
        self.assertEnded(self.client, "conflict")
        self.client.lose()
        self.assertResult(new.ask(PING.format("")))
        (session,) = self.listener.sessions.of(f"juliet@{DOMAIN}")
        self.assertIs(session, new.stream.session)

    def test_session_request(self):
        """Old clients ask for a session, and get it."""
        self.client.ask(BIND.format("balcony"))
        reply = self.client.ask(SESSION)
        self.assertResult(reply)
        self.assertEqual(children(reply), [])

    def test_pipelined(self):
        """Binding and what follows may come in one segment."""
        self.client.send(BIND.format("balcony") + SESSION + PING.format("") + "<presence/>")
        *replies, presence = self.client.receive()
        self.assertEqual([reply["type"] for reply in replies], ["result"] * 3)
        self.assertEqual(presence["from"], JID)

    def test_stanzas_before_bind(self):
        """Before binding nothing else is accepted."""
        get = "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>"
        bind_get = BIND.format("x").replace("'set'", "'get'")
        for text in ("<presence/>", "<message/>", PING.format(""), SESSION, get, GET, bind_get,
                     preauth(), registration(), "<iq type='result' id='1'/>"):  # fmt: skip
            client = self.listener.opened()
            client.log_in()
            client.send(text)
            self.assertEnded(client, "not-authorized")

    def test_no_registration_between_login_and_bind(self):
        """Nor can a token found good before login be used after it."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        client.log_in()
        client.send(registration("romeo"))
        self.assertEnded(client, "not-authorized")
        self.assertIsNone(self.listener.account("romeo"))

    def test_deleted_between_login_and_bind(self):
        """An account that goes meanwhile has no session."""
        self.listener.store.delete_account(DOMAIN, "juliet", self.listener.now())
        self.client.send(BIND.format("balcony"))
        self.assertEnded(self.client, "not-authorized")


class SessionTests(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.client = self.listener.logged_in()

    def test_ping(self):
        """A session pings the server, in each way of addressing it."""
        for to in ("", f" to='{DOMAIN}'", f" to='juliet@{DOMAIN}'"):
            reply = self.client.ask(PING.format(to))
            self.assertResult(reply)
            self.assertEqual(reply["id"], "p")
            self.assertEqual(reply.getAttribute("to", JID), JID)

    def test_unavailable(self):
        """What this server does not do is said to be unavailable, once."""
        for text in (
            "<iq type='get' id='1'><x xmlns='urn:x'/></iq>",
            f"<iq type='set' id='1' to='romeo@{DOMAIN}'><x xmlns='urn:x'/></iq>",
            PING.format(f" to='{JID}x'"),
            PING.format(f" to='{DOMAIN}/x'"),
            f"<message to='romeo@{DOMAIN}'><body>x</body></message>",
            "<message><body>x</body></message>",
            f"<message to='juliet@{DOMAIN}' type='chat'/>",
        ):
            self.assertError(self.client.ask(text), "cancel", "service-unavailable")

    def test_no_token_after_login(self):
        """A session takes no token for a registration (that is for the door)."""
        self.listener.add_invite()
        self.assertError(self.client.ask(preauth()), "cancel", "service-unavailable")

    def test_other_domains(self):
        """There is no way to other domains, and who writes to them is told so."""
        for text in (
            PING.format(" to='example.net'"),
            "<message to='romeo@example.net'><body>x</body></message>",
            "<message to='romeo@example.net/x' type='groupchat'/>",
            "<presence to='romeo@example.net'/>",
            "<presence to='romeo@example.net' type='subscribe'/>",
            "<presence to='romeo@example.net' type='probe'/>",
        ):
            self.assertError(self.client.ask(text), "cancel", "remote-server-not-found")
        self.client.send("<presence to='romeo@example.net' type='unavailable'/>")
        self.assertSilent(self.client)

    def test_ping_oneself(self):
        """A session's request to its own full JID comes to itself, to be answered."""
        request = self.client.ask(PING.format(f" to='{JID}'"))
        self.assertEqual((request["type"], request["from"]), ("get", JID))
        answer = self.client.ask(f"<iq type='result' id='p' to='{JID}'/>")
        self.assertEqual((answer["type"], answer["from"]), ("result", JID))

    def test_answers_are_not_answered(self):
        """Results and errors are never answered: that could go on for ever."""
        for to in ("", " to='romeo@example.net'", " to='@'", " to=''"):
            for kind in ("result", "error"):
                self.client.send(f"<iq type='{kind}' id='1'{to}/>")
                self.client.send(f"<iq type='{kind}' id='1'{to}><a/><b/></iq>")
            self.client.send(f"<message type='error'{to}/>", f"<presence type='error'{to}/>")
        self.assertSilent(self.client)

    def test_bad_type(self):
        """An iq of another type, or of none, is a bad request."""
        for attribute in (" type='x'", " type=''", ""):
            reply = self.client.ask(f"<iq id='1'{attribute}><ping xmlns='urn:xmpp:ping'/></iq>")
            self.assertError(reply, "modify", "bad-request")

    def test_malformed_to(self):
        """An address that is none is said to be none, and the session goes on."""
        for to in ("@", "", "a@", "@b", "a..b", f"a@{DOMAIN}..", "/", "a b@c", "&lt;@x"):
            reply = self.client.ask(PING.format(f" to='{to}'"))
            self.assertError(reply, "modify", "jid-malformed")
        self.assertResult(self.client.ask(PING.format("")))

    def test_from(self):
        """One's own address as `from` is fine, full or bare."""
        for sender in (JID, f"juliet@{DOMAIN}", f"Juliet@{DOMAIN.upper()}/balcony"):
            self.assertResult(self.client.ask(PING.format(f" from='{sender}'")))

    def test_false_from(self):
        """Anybody else's ends the stream."""
        for sender in (f"romeo@{DOMAIN}", f"juliet@{DOMAIN}/other", DOMAIN, "", "@",
                       f"juliet@{DOMAIN}/Balcony"):  # fmt: skip
            client = self.listener.logged_in()
            client.send(f"<message from='{sender}'/>")
            self.assertEnded(client, "invalid-from")

    def test_other_elements(self):
        """What is no stanza ends the stream."""
        for text in ("<x/>", "<iq xmlns='urn:x'/>", GET.replace("<iq", "<iq xmlns='x'")):
            client = self.listener.logged_in()
            client.send(text)
            self.assertEnded(client, "unsupported-stanza-type")

    def test_size(self):
        """A stanza of 256 KiB passes; a bigger one ends the stream."""
        start, end = "<message><body>", "</body></message>"
        most = 256 * 1024 - len(start) - len("</body>")
        for segments in (1, 2):
            text = start + "x" * most + end
            half = len(text) // segments
            reply = self.client.ask(*filter(None, (text[:half], text[half:])))
            self.assertError(reply, "cancel", "service-unavailable")
        self.client.send(start + "x" * (most + 1) + end)
        self.assertEnded(self.client, "policy-violation")

    def test_goes_when_its_account_goes(self):
        """Deleting an account ends its sessions within a second."""
        self.carry_out_ends()
        self.listener.wait(seconds=1)
        self.listener.store.delete_account(DOMAIN, "juliet", self.listener.now())
        self.carry_out_ends()
        self.assertEnded(self.client, "not-authorized")

    def carry_out_ends(self):
        self.successResultOf(Deferred.fromCoroutine(self.listener.sessions.carry_out_ends()))
