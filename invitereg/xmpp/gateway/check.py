"""Check that an upstream server leaves registration to us, and remember the outcome.

A server that registers accounts by itself would be a way around every rule of ours, through the
stream that is handed over. So it is asked before the first client and after every failure.
"""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.xish import domish

from invitereg.config import Config
from invitereg.model.namespaces import NS_REGISTER
from invitereg.runtime import IReactor
from invitereg.runtime.deferreds import SharedCall
from invitereg.runtime.logs import CAUSES_PER_MINUTE, FaultLog, PerMinute
from invitereg.xmpp.gateway.dialogue import open_dialogue
from invitereg.xmpp.gateway.failures import UpstreamFailure
from invitereg.xmpp.gateway.features import announces_registration
from invitereg.xmpp.gateway.logincheck import switch_off, unwanted_mechanisms
from invitereg.xmpp.gateway.settings import Upstream, upstream_of

_log = Logger("invitereg.xmpp.behind.Behind")
_REMEDY = (
    "it registers accounts by itself, which would be a way around every rule. "
    "Prosody: set allow_registration = false, and remove invites_register and register_ibr "
    "from modules_enabled. ejabberd: remove mod_register from modules. Then restart it"
)
_REQUEST = f"<iq type='get' id='r'><query xmlns='{NS_REGISTER}'/></iq>".encode()


async def check_registration(upstream: Upstream, reactor: IReactor) -> domish.Element:
    """Ask a server for its registration form before login (XEP-0077 §3.1).

    Returns:
        its stream features.

    Raises:
        UpstreamFailure: it has a form for everybody, or it cannot be asked.
    """
    dialogue = await open_dialogue(upstream, reactor)
    try:
        answer = await dialogue.ask(_REQUEST)
    finally:
        dialogue.close()
    # No answer is as good as a refusal: then nobody can register there, either.
    if answer is not None and (answer.name, answer.getAttribute("type")) == ("iq", "result"):
        raise UpstreamFailure(_REMEDY)
    return dialogue.features


class UpstreamCheck:
    """Knows whether the upstream server of one domain may be used, and tells the log.

    Attributes:
        upstream: how the server is reached.
    """

    def __init__(self, upstream: Upstream, reactor: IReactor) -> None:
        self.upstream = upstream
        self._reactor = reactor
        self._passed = False
        self._announces = False
        self._ask = SharedCall(lambda: Deferred.fromCoroutine(self._check()))
        self._logged: str | None = None
        self._reading = FaultLog(
            _log, f"reading the server of {upstream.domain}", reactor.seconds
        )
        self._lines = PerMinute(CAUSES_PER_MINUTE, reactor.seconds)

    def start(self) -> None:
        """Check in the background, so that the log tells before the first client comes."""
        Deferred.fromCoroutine(self._check_and_log())

    async def _check_and_log(self) -> None:
        try:
            await self.require_usable()
        except UpstreamFailure as failure:
            self.failed(failure)

    async def require_usable(self) -> None:
        """Return if the server leaves registration to us; ask it if that is not known.

        Raises:
            UpstreamFailure: it does not, or it cannot be asked.
        """
        if self._passed:
            return
        outcome = await self._ask()
        if outcome is not None:
            raise UpstreamFailure(outcome)

    async def registration_announced(self) -> None:
        """Ask the server again, unless it announced registration when it was last asked.

        Raises:
            UpstreamFailure: as `require_usable`.
        """
        if not self._announces:
            self.invalidate()
            await self.require_usable()

    def invalidate(self) -> None:
        """Let the server be asked again before the next client."""
        self._passed = False

    def reached(self) -> None:
        """Note that a client has a stream to the server."""
        if self._logged is not None:
            self._logged = None
            _log.info("the server of {domain} is used again", domain=self.upstream.domain)

    def failed(self, problem: UpstreamFailure) -> None:
        """Note that a client has no stream to the server; log it once, until it changes.

        A cause may be a text of the server's own, so only so many are logged in a minute.
        """
        self.invalidate()
        if str(problem) != self._logged and self._lines.one_more():
            self._logged = str(problem)
            _log.error(
                "the server of {domain} at {connect} is not used: {problem}",
                domain=self.upstream.domain,
                connect=self.upstream.connect,
                problem=self._logged,
            )

    def unreadable(self, condition: str) -> None:
        """Note that the server has sent no XMPP before a login, which ends the stream."""
        self._reading.failed(f"it sends no XMPP before a login ({condition})")

    def readable(self) -> None:
        """Note that somebody has logged in."""
        self._reading.worked()

    async def _check(self) -> str | None:
        # The text of a failure alone: with its traceback it would keep the frames in memory,
        # this one among them, and all that is in them.
        try:
            self._pass(await check_registration(self.upstream, self._reactor))
        except UpstreamFailure as failure:
            failure.__traceback__ = None
            return str(failure)
        except Exception:
            _log.failure("asking the server of {domain} failed", domain=self.upstream.domain)
            return "it could not be asked, for a defect of ours"
        return None

    def _pass(self, features: domish.Element) -> None:
        self._passed = True
        self._announces = announces_registration(features)
        self.reached()
        unwanted = unwanted_mechanisms(features)
        if unwanted is not None and self._lines.one_more():
            _log.warn(
                "the server of {domain} offers {mechanisms}, which cannot pass a gateway; "
                "{remedy}",
                domain=self.upstream.domain,
                mechanisms=unwanted,
                remedy=switch_off(unwanted),
            )


def upstream_checks(config: Config, reactor: IReactor) -> dict[str, UpstreamCheck]:
    """Return a check for each domain whose clients are handed over, by the domain's name."""
    hosts, trusted = config.hosts, config.trusted_networks
    return {
        name: UpstreamCheck(upstream_of(hosts[name], keys, trusted[name]), reactor)
        for name, keys in config.gateways.items()
    }
