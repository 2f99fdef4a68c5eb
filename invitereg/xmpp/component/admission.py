"""Decide which stanzas a component handles, before anything costly is done for them.

Anybody may write to a component, accounts of other servers too. The sender is the address that
the server has stamped on the stanza, as text: preparing an address takes milliseconds.
"""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg.embedded.addresses import parse_jid
from invitereg.errors import Throttled
from invitereg.model.names import is_too_long
from invitereg.xmpp.stanzas import (
    asked_languages,
    error_reply,
    require_id,
    require_request,
    stanza_error,
)

MINUTE = 60.0
_SHORT = 64


class RateLimit:
    """Limit how often each key does something in a minute; the oldest keys are forgotten."""

    def __init__(self, most: int, seconds: Callable[[], float], keys: int = 10000) -> None:
        self._most = most
        self._seconds = seconds
        self._keys = keys
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def allows(self, key: str) -> bool:
        """Return whether the key may do it once more."""
        return self._counted(_short(key))[1] < self._most

    def add(self, key: str) -> bool:
        """Count once more for a key; return False, without counting, if that is too often."""
        key = _short(key)
        began, count = self._counted(key)
        if count >= self._most:
            return False
        self._counts[key] = (began, count + 1)
        if len(self._counts) > self._keys:
            self._counts.popitem(last=False)
        return True

    def _counted(self, key: str) -> tuple[float, int]:
        """Return when the minute of a key began, and its count since then."""
        now = self._seconds()
        began, count = self._counts.get(key, (now, 0))
        return (now, 0) if now - began >= MINUTE else (began, count)


def _short(key: str) -> str:
    """Return a key that takes little memory: a foreign address may have thousands of bytes."""
    return key if len(key) <= _SHORT else hashlib.sha256(key.encode()).hexdigest()


class FairRateLimit:
    """Limit each key, and all keys together, so that the busiest are refused first.

    Once all keys together have reached their limit, a key that has done less than ``share`` in
    its minute may still go on: a few busy keys cannot shut out the others.
    """

    def __init__(
        self, each: int, together: int, share: int, seconds: Callable[[], float]
    ) -> None:
        """Allow ``each`` a minute for a key, and ``together`` for keys beyond ``share``."""
        self._each = RateLimit(each, seconds)
        self._shares = RateLimit(share, seconds)
        self._together = RateLimit(together, seconds)

    def __len__(self) -> int:
        return len(self._each)

    def add(self, key: str) -> bool:
        """Count once more for a key; return False, without counting, if that is too often."""
        if not self.allows(key):
            return False
        self._each.add(key)
        self._shares.add(key)
        self._together.add("")
        return True

    def allows(self, key: str) -> bool:
        """Return whether the key may do it once more."""
        return self._each.allows(key) and (
            self._together.allows("") or self._shares.allows(key)
        )


def add_to_all(limits: Sequence[tuple[RateLimit | FairRateLimit, str]]) -> bool:
    """Count once more under each key; return False, and count none, if one is at its limit.

    So a request that is refused takes nothing from what others may do.
    """
    if not all(rate.allows(key) for rate, key in limits):
        return False
    for rate, key in limits:
        rate.add(key)
    return True


class ConcurrencyLimit:
    """Limit how many requests of each key are worked on at the same time."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    @contextmanager
    def one_more(self, limits: Iterable[tuple[str, int]]) -> Iterator[None]:
        """Count the body of a ``with`` under each key while it runs.

        Args:
            limits: keys, each with its limit.

        Raises:
            Throttled: a key is at its limit.
        """
        keys = []
        for key, most in limits:
            if self._counts[key] >= most:
                raise Throttled(MINUTE)
            keys.append(key)
        self._counts.update(keys)
        try:
            yield
        finally:
            self._counts.subtract(keys)
            self._counts += Counter()  # forgets those with nothing under way


PER_ACCOUNT = 30
"""Stanzas a minute of one bare JID that are handled."""
TOGETHER, SHARE = 1000, 5
"""Those of all accounts of the domain, and of each one even when that is used up."""
PER_SERVER = 300
"""Those of all accounts of another server."""
PER_SITE = 2 * PER_SERVER
"""Those of all servers below the same registered domain; see `site_of`."""
SERVERS_TOGETHER, SITE_SHARE, MOST_OF_SERVERS = 1000, 30, 3000
"""Those of all other servers, of each site when that is used up, and of all with these."""
_REGISTRIES = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})
"""Labels below which names are registered in many countries, as in example.co.uk."""


class Admission:
    """Admit stanzas with one payload, of senders that have not sent too many."""

    def __init__(
        self,
        domain: str,
        seconds: Callable[[], float],
        send: Callable[[domish.Element], None],
    ) -> None:
        """Count the accounts of ``domain`` apart from those of other servers.

        Args:
            domain: the one that the component is for.
            seconds: a monotonic clock.
            send: sends the replies to requests that are refused.
        """
        self._domain = domain
        self._send = send
        self._accounts = FairRateLimit(PER_ACCOUNT, TOGETHER, SHARE, seconds)
        self._strangers = RateLimit(PER_ACCOUNT, seconds)
        self._servers = RateLimit(PER_SERVER, seconds)
        self._sites = FairRateLimit(PER_SITE, SERVERS_TOGETHER, SITE_SHARE, seconds)
        self._all_servers = RateLimit(MOST_OF_SERVERS, seconds)

    def admits(self, stanza: domish.Element) -> bool:
        """Return whether handlers may see a stanza; refuse a request that they may not."""
        if not has_addresses(stanza):
            return False
        try:
            self._require_few(stanza["from"])
            _require_payload(stanza)
            _require_prepared(stanza)
        except Throttled as refusal:
            return self._refuse(stanza, stanza_error(refusal, asked_languages(stanza)))
        except StanzaError as error:
            return self._refuse(stanza, error)
        stanza.handled = False  # type: ignore[attr-defined]  # never a child of that name
        return True

    def _require_few(self, sender: str) -> None:
        bare = sender.partition("/")[0].lower()
        host = bare.rpartition("@")[2]
        limits: list[tuple[RateLimit | FairRateLimit, str]] = [(self._accounts, bare)]
        if host != self._domain:
            limits = [
                (self._strangers, bare),
                (self._servers, host),
                (self._sites, site_of(host)),
                (self._all_servers, ""),
            ]
        if not add_to_all(limits):
            raise Throttled(MINUTE)

    def _refuse(self, stanza: domish.Element, error: StanzaError) -> bool:
        if stanza.name == "iq":
            self._send(error_reply(stanza, error))
        return False


def site_of(host: str) -> str:
    """Return the registered domain that a name belongs to.

    That is its last two labels, or three where the country has registries of its own. Names
    below a registered domain cost nothing, so they share a limit.
    """
    labels = host.rstrip(".").split(".")
    is_registry = len(labels[-1]) == 2 and labels[-2:-1] and labels[-2] in _REGISTRIES
    return ".".join(labels[-3 if is_registry else -2 :])


def has_addresses(stanza: domish.Element) -> bool:
    """Return whether a stanza has ``from`` and ``to``, without a part that is too long."""
    return all(
        stanza.hasAttribute(name) and not any(map(is_too_long, _parts(stanza[name])))
        for name in ("from", "to")
    )


def _parts(address: str) -> tuple[str, str, str]:
    bare, _, resource = address.partition("/")
    localpart, _, domain = bare.rpartition("@")
    return localpart, domain, resource


def _require_payload(stanza: domish.Element) -> None:
    if stanza.name == "iq":
        require_request(stanza)
    require_id(stanza)


def _require_prepared(stanza: domish.Element) -> None:
    try:
        parse_jid(stanza["from"])
        parse_jid(stanza["to"])
    except ValueError:
        raise StanzaError("jid-malformed", "modify") from None
