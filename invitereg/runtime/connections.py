"""Refuse connections of networks that open too many, before TLS or anything else begins.

A TLS handshake costs milliseconds of CPU, even if the client never finishes it. A connection
has at most one handshake, at once or after STARTTLS, and one stream header before it. So a
limit on connections also limits handshakes, and streams that end at once.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from invitereg.policy.networks import Share
from invitereg.policy.values import Address, Domain, Limit, Network, within
from invitereg.runtime.logs import RefusalLog
from invitereg.runtime.meter import Meter
from invitereg.runtime.proxyprotocol import address_of

_log = Logger("invitereg.connections.ConnectionGate")

MAX_NETWORKS = 65536
"""How many networks are remembered. The one that was quiet longest is forgotten first."""
SILENT_SECONDS = 30.0
"""How long a proxy may take to send its header."""


class ConnectionRate:
    """Limit the rate of new connections from each network, at all ports together.

    A network may open as many at once as its limit says, then as many again in every period,
    evenly spread.

    Attributes:
        limit: may be replaced while running.
    """

    def __init__(self, limit: Limit, seconds: Callable[[], float]) -> None:
        self.limit = limit
        self._seconds = seconds
        # By network: when an even pace would have let in all its connections. Newest last.
        self._paid_until: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paid_until)

    def add(self, shares: tuple[Share, ...]) -> bool:
        """Count a connection in all its networks; return False, and count none, at a limit."""
        now, period = self._seconds(), self.limit.period.total_seconds()
        paid_until = {
            share.network: max(now, self._paid_until.get(share.network, now))
            + period / (share.times * self.limit.max)
            for share in shares
        }
        # What is added up may be off by a rounding.
        if any(moment - now > period * (1 + 1e-9) for moment in paid_until.values()):
            return False
        for network, moment in paid_until.items():
            self._paid_until[network] = moment
            self._paid_until.move_to_end(network)
        # Forget those whose connections are all within the pace, the oldest first.
        while len(self._paid_until) > MAX_NETWORKS or (
            self._paid_until and next(iter(self._paid_until.values())) <= now
        ):
            self._paid_until.popitem(last=False)
        return True


class ConnectionGate:
    """Decide which connections to accept.

    Attributes:
        rate: the limit for each network.
        trusted_proxies: networks of proxies that connect for others; never limited.
        refusals: logs refused connections.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        rate: ConnectionRate,
        trusted_proxies: tuple[Network, ...] = (),
        meter: Meter | None = None,
    ) -> None:
        """Exempt the networks that are on the allowlist of any of ``domains``."""
        self._domains = domains
        self.rate = rate
        self.trusted_proxies = trusted_proxies
        self._meter = meter or Meter()
        self.refusals = RefusalLog(_log)

    def admits(self, address: Address | None) -> bool:
        """Count a connection and return whether to accept it; True if it has no address."""
        # Which domain it is for is not known yet.
        limits = [domain.policy.limits for domain in self._domains.values()]
        exempt = any(limit.allowlisted(address) for limit in limits)
        if address is None or exempt or within(address, self.trusted_proxies):
            return True
        if self.rate.add(limits[0].shares(address)):
            return True
        self._meter.turned_away("connections")
        self.refusals.info(
            "closed a connection from {address}: {rule}",
            domain="any domain",
            address=address,
            rule="too many connections of its network (limits.connections)",
        )
        return False


class GatedFactory(ServerFactory):
    """Pass connections on to another factory if the gate admits their address."""

    noisy = False

    def __init__(self, factory: ServerFactory, gate: ConnectionGate) -> None:
        self._factory = factory
        self._gate = gate

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return the protocol of a connection; None closes it at once."""
        return (
            self._factory.buildProtocol(addr) if self._gate.admits(address_of(addr)) else None
        )

    def doStop(self) -> None:
        self._factory.doStop()


class _ForwardedProtocol(ProtocolWrapper):
    """Start the wrapped protocol once the proxy has named its client."""

    factory: "ForwardedFactory"
    _begun = False

    def __init__(self, factory: Any, wrapped: Any, proxy: Address | None) -> None:
        super().__init__(factory, wrapped)
        self._proxy = proxy

    def makeConnection(self, transport: Any) -> None:
        directlyProvides(self, providedBy(transport))
        Protocol.makeConnection(self, transport)
        self.factory.registerProtocol(self)
        clock = self.factory.clock
        self._silence = clock.callLater(SILENT_SECONDS, transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        """Pass on an admitted client's data; called without data after the proxy's header."""
        if (self._begun or self._begin()) and data:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._silence.active():
            self._silence.cancel()
        if self._begun:
            super().connectionLost(reason)
        else:
            self.factory.unregisterProtocol(self)

    def _begin(self) -> bool:
        if not self._silence.active():
            return False
        self._silence.cancel()
        transport: Any = self.transport
        client = address_of(transport.getPeer())
        # The proxy's own connections, such as health checks, are no client's.
        if client != self._proxy and not self.factory.gate.admits(client):
            transport.abortConnection()
            return False
        self._begun = True
        itself: Any = self  # as its transport
        self.wrappedProtocol.makeConnection(itself)
        return True


class ForwardedFactory(WrappingFactory):
    """Pass connections on to another factory if the gate admits the client's address.

    It goes between the reader of the PROXY protocol and TLS. Nothing is started before the
    header is read, so no limit counts the connection as the proxy's.
    """

    noisy = False

    def __init__(
        self, factory: IProtocolFactory, gate: ConnectionGate, clock: IReactorTime
    ) -> None:
        super().__init__(factory)
        self.gate = gate
        self.clock = clock

    def buildProtocol(self, addr: IAddress | None) -> Any:
        wrapped = self.wrappedFactory.buildProtocol(addr)
        return wrapped and _ForwardedProtocol(self, wrapped, address_of(addr))
