"""The API put together from its parts."""

from collections.abc import Callable, Mapping
from datetime import datetime

from invitereg.interfaces import IStore
from invitereg.issuer import Issuer
from invitereg.policy.values import Domain
from invitereg.registrar import Registrar
from invitereg.web.api.authorization import Authorization, Rates
from invitereg.web.api.invites import Invites
from invitereg.web.api.operations import operations_of
from invitereg.web.api.prosody import PROSODY_PATH, ProsodyInvites
from invitereg.web.api.registrations import Registrations
from invitereg.web.api.resource import API_PATH, Api
from invitereg.web.site import WebDoor


def mount_api(
    door: WebDoor,
    *,
    domains: Mapping[str, Domain],
    issuer: Issuer,
    registrar: Registrar,
    store: IStore,
    rates: Rates,
    now: Callable[[], datetime],
    seconds: Callable[[], float],
) -> None:
    """Let ``door`` serve the API, and what stands for Prosody's.

    Args:
        door: the site.
        domains: what is served, by name; may be replaced while running.
        issuer: makes invites.
        registrar: registers.
        store: where the invites and the keys are.
        rates: how much each key may.
        now: tells the time.
        seconds: a clock that never jumps.
    """
    authorization = Authorization(store, rates, now, seconds)
    operations = (
        *operations_of(Invites(issuer, store, now)),
        *operations_of(Registrations(registrar)),
    )
    door.mount(API_PATH, Api(operations, authorization, domains))
    door.mount(PROSODY_PATH, ProsodyInvites(issuer, authorization))
