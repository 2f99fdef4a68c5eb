"""Behind a proxy that tells who the client is (PROXY protocol, as ``haproxy:`` listens)."""

from datetime import timedelta
from ipaddress import ip_network

from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory

from invitereg.policy.values import Limit
from invitereg.xmpp.phases import Phase
from tests.xmpp.door import DoorTestCase, Listener, ScriptedClient, ServerSide
from tests.xmpp.messages import STARTTLS, header, plain, preauth, registration

PROXY = "203.0.113.1"


def proxied(address):
    """What a proxy says first, in version 1 of its protocol."""
    family = "TCP6" if ":" in address else "TCP4"
    here = "::1" if ":" in address else "203.0.113.2"
    return f"PROXY {family} {address} {here} 40000 5222\r\n"


class ProxyTests(DoorTestCase):
    def connect(self, address=None, phase=Phase.SECURED):
        """A client behind the proxy; without address, one of which it says nothing yet."""
        factory = HAProxyWrappingFactory(self.listener.factories[phase])
        client = ScriptedClient(factory.buildProtocol(None), ServerSide(PROXY))
        if address:
            client.send(proxied(address))
        return client

    def opened(self, address):
        client = self.connect(address)
        client.open()
        return client

    def test_streams(self):
        """Each client's own network is limited, not the proxy's."""
        self.listener = Listener(streams=(3, 50))
        clients = [self.opened("192.0.2.1") for _ in range(3)]
        clients += [self.opened(f"198.51.100.{number}") for number in range(10)]
        refused = self.connect("192.0.2.1")
        refused.send(header())
        self.assertEnded(refused, "resource-constraint")
        refused.lose()
        clients[0].lose()
        self.opened("192.0.2.1")

    def test_same_segment(self):
        """The proxy's line and the client's header may come together, or byte by byte."""
        text = proxied("192.0.2.1") + header()
        self.assertEqual(self.connect().ask(text).name, "features")
        line = proxied("192.0.2.1")
        self.assertEqual(self.connect().ask(line[:10], line[10:-1], "\n" + header()).name,
                         "features")  # fmt: skip

    def test_ipv6(self):
        """A forwarded IPv6 address counts as its /64."""
        self.listener = Listener(streams=(2, 50))
        self.opened("2001:db8::1")
        self.opened("2001:db8::2")
        refused = self.connect("2001:db8::3")
        refused.send(header())
        self.assertEnded(refused, "resource-constraint")

    def test_logins(self):
        """Failed logins count for the forwarded address."""
        limit = Limit(max=3, period=timedelta(minutes=10))
        self.listener = Listener(limits={"logins": limit})
        self.listener.add_account()
        for _ in range(3):
            answer = self.opened("192.0.2.1").ask(plain(password="wrong"))
            self.assertFails(answer, "not-authorized")
        self.assertFails(self.opened("192.0.2.1").ask(plain()), "temporary-auth-failure")
        self.opened("192.0.2.2").log_in()

    def test_registrations(self):
        """So do registrations, and the history keeps that address."""
        limit = Limit(max=1, period=timedelta(hours=1))
        policy = {"registration_invite_only": False}
        self.listener = Listener(policy=policy, limits={"registration": limit})
        self.assertResult(self.opened("192.0.2.1").ask(registration("a")))
        reply = self.opened("192.0.2.1").ask(registration("b"))
        self.assertError(reply, "wait", "resource-constraint")
        self.assertResult(self.opened("192.0.2.2").ask(registration("c")))
        uses = self.successResultOf(self.listener.store.list_uses("example.com"))
        self.assertEqual([use.address for use in uses], ["192.0.2.1", "192.0.2.2"])

    def test_lists(self):
        """The proxy's being allowed does not allow its clients; theirs blocks them."""
        limits = {
            "blocklist": (ip_network("192.0.2.0/24"),),
            "allowlist": (ip_network(f"{PROXY}/32"),),
        }
        self.listener = Listener(limits=limits, streams=(1, 50))
        self.listener.add_invite()
        self.assertError(self.opened("192.0.2.1").ask(preauth()), "auth", "forbidden")
        self.assertResult(self.opened("198.51.100.1").ask(preauth()))
        refused = self.connect("198.51.100.1")
        refused.send(header())
        self.assertEnded(refused, "resource-constraint")

    def test_silent_connections(self):
        """With the proxy on the allowlist, silent connections keep nobody out."""
        self.listener = Listener(
            limits={"allowlist": (ip_network(f"{PROXY}/32"),)}, streams=(3, 50)
        )
        for _ in range(20):
            self.connect()
        self.opened("192.0.2.1")

    def test_starttls(self):
        """STARTTLS works through the proxy."""
        self.listener.add_invite()
        client = self.connect("192.0.2.1", Phase.CLEAR)
        client.open()
        self.assertEqual(client.ask(STARTTLS).name, "proceed")
        self.assertEqual(client.transport.tls, "the TLS context for example.com")
        client.open()
        self.listener.wait(minutes=1)
        self.assertResult(client.ask(preauth()))

    def test_no_proxy_line(self):
        """Who comes past the proxy is not talked to."""
        client = self.connect()
        client.send(header())
        self.assertEqual(client.receive(), [])
        self.assertTrue(client.closed)
