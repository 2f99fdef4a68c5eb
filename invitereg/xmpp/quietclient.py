"""Keeps a connection to a server open, without a word: who uses it tells the log in ours."""

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
