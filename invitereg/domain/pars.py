"""Pre-authenticated roster subscription, the server's side (XEP-0379).

https://xmpp.org/extensions/xep-0379.html
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from twisted.words.xish import domish

from invitereg.interfaces import IInviteStore, Query
from invitereg.model import token_digest
from invitereg.policy.counters import guess_counters, stale_counters
from invitereg.policy.values import Address, Domain
from invitereg.tokens import TokenThrottle

NS_PARS = "urn:xmpp:pars:0"


class Invitations:
    """Finds out whether a token that comes with a subscription request is one of ours."""

    def __init__(
        self, domains: Mapping[str, Domain], store: IInviteStore, now: Callable[[], datetime]
    ) -> None:
        self._domains = domains
        self._store = store
        self._tokens = TokenThrottle(store)
        self._now = now

    async def recognise(
        self, domain: str, address: Address | None, request: domish.Element
    ) -> bytes | None:
        """Return the digest of a request's token; None if it has none that is known here.

        A token of ours is taken out of the request, in whatever state its invite is: so it is
        neither stored nor shown to the contact. Any other may have been made by the contact's
        client, which decides by it (XEP-0379 §3.4): it stays, and counts as a guess. After too
        many of these, those from that network are looked up one at a time. Of several tokens
        the first counts, and the others are taken out.
        """
        found: list[domish.Element] = list(request.elements(NS_PARS, "preauth"))
        _take_out(request, found[1:])
        token = str(found[0].getAttribute("token") or "") if found else ""
        if not token:
            return None
        policy, now, digest = self._domains[domain].policy, self._now(), token_digest(token)
        counters = guess_counters(policy, address)
        query = Query(domain=domain, now=now, digest=digest, counters=counters)
        findings = await self._tokens.look_up(query)
        known = findings.invite is not None
        if not policy.limits.allowlisted(address):
            # Written down either way: the time that it takes tells nobody which are known.
            counted = stale_counters(policy, address) if known else counters
            await self._store.hit(domain, counted, now)
        if not known:
            return None
        _take_out(request, found)
        return digest


def _take_out(request: domish.Element, elements: list[domish.Element]) -> None:
    request.children = [child for child in request.children if child not in elements]
