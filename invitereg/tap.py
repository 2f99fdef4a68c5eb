"""Make the service of ``twistd invitereg``."""

import os
import time
from pathlib import Path

from twisted.application.service import IService
from twisted.python import usage

from invitereg.config import ConfigError, load
from invitereg.runtime import IReactor
from invitereg.service.service import InviteregService


class Options(usage.Options):
    """The command line of ``twistd invitereg``."""

    optParameters = [  # noqa: N815, RUF012 - Twisted reads it from the class
        ["config", "c", None, "configuration file (default: $INVITEREG_CONFIG, ./config.yaml)"],
    ]


def makeService(options: Options, reactor: IReactor) -> IService:
    """Return the service that a configuration file describes.

    Raises:
        SystemExit: with a line for each mistake in the file; nothing has been started.
    """
    # Its own clock is the time of day: set back an hour, nothing would happen for an hour.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    path = options["config"] or os.environ.get("INVITEREG_CONFIG") or "config.yaml"
    try:
        return InviteregService(load(Path(path)), reactor)
    except ConfigError as error:
        raise SystemExit(error.told_by("twistd invitereg")) from None
