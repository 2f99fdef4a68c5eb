"""The connection to a server as its component: kept up, and told of when it is not."""

import gc
import weakref

from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg.interfaces.server import OutcomeUnknown, ServerUnreachable
from invitereg.runtime.logs import FOREIGN_CHARACTERS
from invitereg.xmpp.component.connection import (
    ANSWER_SECONDS,
    HANDSHAKE_SECONDS,
    LONGEST_PAUSE,
    SILENCE_SECONDS,
    ComponentStream,
)
from invitereg.xmpp.parser import MAX_DEPTH, MAX_ELEMENTS

JID = "invites.example.com"
OPENED = (
    f"<stream:stream xmlns='jabber:component:accept' from='{JID}' id='1' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
).encode()


def stream_error(condition):
    return (
        f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        "</stream:error></stream:stream>"
    ).encode()


class ComponentStreamCase(SynchronousTestCase):
    """The server is played here, and so is time."""

    def setUp(self):
        self.reactor = MemoryReactorClock()
        self.line = ComponentStream(
            self.reactor, "tcp:127.0.0.1:5347", JID, "secret", "example.com"
        )
        self.line.start()

    def connect(self, *answers):
        """Take the newest attempt to connect, and answer on it."""
        factory = self.reactor.tcpClients[-1][2]
        self.transport = StringTransport()
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        for answer in answers:
            self.protocol.dataReceived(answer)

    def lose(self):
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def ready(self):
        self.connect(OPENED, b"<handshake/>")
        self.assertTrue(self.line.ready)


class ComponentStreamTests(ComponentStreamCase):
    def ask(self):
        iq = domish.Element((None, "iq"))
        iq.attributes.update({"type": "get", "to": "example.com"})
        return self.line.ask(iq, 4.0), iq

    def cause(self):
        return self.failureResultOf(self.ask()[0], ServerUnreachable).value.text

    def test_asks(self):
        """A request has its answer, or its error."""
        self.ready()
        asked, iq = self.ask()
        self.protocol.dataReceived(f"<iq type='result' id='{iq['id']}' to='{JID}'/>".encode())
        self.assertEqual(self.successResultOf(asked)["type"], "result")
        asked, iq = self.ask()
        forbidden = "<forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        error = f"<error type='auth'>{forbidden}</error>"
        self.protocol.dataReceived(f"<iq type='error' id='{iq['id']}'>{error}</iq>".encode())
        self.assertEqual(self.failureResultOf(asked, StanzaError).value.condition, "forbidden")

    def test_unknown(self):
        """Of a request that was sent, no answer says nothing."""
        self.ready()
        slow, _iq = self.ask()
        self.reactor.advance(4.0)
        self.failureResultOf(slow, OutcomeUnknown)
        cut, _iq = self.ask()
        self.lose()
        self.failureResultOf(cut, OutcomeUnknown)

    def test_strange_answers(self):
        """An answer that makes no sense is one all the same: nobody waits for ever."""
        self.ready()
        for error in ("", "<error/>", "<error code='999'/>", "<error code='x' type='y'/>"):
            asked, iq = self.ask()
            self.protocol.dataReceived(
                f"<iq type='error' id='{iq['id']}'>{error}</iq>".encode()
            )
            self.failureResultOf(asked, StanzaError)

    def test_answer_of_another(self):
        """An answer counts from whom was asked; the server may leave out that it is its own."""
        self.ready()
        asked, iq = self.ask()
        answer = f"<iq type='result' id='{iq['id']}' to='{JID}' from='{{}}'/>"
        for other in ("example.net", "romeo@example.com", "example.com/x", JID, "@"):
            self.protocol.dataReceived(answer.format(other).encode())
            self.assertNoResult(asked)
        self.protocol.dataReceived(answer.format("Example.com").encode())
        self.successResultOf(asked)

    def test_nothing_waits(self):
        """Without a connection nothing is sent, then or later."""
        self.assertIn("not connected", self.cause())
        self.ready()
        self.assertNotIn(b"<iq", self.transport.value())

    def test_refused_handshake(self):
        """A wrong secret is told with what to change, and not tried faster and faster."""
        error = stream_error("not-authorized")
        waited = []
        for _ in range(8):
            self.connect(OPENED, error)
            self.lose()
            attempts, seconds = len(self.reactor.tcpClients), 0.0
            while len(self.reactor.tcpClients) == attempts:
                self.reactor.advance(0.5)
                seconds += 0.5
            waited.append(seconds)
        self.assertEqual((waited[0], waited[-1]), (1.0, LONGEST_PAUSE))
        self.assertEqual(waited, sorted(waited))
        self.assertIn("not-authorized: the secret is another", self.cause())
        logged = self.flushLoggedErrors()
        self.assertEqual(logged, [])
        self.ready()
        self.lose()
        self.reactor.advance(1.0)
        self.assertEqual(len(self.reactor.tcpClients), attempts + 2)

    def test_odd_header(self):
        """A server that names itself by what is no JID may go on, without a traceback."""
        for name in ("", "@", "a_b.example", "e\x85", "a" * 2000):
            header = OPENED.decode().replace(JID, name).encode()
            self.connect(header, b"<handshake/>")
            self.assertTrue(self.line.ready, name)
            self.lose()
            self.reactor.advance(LONGEST_PAUSE)

    def test_silent_server(self):
        """A port on which nobody speaks is left, and told."""
        self.connect()
        self.transport.abortConnection = self.lose
        self.reactor.advance(HANDSHAKE_SECONDS)
        self.assertIn("did not finish the handshake", self.cause())

    def gone_dead(self):
        """The connection from now on: whether it was given up."""
        given_up = []
        self.transport.abortConnection = lambda: given_up.append(True) or self.lose()
        return given_up

    def test_stopped(self):
        """What is stopped has not failed."""
        log = []
        globalLogPublisher.addObserver(log.append)
        self.addCleanup(globalLogPublisher.removeObserver, log.append)
        self.ready()
        stopped = self.line.stop()
        self.lose()
        self.successResultOf(stopped)
        levels = {event["log_level"].name for event in log}
        self.assertEqual(levels, {"info"}, log)

    def test_dead_line(self):
        """A connection on which no answer comes, nor anything else, is made anew."""
        self.ready()
        given_up = self.gone_dead()
        asked, _iq = self.ask()
        self.reactor.advance(4.0)
        self.failureResultOf(asked, OutcomeUnknown)
        self.reactor.advance(ANSWER_SECONDS)
        self.assertEqual(given_up, [True])
        self.reactor.advance(1.0)
        self.ready()
        self.assertEqual(self.reactor.getDelayedCalls()[0].getTime(), 10.0 + SILENCE_SECONDS)

    def test_slow_answer(self):
        """A server that says something, if not what was asked for, is not left for it."""
        self.ready()
        given_up = self.gone_dead()
        for _ in range(3):
            asked, _iq = self.ask()
            self.reactor.advance(4.0)
            self.failureResultOf(asked, OutcomeUnknown)
            self.assertIn(b"<ping xmlns='urn:xmpp:ping'", self.transport.value())
            self.transport.clear()
            self.reactor.advance(ANSWER_SECONDS - 1)
            self.protocol.dataReceived(b" ")
        self.reactor.advance(SILENCE_SECONDS - 1)
        self.assertEqual(given_up, [])

    def test_dead_while_idle(self):
        """Of a line that died unnoticed one knows before it is needed."""
        self.ready()
        given_up = self.gone_dead()
        for _ in range(3):
            self.reactor.advance(SILENCE_SECONDS)
            self.assertIn(b"urn:xmpp:ping", self.transport.value())
            self.transport.clear()
            self.protocol.dataReceived(b" ")
        self.reactor.advance(SILENCE_SECONDS)
        self.reactor.advance(ANSWER_SECONDS)
        self.assertEqual(given_up, [True])

    def test_cannot_connect(self):
        """Why there is no connection is told."""
        self.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(ConnectError()))
        self.assertIn("cannot connect to tcp:127.0.0.1:5347", self.cause())
        self.assertNotIn("is the server running", self.cause())

    def test_one_line_for_all_attempts(self):
        """The log says once that attempts go on, and names no object by its address."""
        lines = []
        globalLogPublisher.addObserver(lambda event: lines.append(formatEvent(event)))
        self.addCleanup(globalLogPublisher._observers.pop)
        for _ in range(9):
            refused = Failure(Refused(111, "Connection refused"))
            self.reactor.tcpClients[-1][2].clientConnectionFailed(None, refused)
            self.reactor.advance(LONGEST_PAUSE)
        again = f"component {JID} tries tcp:127.0.0.1:5347 again, every few seconds"
        self.assertEqual(lines.count(again), 1)
        self.assertEqual([line for line in lines if " at 0x" in line], [])
        self.assertEqual([line for line in lines if "retry" in line], [])

    def test_odd_condition(self):
        """What a server makes up in place of a condition does not fill the log."""
        self.connect(OPENED, stream_error("e" * 5000))
        self.assertIn(f'"{"e" * FOREIGN_CHARACTERS}…": see the server', self.cause())
        self.assertLess(len(self.cause()), 600)

    def test_nobody_listens(self):
        """A connection that is refused is told with what to look for."""
        refused = Failure(Refused(111, "Connection refused"))
        self.reactor.tcpClients[-1][2].clientConnectionFailed(None, refused)
        self.assertIn(
            "cannot connect to tcp:127.0.0.1:5347: Connection was refused by other side: 111: "
            "Connection refused: is the server running, and does it listen there for "
            "components (Prosody: component_ports; ejabberd: a listener with "
            "ejabberd_service)?",
            self.cause(),
        )

    def test_other_port(self):
        """What does not understand a component may be there for others."""
        for condition in ("unsupported-stanza-type", "invalid-namespace", "not-well-formed"):
            self.connect(OPENED, stream_error(condition))
            self.lose()
            self.assertIn(f"{condition}: is this its port for components?", self.cause())
            self.reactor.advance(LONGEST_PAUSE)
        self.connect(OPENED, stream_error("resource-constraint"))
        self.assertIn("resource-constraint: see the server's log", self.cause())

    def test_refused_later(self):
        """Nor is it another port if it has taken the component before."""
        self.ready()
        log = []
        globalLogPublisher.addObserver(log.append)
        self.addCleanup(globalLogPublisher.removeObserver, log.append)
        self.protocol.dataReceived(stream_error("not-well-formed"))
        self.assertIn("not-well-formed: see the server's log", str(log))

    def big(self, *, elements=0, text="", depth=0, attributes="", prefixes=0):
        """A stanza of a stranger that is bigger than any honest one."""
        declared = "".join(f" xmlns:p{number}='urn:{number}'" for number in range(prefixes))
        inside = "<a/>" * elements + "<b>" * depth + text + "</b>" * depth
        return (
            f"<message from='x@evil.example' to='{JID}'{attributes}><body{declared}>{inside}"
            "</body></message>"
        ).encode()

    def test_big_stanzas(self):
        """What a stranger writes too big ends no connection, nor anybody's request on it."""
        self.ready()
        seen = []
        self.line.xmlstream.addObserver("/message", seen.append)
        bigs = (
            self.big(elements=200_000),
            self.big(elements=MAX_ELEMENTS),
            self.big(depth=MAX_DEPTH),
            self.big(depth=5000),
            self.big(elements=200_000, attributes=" type='error' id='1'", prefixes=5),
        )
        for big in bigs:
            asked, iq = self.ask()
            answer = f"<iq type='result' id='{iq['id']}' to='{JID}'><q xmlns='urn:q'/></iq>"
            for data in (big[:9999], big[9999:] + answer.encode()):
                self.protocol.dataReceived(data)
            self.assertEqual(self.successResultOf(asked).q.uri, "urn:q")
            self.assertFalse(self.transport.disconnecting)
        self.assertEqual(seen, [])
        self.protocol.dataReceived(self.big(elements=MAX_ELEMENTS - 2))
        self.assertEqual(len(seen), 1)

    def test_not_built(self):
        """Of a stanza that is too big no more is built than of one that is not."""
        self.ready()
        built = []
        real = domish.Element.__init__
        self.patch(
            domish.Element,
            "__init__",
            lambda element, *args, **more: built.append(1) or real(element, *args, **more),
        )
        self.protocol.dataReceived(self.big(elements=200_000))
        self.assertEqual(len(built), MAX_ELEMENTS)
        self.assertIsNone(self.line.xmlstream.stream.currElem)

    def test_text(self):
        """Text is put together once, however many lines and entities it has."""
        self.ready()
        added = []
        real = domish.Element.addContent
        self.patch(
            domish.Element,
            "addContent",
            lambda element, text: added.append(len(text)) or real(element, text),
        )
        for text in ("&lt;", "\n", "x\n", "&#x20;"):
            added.clear()
            self.protocol.dataReceived(self.big(text=text * 100_000))
            self.assertLess(len(added), 20)
            self.assertGreaterEqual(sum(added), 100_000)

    def test_big_answer(self):
        """The answer to a request may be big, as a list of all accounts is."""
        self.ready()
        asked, iq = self.ask()
        items = "".join(f"<item jid='u{number}@example.com'/>" for number in range(50_000))
        self.protocol.dataReceived(
            f"<iq type='result' id='{iq['id']}' to='{JID}'><query xmlns='urn:q'>{items}"
            "</query></iq>".encode()
        )
        self.assertEqual(len(self.successResultOf(asked).query.children), 50_000)

    def announce(self, sender, *permissions, version=2):
        permitted = "".join(f"<perm access='{a}' type='{t}'/>" for a, t in permissions)
        self.protocol.dataReceived(
            f"<message from='{sender}' to='{JID}'><privilege xmlns="
            f"'urn:xmpp:privilege:{version}'>{permitted}</privilege></message>".encode()
        )

    def test_privileges(self):
        """What the server grants is read in either version, until it grants something else."""
        self.ready()
        for version, kind in ((1, "get"), (2, "both"), (1, "none")):
            self.announce("example.com", ("roster", kind), version=version)
            self.assertEqual(self.line.privileges.of("example.com", "roster"), kind)
            self.assertEqual(self.line.privileges.of("example.org", "roster"), "none")

    def test_faked_privileges(self):
        """Nobody else grants anything, however close their address comes."""
        self.ready()
        self.announce("example.com", ("roster", "get"))
        before = self.line.privileges
        for sender in (
            "example.net",
            "romeo@example.com",
            "example.com/x",
            "sub.example.com",
            "",
            JID,
            "EXAMPLE.COM",
        ):
            self.announce(sender, ("roster", "both"))
            self.assertIs(self.line.privileges, before, sender)

    def test_unknown_privileges(self):
        """Of what is granted only what is known is kept, however much is said."""
        self.ready()
        unknown = [(f"a{number}", "both") for number in range(900)]
        wrong = [("message", "both"), ("presence", "x" * 1000)]
        self.announce("example.com", *unknown, ("roster", "both"), *wrong)
        self.assertEqual(self.line.privileges.granted, {"roster": "both"})


class ReleaseTests(ComponentStreamCase):
    def test_gone(self):
        """A connection that was good for something is gone with all it had, once it is lost."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for answers in (
            [],
            [OPENED, b"<handshake/>"],
            [OPENED, b"<handshake/>", b"<iq type='get' id='x'><query"],
            [b"nonsense"],
        ):
            self.connect(*answers)
            stream = weakref.ref(self.line.xmlstream)
            self.lose()
            self.transport = self.protocol = None
            self.assertIsNone(stream(), answers)
            self.reactor.advance(LONGEST_PAUSE)
