"""The configuration file: `load` it, and get a `Config` or every mistake in it at once."""

from invitereg.config.backendkeys import Accounts, Component
from invitereg.config.loading import Backend, Config, json_schema, load
from invitereg.config.mistakes import ConfigError, Mistake
from invitereg.config.policykeys import StreamLimits
from invitereg.config.schema import C2s, Tls
from invitereg.config.values import duration_or_never, role_name

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
    "duration_or_never",
    "json_schema",
    "load",
    "role_name",
]
