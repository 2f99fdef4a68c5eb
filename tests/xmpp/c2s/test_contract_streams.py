"""What clients need of the stream itself: the client contract's points 1 to 8 and 15."""

from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import (
    DOMAIN,
    GET,
    NS_SASL,
    NS_STREAMS,
    STARTTLS,
    children,
    error_of,
    header,
    preauth,
    registration,
)


class FeatureTests(DoorTestCase):
    def test_point_01_features_after_tls(self):
        """Every client finds the feature that it looks for, beside the mechanisms."""
        features = self.listener.connect().open()
        self.assertEqual((features.uri, features.name), (NS_STREAMS, "features"))
        offered = {(child.uri, child.name) for child in features.elements()}
        self.assertEqual(
            offered,
            {
                ("urn:xmpp:ibr-token:0", "register"),
                ("urn:xmpp:invite", "register"),
                ("http://jabber.org/features/iq-register", "register"),
                (NS_SASL, "mechanisms"),
            },
        )

    def test_point_02_only_starttls_in_clear(self):
        """Before TLS there is STARTTLS, required, and nothing else: no compression ever."""
        features = self.listener.connect(Phase.CLEAR).open()
        self.assertEqual(children(features), ["starttls"])
        self.assertEqual(children(features.starttls), ["required"])

    def test_point_02_registration_in_clear(self):
        """Martin's preauth in clear is refused; it can go on with STARTTLS (Siskin)."""
        self.listener.add_invite()
        client = self.listener.opened(Phase.CLEAR)
        for request in (preauth(), preauth(to=""), GET, registration()):
            reply = client.ask(request)
            self.assertError(reply, "modify", "policy-violation")
            self.assertEqual(children(reply), ["error"], "nothing is repeated in clear")
        self.assertFalse(client.closed)
        client.secure()
        self.assertError(client.ask(registration()), "auth", "forbidden")
        self.assertResult(client.ask(preauth()))
        self.assertResult(client.ask(registration()))

    def test_point_02_no_answer_to_answers(self):
        """An error or a result in clear is not answered by an error: that could go on."""
        for kind in ("error", "result"):
            client = self.listener.opened(Phase.CLEAR)
            client.send(f"<iq type='{kind}' id='1'/>")
            self.assertEnded(client, "not-authorized")


class StartTlsTests(DoorTestCase):
    def test_point_03_pipelined_starttls(self):
        """Monal asks for TLS in the same segment as its header."""
        client = self.listener.connect(Phase.CLEAR)
        client.send(header() + STARTTLS)
        self.assertEqual([e.name for e in client.receive()], ["features", "proceed"])
        self.assertEqual(client.transport.tls, "the TLS context for example.com")
        client.finish_handshake()
        self.assertIn("mechanisms", children(client.open()))

    def test_point_03_nothing_clear_after_starttls(self):
        """What follows in the same segment is never acted on."""
        client = self.listener.connect(Phase.CLEAR)
        client.send(header() + STARTTLS + header() + GET)
        self.assertEqual([e.name for e in client.receive()], ["features", "proceed"])
        self.assertSilent(client)

    def test_point_04_starttls(self):
        """After STARTTLS a client registers."""
        self.listener.add_invite()
        client = self.listener.opened(Phase.CLEAR)
        client.secure()
        client.ask(preauth())
        self.assertResult(client.ask(registration()))

    def test_point_04_direct_tls(self):
        """With direct TLS there is no STARTTLS, and none is accepted."""
        client = self.listener.connect(Phase.SECURED)
        self.assertNotIn("starttls", children(client.open()))
        client.send(STARTTLS)
        self.assertEnded(client, "not-authorized")


class HeaderTests(DoorTestCase):
    def test_point_05_header(self):
        """The header of the answer has what SA and nbxmpp look for, as they look for it."""
        client = self.listener.opened()
        self.assertRegex(
            client.raw,
            r"\A<\?xml version='1\.0'\?><stream:stream xmlns='jabber:client' "
            r"xmlns:stream='http://etherx\.jabber\.org/streams' from=[\"']example\.com[\"'] "
            r"id='[0-9a-f]{16}' version='1\.0' xml:lang='en'><stream:features>",
        )

    def test_point_05_new_id(self):
        """Each header has an id of its own, and comes with the features."""
        client = self.listener.connect(Phase.CLEAR)
        client.open()
        ids = {client.header["id"]}
        client.secure()
        ids.add(client.header["id"])
        self.listener.add_account()
        client.log_in()
        ids.add(client.header["id"])
        self.assertEqual(len(ids), 3)

    def test_point_05_in_pieces(self):
        """A header that comes byte by byte is answered when it is complete."""
        client = self.listener.connect()
        text = header()
        client.send(*text[:-1])
        self.assertSilent(client)
        self.assertEqual(client.ask(text[-1]).name, "features")


class AddressTests(DoorTestCase):
    def test_point_06_any_from(self):
        """Requests come with or without `to`, and with any `from` (C2.12, Monal, QXmpp)."""
        for number, attributes in enumerate(
            (
                "",
                f" to='{DOMAIN}'",
                " from='romeo@example.net/orchard'",
                f" from='juliet@{DOMAIN}'",
                f" from='{DOMAIN}' to='{DOMAIN}'",
                " from=''",
                " to=''",
                " to='@' from='@'",
            )
        ):
            with self.subTest(attributes):
                token = f"token{number}"
                self.listener.add_invite(token)
                client = self.listener.opened()
                get = GET.replace(f" to='{DOMAIN}'", attributes)
                submission = registration(f"user{number}", attributes=attributes)
                for request in (preauth(token, attributes), get, submission):
                    self.assertResult(client.ask(request))

    def test_point_07_addresses_of_replies(self):
        """Martin wants `from` to be its `to`; Monal drops a reply with a foreign `to`."""
        client = self.listener.opened()
        cases = {
            "": (None, None),
            f" to='{DOMAIN}'": (DOMAIN, None),
            f" from='juliet@{DOMAIN}'": (None, f"juliet@{DOMAIN}"),
            " to='Example.COM' from='a@b/c'": ("Example.COM", "a@b/c"),
            " to='' from=''": (None, None),
        }
        for attributes, expected in cases.items():
            get = GET.replace(f" to='{DOMAIN}'", attributes)
            requests = [get, preauth("wrong", attributes), registration(attributes=attributes)]
            if attributes == f" to='{DOMAIN}'":
                client = self.listener.opened()
            for request in requests[:1] + requests[2:]:
                reply = client.ask(request)
                addresses = reply.getAttribute("from"), reply.getAttribute("to")
                self.assertEqual(addresses, expected)
                self.assertEqual((reply.uri, reply.name), ("jabber:client", "iq"))
        self.assertNotIn("=''", client.raw)
        self.assertNotIn('=""', client.raw)

    def test_point_07_addresses_of_preauth_errors(self):
        """An error to preauth is addressed in the same way (Siskin)."""
        reply = self.listener.opened().ask(preauth("wrong"))
        self.assertEqual(reply["from"], DOMAIN)
        self.assertFalse(reply.hasAttribute("to"))
        self.assertFalse(self.listener.opened().ask(preauth("wrong", "")).hasAttribute("from"))

    def test_point_07_id(self):
        """A reply has the request's id; one without id gets a reply without."""
        client = self.listener.opened()
        self.assertEqual(client.ask(GET)["id"], "get")
        self.assertFalse(client.ask(GET.replace(" id='get'", "")).hasAttribute("id"))

    def test_point_08_nothing_unasked(self):
        """Converse takes the next IQ for its answer, whatever it is: so there is no other."""
        self.listener.add_invite()
        client = self.listener.connect()
        self.assertSilent(client)
        client.open()
        self.listener.wait(minutes=9)
        self.assertSilent(client)
        self.assertResult(client.ask(GET))
        self.assertResult(client.ask(preauth()))
        self.listener.wait(minutes=9)
        self.assertSilent(client)
        self.assertResult(client.ask(registration()))
        self.assertSilent(client)


class PatienceTests(DoorTestCase):
    def test_point_15_a_person_is_typing(self):
        """Nine minutes between the form and its submission are fine (Siskin)."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        client.ask(GET)
        self.listener.wait(minutes=9, seconds=59)
        self.assertResult(client.ask(registration()))

    def test_point_15_features_at_once(self):
        """The first features come without a pause."""
        for phase in (Phase.CLEAR, Phase.SECURED):
            client = Listener().connect(phase)
            client.send(header())
            self.assertEqual([e.name for e in client.receive()], ["features"])

    def test_errors_have_text_in_clear(self):
        """The refusal in clear says what to do."""
        reply = self.listener.opened(Phase.CLEAR).ask(preauth())
        self.assertIn("STARTTLS", error_of(reply)[2])
