"""API keys, scopes and rates (RFC 6750)."""

import re
from collections.abc import Callable
from datetime import datetime

from twisted.logger import Logger
from twisted.web.http_headers import Headers

from invitereg.interfaces.apikeys import ApiKey, Scope
from invitereg.interfaces.stores import IKeyStore
from invitereg.model.invites import TOKEN_LENGTH, token_digest
from invitereg.policy.values import Limit
from invitereg.runtime.logs import LINES_PER_ADDRESS, PerMinute
from invitereg.web.api.errors import REALM, Problem, missing_scope
from invitereg.web.channel import WebRequest

_log = Logger("invitereg.web.api.authorization.Authorization")

KNOWN_SECONDS = 0.5
"""Seconds for which a key is cached: a revocation takes effect within that time.

To ask the store for each request takes a fifth of the time that making an invite does.
"""

_SECRET = re.compile(rf"[A-Za-z0-9]{{{TOKEN_LENGTH}}}")


class Rates:
    """Limits the rate of requests of each key, in this process.

    Each may make so many at once, then as many again in every period, evenly spread.

    Attributes:
        limit: may be replaced while running.
    """

    def __init__(self, limit: Limit, seconds: Callable[[], float]) -> None:
        self.limit = limit
        self._seconds = seconds
        # When all that was asked for would have been asked for at an even pace.
        self._paid_until: dict[str, float] = {}

    def take(self, key_id: str) -> None:
        """Count one request.

        Raises:
            Problem: it is one too many for now.
        """
        now, period = self._seconds(), self.limit.period.total_seconds()
        paid_until = max(now, self._paid_until.get(key_id, now)) + period / self.limit.max
        if paid_until - now > period:
            wait = paid_until - now - period
            raise Problem(
                429,
                "throttled",
                f"This key may make {self.limit.max} requests in {period:.0f} seconds.",
                headers=Headers({"Retry-After": [f"{int(wait) + 1}"]}),
            )
        self._paid_until[key_id] = paid_until


class Authorization:
    """Looks up the key of a request, and checks its validity, scope and rate."""

    def __init__(
        self,
        keys: IKeyStore,
        rates: Rates,
        now: Callable[[], datetime],
        seconds: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._rates = rates
        self._now = now
        self._seconds = seconds
        self._over = PerMinute(LINES_PER_ADDRESS, seconds)
        self._known: dict[bytes, tuple[float, ApiKey]] = {}

    async def require(self, secret: str | None, scope: Scope) -> ApiKey:
        """Return the key that has this secret, if it has ``scope``.

        Raises:
            Problem: there is none, it is over, or it is good for other things.
            Unavailable: the store does not answer.
        """
        if secret is None:
            raise _unauthorized("Send a key: Authorization: Bearer KEY.", "no-key")
        key: ApiKey | None = None
        if _SECRET.fullmatch(secret):
            key = await self._find(token_digest(secret))
        if key is None or not key.valid(self._now()):
            if key is not None and self._over.one_more():
                _log.info("the key {key_id} is over, and still used", key_id=key.id)
            raise _unauthorized(
                "This key is not valid (any more).", "invalid-key", ', error="invalid_token"'
            )
        self._rates.take(key.id)
        if scope not in key.scopes:
            raise missing_scope(scope)
        return key

    async def _find(self, digest: bytes) -> ApiKey | None:
        """Return the key of that digest, from the cache or the store."""
        # By the time of day, set back an hour, a revoked key would go on for an hour.
        now = self._seconds()
        found_at, known = self._known.get(digest, (now, None))
        if known is not None and now - found_at < KNOWN_SECONDS:
            return known
        key = await self._keys.find_key(digest)
        if key is None:  # not kept: there is no end of keys that do not exist
            self._known.pop(digest, None)
        else:
            self._known[digest] = now, key
        return key


def bearer(request: WebRequest) -> str | None:
    """Return the secret of the Authorization header; None without one.

    Raises:
        Problem: there is a header that says something else.
    """
    headers = request.header_values("authorization")
    if not headers:
        return None
    scheme, _, secret = headers[0].strip().partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer":
        raise _unauthorized("Send one header: Authorization: Bearer KEY.", "no-key")
    return secret.strip()


def _unauthorized(detail: str, code: str, more: str = "") -> Problem:
    headers = Headers({"WWW-Authenticate": [REALM + more]})
    return Problem(401, code, detail, headers=headers)
