"""A c2s door in memory, and clients that say to it exactly what they are told to."""

from datetime import timedelta

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import NS_XMPP_STREAMS
from twisted.words.xish import domish

from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.embedded.domain import EmbeddedDomain
from invitereg.interfaces.queries import Redemption
from invitereg.model.accounts import SCRAM_SHA_256, Account
from invitereg.model.invites import Kind, Use, token_digest
from invitereg.policy.values import Domain, Limits, Policy
from invitereg.runtime.threads import Inline
from invitereg.testing import clock_now, make_invite, memory_store
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.registrar import Registrar
from invitereg.usecases.throttles import LoginThrottle
from invitereg.usecases.userinvites import UserInvites
from invitereg.xmpp.adhoc.invites import invite_commands
from invitereg.xmpp.c2s.listener import C2SDoor, StreamCount
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.messages import (
    BIND,
    DECLARATION,
    DOMAIN,
    GET,
    PASSWORD,
    STARTTLS,
    TOKEN,
    children,
    error_of,
    header,
    plain,
    preauth,
)


class CountingWork(Inline):
    """Does the hashing at once, and counts how often there was some."""

    def __init__(self):
        self.runs = 0

    def run(self, function, *args):
        self.runs += 1
        return super().run(function, *args)


def peer(address):
    """The other end of a connection, as Twisted names it; without an address, a UNIX socket."""
    if address is None:
        return UNIXAddress(None)
    kind = IPv6Address if ":" in address else IPv4Address
    return kind("TCP", address, 40000)


class ServerSide(StringTransport):
    """The server's end of a connection; records what is done to it."""

    def __init__(self, address):
        super().__init__(peerAddress=peer(address))
        self.tls = None
        self.aborted = False

    def startTLS(self, context):
        self.tls = context

    def abortConnection(self):
        self.aborted = self.disconnecting = True


class Certificates:
    """Stands for the certificates of all domains."""

    def preferring(self, domain):
        return f"the TLS context for {domain}"


class Listener:
    """A door with its store and its clock, that clients connect to.

    ``limits`` and ``policy`` are what differs from the defaults; ``wrap_store`` makes what the
    door sees of the store.
    """

    def __init__(
        self,
        policy=None,
        limits=None,
        stored=(SCRAM_SHA_256,),
        streams=(1000, 5000),
        wrap_store=lambda store: store,
    ):
        self.clock = Clock()
        self.now = clock_now(self.clock)
        self.store = memory_store()
        self.work = CountingWork()
        policy = Policy(limits=Limits(**(limits or {})), **(policy or {}))
        self.domains = {DOMAIN: Domain(name=DOMAIN, policy=policy, site_name="Example Chat")}
        store = wrap_store(self.store)
        self.accounts = accounts = {
            DOMAIN: EmbeddedAccounts(DOMAIN, store, self.work, self.now, 4096, stored)
        }
        self.embedded = EmbeddedDomain(self.domains, store, self.now)
        self.sessions, self.notices = self.embedded.sessions, self.embedded.notices
        self.door = C2SDoor(
            domains=self.domains,
            registrar=Registrar(self.domains, store, accounts, self.now),
            logins=accounts,
            throttle=LoginThrottle(self.domains, store, self.now),
            embedded=self.embedded,
            commands=invite_commands(
                UserInvites(Issuer(self.domains, store, accounts, self.now), store),
                self.clock.seconds,
            ),
            streams=StreamCount(*streams),
            tls=Certificates(),
            reactor=self.clock,
        )
        self.factories = {phase: self.door.listener(phase) for phase in Phase}

    def connect(self, phase=Phase.SECURED, address="192.0.2.1"):
        """A client whose connection has just been made."""
        return ScriptedClient(self.factories[phase].buildProtocol(None), ServerSide(address))

    def opened(self, phase=Phase.SECURED, **where):
        """A client that has exchanged stream headers."""
        client = self.connect(phase, **where)
        client.open()
        return client

    def logged_in(self, username="juliet", resource="balcony", **where):
        """A client with a session; the account is made if it is not there."""
        if self.account(username) is None:
            self.add_account(username)
        client = self.opened(**where)
        client.log_in(username)
        client.ask(BIND.format(resource))
        return client

    def preauthorised(self, token=TOKEN, **where):
        """A client whose token was found good."""
        client = self.opened(**where)
        assert client.ask(preauth(token))["type"] == "result"
        return client

    def add_invite(self, token=TOKEN, **changes):
        """Store an invite."""
        invite = make_invite(**changes)
        _result(self.store.create_invite(invite, token_digest(token)))
        return invite

    def add_reset(self, username="juliet", token=TOKEN):
        """Store an invite that sets an account's password."""
        return self.add_invite(token, kind=Kind.RESET, username=username)

    def invite(self, invite):
        """How an invite is now."""
        return _result(self.store.get_invite(DOMAIN, invite.id))

    def revoke(self, invite):
        """Revoke an invite."""
        _result(self.store.revoke_invite(DOMAIN, invite.id, self.now()))

    def add_account(self, username="juliet", password=PASSWORD, stored=(SCRAM_SHA_256,)):
        """Store an account."""
        now = self.now()
        account = Account(domain=DOMAIN, username=username, created_at=now)
        use = Use(domain=DOMAIN, username=username, kind=Kind.ACCOUNT, at=now, door="cli")
        backend = EmbeddedAccounts(DOMAIN, self.store, Inline(), self.now, 4096, stored)
        _result(backend.redeem(Redemption(account=account, use=use), password))

    def account(self, username="juliet"):
        """An account, or None."""
        return _result(self.store.get_account(DOMAIN, username))

    def wait(self, **duration):
        """Let time pass."""
        self.clock.advance(timedelta(**duration).total_seconds())


class ScriptedClient:
    """Says what it is told to, and understands what it is answered.

    Attributes:
        header: the last stream header of the server.
        raw: all that the server has written.
        ended: whether the server has closed its stream.
    """

    def __init__(self, stream, transport):
        self.stream = stream
        self.transport = transport
        self.header = None
        self.raw = ""
        self.ended = False
        self._received = []
        stream.makeConnection(transport)

    def send(self, *texts):
        """Send segments, one after the other."""
        for text in texts:
            self.stream.dataReceived(text.encode() if isinstance(text, str) else text)

    def receive(self):
        """The elements that have come since the last call."""
        text = self.transport.value().decode()
        self.transport.clear()
        self.raw += text
        first, *restarted = text.split(DECLARATION)
        if first:
            self._parser.parse(first.encode())
        for part in restarted:
            self._parser = domish.ExpatElementStream()
            self._parser.DocumentStartEvent = self._on_header
            self._parser.ElementEvent = lambda element: self._received.append(element)
            self._parser.DocumentEndEvent = self._on_end
            self._parser.parse(part.encode())
        received, self._received = self._received, []
        return received

    def ask(self, *texts):
        """The one element that comes in answer."""
        self.send(*texts)
        (answer,) = self.receive()
        return answer

    def open(self, **options):
        """SubscriptionChange stream headers; returns the features."""
        return self.ask(header(**options))

    def secure(self):
        """Get TLS, as far as the stream can tell, and open the stream again."""
        assert self.ask(STARTTLS).name == "proceed"
        self.finish_handshake()
        return self.open()

    def finish_handshake(self):
        """Let the handshake of TLS be over."""
        self.stream.handshakeCompleted()

    def log_in(self, username="juliet", password=PASSWORD):
        """Log in by PLAIN and open the stream again; returns the features."""
        answer = self.ask(plain(username, password))
        assert answer.name == "success", answer.toXml()
        return self.open()

    def lose(self):
        """Let the connection be lost."""
        self.stream.connectionLost(Failure(ConnectionDone()))

    @property
    def closed(self):
        """Whether the server has closed the connection."""
        return self.transport.disconnecting

    def _on_header(self, root):
        self.header = root

    def _on_end(self):
        self.ended = True


class DoorTestCase(SynchronousTestCase):
    """What the tests of the door share: a listener with the default policy."""

    def setUp(self):
        self.listener = Listener()

    def assertError(self, reply, kind, condition):
        """It is an error reply with this type and condition."""
        self.assertEqual(reply["type"], "error")
        self.assertEqual(error_of(reply)[:2], (kind, condition))

    def assertResult(self, reply):
        """It is a result."""
        self.assertEqual(reply["type"], "result", reply.toXml())

    def assertFails(self, reply, condition):
        """It is the failure of a login."""
        self.assertEqual((reply.name, children(reply)[0]), ("failure", condition))

    def assertEnded(self, client, condition):
        """All that has come is a stream error; the stream and the connection are closed."""
        received = client.receive()
        self.assertEqual([element.name for element in received], ["error"], client.raw[-300:])
        self.assertEqual(children(received[0], NS_XMPP_STREAMS)[0], condition)
        self.assertIsNotNone(client.header)
        self.assertTrue(client.raw.endswith("</stream:stream>"))
        self.assertTrue(client.ended)
        self.assertTrue(client.closed)
        client.send(GET, "</stream:stream>", b"\xff")
        self.assertEqual(client.receive(), [])

    def assertSilent(self, client):
        """Nothing has come, and the connection is open."""
        self.assertEqual(client.receive(), [])
        self.assertFalse(client.closed)


def _result(deferred):
    outcomes = []
    deferred.addBoth(outcomes.append)
    (outcome,) = outcomes
    if isinstance(outcome, Failure):
        outcome.raiseException()
    return outcome
