"""The configuration file: `load` it, and get a `Config` or every mistake in it at once."""

from invitereg.config.endpoints import Tls, WebListeners
from invitereg.config.loading import Backend, Config, json_schema, load
from invitereg.config.messages import ConfigError, Mistake
from invitereg.config.policy import StreamLimits
from invitereg.config.schema import C2s
from invitereg.config.servers import Accounts, Component
from invitereg.config.types import duration_or_never, duration_text, role_name
from invitereg.config.web import WebKeys

__all__ = [
    "Accounts",
    "Backend",
    "C2s",
    "Component",
    "Config",
    "ConfigError",
    "Mistake",
    "StreamLimits",
    "Tls",
    "WebKeys",
    "WebListeners",
    "duration_or_never",
    "duration_text",
    "json_schema",
    "load",
    "role_name",
]
