"""``/invites_api``, as Prosody's mod_invites_api has it: what was written for that goes on.

One request makes one invite for one account. https://modules.prosody.im/mod_invites_api
"""

from invitereg.interfaces.apikeys import Scope
from invitereg.policy.texts import link
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.newinvites import NewInvite
from invitereg.web.api.auth import Authorization, bearer
from invitereg.web.api.errors import Problem
from invitereg.web.api.operations import Call
from invitereg.web.api.requests import query_values
from invitereg.web.api.server import Answering, require_method, respond
from invitereg.web.channel import WebRequest

PROSODY_PATH = "invites_api"
_KNOWN = {"key", "redirect"}


class ProsodyInvites(Answering):
    """Makes an invite, and sends to its page."""

    origin = "invitereg.web.api.prosody.ProsodyInvites"

    def __init__(self, issuer: Issuer, authorization: Authorization) -> None:
        super().__init__()
        self._issuer = issuer
        self._authorization = authorization

    async def answer(self, request: WebRequest) -> None:
        """Answer 201, or 303 where a redirection is asked for, with Location."""
        request.route = PROSODY_PATH
        if request.postpath not in ([], [b""]):
            raise Problem(404, "no-such-path", "There is nothing under this path.")
        method = (request.method or b"").decode("latin-1")
        # Who only looks must not make anything.
        require_method(method, ("GET", "POST"), head=False)
        if request.too_large:
            raise Problem(413, "too-large", "No body is needed.")
        query = query_values(request)
        if not query.keys() <= _KNOWN:
            raise Problem(422, "invalid-request", "Only key and redirect are known here.")
        secret = bearer(request) or query.get("key")
        key = await self._authorization.require(secret, Scope.INVITES_CREATE)
        call = Call(
            domains=self._issuer.domains,
            key=key,
            address=request.client,
            name="",
            body=None,
            query=None,
            idempotency_key=None,
        )
        # As there, whose site is asked for says for which domain.
        domain = call.domain(key.domain or request.served.domain)
        new = NewInvite(domain=domain.name, source=key.authority.source)
        invite, token = await self._issuer.create(new)
        request.setHeader("Location", link(domain, invite, token))
        respond(request, 303 if "redirect" in query else 201, b"", b"text/plain")
