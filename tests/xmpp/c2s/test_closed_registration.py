"""Where no new accounts are taken, and only passwords are set by tokens (contract, point 1)."""

from datetime import timedelta
from unittest import mock

from twisted.internet.defer import Deferred, fail, succeed

from invitereg.errors import Unavailable
from invitereg.model.invites import Kind, token_digest
from invitereg.runtime.workqueue import current_client
from invitereg.testing import make_account, make_invite
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.gateway.door import FEATURES, SERVER_HEADER, GatewayListener
from tests.xmpp.messages import (
    GET,
    NS_SASL,
    STARTTLS,
    TOKEN,
    children,
    error_of,
    form_fields,
    form_registration,
    header,
    preauth,
    registration,
)

IQ_REGISTER = ("http://jabber.org/features/iq-register", "register")
TOKENS = {("urn:xmpp:ibr-token:0", "register"), ("urn:xmpp:invite", "register")}
CLOSED = ("cancel", "not-allowed", "This server takes no new accounts.")


class ClosedTests(DoorTestCase):
    def setUp(self):
        self.listener = Listener(policy={"allow_registration": False})
        self.listener.add_account()

    def offered(self, listener=None):
        """What a stream offers after TLS, the mechanisms apart."""
        features = (listener or self.listener).connect().open()
        found = {(child.uri, child.name) for child in features.elements()}
        self.assertIn((NS_SASL, "mechanisms"), found)
        return found - {(NS_SASL, "mechanisms")}

    def test_point_01_closed(self):
        """Registration is not announced, but what a token can do always is."""
        self.listener.add_invite()
        self.assertEqual(self.offered(), TOKENS)

    def test_point_01_open_reset(self):
        """While a password can be set by a token it is, for the apps that look for it first."""
        reset = self.listener.add_reset()
        self.assertEqual(self.offered(), {IQ_REGISTER, *TOKENS})
        self.listener.revoke(reset)
        self.assertEqual(self.offered(), TOKENS)

    def test_point_01_reset_elsewhere(self):
        """A reset of another domain opens nothing here."""
        store, who = self.listener.store, {"domain": "example.org", "username": "juliet"}
        self.successResultOf(store.learn(make_account(**who)))
        elsewhere = make_invite(id="Elsewhere", kind=Kind.RESET, **who)
        self.successResultOf(store.create_invite(elsewhere, token_digest("Elsewhere")))
        self.assertEqual(self.offered(), TOKENS)

    def test_point_01_over(self):
        """A reset that is used up or has expired announces nothing."""
        self.listener.add_reset()
        self.listener.preauthorised().ask(registration())
        self.assertEqual(self.offered(), TOKENS)
        end = self.listener.now() + timedelta(hours=1)
        token = "Another"
        self.listener.add_invite(token, kind=Kind.RESET, username="juliet", expires_at=end)
        self.assertEqual(self.offered(), {IQ_REGISTER, *TOKENS})
        self.listener.wait(hours=1)
        self.assertEqual(self.offered(), TOKENS)

    def test_point_01_after_starttls(self):
        """The same after STARTTLS as with direct TLS; pipelined requests are kept in order."""
        client = self.listener.connect(Phase.CLEAR)
        client.send(header() + STARTTLS)
        client.receive()
        client.finish_handshake()
        features = client.open()
        found = {(child.uri, child.name) for child in features.elements()}
        self.assertEqual(found & {IQ_REGISTER, *TOKENS}, TOKENS)
        client = self.listener.connect()
        client.send(header() + GET)
        self.assertEqual([one.name for one in client.receive()], ["features", "iq"])

    def test_store_fails(self):
        """Nobody is kept out by a store that does not answer."""
        failing = mock.Mock(return_value=fail(Unavailable("e1")))
        with mock.patch.object(self.listener.store, "has_open_reset", failing):
            self.assertEqual(self.offered(), {IQ_REGISTER, *TOKENS})

    def test_open_asks_nothing(self):
        """An open domain's streams cost no look into the store."""
        listener = Listener()
        with mock.patch.object(listener.store, "has_open_reset") as asked:
            self.assertEqual(self.offered(listener), {IQ_REGISTER, *TOKENS})
        asked.assert_not_called()

    def test_refused(self):
        """Get and set say that it is closed, with an invite or an open reset, or not."""
        self.listener.add_reset(token="OfJuliet")
        self.listener.add_invite()
        client = self.listener.opened()
        for request in (GET, registration("romeo"), form_registration(username="romeo")):
            self.assertEqual(error_of(client.ask(request)), CLOSED)
        self.assertEqual(error_of(client.ask(preauth(TOKEN))), CLOSED)
        for request in (GET, registration("romeo")):
            self.assertEqual(error_of(client.ask(request)), CLOSED)
        self.assertIsNone(self.listener.account("romeo"))

    def test_closed_after_preauth(self):
        """Who was let in before it was closed is refused, too."""
        listener = Listener()
        listener.add_invite()
        client = listener.preauthorised()
        listener.domains.update(self.listener.domains)
        for request in (GET, registration()):
            self.assertEqual(error_of(client.ask(request)), CLOSED)

    def test_reset(self):
        """With a reset's token the form is shown, and the password set."""
        self.listener.add_reset()
        client = self.listener.preauthorised()
        query = client.ask(GET).query
        self.assertEqual(children(query)[:3], ["instructions", "username", "password"])
        self.assertEqual(str(query.username), "juliet")
        self.assertIn(("username", "text-single", "juliet", True), form_fields(query))
        self.assertResult(client.ask(registration()))


class ClosedGatewayTests(DoorTestCase):
    def test_features(self):
        """In front of a server it is the same: its features, and ours beside them."""
        listener = GatewayListener(policy={"allow_registration": False})
        listener.add_account()
        listener.checked()
        for expected in (TOKENS, {IQ_REGISTER, *TOKENS}):
            client = listener.connect()
            client.send(header())
            listener.accept().say(SERVER_HEADER, FEATURES)
            (features,) = client.receive()
            found = {(child.uri, child.name) for child in features.elements()}
            self.assertEqual(found - {(NS_SASL, "mechanisms")}, expected)
            if expected is TOKENS:
                listener.add_reset()

    def test_leaves(self):
        """A client that has gone while the store is asked is told nothing any more."""
        listener = GatewayListener(policy={"allow_registration": False})
        listener.checked()
        client, looking = listener.connect(), Deferred()
        with mock.patch.object(listener.store, "has_open_reset", return_value=looking):
            client.send(header())
        client.stream.end("connection-timeout")
        told = client.transport.value()
        looking.callback(False)
        self.assertTrue(told.endswith(b"</stream:stream>"), told)
        self.assertEqual(client.transport.value(), told)
        self.assertEqual(listener.waiting, 0)

    def test_whose_work(self):
        """The look into the store counts as the work of who opens the stream, at each door."""
        clients = []

        def note(_domain, _now):
            clients.append(current_client())
            return succeed(False)

        for kind in (Listener, GatewayListener):
            listener = kind(policy={"allow_registration": False})
            client = listener.connect(address="192.0.2.1")
            with mock.patch.object(listener.store, "has_open_reset", note):
                client.send(header())
                if kind is GatewayListener:
                    listener.upstream_check.start()
                    listener.check()
                    listener.accept().say(SERVER_HEADER, FEATURES)
        networks = [[share.network for share in one.shares] for one in clients]
        self.assertEqual(networks, [["192.0.2.1/32"]] * 2)
