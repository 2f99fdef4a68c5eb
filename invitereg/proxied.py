"""Connections that come through a proxy, which tells for whom (PROXY protocol).

In place of Twisted's ``haproxy:`` endpoint, which closes what begins with ``PROXY UNKNOWN``
alone or comes in short pieces, takes any text for an address, and says nothing.
"""

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from invitereg.logs import FaultLog
from invitereg.xmpp.gateway.proxyprotocol import ProxyHeader, read_header


class ProxiedConnection(ProtocolWrapper):
    """A connection whose ends are those that its first bytes tell.

    Where these tell none, as on the proxy's own connections, they are the proxy's.
    """

    factory: "ProxiedFactory"

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self._head = b""
        self._header: ProxyHeader | None = None

    def dataReceived(self, data: bytes) -> None:
        """Read the header, and pass on what follows it; called by the reactor."""
        if self._header is None:
            if self.disconnecting:
                return
            self._head += data
            try:
                self._header = read_header(self._head)
            except ValueError:
                self.factory.without_header(self)
                return
            if self._header is None:
                return
            data, self._head = self._head[self._header.size :], b""
            self.factory.faults.worked()
        # Even if it is nothing yet: who it is is known from now on.
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def getPeer(self) -> IAddress:
        """Return the client's address, as far as the proxy has told it."""
        told = self._header and self._header.source
        return told or self.transport.getPeer()  # type: ignore[union-attr]

    def getHost(self) -> IAddress:
        """Return the address that the client has connected to, likewise."""
        told = self._header and self._header.destination
        return told or self.transport.getHost()  # type: ignore[union-attr]


class ProxiedFactory(WrappingFactory):
    """Makes the protocols of another factory for connections that come through a proxy.

    Attributes:
        faults: told of connections that have no valid header, and of those that have one.
    """

    protocol = ProxiedConnection
    noisy = False

    _log = Logger()

    def __init__(self, factory: Any, endpoint: str) -> None:
        """Listen at ``endpoint``, of which the log tells if connections have no header."""
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.faults = FaultLog(self._log, f"PROXY protocol at {endpoint}")

    def without_header(self, connection: ProxiedConnection) -> None:
        """Close a connection that does not begin as one of a proxy does."""
        self.faults.failed(
            "a connection was closed that has no valid PROXY header: does the proxy send it "
            "(HAProxy: send-proxy-v2), and does nobody else reach this port?"
        )
        connection.loseConnection()  # type: ignore[no-untyped-call]
