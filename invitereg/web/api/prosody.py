"""``/invites_api``, compatible with Prosody's mod_invites_api.

One request makes one invite for one account. https://modules.prosody.im/mod_invites_api
"""

from twisted.logger import Logger

from invitereg.interfaces.apikeys import Scope
from invitereg.policy.texts import link
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.newinvites import NewInvite
from invitereg.web.api.auth import Authorization, bearer
from invitereg.web.api.errors import Problem
from invitereg.web.api.operations import requested_domain
from invitereg.web.api.requests import query_values
from invitereg.web.api.server import ProblemRouter, respond, wrong_method
from invitereg.web.channel import WebRequest

_log = Logger("invitereg.web.api.prosody.ProsodyInvites")

PROSODY_PATH = "invites_api"
_METHODS = ("GET", "POST")
_KNOWN = {"key", "redirect"}


class ProsodyInvites(ProblemRouter):
    """Makes an invite, and answers with its page as Location."""

    def __init__(self, issuer: Issuer, authorization: Authorization) -> None:
        super().__init__(PROSODY_PATH, _log)
        self._issuer = issuer
        self._authorization = authorization
        self.add("/", None, self._create, "create")

    async def _create(self, request: WebRequest) -> bytes:
        """Answer 201, or 303 where a redirection is asked for, with Location."""
        # Who only looks must not make anything.
        if (request.method or b"").decode("latin-1") not in _METHODS:
            raise wrong_method(_METHODS)
        if request.too_large:
            raise Problem(413, "too-large", "No body is needed.")
        query = query_values(request)
        if not query.keys() <= _KNOWN:
            raise Problem(422, "invalid-request", "Only key and redirect are known here.")
        secret = bearer(request) or query.get("key")
        key = await self._authorization.require(secret, Scope.INVITES_CREATE)
        # As there, whose site is asked for says for which domain.
        asked = key.domain or request.served.domain
        domain = requested_domain(self._issuer.domains, key, asked)
        new = NewInvite(domain=domain.name, source=key.authority.source)
        invite, token = await self._issuer.create(new)
        request.setHeader("Location", link(domain, invite, token))
        return respond(request, 303 if "redirect" in query else 201, b"", b"text/plain")
