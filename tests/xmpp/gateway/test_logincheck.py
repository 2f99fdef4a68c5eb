"""What a server answers to logins that are begun: which clients it would keep out."""

import base64
import hashlib

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from invitereg.xmpp.gateway.failures import UpstreamFailure
from invitereg.xmpp.gateway.logincheck import MOST_NAMES, LoginProblems, login_problems
from invitereg.xmpp.gateway.settings import Upstream
from tests.xmpp.gateway.door import SERVER_HEADER, ServerEnd
from tests.xmpp.messages import DOMAIN, NS_SASL

PLUS = "SCRAM-SHA-1-PLUS"
PLAIN_SCRAM = ("SCRAM-SHA-1", "PLAIN")
UNKNOWN = f"<failure xmlns='{NS_SASL}'><not-authorized/></failure>"
MALFORMED = f"<failure xmlns='{NS_SASL}'><malformed-request/></failure>"
UNBOUND = (
    f"<failure xmlns='{NS_SASL}'><not-authorized/>"
    "<text xml:lang='en'>Invalid channel binding</text></failure>"
)
CLEAN = LoginProblems()


def features(*names):
    """Stream features with these mechanisms, and with channel binding."""
    listed = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    return (
        f"<stream:features><mechanisms xmlns='{NS_SASL}'>{listed}</mechanisms>"
        "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding "
        "type='tls-exporter'/></sasl-channel-binding></stream:features>"
    )


def challenge(more="", mechanism="sha1"):
    """What a server answers for an account that it has; ``more`` is hashed (XEP-0474)."""
    text = "r=abc,s=c2FsdA==,i=4096"
    if more:
        digest = hashlib.new(mechanism, more.encode()).digest()
        text += f",h={base64.b64encode(digest).decode()}"
    return (
        f"<challenge xmlns='{NS_SASL}'>{base64.b64encode(text.encode()).decode()}</challenge>"
    )


class LoginCheckTests(SynchronousTestCase):
    def begin(self, offered, usernames=("romeo",)):
        """Ask a server, which has sent its features."""
        self.reactor = MemoryReactorClock()
        upstream = Upstream(domain=DOMAIN, connect="tcp:127.0.0.1:15222", tls="none")
        asked = Deferred.fromCoroutine(login_problems(upstream, usernames, self.reactor))
        _host, _port, factory, *_rest = self.reactor.tcpClients.pop()
        self.server = ServerEnd(factory.buildProtocol(None))
        self.server.say(SERVER_HEADER, features(*offered))
        return asked

    def found(self, offered, *answers, usernames=("romeo",)):
        """What comes of a server's answers, one after the other."""
        asked = self.begin(offered, usernames)
        self.server.say(*answers)
        result = self.successResultOf(asked)
        self.assertTrue(self.server.transport.aborted)
        return result

    def first_messages(self):
        """What the server was sent as first messages of SCRAM."""
        parts = self.server.received.split("'SCRAM-SHA-1'>")[1:]
        return [base64.b64decode(part.partition("<")[0]).decode() for part in parts]

    def test_lets_in(self):
        """A server that takes the flag, and signs nothing, keeps nobody out."""
        self.assertEqual(self.found(PLAIN_SCRAM, challenge(), UNKNOWN), CLEAN)
        (first,) = self.first_messages()
        self.assertTrue(first.startswith("y,,n=romeo,r="), first)

    def test_flag_refused(self):
        """Prosody 13 refuses the flag at once, for any name, -PLUS or not; tls: none helps."""
        for offered in (PLAIN_SCRAM, (*PLAIN_SCRAM, PLUS)):
            for usernames in ((), ("romeo",)):
                (fault,) = self.found(offered, MALFORMED, usernames=usernames).faults
                self.assertIn("c2s_require_encryption = false", fault)
                self.assertIn("allow_unencrypted_plain_auth = true", fault)
                self.assertIn("tls: none", fault)

    def test_bound_mechanisms(self):
        """A server with -PLUS is told to switch just these off, and to sign nothing."""
        names = f"{PLUS}, SCRAM-SHA-512-PLUS"
        offered = (*PLAIN_SCRAM, PLUS, "SCRAM-SHA-512-PLUS")
        signed = challenge("PLAIN\x1eSCRAM-SHA-1\x1ftls-exporter")
        for answers in ((UNBOUND,), (signed, UNKNOWN)):  # ejabberd 26.07, 24.12
            (fault,) = self.found(offered, *answers).faults
            self.assertIn(f"disable_sasl_mechanisms: [{names}]", fault)
            self.assertIn("disable_sasl_scram_downgrade_protection: true", fault)

    def test_bound_mechanisms_in_vain(self):
        """Where nobody was seen to be kept out, as by ejabberd 23.01, they are doubtful."""
        for answers in ((challenge(), UNKNOWN), (UNKNOWN,)):
            found = self.found((*PLAIN_SCRAM, PLUS), *answers)
            self.assertEqual(found.faults, ())
            (doubt,) = found.warnings
            self.assertIn(f"disable_sasl_mechanisms: [{PLUS}]", doubt)

    def test_signed(self):
        """A hash over channel bindings that clients do not see keeps those out that check."""
        seen = "PLAIN\x1eSCRAM-SHA-1"
        signed = challenge(f"{seen}\x1ftls-exporter")
        (fault,) = self.found(PLAIN_SCRAM, signed, UNKNOWN).faults
        self.assertIn("ejabberd: disable_sasl_scram_downgrade_protection: true", fault)
        self.assertIn("remove sasl_ssdp", fault)
        self.assertEqual(self.found(PLAIN_SCRAM, challenge(seen), UNKNOWN), CLEAN)

    def test_refused_at_the_end(self):
        """Ejabberd 24.12 refuses the flag in the last step; lines of its own end all of it."""
        signed = challenge("PLAIN\x1eSCRAM-SHA-1\x1ftls-exporter")
        for offered in (PLAIN_SCRAM, (*PLAIN_SCRAM, PLUS)):
            for first in (challenge(), signed):
                found = self.found(offered, first, UNBOUND)
                (fault,) = found.faults
                self.assertIn("allow_unencrypted_sasl2: true and no starttls_required", fault)
                self.assertIn("tls: none", fault)
                self.assertEqual(found.warnings, ())

    def test_names(self):
        """Only so many names are tried, as each counts as a login that failed."""
        names = [f"u{number}" for number in range(2 * MOST_NAMES)]
        answers = [UNKNOWN] * len(names)
        self.assertEqual(self.found(PLAIN_SCRAM, *answers, usernames=names), CLEAN)
        self.assertEqual(len(self.first_messages()), MOST_NAMES)
        self.found(PLAIN_SCRAM, UNKNOWN, challenge(), UNKNOWN, usernames=("a,=b", "c"))
        self.assertIn("n=a=2C=3Db,", self.first_messages()[0])

    def test_without_scram(self):
        """A server without SCRAM is asked nothing, and has nothing to refuse."""
        for offered in (("PLAIN",), ("PLAIN", "SCRAM-SHA-3-512", "X-OAUTH2")):
            self.assertEqual(self.found(offered), CLEAN)
            self.assertNotIn("<auth", self.server.received)

    def test_closes(self):
        """A server that goes away says nothing about its clients."""
        for answers in ((), (challenge(),)):
            asked = self.begin(PLAIN_SCRAM)
            self.server.say(*answers)
            self.server.close()
            self.assertEqual(self.successResultOf(asked), CLEAN)

    def test_hangs(self):
        """A server that does not answer is said to."""
        asked = self.begin(PLAIN_SCRAM)
        self.reactor.advance(15)
        error = self.failureResultOf(asked, UpstreamFailure).value
        self.assertIn("has not answered a request within 15 seconds", str(error))
        self.assertTrue(self.server.transport.aborted)

    @example("é")  # no letter of base64
    @given(st.text(st.characters(codec="utf-8", exclude_characters="<&>"), max_size=40))
    def test_nonsense(self, text):
        """Whatever a server answers, the check comes to an end."""
        nonsense = f"<challenge xmlns='{NS_SASL}'>{text}</challenge>"
        asked = self.begin(PLAIN_SCRAM)
        self.server.say(nonsense, UNKNOWN)
        self.server.close()
        self.assertLessEqual(len(self.successResultOf(asked).faults), 1)
