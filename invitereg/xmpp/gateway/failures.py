"""Explain to the operator why there is no stream to an upstream server, and what to change."""

from enum import Enum

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.python.failure import Failure

from invitereg.runtime.logs import named
from invitereg.xmpp.gateway.settings import Upstream
from invitereg.xmpp.stanzas import UNREADABLE

# Stream errors that are about one header, whatever the server does with others (RFC 6120
# §4.9.3). host-unknown is none: the server may not have the domain at all.
OF_THE_HEADER = UNREADABLE - {"xml-not-well-formed"} | {
    "improper-addressing",
    "invalid-from",
    "policy-violation",
    "unsupported-feature",
}


class Blame(Enum):
    """The side at fault for there being no stream to the server."""

    SERVER = "the server's, or the configuration's"
    CLIENT = "the client's: its header, or its address"
    UNCLEAR = "either's: the server has had the header, and another one may fare better"


class UpstreamFailure(Exception):
    """There is no stream to the server; the text says why, and what may be changed.

    Attributes:
        blame: the side at fault.
        condition: the stream error with which the server has answered, if it did.
    """

    def __init__(
        self, text: str, blame: Blame = Blame.SERVER, condition: str | None = None
    ) -> None:
        super().__init__(text)
        self.blame = blame
        self.condition = condition


def unreachable(failure: Failure) -> str:
    """Return why there is no connection."""
    text = f"it cannot be reached: {failure.getErrorMessage()}"
    if failure.check(Refused):
        hint = "is the server running, and does it listen there for clients?"
        return f"{text.rstrip('.')}: {hint}"
    return text


def refused(condition: str, upstream: Upstream, first: bool) -> str:
    """Explain a stream error of the server; ``first``: it answers the first bytes."""
    hint = ""
    if condition == "host-unknown":
        hint = f": is {upstream.domain} one of its domains?"
    elif first and condition in UNREADABLE:
        hint = doubted(upstream)
    return f"it answers {named(condition)}{hint}"


def doubted(upstream: Upstream) -> str:
    """Return a question about the PROXY protocol; nothing where that is off."""
    if upstream.proxy_protocol == "off":
        return ""
    return ": does the server take the PROXY protocol (ejabberd: use_proxy_protocol)?"


def closed(reason: Failure, upstream: Upstream, heard: bool) -> str:
    """Return why a connection ended before its stream was open, and what to change.

    ``heard`` tells whether the server has sent anything.
    """
    error = reason.value
    if isinstance(error, VerificationError):
        return f"its certificate is not for {upstream.domain}: give it one that is"
    if isinstance(error, SSL.Error):
        text = _openssl_reason(error)
        if "certificate verify failed" in text:
            return (
                "its certificate is not trusted, or has expired: set ca to a file with the "
                "authority that has signed it, or with the certificate if it has signed itself"
            )
        other = "starttls" if upstream.tls == "direct" else "direct"
        return f"TLS fails ({text}): should tls be {other}?"
    if isinstance(error, (ConnectionDone, ConnectionLost)):
        return f"it has closed the connection{'' if heard else _without_a_word(upstream)}"
    return str(error) or type(error).__name__


def _without_a_word(upstream: Upstream) -> str:
    if upstream.tls == "direct":  # Of a handshake we do not know.
        return doubted(upstream)
    wanted = ": should tls be direct, or does it want the PROXY protocol (proxy_protocol)?"
    return f" without a word{doubted(upstream) or wanted}"


def _openssl_reason(error: SSL.Error) -> str:
    try:
        return ", ".join(str(entry[-1]) for entry in error.args[0]) or "no reason is given"
    except (IndexError, TypeError):
        return str(error) or type(error).__name__
