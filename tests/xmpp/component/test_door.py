"""What people can do through the component, and who may."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import globalLogPublisher
from twisted.words.protocols.jabber import jid
from twisted.words.xish import domish
from wokkel.generic import VersionHandler, parseXml

from invitereg.errors import Throttled
from invitereg.model.namespaces import NS_COMMANDS, NS_PREAUTH, NS_REGISTER
from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Limits
from invitereg.runtime.logs import ERRORS_PER_PLACE, LogGuard
from invitereg.service import remote
from invitereg.usecases.userinvites import UserInvites
from invitereg.xmpp.adhoc.invites import invite_commands
from invitereg.xmpp.component.admission import (
    MOST_OF_SERVERS,
    PER_ACCOUNT,
    PER_SERVER,
    PER_SITE,
    SHARE,
    SITE_SHARE,
    TOGETHER,
    site_of,
)
from invitereg.xmpp.component.connection import ComponentStream
from invitereg.xmpp.component.door import (
    AT_ONCE_PER_ACCOUNT,
    AT_ONCE_PER_SITE,
    REMEMBERED_SECONDS,
    ComponentDoor,
)
from invitereg.xmpp.disco import SessionDiscoHandler
from tests.usecases.case import DOMAIN, PASSWORD, UseCase
from tests.xmpp.adhoc.execution import NS_INFO, NS_ITEMS

COMPONENT = f"invites.{DOMAIN}"
ROMEO = f"romeo@{DOMAIN}/orchard"


class PlayedServer:
    """The server's end of a component's connection.

    Attributes:
        output: every stanza that the component has sent.
    """

    def __init__(self, reactor):
        factory = reactor.tcpClients[-1][2]
        self._transport = StringTransport()
        self._protocol = factory.buildProtocol(None)
        self._protocol.makeConnection(self._transport)
        self.output = []
        self._protocol.dataReceived(
            f"<stream:stream xmlns='jabber:component:accept' from='{COMPONENT}' id='1' "
            "xmlns:stream='http://etherx.jabber.org/streams'><handshake/>".encode()
        )
        self._transport.clear()

    def write(self, text):
        """Send text, and read what comes back at once."""
        self._protocol.dataReceived(text.encode())
        self.read()

    def send(self, stanza):
        """Send an element, and read what comes back at once."""
        self.write(stanza.toXml())

    def read(self):
        """Read what has come since; returns it."""
        found = list(parseXml(b"<x>%s</x>" % self._transport.value()).elements())
        self._transport.clear()
        self.output += found
        return found


class ComponentCase(UseCase):
    """A component as it runs, with a server that is played: bytes come in, and go out."""

    def setUp(self):
        super().setUp()
        self.open()

    def open(self, *register_from):
        reactor = MemoryReactorClock()
        reactor.seconds = self.clock.seconds
        self.line = ComponentStream(reactor, "tcp:127.0.0.1:5347", COMPONENT, "secret", DOMAIN)
        self.door = ComponentDoor(
            lambda: self.registrar.domains[DOMAIN],
            self.registrar,
            invite_commands(UserInvites(self.issuer, self.store), self.clock.seconds),
            register_from,
            self.clock.seconds,
        )
        for handler in (
            self.door,
            SessionDiscoHandler(),
            remote.PingHandler(),
            VersionHandler("invitereg", "1"),
        ):
            handler.setHandlerParent(self.line)
        self.line.start()
        self.stub = PlayedServer(reactor)

    def ask(self, kind, payload, sender=ROMEO, to=COMPONENT):
        """The answer to a request: its type, or the condition of the error."""
        iq = domish.Element((None, "iq"))
        iq.attributes.update({"type": kind, "id": "1", "from": sender, "to": to})
        iq.addRawXml(payload)
        before = len(self.stub.output)
        self.stub.send(iq)
        [answer] = self.stub.output[before:]
        self.answer = answer
        self.assertEqual((answer["to"], answer["id"]), (sender, "1"))
        return (
            answer["type"]
            if answer["type"] == "result"
            else answer.error.firstChildElement().name
        )

    def preauth(self, token, sender=ROMEO):
        return self.ask("set", f"<preauth xmlns='{NS_PREAUTH}' token='{token}'/>", sender)

    def register(self, username, sender=ROMEO):
        fields = f"<username>{username}</username><password>{PASSWORD}</password>"
        return self.ask("set", f"<query xmlns='{NS_REGISTER}'>{fields}</query>", sender)

    def form(self, sender=ROMEO):
        return self.ask("get", f"<query xmlns='{NS_REGISTER}'/>", sender)


class ComponentDoorTests(ComponentCase):
    """Registration by the component, and what else is sent to it."""

    def test_registers(self):
        """With a token a user of the domain registers somebody, once."""
        _invite, token = self.invite(username="juliet")
        self.assertEqual(self.register("juliet"), "forbidden")
        self.assertEqual(self.preauth(token), "result")
        self.assertEqual(self.form(), "result")
        self.assertIn("juliet", self.answer.toXml())
        for typed in ("juliet ", "juliet\u3000", f"juliet@{DOMAIN}"):
            self.assertEqual(self.register(typed), "jid-malformed")
            self.assertTrue(str(self.answer.error.text).endswith(": juliet"))
        self.assertEqual(self.register("juliet"), "result")
        self.assertEqual(self.usernames(), ["juliet"])
        self.assertEqual(self.register("nurse"), "forbidden")
        [use] = self.successResultOf(self.store.list_uses(DOMAIN))
        self.assertEqual((use.door, use.address), ("component", None))

    def test_closed(self):
        """Where nobody may register, neither the form is shown nor sent, but for a reset."""
        self.account("romeo")
        _invite, token = self.invite()
        self.preauth(token)
        domain = self.registrar.domains[DOMAIN]
        closed = replace(domain, policy=replace(domain.policy, allow_registration=False))
        self.registrar.domains[DOMAIN] = closed
        for ask in (self.form, lambda: self.register("juliet"), lambda: self.preauth(token)):
            self.assertEqual(ask(), "not-allowed")
            self.assertIn("This server takes no new accounts.", self.answer.toXml())
        _reset, token = self.done(self.issuer.create_reset(DOMAIN, "romeo", OPERATOR))
        self.assertEqual(self.preauth(token), "result")
        self.assertEqual(self.form(), "result")
        self.assertEqual(self.register("romeo"), "result")

    def test_doubled(self):
        """What is said twice is not done."""
        _invite, token = self.invite()
        self.preauth(token)
        self.assertEqual(self.register("juliet</username><username>romeo"), "bad-request")
        self.assertEqual(self.usernames(), [])

    def test_no_id(self):
        """A request whose answer nobody could tell from others is refused (RFC 6120)."""
        attributes = f"from='{ROMEO}' to='{COMPONENT}' type='get'"
        self.stub.write(f"<iq {attributes}><query xmlns='{NS_REGISTER}'/></iq>")
        [answer] = self.stub.output
        self.assertEqual(answer.error.firstChildElement().name, "bad-request")
        self.assertIsNone(answer.query)

    def test_token_is_one_sessions(self):
        """A token holds for who sent it, from there, for ten minutes."""
        _invite, token = self.invite()
        self.preauth(token)
        self.assertEqual(self.register("juliet", f"romeo@{DOMAIN}/street"), "forbidden")
        self.clock.advance(REMEMBERED_SECONDS)
        self.assertEqual(self.register("juliet"), "forbidden")
        self.assertEqual(self.usernames(), [])

    def test_strangers(self):
        """Users of other servers register only where the operator says so."""
        _invite, token = self.invite()
        stranger = "tybalt@example.net/x"
        self.assertEqual(self.preauth(token, stranger), "forbidden")
        self.assertEqual(self.form(stranger), "forbidden")
        for allowed in ("example.net", "*"):
            self.open(allowed)
            self.assertEqual(self.preauth(token, stranger), "result")

    def test_throttled(self):
        """Who asks too much waits a minute; others do not."""
        for _ in range(PER_ACCOUNT):
            self.assertEqual(
                self.preauth("wrong" * 4), self.answer.error.firstChildElement().name
            )
        self.assertEqual(self.form(), "resource-constraint")
        self.assertEqual(self.form(f"juliet@{DOMAIN}/x"), "result")
        self.clock.advance(60)
        self.assertEqual(self.form(), "result")

    def test_no_password_in_errors(self):
        """What is refused is not repeated."""
        self.register("juliet")
        self.assertNotIn(PASSWORD, self.answer.toXml())

    def flood(self, host, accounts):
        """As many requests by each of so many accounts as each may make, and one more."""
        for number in range(accounts):
            for _ in range(PER_ACCOUNT + 1):
                last = self.form(f"u{number}@{host}/x")
        self.assertEqual(last, "resource-constraint")

    def test_domain_throttled(self):
        """However many of the domain's accounts ask too much, the others are answered."""
        accounts = TOGETHER // PER_ACCOUNT + 1
        self.flood(DOMAIN, accounts)
        for number in range(accounts):
            self.assertEqual(self.form(f"late{number}@{DOMAIN}/x"), "result")
        for _ in range(SHARE):
            self.assertEqual(self.form(f"juliet@{DOMAIN}/x"), "result")
        self.assertEqual(self.form(f"juliet@{DOMAIN}/x"), "resource-constraint")
        self.clock.advance(60)
        self.assertEqual(self.form(f"juliet@{DOMAIN}/x"), "result")

    def test_servers_throttled(self):
        """Another server may ask so much altogether, and takes nothing of anybody else's."""
        self.open("*")
        self.flood("example.net", PER_SERVER // PER_ACCOUNT + 1)
        for number in range(20):
            self.form(f"late{number}@example.net/x")
        self.assertEqual(self.form("tybalt@example.net/x"), "resource-constraint")
        self.assertEqual(self.form("tybalt@example.org/x"), "result")
        self.assertEqual(self.form(), "result")

    def test_many_servers_throttled(self):
        """Whoever has all the servers of the world cannot shut out the domain's accounts."""
        self.open("*")
        refused = 0
        for number in range(MOST_OF_SERVERS + 10):
            refused += self.form(f"u@s{number}.example/x") == "resource-constraint"
        self.assertEqual(refused, 10)
        self.assertEqual(self.form(), "result")

    def test_refused_counts_for_nobody(self):
        """What one stranger is refused takes nothing of others, of that server or another."""
        self.open("*")
        answers = [self.form("eve@public.test/x") for _ in range(MOST_OF_SERVERS)]
        self.assertEqual(answers.count("result"), PER_ACCOUNT)
        self.assertEqual(self.form("bob@public.test/x"), "result")
        self.assertEqual(self.form("tybalt@example.org/x"), "result")

    def test_refused_server_counts_for_nobody(self):
        """Nor does what a server is refused whose accounts are made up."""
        self.open("*")
        for number in range(MOST_OF_SERVERS):
            self.form(f"u{number}@evil.test/x")
        for number in range(SITE_SHARE):
            self.assertEqual(self.form(f"u{number}@example.org/x"), "result")

    @settings(max_examples=20, deadline=None)
    @given(st.sampled_from(["{}.evil.test", "{}.a.evil.test", "{}.evil.co.uk", "{}.EVIL.test"]))
    def test_subdomains(self, pattern):
        """Whoever has a domain has no more of the limit by any number of names below it."""
        self.setUp()
        self.open("*")
        hosts = [pattern.format(f"s{number}") for number in range(100)]
        answers = [self.form(f"u@{host}/x") for host in hosts for _ in range(PER_ACCOUNT)]
        self.assertEqual(answers.count("result"), PER_SITE)
        for host in ("example.org", "good.co.uk", "other.test"):
            self.assertEqual(self.form(f"bob@{host}/x"), "result")

    def test_sites(self):
        """A site is what somebody can register: mostly, two labels."""
        sites = {
            "localhost": "localhost",
            "example.org": "example.org",
            "a.b.example.org": "example.org",
            "a.b.example.co.uk": "example.co.uk",
            "co.uk": "co.uk",
            "a.example.uk": "example.uk",
            "a.b.c.com": "c.com",
            "a.example.org.": "example.org",
        }
        self.assertEqual({host: site_of(host) for host in sites}, sites)

    def test_site_at_once(self):
        """While the backend hangs, the names below one domain do not take all either."""
        self.open("*")
        hanging = []
        self.registrar.preauthorise = lambda *_args: hanging.append(Deferred()) or hanging[-1]
        preauth = f"<preauth xmlns='{NS_PREAUTH}' token='x'/>"
        for number in range(AT_ONCE_PER_SITE + 5):
            self.stub.write(
                f"<iq type='set' id='1' from='u@s{number}.evil.test/x' to='{COMPONENT}'>"
                f"{preauth}</iq>"
            )
        self.assertEqual(len(hanging), AT_ONCE_PER_SITE)
        for one in hanging:
            one.errback(Throttled(1))

    def test_at_once(self):
        """While the backend hangs, a few accounts do not take all that can be worked on."""
        hanging = []
        self.registrar.preauthorise = lambda *_args: hanging.append(Deferred()) or hanging[-1]
        preauth = f"<preauth xmlns='{NS_PREAUTH}' token='x'/>"
        iq = "<iq type='set' id='1' from='{}' to='" + COMPONENT + "'>" + preauth + "</iq>"
        for number in range(11):
            for _ in range(PER_ACCOUNT - 1):
                self.stub.write(iq.format(f"u{number}@{DOMAIN}/x"))
        self.assertEqual(len(hanging), 11 * AT_ONCE_PER_ACCOUNT)
        self.assertEqual(self.form(f"juliet@{DOMAIN}/x"), "result")
        for one in hanging:
            one.errback(Throttled(1))
        self.stub.read()
        self.assertEqual(self.form(f"u0@{DOMAIN}/x"), "result")

    def test_all_counts(self):
        """No request or message gets around what one account may send, disco and pings too."""
        payloads = (
            ("get", f"<query xmlns='{NS_INFO}'/>"),
            ("get", f"<query xmlns='{NS_ITEMS}' node='x'/>"),
            ("get", "<ping xmlns='urn:xmpp:ping'/>"),
            ("get", "<query xmlns='jabber:iq:version'/>"),
            ("set", "<a/><b/>"),
        )
        for kind, payload in payloads:
            self.clock.advance(60)
            answers = {self.ask(kind, payload) for _ in range(PER_ACCOUNT)}
            self.assertNotIn("resource-constraint", answers)
            self.assertEqual(self.ask(kind, payload), "resource-constraint")
        self.clock.advance(60)
        before = len(self.stub.output)
        for _ in range(PER_ACCOUNT + 10):
            self.message("chat", "Hello?")
        self.assertEqual(len(self.stub.output) - before, PER_ACCOUNT)

    @given(
        st.lists(
            st.sampled_from(
                [
                    "<query xmlns='urn:x'/>",
                    f"<query xmlns='{NS_INFO}' node='x'/>",
                    f"<query xmlns='{NS_ITEMS}'/>",
                    f"<query xmlns='{NS_REGISTER}'/>",
                    f"<preauth xmlns='{NS_PREAUTH}'/>",
                    f"<command xmlns='{NS_COMMANDS}' node='x'/>",
                    "<ping xmlns='urn:xmpp:ping'/>",
                    "<handled/>",
                    "text",
                ]
            ),
            max_size=4,
        ),
        st.sampled_from(["get", "set", "", "x"]),
        st.sampled_from([ROMEO, "tybalt@example.net/x", DOMAIN, "@", "a@b@c", "\u3000@x/y"]),
        st.sampled_from([COMPONENT, f"x@{COMPONENT}", f"{COMPONENT}/x", "@", "x@"]),
    )
    def test_any_payloads(self, payloads, kind, sender, to):
        """Whatever a request carries, it has one answer, and leaves no traceback."""
        self.clock.advance(60)
        answer = self.ask(kind, "".join(payloads), sender, to)
        if sum(payload != "text" for payload in payloads) != 1 or kind not in ("get", "set"):
            self.assertEqual(answer, "bad-request")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_unexpected(self):
        """A request that fails for a defect of ours leaves a few tracebacks, not each time."""
        guard = LogGuard(globalLogPublisher)
        guard.begin()
        self.addCleanup(guard.end)
        self.registrar.preauthorise = lambda *_args: 1 // 0
        for number in range(100):
            sender = f"u{number}@{DOMAIN}/x"
            self.assertEqual(self.preauth("token", sender), "resource-constraint")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), ERRORS_PER_PLACE)

    def test_long_addresses(self):
        """An address that is none, by its length, is not prepared, nor answered."""
        long = "\ufdfa" * 342
        addresses = [
            f"{long}@example.net/x",
            f"x@{long}/x",
            f"x@example.net/{long}",
            "x" * 10**6,
        ]
        prepared = []
        for prepare in ("nodeprep", "nameprep", "resourceprep"):
            real = getattr(jid, prepare).prepare
            self.patch(
                getattr(jid, prepare),
                "prepare",
                lambda text, real=real: prepared.append(len(text)) or real(text),
            )
        info = f"<query xmlns='{NS_INFO}'/>"
        for address in addresses:
            for sender, to in ((address, COMPONENT), (ROMEO, address)):
                self.stub.write(f"<iq type='get' id='1' from='{sender}' to='{to}'>{info}</iq>")
        self.assertEqual(self.stub.output, [])
        self.assertLess(sum(prepared), 100)

    def test_prepared_under_limits(self):
        """Addresses cost preparation as often only as their server may write."""
        prepared = []
        real = jid.nodeprep.prepare
        self.patch(jid.nodeprep, "prepare", lambda text: prepared.append(text) or real(text))
        for number in range(2000):
            self.ask("get", f"<query xmlns='{NS_INFO}'/>", f"Ü{number}@example.net/x")
        written = [text for text in prepared if text.startswith("Ü")]
        self.assertLessEqual(len(written), PER_SERVER)

    def change(self, **policy):
        domain = self.registrar.domains[DOMAIN]
        changed = replace(domain, policy=replace(domain.policy, **policy))
        self.registrar.domains[DOMAIN] = changed

    def test_guesses(self):
        """Who guesses tokens waits for it; of another server, all do, unless one is good."""
        self.open("example.net")
        for sender in (ROMEO, "tybalt@example.net/x"):
            verdicts = [self.preauth(f"{'wrong' * 4}{n}", sender) for n in range(11)]
            self.assertEqual(set(verdicts[:10]), {"item-not-found"})
            self.assertEqual(verdicts[10], "resource-constraint")
        self.assertEqual(self.preauth("other", "paris@example.net/x"), "resource-constraint")
        self.assertEqual(self.preauth("other", f"juliet@{DOMAIN}/x"), "item-not-found")
        for sender in (ROMEO, "tybalt@example.net/x", "paris@example.net/x"):
            _invite, token = self.invite()
            self.assertEqual(self.preauth(token, sender), "result")

    def test_open_registration(self):
        """Without invites a server's users register as many as one network may."""
        self.change(registration_invite_only=False)
        self.open("*")
        for server in (DOMAIN, "example.net"):
            for n in range(5):
                name = f"{server[8:]}{n}"
                self.assertEqual(self.register(name, f"u{n}@{server}/x"), "result")
            self.assertEqual(self.register("more", f"u9@{server}/x"), "resource-constraint")
        self.assertEqual(len(self.usernames()), 10)
        _invite, token = self.invite()
        self.assertEqual(self.preauth(token), "result")
        self.assertEqual(self.register("juliet"), "result")

    def test_allowlist_only(self):
        """Where none but listed networks may register, nobody who comes from none may."""
        _invite, token = self.invite()
        self.change(limits=Limits(allowlist_only=True))
        self.assertEqual(self.preauth(token), "forbidden")
        self.change(registration_invite_only=False, limits=Limits(allowlist_only=True))
        self.assertEqual(self.register("juliet"), "forbidden")
        self.assertEqual(self.usernames(), [])

    def test_not_for_us(self):
        """What nobody here takes is refused, and repeats nothing; replies are not answered."""
        payload = f"<query xmlns='{NS_REGISTER}'><password>{PASSWORD}</password></query>"
        somebody = f"x@{COMPONENT}"
        self.assertEqual(self.ask("set", payload, to=somebody), "service-unavailable")
        self.assertNotIn(PASSWORD, self.answer.toXml())
        self.assertEqual(self.ask("set", "<x xmlns='urn:x'/>"), "service-unavailable")
        self.assertEqual(
            self.ask("get", payload.replace("jabber:iq", "x")), "service-unavailable"
        )
        before = len(self.stub.output)
        for kind, body in (("error", "x"), ("headline", "x"), ("chat", None)):
            self.message(kind, body)
        self.assertEqual(self.stub.output[before:], [])
        self.message("chat", "Hello?")
        self.assertEqual(
            self.stub.output[-1].error.firstChildElement().name, "service-unavailable"
        )

    def message(self, kind, body):
        message = domish.Element((None, "message"))
        message.attributes.update({"type": kind, "from": ROMEO, "to": COMPONENT})
        if body:
            message.addElement("body", content=body)
        self.stub.send(message)


class ComponentCommandTests(ComponentCase):
    """Commands by the component."""

    def setUp(self):
        super().setUp()
        self.account("romeo")
        self.account("juliet")

    def discover(self, namespace, node="", sender=ROMEO):
        named = f" node='{node}'" if node else ""
        return self.ask("get", f"<query xmlns='{namespace}'{named}/>", sender)

    def execute(self, node, sender=ROMEO, **attributes):
        written = "".join(f" {name}='{value}'" for name, value in attributes.items())
        return self.ask(
            "set", f"<command xmlns='{NS_COMMANDS}' node='{node}'{written}/>", sender
        )

    def test_listed(self):
        """Each is told the commands that are theirs, at the address where they are executed."""
        self.assertEqual(self.discover(NS_ITEMS, NS_COMMANDS), "result")
        items = {item["node"]: item["jid"] for item in self.answer.query.elements()}
        self.assertEqual(set(items.values()), {COMPONENT})
        self.assertIn("invitereg#password-reset", items)
        self.discover(NS_ITEMS, NS_COMMANDS, f"juliet@{DOMAIN}/x")
        nodes = [item["node"] for item in self.answer.query.elements()]
        self.assertIn("urn:xmpp:invite#invite", nodes)
        self.assertNotIn("invitereg#password-reset", nodes)
        self.assertEqual(
            self.discover(NS_ITEMS, NS_COMMANDS, "tybalt@example.net/x"), "forbidden"
        )
        self.assertEqual(self.discover(NS_ITEMS), "result")

    def test_described(self):
        """A command says what it is, to those whom it is for."""
        node = "invitereg#password-reset"
        self.assertEqual(self.discover(NS_INFO, node), "result")
        self.assertEqual(self.answer.query.identity["type"], "command-node")
        self.assertEqual(self.discover(NS_INFO, node, f"juliet@{DOMAIN}/x"), "forbidden")
        self.assertEqual(self.discover(NS_INFO, "urn:x"), "item-not-found")

    def test_contact_addresses(self):
        """Whom to write to about the service is told to all who ask what it is."""
        domain = self.registrar.domains[DOMAIN]
        addresses = {"abuse": ("mailto:abuse@example.com",)}
        self.registrar.domains[DOMAIN] = replace(domain, contact_addresses=addresses)
        self.discover(NS_INFO, sender="tybalt@example.net/x")
        self.assertIn("mailto:abuse@example.com", self.answer.query.toXml())

    def test_language(self):
        """Commands speak the language that is asked for."""
        self.execute("invitereg#password-reset", **{"xml:lang": "de-AT"})
        self.assertIn("Adresse des Kontos", self.answer.toXml())

    def test_error_names_its_command(self):
        """An error says which command it is about, and nothing of what was filled in."""
        self.assertEqual(self.execute("urn:x", action="cancel"), "item-not-found")
        self.assertEqual(self.answer.command.attributes, {"node": "urn:x", "action": "cancel"})

    def test_other_preparation(self):
        """Who has a name that only we take for another's, as by a later Unicode, is nobody."""
        self.account("\u10d0")
        for sender in ("\u1c90", "Romeo"):
            self.assertEqual(
                self.execute("urn:xmpp:invite#invite", f"{sender}@{DOMAIN}/x"), "jid-malformed"
            )
        self.assertEqual(self.execute("urn:xmpp:invite#invite", f"\u10d0@{DOMAIN}/x"), "result")

    def test_strangers_commands(self):
        """Nobody of another server gives commands, wherever they may register from."""
        self.open("*")
        for sender in ("romeo@example.net/x", DOMAIN, f"romeo@{COMPONENT}"):
            self.assertEqual(self.execute("urn:xmpp:invite#invite", sender), "forbidden")
