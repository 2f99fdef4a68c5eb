"""Requests that carry nothing, or more than one thing (RFC 6120 §8.2.3)."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from invitereg.xmpp.stanzas import Phase
from tests.xmpp.adhoc.execution import NS_INFO, NS_ITEMS
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import (
    BIND,
    DOMAIN,
    NS_REGISTER,
    PASSWORD,
    TOKEN,
    preauth,
    registration,
)

pytestmark = pytest.mark.slow

PAYLOADS = st.lists(
    st.sampled_from(
        [
            "<query xmlns='urn:x'/>",
            f"<query xmlns='{NS_INFO}' node='x'/>",
            f"<query xmlns='{NS_INFO}'/>",
            f"<query xmlns='{NS_ITEMS}' node='http://jabber.org/protocol/commands'/>",
            f"<query xmlns='{NS_REGISTER}'/>",
            "<query xmlns='jabber:iq:roster'/>",
            "<preauth xmlns='urn:xmpp:pars:0'/>",
            "<command xmlns='http://jabber.org/protocol/commands' node='x'/>",
            "<ping xmlns='urn:xmpp:ping'/>",
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
            "<handled/>",
        ]
    ),
    max_size=4,
)
KINDS = st.sampled_from(["get", "set"])
RECIPIENTS = st.sampled_from(["", f" to='{DOMAIN}'", f" to='juliet@{DOMAIN}'"])


def request(kind, to, payloads):
    return f"<iq type='{kind}' id='1'{to}>{''.join(payloads)}</iq>"


class PayloadTests(DoorTestCase):
    @given(KINDS, RECIPIENTS, PAYLOADS)
    def test_session(self, kind, to, payloads):
        """In a session they are bad requests, and nothing is logged of them."""
        assume(len(payloads) != 1)
        client = self.listener.logged_in()
        reply = client.ask(request(kind, to, payloads))
        self.assertError(reply, "modify", "bad-request")
        self.assertSilent(client)
        client.lose()
        self.assertEqual(self.flushLoggedErrors(), [])

    @given(st.sampled_from([Phase.SECURED, Phase.CLEAR]), KINDS, RECIPIENTS, PAYLOADS)
    def test_before_login(self, phase, kind, to, payloads):
        """Before a login nobody may send them, and nothing is logged of them either."""
        assume(len(payloads) != 1)
        client = self.listener.opened(phase)
        client.send(request(kind, to, payloads))
        self.assertEnded(client, "not-authorized")
        self.assertEqual(self.flushLoggedErrors(), [])

    @given(KINDS, RECIPIENTS, PAYLOADS)
    def test_one(self, kind, to, payloads):
        """With one, each has one answer in a session, and nothing is logged either."""
        assume(len(payloads) == 1)
        client = self.listener.logged_in()
        client.send(request(kind, to, payloads))
        replies = [one for one in client.receive() if one.getAttribute("id") == "1"]
        self.assertEqual(len(replies), 1)
        self.assertEqual(self.flushLoggedErrors(), [])
        client.lose()


class IdTests(DoorTestCase):
    """Requests without an ``id``, whose answers nobody could tell (RFC 6120 §8.1.3)."""

    def assertRefused(self, client, request):
        for text in (request.replace(" id='x'", ""), request.replace(" id='x'", " id=''")):
            reply = client.ask(text)
            self.assertError(reply, "modify", "bad-request")
            self.assertFalse(reply.hasAttribute("id"))
            self.assertNotIn(PASSWORD, reply.toXml())

    def test_before_login(self):
        """Nothing is done for them; with an id, the same stream goes on."""
        invite = self.listener.add_invite()
        client = self.listener.opened()
        register = registration().replace("id='set'", "id='x'")
        for request in (
            f"<iq type='set' id='x'><preauth xmlns='urn:xmpp:pars:0' token='{TOKEN}'/></iq>",
            f"<iq type='get' id='x'><query xmlns='{NS_REGISTER}'/></iq>",
            register,
        ):
            self.assertRefused(client, request)
            self.assertEqual(self.listener.invite(invite).uses, 0)
        self.assertResult(client.ask(preauth()))
        self.assertResult(client.ask(register))
        client.log_in()
        self.assertRefused(client, BIND.format("r").replace("id='bind'", "id='x'"))
        self.assertResult(client.ask(BIND.format("r")))

    @given(KINDS, RECIPIENTS, PAYLOADS)
    def test_session(self, kind, to, payloads):
        """So it is in a session, whatever is asked, and of whom."""
        assume(len(payloads) == 1)
        client = self.listener.logged_in()
        self.assertRefused(client, request(kind, to, payloads).replace("id='1'", "id='x'"))
        client.lose()

    def test_to_others(self):
        """None reaches another session; answers go as they are."""
        juliet, romeo = self.listener.logged_in(), self.listener.logged_in("romeo", "orchard")
        to = f" to='romeo@{DOMAIN}/orchard'"
        for client in (juliet, romeo):
            client.send(
                f"<presence to='{'romeo' if client is juliet else 'juliet'}@{DOMAIN}'/>"
            )
            client.receive()
        romeo.receive()
        self.assertRefused(
            juliet, f"<iq type='get' id='x'{to}><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        self.assertSilent(romeo)
        juliet.send(f"<message{to}/>", f"<presence{to}/>")
        self.assertEqual([one.name for one in romeo.receive()], ["message", "presence"])
