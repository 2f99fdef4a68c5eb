"""The site: finds the client, the domain and the resource that answers a request."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web.http import Request
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site

from invitereg.policy.values import Address, Network, parse_address, within
from invitereg.web.channel import IDLE_SECONDS, Channel, WebRequest
from invitereg.web.connections import Begin, RequestTurns, WebConnections
from invitereg.web.settings import SiteSettings

RequestLog = Callable[[WebRequest], None]


class WebDoor:
    """Listens for browsers and programs, and hands requests to resources.

    Attributes:
        sites: by domain; may be replaced while running.
        trusted_proxies: whose X-Forwarded-For is believed; likewise.
        access_log: told of every request that was answered.
        connections: counts the connections that are open, and the requests under way.
    """

    def __init__(
        self,
        *,
        sites: Mapping[str, SiteSettings],
        trusted_proxies: tuple[Network, ...],
        pages: IResource,
        reactor: IReactorTime,
    ) -> None:
        self.sites = sites
        self.trusted_proxies = trusted_proxies
        self.access_log: RequestLog = lambda _request: None
        self.connections = WebConnections()
        self._pages = pages
        self._reactor = reactor
        self._turns = RequestTurns(reactor)
        self._resources: dict[tuple[bytes, ...], IResource] = {}
        self._everywhere: set[tuple[bytes, ...]] = set()

    def mount(self, path: str, resource: IResource, *, everywhere: bool = False) -> None:
        """Let ``resource``, a leaf, answer what lies under ``path``, such as ``api/v1``.

        Args:
            path: below each site.
            resource: what answers.
            everywhere: also where no site's name is asked for, as monitoring does.
        """
        segments = tuple(path.encode().split(b"/"))
        self._resources[segments] = resource
        if everywhere:
            self._everywhere.add(segments)

    def listener(self) -> Site:
        """Return the factory of connections."""
        return _DoorSite(self, self._reactor)

    def is_proxy(self, host: str | None) -> bool:
        """Return whether ``host`` is a trusted proxy; None is a socket of this computer."""
        return is_trusted(parse_address(host or ""), self.trusted_proxies)

    def enqueue(self, request: WebRequest, begin: Begin) -> None:
        """Set the request's client, and call ``begin`` when it is the turn of its network."""
        peer = getattr(request.channel.transport.getPeer(), "host", None)
        forwarded = request.header_values("x-forwarded-for")
        request.client = client_address(peer, forwarded, self.trusted_proxies)
        region, request.network = self.connections.groups(request.client)
        self._turns.add((region, request.network), begin)

    def site_of(self, request: WebRequest) -> SiteSettings | None:
        """Return the site that is asked for; the only one, whatever Host says."""
        if len(self.sites) == 1:
            return next(iter(self.sites.values()))
        host = request.header("host").lower()
        path = tuple(request.postpath or ())
        fitting = [site for site in self.sites.values() if site.host == host]
        if not fitting:  # links to Prosody's own pages are to the domain itself
            own = host.partition(":")[0]
            fitting = [site for site in self.sites.values() if site.own_host == own]
        within = [site for site in fitting if path[: len(site.prefix)] == site.prefix]
        # A proxy may have removed the prefix.
        return max(within or fitting[:1], key=lambda site: len(site.prefix), default=None)

    def resource_for(self, request: WebRequest) -> IResource:
        """Return the resource that answers; leave in ``postpath`` the path below it."""
        site = self.site_of(request)
        if site is not None:
            request.served = site
            _descend(request, site.prefix)
        for segments, resource in self._resources.items():
            if site is None and segments not in self._everywhere:
                continue
            if _descend(request, segments):
                return resource
        return self._pages if site is not None else _MISDIRECTED


class PlainTextError(Resource):
    """Answers a request that no site can answer: with a status and a line that says why."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, status: int, text: str) -> None:
        super().__init__()
        self._status = status
        self._text = text

    def render(self, request: WebRequest) -> bytes:
        request.setResponseCode(self._status)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        return f"{self._text}\n".encode()


_MISDIRECTED = PlainTextError(421, "There is no such site here.")  # RFC 9110 §15.5.20
_BUSY = PlainTextError(
    503, "Too many requests of your network are under way. Please try again."
)
_UNREADABLE = PlainTextError(400, "This request cannot be read.")


class _Dispatcher(Resource):
    """Passes every request on to the resource that answers it."""

    def __init__(self, door: WebDoor) -> None:
        super().__init__()
        self._door = door

    def getChildWithDefault(self, _path: bytes, request: WebRequest) -> IResource:
        """Check a request, and return the one that answers."""
        # Twisted took the first segment off; each resource counts its own.
        request.postpath = [*(request.prepath or ())[-1:], *(request.postpath or ())]
        request.prepath = (request.prepath or [])[:-1]
        door = self._door
        if not (_readable(request) and _has_host(request)):
            secure(request.responseHeaders, https=False)
            return _UNREADABLE
        shares = door.connections.begin(request.client, request.notifyFinish)
        if shares is None:
            secure(request.responseHeaders, https=False)
            request.setHeader(b"Retry-After", b"1")
            return _BUSY
        request.shares = shares
        resource = door.resource_for(request)
        site = getattr(request, "served", None)
        secure(request.responseHeaders, https=site is not None and site.https)
        return resource


class _DoorSite(Site):
    """Makes the protocol of each connection; the door logs the requests."""

    noisy = False
    protocol: Any = Channel  # Twisted's type is of its own channels only
    displayTracebacks = False  # noqa: N815 - Twisted's name

    def __init__(self, door: WebDoor, reactor: IReactorTime) -> None:
        super().__init__(
            _Dispatcher(door),
            requestFactory=WebRequest,
            # The resources read bodies themselves. Twisted would read each one before any is
            # asked, which takes it a second for a Content-Type of 15,000 quotation marks.
            parsePOSTFormSubmission=False,
            timeout=IDLE_SECONDS,
            reactor=reactor,
        )
        self._door = door

    def buildProtocol(self, address: IAddress | None) -> Any:
        channel: Channel = super().buildProtocol(address)
        channel.owner = self._door
        return channel

    def log(self, request: Request) -> None:
        """Write a request that was answered into the access log."""
        if isinstance(request, WebRequest):
            self._door.access_log(request)


def _readable(request: WebRequest) -> bool:
    try:
        for part in (*(request.prepath or ()), *(request.postpath or ())):
            part.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has_host(request: WebRequest) -> bool:
    """Return whether Host is there as often as RFC 9112 §3.2 demands."""
    count = len(request.header_values("host"))
    return count == 1 or (count == 0 and request.clientproto != b"HTTP/1.1")


def _descend(request: WebRequest, segments: tuple[bytes, ...]) -> bool:
    """Take ``segments`` off the start of ``postpath``; return whether they were there."""
    path = tuple(request.postpath or ())
    if path[: len(segments)] != segments:
        return False
    request.prepath = [*(request.prepath or ()), *segments]
    request.postpath = list(path[len(segments) :])
    return True


# What a socket without addresses counts as, such as a UNIX socket: a proxy on this computer.
_HERE = IPv4Address("127.0.0.1")


def client_address(
    peer: str | None, forwarded: Sequence[str], trusted: tuple[Network, ...]
) -> Address:
    """Return the address that the limits and the policy apply to.

    Every proxy appends the address of its own peer to X-Forwarded-For, so the header is
    believed from its end, as far as those who wrote it are ``trusted``. What a proxy of ours
    wrote and nobody can read names the proxy itself: never nobody, whom no rule would bind.

    Args:
        peer: of the connection; None for a socket that has no addresses, which is trusted.
        forwarded: the X-Forwarded-For headers, in their order.
        trusted: networks of proxies.
    """
    address = parse_address(peer or "")
    believed = is_trusted(address, trusted)
    address = address or _HERE
    for entry in _from_the_end(forwarded):
        if not believed:
            break
        told = parse_address(entry)
        if told is None:
            break
        address, believed = told, within(told, trusted)
    return address


def is_trusted(peer: Address | None, trusted: tuple[Network, ...]) -> bool:
    """Return whether a peer is a trusted proxy; None, a socket without addresses, is one."""
    return peer is None or within(peer, trusted)


def _from_the_end(forwarded: Sequence[str]) -> Iterator[str]:
    for line in reversed(forwarded):
        for entry in reversed(line.split(",")):
            yield _without_port(entry.strip())


def _without_port(entry: str) -> str:
    """Return an address without the port that some proxies add.

    Such as ``192.0.2.1:4711`` and ``[2001:db8::1]:4711``.
    """
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


# Nothing is loaded from anywhere else, nothing inline runs, and nobody puts us into a frame.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_ALWAYS = {
    "Content-Security-Policy": _POLICY,
    # The token is in the address.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "X-Robots-Tag": "noindex, nofollow",
    # Tokens and passwords are in most answers: what may be kept says so itself.
    # Some proxies rewrite pages otherwise, and what looks like an email address in them.
    "Cache-Control": "no-store, no-transform",
}
_ONLY_HTTPS = "max-age=31536000"


def secure(headers: Headers, *, https: bool) -> None:
    """Set the headers that protect visitors; ``https`` adds Strict-Transport-Security."""
    for name, value in _ALWAYS.items():
        headers.setRawHeaders(name, [value])
    headers.removeHeader("Server")
    if https:
        headers.setRawHeaders("Strict-Transport-Security", [_ONLY_HTTPS])
