"""Registration by invitation for XMPP domains, as a Twisted service."""

from invitereg import _wokkelcompat
from invitereg._version import __version__

_wokkelcompat.restore()

__all__ = ["__version__"]
