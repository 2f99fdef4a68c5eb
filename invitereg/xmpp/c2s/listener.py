"""The c2s door: listen for clients, limit their streams, give each stream its handlers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.xmlstream import (
    NS_STREAMS,
    STREAM_AUTHD_EVENT,
    STREAM_END_EVENT,
)
from twisted.words.xish import domish
from twisted.words.xish.xmlstream import STREAM_CONNECTED_EVENT, BootstrapMixin
from wokkel.generic import VersionHandler
from wokkel.ping import PingHandler
from wokkel.subprotocols import XMPPHandler

from invitereg._version import __version__
from invitereg.embedded.domain import EmbeddedDomain
from invitereg.errors import Refused
from invitereg.interfaces.accounts import ILogins
from invitereg.model.namespaces import NS_TLS
from invitereg.policy.networks import Occupancy, Share, region
from invitereg.policy.values import Address, Domain, Limits
from invitereg.runtime.fairness import TimeBudgets
from invitereg.runtime.logs import RefusalLog
from invitereg.runtime.tls import Certificates
from invitereg.runtime.workqueue import Client
from invitereg.usecases.registrar import Registrar
from invitereg.usecases.throttles import LoginThrottle
from invitereg.xmpp.adhoc.commands import AdHocCommands
from invitereg.xmpp.c2s import bind, roster, sasl
from invitereg.xmpp.c2s.account import AccountHandler
from invitereg.xmpp.c2s.bind import BindHandler
from invitereg.xmpp.c2s.commands import CommandsHandler
from invitereg.xmpp.c2s.flow import UnreadLedger
from invitereg.xmpp.c2s.handlers import StreamHandlers
from invitereg.xmpp.c2s.register import (
    PreauthHandler,
    RegistrationHandler,
    registration_features,
)
from invitereg.xmpp.c2s.roster import RosterHandler
from invitereg.xmpp.c2s.routing import Router
from invitereg.xmpp.c2s.sasl import SaslHandler
from invitereg.xmpp.c2s.stream import ClientStream
from invitereg.xmpp.disco import IdentityHandler, SessionDiscoHandler
from invitereg.xmpp.stanzas import Phase

_log = Logger("invitereg.xmpp.c2s.C2SDoor")


class StreamCount:
    """Count the open streams, and limit those that are not sessions yet.

    The limits (limits.streams) are for all of them, for one network, and for one region, which
    may take half of them. So the customers of one provider cannot shut out everybody else.

    Attributes:
        open: all streams.
    """

    def __init__(self, per_network: int, altogether: int) -> None:
        self.open: set[ClientStream] = set()
        self._altogether = altogether
        self._networks = Occupancy(per_network)
        self._regions = Occupancy((altogether + 1) // 2)
        self._unauthenticated: dict[ClientStream, tuple[Share, ...]] = {}

    def add(self, stream: ClientStream, address: Address | None, limits: Limits) -> bool:
        """Count a stream, or count it again; return False if there are too many.

        A stream that is refused is not limited, and neither is one without an address.
        """
        self.open.add(stream)
        self.bound(stream)
        if address is None:
            return True
        shares, wide = limits.shares(address), region(address)
        if len(self._unauthenticated) >= self._altogether or not self._regions.add([wide]):
            return False
        if not self._networks.add(shares):
            self._regions.remove([wide])
            return False
        self._unauthenticated[stream] = (*shares, wide)
        return True

    def bound(self, stream: ClientStream) -> None:
        """Limit a stream no longer: its client has logged in, here or at an upstream server."""
        counted = self._unauthenticated.pop(stream, None)
        if counted is not None:
            *shares, wide = counted
            self._networks.remove(shares)
            self._regions.remove([wide])

    def remove(self, stream: ClientStream) -> None:
        """Forget a stream that is closed."""
        self.open.discard(stream)
        self.bound(stream)


ALPN = b"xmpp-client"  # XEP-0368


@dataclass(kw_only=True)
class C2SDoor:
    """The parts and settings that all listeners for clients share.

    Attributes:
        logins: what verifies logins at each domain, by its name.
        make_stream: makes the stream of a new connection, which begins in this phase.
        failed_logins: the log of failed logins.
        refusals: the log of streams that were closed.
        unread: sums up what waits for the clients of all listeners.
    """

    domains: Mapping[str, Domain]
    registrar: Registrar
    logins: Mapping[str, ILogins]
    throttle: LoginThrottle
    embedded: EmbeddedDomain
    commands: AdHocCommands
    streams: StreamCount
    tls: Certificates
    reactor: IReactorTime
    make_stream: Callable[[Phase], ClientStream] = ClientStream
    failed_logins: RefusalLog = field(default_factory=partial(RefusalLog, sasl.log))
    refusals: RefusalLog = field(default_factory=partial(RefusalLog, _log))
    unread: UnreadLedger = field(init=False)

    def __post_init__(self) -> None:
        self.router = Router(self.embedded)
        self.budgets = TimeBudgets(self.reactor.seconds)
        self.unread = UnreadLedger(self.reactor.seconds)

    @property
    def logs(self) -> Sequence[RefusalLog]:
        """The logs to be summed up every minute."""
        return self.registrar.refusals, self.failed_logins, self.refusals

    def listeners(
        self, listen: Iterable[str], listen_tls: Iterable[str]
    ) -> list[tuple[str, IProtocolFactory]]:
        """Return a factory for each endpoint, with STARTTLS or with direct TLS."""
        clear = self.listener(Phase.CLEAR)
        secured = TLSMemoryBIOFactory(self.tls, False, self.listener(Phase.SECURED))
        return [(text, clear) for text in listen] + [(text, secured) for text in listen_tls]

    def listener(self, first_phase: Phase) -> "C2SFactory":
        """Return a factory whose streams begin in ``first_phase``."""
        return C2SFactory(self, first_phase)

    def handlers_before_login(self) -> Iterable[XMPPHandler]:
        """Return new handlers for a new stream."""
        return (
            PreauthHandler(self.registrar),
            RegistrationHandler(self.registrar, self.embedded.contacts.carry_out_changes),
            SaslHandler(self.logins, self.throttle, self.failed_logins),
            BindHandler(self.embedded.sessions),
        )

    def handlers_of_session(self, stream: ClientStream) -> Iterable[XMPPHandler]:
        """Return new handlers for a stream that becomes a session."""
        return (
            IdentityHandler(stream.domain),
            SessionDiscoHandler(),
            RosterHandler(self.embedded.contacts),
            AccountHandler(self.registrar, self.embedded.sessions),
            PingHandler(),
            VersionHandler("invitereg", __version__),
            CommandsHandler(self.commands),
        )


class C2SFactory(BootstrapMixin, ServerFactory):
    """Make the streams of one listener, which find the ``door`` through it."""

    noisy = False

    def __init__(self, door: C2SDoor, first_phase: Phase) -> None:
        super().__init__()
        self.door = door
        self._first_phase = first_phase
        self._features: dict[tuple[Phase, tuple[str, ...], bool], str] = {}
        self.addBootstrap(STREAM_CONNECTED_EVENT, self._connected)

    def buildProtocol(self, _addr: IAddress | None) -> ClientStream:
        stream = self.door.make_stream(self._first_phase)
        stream.factory = self
        self.installBootstraps(stream)
        return stream

    async def greet(self, stream: ClientStream) -> None:
        """Answer a stream's header with our header, and the stream features of its phase."""
        phase, domain = stream.phase, stream.domain
        registers = phase is Phase.SECURED and await self.registers(domain)
        key = phase, self.door.logins[domain.name].mechanisms, registers
        if key not in self._features:
            self._features[key] = _features(*key)
        stream.sendHeader()
        stream.send(self._features[key])

    async def registers(self, domain: Domain) -> bool:
        """Return whether ``iq-register`` is announced; also where only resets are open.

        Some apps look for it before they send the token of a reset.
        """
        if domain.policy.allow_registration:
            return True
        try:
            return await self.door.registrar.has_open_reset(domain.name)
        except Refused:
            return True  # Nobody knows; what the client asks for then, gets its own answer.

    def not_read(self, stream: ClientStream) -> None:
        """Log that a stream is dropped because its client does not read."""
        self.door.refusals.info(
            "closed a stream of {domain} from {address}, whose client does not read what it is "
            "sent",
            domain=stream.domain.name,
            address=stream.address,
            rule="unread",
        )

    def readdressed(self, stream: ClientStream) -> None:
        """Count a stream whose address has become known, or end it; called by the stream."""
        # The domain is not known yet: the first one says what is one network.
        limits = next(iter(self.door.domains.values())).policy.limits
        counted = None if self._exempt(stream.address) else stream.address
        if not self.door.streams.add(stream, counted, limits):
            stream.end("resource-constraint", "Too many connections.")

    def client(self, address: Address | None) -> Client:
        """Return the client as whom the jobs of a stream are counted."""
        limits = next(iter(self.door.domains.values())).policy.limits
        return Client("c2s", () if self._exempt(address) else limits.shares(address))

    def network(self, address: Address | None) -> str | None:
        """Return the widest network of an address, whose time is used; None if it is exempt."""
        shares = self.client(address).shares
        return shares[-1].network if address is not None and shares else None

    def _connected(self, stream: ClientStream) -> None:
        handlers = StreamHandlers(stream)
        stream.addObserver(STREAM_AUTHD_EVENT, self._bound, 0, handlers)
        stream.addObserver(STREAM_END_EVENT, self._lost, 0, stream, handlers)
        handlers.attach(*self.door.handlers_before_login())
        self.readdressed(stream)

    def _exempt(self, address: Address | None) -> bool:
        limits = (domain.policy.limits for domain in self.door.domains.values())
        return address is None or any(each.allowlisted(address) for each in limits)

    def _bound(self, handlers: StreamHandlers, stream: ClientStream) -> None:
        handlers.initialized(stream)
        session = tuple(self.door.handlers_of_session(stream))
        handlers.attach(*session)
        for handler in session:
            handler.connectionInitialized()

    def _lost(self, stream: ClientStream, handlers: StreamHandlers, reason: Failure) -> None:
        self.door.streams.remove(stream)
        handlers.lost(reason)


def _features(phase: Phase, mechanisms: Sequence[str], registers: bool) -> str:
    features = domish.Element((NS_STREAMS, "features"))
    if phase is Phase.CLEAR:
        features.addElement((NS_TLS, "starttls")).addElement("required")
    elif phase is Phase.SECURED:
        features.addChild(sasl.stream_feature(mechanisms))
        for element in registration_features(registers=registers):
            features.addChild(element)
    elif phase is Phase.AUTHENTICATED:
        for element in (*bind.stream_features(), roster.stream_feature()):
            features.addChild(element)
    text: str = features.toXml(prefixes={NS_STREAMS: "stream"}, prefixesInScope=["stream"])
    return text


def end_all(
    streams: Iterable[ClientStream], condition: str
) -> "Deferred[list[tuple[bool, None]]]":
    """End streams with a stream error; fires when every connection is closed."""
    closed: list[Deferred[None]] = []
    for stream in list(streams):
        gone: Deferred[None] = Deferred()
        stream.addObserver(STREAM_END_EVENT, _fire, -1, gone)
        closed.append(gone)
        stream.end(condition)
    return DeferredList(closed)


def _fire(gone: Deferred[None], _reason: Failure) -> None:
    gone.callback(None)
