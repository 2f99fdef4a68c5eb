"""Whether a text is a Twisted server endpoint, found out without listening on it."""

import re

from twisted.internet.endpoints import clientFromString, serverFromString

from invitereg.config.clearways import check_host, host_of

EXAMPLES = (
    "tcp:5222, tcp:5222:interface=127.0.0.1, haproxy:tcp:5222 or systemd:domain=INET:index=0"
)
_HIGHEST_PORT = 65535
_PORT = re.compile(r"tcp6?:(?:(?:[^:]*:)*port=)?(-?[0-9]+)(?::|$)")


def check_endpoint(text: str) -> None:
    """Raises ValueError with a text for the operator unless ``text`` can be listened on."""
    kind = without_proxy(text).partition(":")[0].lower()
    if kind in ("ssl", "tls"):
        raise ValueError(
            f"TLS is added here already, with the certificate under tls: "
            f"write tcp: in place of {kind}:"
        )
    try:
        serverFromString(object(), text)
    except Exception as error:
        # A plugin may raise anything; Twisted's own raise six different types.
        if kind == "systemd" and isinstance(error, (IndexError, KeyError)):
            return  # well written, but this process (a check, say) was not started by systemd
        raise ValueError(f"is no Twisted endpoint, such as {EXAMPLES}") from None
    _check_port(text)


def check_client_endpoint(text: str) -> None:
    """Raises ValueError with a text for the operator unless ``text`` can be connected to."""
    if text.partition(":")[0].lower() in ("ssl", "tls"):
        raise ValueError("TLS is added here already: write tcp:, and tls: direct beside it")
    try:
        clientFromString(object(), text)
    except Exception:  # as above
        raise ValueError(
            "is no Twisted client endpoint, such as tcp:127.0.0.1:15222 or unix:/run/xmpp"
        ) from None
    if text.partition(":")[0].lower() == "tcp":
        check_host(host_of(text))


def fixed_endpoint(text: str) -> str | None:
    """``text``, or None where the system chooses the port: two such are two ports."""
    return None if _port(text) == 0 else text


def is_proxied(text: str) -> bool:
    """Whether a proxy connects there, and tells for whom (``haproxy:``, PROXY protocol)."""
    return without_proxy(text) != text


def _check_port(text: str) -> None:
    port = _port(text)
    if port is not None and not 0 <= port <= _HIGHEST_PORT:
        raise ValueError(f"the port must be between 0 and {_HIGHEST_PORT}")


def _port(text: str) -> int | None:
    """The TCP port, where there is one that can be read."""
    match = _PORT.match(without_proxy(text))
    try:
        return None if match is None else int(match[1])
    except ValueError:  # more digits than Python reads
        return None


def without_proxy(text: str) -> str:
    """The endpoint itself, without the ``haproxy:`` before it."""
    return re.sub(r"\A(?:haproxy:)+", "", text, flags=re.IGNORECASE)
