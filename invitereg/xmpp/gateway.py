"""Opens a client's stream at the server behind, and hands it over once it is not about us.

Up to the hand-over each element of the client's is looked at; from the first one on that is
not about registration, bytes go both ways as they come.
"""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.words.xish import domish

from invitereg.xmpp import preauth, register
from invitereg.xmpp.gatewayfeatures import offered_features
from invitereg.xmpp.phases import NS_CLIENT
from invitereg.xmpp.proxyheader import proxy_header
from invitereg.xmpp.routing import is_request
from invitereg.xmpp.upstream import ServerStream, Upstream, UpstreamFailure

_OURS = {(preauth.NS_PREAUTH, "preauth"), (register.NS_REGISTER, "query")}


def is_about_registration(element: domish.Element) -> bool:
    """Whether an element before login is a request for us: preauth, or XEP-0077."""
    if (element.uri, element.name) != (NS_CLIENT, "iq") or not is_request(element):
        return False
    (payload,) = element.elements()
    return (payload.uri, payload.name) in _OURS


def own_features() -> Sequence[domish.Element]:
    """What we offer beside the server's features (XEP-0077 §8, XEP-0445 §3)."""
    return [register.stream_feature(), *preauth.stream_features()]


class Gateway:
    """The other side of one client's stream.

    Attributes:
        handed_over: whether bytes go through unparsed.
    """

    def __init__(self, client: Any, upstream: Upstream, reactor: Any) -> None:
        """Prepare for a client's stream; ``client`` is its `ClientStream`."""
        self.handed_over = False
        self._client = client
        self._upstream = upstream
        self._reactor = reactor
        self._server: ServerStream | None = None
        self._opening: Deferred[Any] | None = None

    async def open(self, header: bytes) -> str | None:
        """Send the client's header to the server, and its header and features to the client.

        Returns:
            None, or why there is no stream to the server.
        """
        transport = self._client.transport
        before = proxy_header(
            self._upstream.proxy_protocol, transport.getPeer(), transport.getHost()
        )
        server = ServerStream(self._upstream, before, header, self._reactor)
        self._opening = server.connect(self._reactor)
        try:
            opened = await self._opening
        except (UpstreamFailure, CancelledError) as failure:
            return str(failure)
        self._server = server
        server.received = self._client.transport.write
        server.lost = self._server_lost
        features = offered_features(opened.features, own_features())
        transport.write(opened.header + features + opened.rest)
        return None

    def hand_over(self, data: bytes) -> None:
        """Send ``data``, and from now on everything, to the server."""
        self.handed_over = True
        client, server = self._client.transport, self._server
        if server is None:  # it has gone meanwhile
            return
        # Who cannot take more stops the other one.
        client.unregisterProducer()
        client.registerProducer(server.transport, True)
        server.transport.registerProducer(client, True)
        server.transport.write(data)

    def from_client(self, data: bytes) -> None:
        """Pass on what the client has sent after the hand-over."""
        if self._server is not None:
            self._server.transport.write(data)

    def client_lost(self) -> None:
        """Close the stream to the server once it has got everything."""
        if self._opening is not None:
            self._opening.cancel()
        server, self._server = self._server, None
        if server is not None:
            server.lost = _nothing
            server.transport.unregisterProducer()
            server.transport.loseConnection()

    def _server_lost(self) -> None:
        self._server = None
        self._client.server_lost()


def _nothing() -> None:
    """Nobody is there any more."""
