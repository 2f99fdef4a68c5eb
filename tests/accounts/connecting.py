"""Connects as a component to a server that runs."""

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from invitereg.xmpp.component.connection import ComponentStream
from tests.peers.servers import COMPONENT, SECRET
from tests.service.running import DOMAIN


def pause(seconds: float) -> "Deferred[None]":
    """Let the reactor run for a while."""
    waited: Deferred[None] = Deferred()
    reactor.callLater(seconds, waited.callback, None)
    return waited


def connected(case, peer, **changes) -> "Deferred[ComponentStream]":
    """A component's stream that is ready, and knows its privileges; closed after the test."""
    return Deferred.fromCoroutine(_connected(case, peer, **changes))


async def _connected(case, peer, port=None, privileged=None):
    if privileged is None:
        privileged = peer_announces(peer)
    endpoint = f"tcp:127.0.0.1:{port or peer.component_port}"
    line = ComponentStream(reactor, endpoint, COMPONENT, SECRET, DOMAIN)
    case.addCleanup(line.stop)
    line.start()
    for _ in range(300):
        if line.ready and (line.privileges.namespace or not privileged):
            break
        await pause(0.05)
    assert line.ready, line._cause
    return line


def peer_announces(peer) -> bool:
    """Whether the server is set up to grant something."""
    return bool(getattr(peer, "host", True))
