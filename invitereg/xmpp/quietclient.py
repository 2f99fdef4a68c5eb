"""Twisted's service that keeps a client connection open, without its lines in the log.

Who uses it logs what happens to the connection in the project's own words.
"""

from twisted.application.internet import ClientService
from twisted.logger import ILogObserver, LogEvent, Logger
from zope.interface import implementer


@implementer(ILogObserver)
class _Nowhere:
    """Passes nothing on."""

    def __call__(self, event: LogEvent) -> None:
        """See ILogObserver."""


class QuietClientService(ClientService):
    """Twisted's, without its lines in the log, which name objects by their addresses."""

    _log = Logger(observer=_Nowhere())
