"""The configuration file: `load` it, and get a `Config` or every mistake in it at once."""

from invitereg.config.backendkeys import Accounts, Component
from invitereg.config.durations import duration_or_never, duration_text
from invitereg.config.listening import Tls, WebListeners
from invitereg.config.loading import Backend, Config, json_schema, load
from invitereg.config.mistakes import ConfigError, Mistake
from invitereg.config.policykeys import StreamLimits
from invitereg.config.schema import C2s
from invitereg.config.values import role_name
from invitereg.config.webkeys import WebKeys

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
