"""Registration through a portal, which asks for name and password itself."""

from invitereg.interfaces.apikeys import Scope
from invitereg.model.invites import Invite, Kind
from invitereg.model.names import typed_username
from invitereg.policy.values import Domain
from invitereg.usecases.registrar import Registrar, Submission
from invitereg.views import AskedField, Preview, Registered
from invitereg.web.api.operations import ApiResponse, Call, operation
from invitereg.web.api.requests import PreviewBody, QueryModel, RegistrationBody

DOOR = "api"


class Registrations:
    """Registers for a portal.

    It needs a key: the portal tells by which address its own clients are to be judged, and
    nobody may guess tokens here under ever new addresses.
    """

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar

    @operation("POST", "previews", id="previewToken", scope=Scope.REGISTRATIONS_CREATE)
    async def preview(self, call: Call[PreviewBody, QueryModel]) -> ApiResponse[Preview]:
        """Tell what a token is good for, without using it."""
        body = call.body
        domain, address = call.domain(body.domain), call.client(body.client_address)
        grant = await self._registrar.preview(domain.name, address, body.token)
        return ApiResponse(content=_preview(grant.invite, domain))

    @operation(
        "POST",
        "registrations",
        id="register",
        scope=Scope.REGISTRATIONS_CREATE,
        status=201,
        statuses=(409,),
    )
    async def register(
        self, call: Call[RegistrationBody, QueryModel]
    ) -> ApiResponse[Registered]:
        """Make an account, or set a new password by a reset's token."""
        body = call.body
        domain, address = call.domain(body.domain), call.client(body.client_address)
        registered = await self._registrar.redeem(
            Submission(
                domain=domain.name,
                door=DOOR,
                address=address,
                username=typed_username(body.username, domain.name),
                password=body.password,
                fields=body.fields,
                token=body.token,
            )
        )
        kind = Kind.RESET if registered.kind is Kind.RESET else Kind.ACCOUNT
        content = Registered.of(registered, domain=domain.name, kind=kind)
        return ApiResponse(content=content)


def _preview(invite: Invite, domain: Domain) -> Preview:
    fields = tuple(
        AskedField.of(name=name, required=required)
        for name, required in domain.policy.fields.items()
    )
    return Preview.of(invite, site_name=domain.site_name or domain.name, fields=fields)
