"""Makes ``twistd invitereg`` known; this folder must have no ``__init__.py``."""

from collections.abc import Callable
from typing import Any

from twisted.application.service import IService, IServiceMaker
from twisted.plugin import IPlugin
from twisted.python.usage import Options
from zope.interface import implementer


@implementer(IPlugin, IServiceMaker)
class _InviteregMaker:
    """The one place of the service that knows the global reactor."""

    tapname = "invitereg"
    description = "Registration by invitation for XMPP domains"

    @property
    def options(self) -> Callable[[], Options]:
        from invitereg.tap import Options

        return Options

    def makeService(self, options: Any) -> IService:
        from twisted.internet import reactor

        from invitereg.tap import makeService

        return makeService(options, reactor)  # type: ignore[arg-type]


invitereg = _InviteregMaker()
