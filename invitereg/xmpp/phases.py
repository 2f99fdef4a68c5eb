"""How far a client's stream has come, and what may arrive on it then: one table."""

from enum import Enum

NS_CLIENT = "jabber:client"
NS_XMPP_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
NS_XMPP_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


class Phase(Enum):
    """How far a stream has come."""

    CLEAR = "clear"
    SECURED = "secured"
    AUTHENTICATED = "authenticated"
    BOUND = "bound"


# What may arrive in each phase, and the method that takes it. Anything else ends the stream.
ACCEPTED: dict[Phase, dict[tuple[str, str], str]] = {
    Phase.CLEAR: {
        (NS_XMPP_TLS, "starttls"): "_start_tls",
        (NS_XMPP_SASL, "auth"): "_refuse_clear_auth",
        (NS_CLIENT, "iq"): "_refuse_clear_iq",
    },
    Phase.SECURED: {
        (NS_XMPP_SASL, "auth"): "_dispatch",
        (NS_XMPP_SASL, "response"): "_dispatch",
        (NS_XMPP_SASL, "abort"): "_dispatch",
        (NS_CLIENT, "iq"): "_dispatch",
    },
    Phase.AUTHENTICATED: {(NS_CLIENT, "iq"): "_dispatch"},
    Phase.BOUND: {
        (NS_CLIENT, "iq"): "_dispatch_bound",
        (NS_CLIENT, "message"): "_dispatch_bound",
        (NS_CLIENT, "presence"): "_dispatch_bound",
    },
}
# Bytes and levels that one stanza may have.
STANZA_LIMITS: dict[Phase, tuple[int, int]] = {
    Phase.CLEAR: (10 * 1024, 32),
    Phase.SECURED: (10 * 1024, 32),
    Phase.AUTHENTICATED: (10 * 1024, 32),
    Phase.BOUND: (256 * 1024, 128),
}
