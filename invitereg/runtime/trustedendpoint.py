"""Connect in clear text: to this machine, or to trusted networks only.

A name's addresses may differ at each connection: a container has a new one after each start.
So they are checked at each connection, which then goes to a checked address, without another
look-up.
"""

from collections.abc import Callable
from functools import partial

from twisted.internet.address import HostnameAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from invitereg.config.endpoints import host_of, is_trusted, with_host
from invitereg.model.fields import escaped
from invitereg.policy.values import Network, parse_address
from invitereg.runtime import IReactor
from invitereg.runtime.deferreds import deferred

LOOKUP_SECONDS = 30.0
"""How long to wait for a resolver, which may answer late or never."""


class NotTrusted(ConnectError):
    """Report that none of a name's addresses may be sent passwords in clear text."""

    def __init__(self, name: str, hosts: list[str]) -> None:
        self.name = name
        self.hosts = hosts
        super().__init__()

    def __str__(self) -> str:
        return (
            f"passwords would go in clear to {self.name}, which is {', '.join(self.hosts)}: "
            "add the network to trusted_networks, or use TLS"
        )


@implementer(IStreamClientEndpoint)
class TrustedNameEndpoint:
    """Connect to the trusted addresses of a name, one after the other."""

    def __init__(
        self,
        reactor: IReactor,
        name: str,
        networks: tuple[Network, ...],
        at: Callable[[str], IStreamClientEndpoint],
    ) -> None:
        """Prepare; the name is looked up by each `connect`.

        Args:
            reactor: what resolves the name.
            name: of a host.
            networks: those that are trusted besides this machine.
            at: returns the endpoint for an address.
        """
        self._reactor = reactor
        self._name = name
        self._networks = networks
        self._at = at

    @deferred
    async def connect(self, factory: IProtocolFactory) -> IProtocol:
        """Look the name up and connect.

        Raises:
            DNSLookupError: the name has no address, or the resolver is late.
            ConnectingCancelledError: it was cancelled meanwhile.
            NotTrusted: none of its addresses is trusted.
        """
        try:
            hosts = await _hosts(self._reactor, self._name)
        except CancelledError:  # so that it is known that nothing was sent
            raise ConnectingCancelledError(HostnameAddress(self._name.encode(), 0)) from None
        if not hosts:
            raise DNSLookupError(f"no address is known for {escaped(self._name)}")
        trusted = [host for host in hosts if is_trusted(parse_address(host), self._networks)]
        if not trusted:
            raise NotTrusted(escaped(self._name), hosts)
        for host in trusted[:-1]:
            try:
                return await self._at(host).connect(factory)
            except ConnectError:
                continue
        return await self._at(trusted[-1]).connect(factory)


def trusted_client(
    reactor: IReactor, endpoint: str, networks: tuple[Network, ...]
) -> IStreamClientEndpoint:
    """Return a client endpoint that connects to ``endpoint``, a description, in clear text.

    An address in it was checked when the configuration was read.
    """
    name = host_of(endpoint)
    if endpoint.partition(":")[0].lower() != "tcp" or parse_address(name) is not None:
        client: IStreamClientEndpoint = clientFromString(reactor, endpoint)
        return client
    return TrustedNameEndpoint(
        reactor,
        name,
        networks,
        lambda host: clientFromString(reactor, with_host(endpoint, host)),
    )


@implementer(IResolutionReceiver)
class _Receiver:
    """Collect the addresses of a name."""

    def __init__(self) -> None:
        self.hosts: Deferred[list[str]] = Deferred()
        self._found: list[str] = []

    def resolutionBegan(self, _resolution: IHostResolution) -> None:
        pass

    def addressResolved(self, address: IAddress) -> None:
        host = str(getattr(address, "host", ""))
        if host not in self._found:
            self._found.append(host)

    def resolutionComplete(self) -> None:
        self.hosts.callback(self._found)


def _hosts(reactor: IReactor, name: str) -> Deferred[list[str]]:
    """Return the addresses of a name, as the system's resolver has them."""
    receiver = _Receiver()
    reactor.nameResolver.resolveHostName(receiver, name)
    return receiver.hosts.addTimeout(LOOKUP_SECONDS, reactor, partial(_unanswered, name))


def _unanswered(name: str, _result: object, seconds: float) -> list[str]:
    raise DNSLookupError(f"{escaped(name)} was not looked up within {seconds:.0f} seconds")
