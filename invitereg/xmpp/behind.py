"""Whether the server behind a domain may be used: it must leave registration to us.

Where it registers by itself, every rule of ours could be walked around through the stream that
is handed over; so it is asked, before the first client and after every failure.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.xish import domish

from invitereg.config import Config
from invitereg.config.upstreamkeys import UpstreamKeys
from invitereg.logs import CAUSES_PER_MINUTE, FaultLog, PerMinute
from invitereg.policy.values import Network
from invitereg.xmpp.gatewayfeatures import announces_registration
from invitereg.xmpp.logincheck import switch_off, unwanted_mechanisms
from invitereg.xmpp.registrationcheck import check_registration
from invitereg.xmpp.upstreamhints import UpstreamFailure
from invitereg.xmpp.upstreamkeys import Upstream


class Behind:
    """The server behind one domain, as far as is known.

    Attributes:
        upstream: how it is reached.
    """

    _log = Logger()

    def __init__(self, upstream: Upstream, reactor: Any) -> None:
        self.upstream = upstream
        self._reactor = reactor
        self._checked = False
        self._announces = False
        self._waiting: list[Deferred[str | None]] | None = None
        self._said: str | None = None
        self._reading = FaultLog(
            self._log, f"reading the server of {upstream.domain}", reactor.seconds
        )
        self._lines = PerMinute(CAUSES_PER_MINUTE, reactor.seconds)

    def start(self) -> None:
        """Ask it in the background, so that the log tells before the first client comes."""
        Deferred.fromCoroutine(self._ask_and_tell())

    async def _ask_and_tell(self) -> None:
        try:
            await self.ask()
        except UpstreamFailure as failure:
            self.failed(failure)

    async def ask(self) -> None:
        """Be sure that it leaves registration to us; asks it if that is not known.

        Raises:
            UpstreamFailure: it does not, or it cannot be asked.
        """
        if self._checked:
            return
        if self._waiting is None:
            outcome = await self._ask_for_all()
        else:
            waiting: Deferred[str | None] = Deferred()
            self._waiting.append(waiting)
            outcome = await waiting
        if outcome is not None:
            raise UpstreamFailure(outcome)

    async def ask_again(self) -> None:
        """Ask it where its stream features announce registration, unless it did when asked.

        Raises:
            UpstreamFailure: as `ask`.
        """
        if not self._announces:
            self.doubt()
            await self.ask()

    def doubt(self) -> None:
        """Let it be asked again before the next client."""
        self._checked = False

    def reached(self) -> None:
        """Note that a client has got through to it."""
        if self._said is not None:
            self._said = None
            self._log.info("the server of {domain} is used again", domain=self.upstream.domain)

    def failed(self, problem: UpstreamFailure) -> None:
        """Note that a client has not got through; said once, until something changes.

        Its causes may be foreign texts, of which a minute has only so many.
        """
        self.doubt()
        if str(problem) != self._said and self._lines.one_more():
            self._said = str(problem)
            self._log.error(
                "the server of {domain} at {connect} is not used: {problem}",
                domain=self.upstream.domain,
                connect=self.upstream.connect,
                problem=self._said,
            )

    def unreadable(self, condition: str) -> None:
        """Note that a client's stream ends as the server says what is no XMPP, before login."""
        self._reading.failed(f"it sends no XMPP before a login ({condition})")

    def readable(self) -> None:
        """Note that somebody has logged in."""
        self._reading.worked()

    async def _ask_for_all(self) -> str | None:
        # The text of a failure alone: with its traceback it would keep the frames in memory,
        # this one among them, and all that is in them.
        self._waiting = []
        outcome: str | None = None
        try:
            self._found_fit(await check_registration(self.upstream, self._reactor))
        except UpstreamFailure as failure:
            failure.__traceback__ = None
            outcome = str(failure)
        except Exception:
            # Whoever waits must not wait for ever.
            self._log.failure(
                "asking the server of {domain} failed", domain=self.upstream.domain
            )
            outcome = "it could not be asked, for a defect of ours"
        waiting, self._waiting = self._waiting, None
        for one in waiting:
            one.callback(outcome)
        return outcome

    def _found_fit(self, features: domish.Element) -> None:
        self._checked = True
        self._announces = announces_registration(features)
        self.reached()
        unwanted = unwanted_mechanisms(features)
        if unwanted is not None and self._lines.one_more():
            self._log.warn(
                "the server of {domain} offers {mechanisms}, which cannot pass a gateway; "
                "{remedy}",
                domain=self.upstream.domain,
                mechanisms=unwanted,
                remedy=switch_off(unwanted),
            )


def upstream_of(host: str, keys: UpstreamKeys, trusted: tuple[Network, ...]) -> Upstream:
    """Return how the server behind a domain is reached; ``host``: as it spells the domain."""
    return Upstream(
        domain=host,
        connect=keys.connect,
        tls=keys.tls,
        ca=keys.ca,
        proxy_protocol=keys.proxy_protocol,
        trusted=trusted,
    )


def servers_behind(config: Config, reactor: Any) -> dict[str, Behind]:
    """Return the servers to which clients are handed over, by the names of their domains."""
    hosts, trusted = config.hosts, config.trusted_networks
    return {
        name: Behind(upstream_of(hosts[name], keys, trusted[name]), reactor)
        for name, keys in config.gateways.items()
    }
