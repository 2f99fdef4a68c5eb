"""Whose word counts for where a request comes from."""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.web.site import client_address

OURS = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))
PROXY = "10.0.0.1"


class AddressTests(SynchronousTestCase):
    def assertClient(self, expected: str, peer: str | None, *forwarded: str) -> None:
        self.assertEqual(client_address(peer, forwarded, OURS), ip_address(expected))

    def test_direct(self) -> None:
        """Without a proxy of ours, what a client says of itself counts for nothing."""
        self.assertClient("192.0.2.1", "192.0.2.1")
        self.assertClient("192.0.2.1", "192.0.2.1", "198.51.100.7")
        self.assertClient("192.0.2.1", "::ffff:192.0.2.1", "10.0.0.1, 198.51.100.7")

    def test_one_proxy(self) -> None:
        """Our proxy's word counts, and only what it wrote itself, at the end."""
        self.assertClient("198.51.100.7", PROXY, "198.51.100.7")
        self.assertClient("198.51.100.7", PROXY, "203.0.113.1, 198.51.100.7")
        self.assertClient("198.51.100.7", PROXY, "203.0.113.1", "198.51.100.7")
        self.assertClient("2001:db8::7", "2001:db8:1::1", "2001:db8::7")

    def test_chain(self) -> None:
        """A chain of our proxies is followed to whom none of them is."""
        self.assertClient("198.51.100.7", PROXY, "203.0.113.1, 198.51.100.7, 10.0.0.9")
        self.assertClient("10.0.0.3", PROXY, "10.0.0.3, 10.0.0.2")

    def test_ports(self) -> None:
        """Some proxies write ports."""
        self.assertClient("198.51.100.7", PROXY, "198.51.100.7:4711")
        self.assertClient("2001:db8::7", PROXY, "[2001:db8::7]:4711")
        self.assertClient("2001:db8::7", PROXY, "[2001:db8::7]")

    def test_unreadable(self) -> None:
        """What cannot be read names the proxy that wrote it, never nobody."""
        for text in ("", "unknown", "_hidden", "198.51.100.7, ", "1.2.3.4.5"):
            self.assertClient(PROXY, PROXY, text)

    def test_unix_socket(self) -> None:
        """A socket without addresses is a proxy on this computer."""
        self.assertClient("198.51.100.7", None, "198.51.100.7")
        self.assertClient("127.0.0.1", None)
        self.assertClient("127.0.0.1", "/run/x", "nonsense")

    @given(st.none() | st.text(), st.lists(st.text()))
    def test_anything(self, peer: str | None, forwarded: list[str]) -> None:
        """Whatever is sent, there is an address."""
        self.assertIsNotNone(client_address(peer, forwarded, OURS))

    @given(st.lists(st.ip_addresses().map(str)))
    def test_stranger(self, forwarded: list[str]) -> None:
        """No header makes a stranger anybody else."""
        self.assertClient("192.0.2.1", "192.0.2.1", ", ".join(forwarded))
