"""How many networks an address is counted in, and how much each of them may use."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.policy.networks import Occupancy, Share, neighbourhood, nested_shares
from invitereg.policy.values import Limits, Sender

HOME = IPv6Address("2001:db8:1:203::1")


class NestedTests(SynchronousTestCase):
    def test_ipv4(self) -> None:
        """An IPv4 address is counted by itself, or as wide as the operator says."""
        address = IPv4Address("192.0.2.7")
        self.assertEqual(nested_shares(address), (Share("192.0.2.7/32", 1),))
        self.assertEqual(nested_shares(address, ipv4_prefix=24), (Share("192.0.2.0/24", 1),))

    def test_ipv6(self) -> None:
        """An IPv6 address is counted in its /64, /56 and /48, which may use more and more."""
        self.assertEqual(
            nested_shares(HOME),
            (
                Share("2001:db8:1:203::/64", 1),
                Share("2001:db8:1:200::/56", 2),
                Share("2001:db8:1::/48", 4),
            ),
        )

    def test_innermost(self) -> None:
        """The operator's prefix is the narrowest, and only wider ones follow."""
        for prefix, prefixes in (
            (128, (128, 64, 56, 48)),
            (62, (62, 56, 48)),
            (56, (56, 48)),
            (48, (48,)),
            (32, (32,)),
        ):
            shares = nested_shares(HOME, ipv6_prefix=prefix)
            found = tuple(int(share.network.partition("/")[2]) for share in shares)
            self.assertEqual(found, prefixes)
            self.assertEqual([share.times for share in shares], [1, 2, 4, 8][: len(prefixes)])

    def test_neighbourhood(self) -> None:
        """Somebody's address of tomorrow is likely to be in the same network as today's."""
        self.assertEqual(neighbourhood(IPv4Address("192.0.2.7")), "192.0.2.0/24")
        self.assertEqual(neighbourhood(HOME), "2001:db8:1::/48")
        self.assertEqual(neighbourhood(None), "local")

    def test_no_network(self) -> None:
        """Who comes by an XMPP server is counted as one, and by a UNIX socket not at all."""
        limits, sender = Limits(), Sender("romeo@example.org", "example.org")
        self.assertEqual(limits.shares(None), ())
        self.assertEqual(limits.shares(sender), (Share("xmpp:romeo@example.org"),))

    def test_configured(self) -> None:
        """The limits of a domain say how wide a network is."""
        limits = Limits(ipv4_prefix=24, ipv6_prefix=56)
        self.assertEqual(limits.network(IPv4Address("192.0.2.7")), "192.0.2.0/24")
        self.assertEqual(limits.network(HOME), "2001:db8:1:200::/56")


class OccupancyTests(SynchronousTestCase):
    def test_many_networks_of_one_subscriber(self) -> None:
        """Who has a whole /48 opens four times as much as a single network, and no more."""
        occupancy = Occupancy(per_network=10)
        accepted = [
            occupancy.add(nested_shares(HOME + (number << 72))) for number in range(100)
        ]
        self.assertEqual(sum(accepted), 40)

    def test_neighbours(self) -> None:
        """A network that is full does not shut out others of the same subscriber."""
        occupancy = Occupancy(per_network=2)
        self.assertEqual(
            [occupancy.add(nested_shares(HOME)) for _ in range(3)], [True, True, False]
        )
        occupancy.remove(nested_shares(HOME))
        self.assertTrue(occupancy.add(nested_shares(HOME + (1 << 64))))

    @given(st.lists(st.integers(0, 2**128 - 1), max_size=30))
    def test_nothing_stays(self, numbers: list[int]) -> None:
        """What is closed leaves nothing behind, wherever it came from."""
        occupancy = Occupancy(per_network=1)
        shares = [nested_shares(IPv6Address(number)) for number in numbers]
        for each in [each for each in shares if occupancy.add(each)]:
            occupancy.remove(each)
        self.assertEqual(len(occupancy), 0)
