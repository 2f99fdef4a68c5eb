"""XML namespaces of the protocols that are spoken here, each with its source.

Those of wokkel and Twisted are theirs: ``NS_X_DATA`` (XEP-0004), ``NS_DISCO_INFO`` and
``NS_DISCO_ITEMS`` (XEP-0030), ``NS_PING`` (XEP-0199), ``NS_STREAMS`` (RFC 6120).
"""

# RFC 6120: streams, STARTTLS, SASL and resource binding. RFC 3921 §3: the session request.
NS_CLIENT = "jabber:client"
NS_STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
NS_SESSION = "urn:ietf:params:xml:ns:xmpp-session"
NS_XML = "http://www.w3.org/XML/1998/namespace"

# RFC 6121: the roster, and the approval of a subscription before it is asked for.
NS_ROSTER = "jabber:iq:roster"
NS_PRE_APPROVAL = "urn:xmpp:features:pre-approval"

# XEP-0077: registration, its stream feature, and the form for a new password. XEP-0389 is
# its successor.
NS_REGISTER = "jabber:iq:register"
NS_REGISTER_FEATURE = "http://jabber.org/features/iq-register"
NS_CHANGE_PASSWORD = "jabber:iq:register:changepassword"  # noqa: S105 - a form's type
NS_REGISTER_2 = "urn:xmpp:register:0"

# Invites. XEP-0379 and XEP-0445: a token with a subscription request, and before
# registration; the stream features that announce the latter, as XEP-0445 and as XEP-0401 0.3
# name it. XEP-0401: the form that tells an invite.
NS_PREAUTH = "urn:xmpp:pars:0"
NS_IBR_TOKEN = "urn:xmpp:ibr-token:0"  # noqa: S105 - a namespace
NS_INVITE = "urn:xmpp:invite"
NS_INVITATION = "urn:xmpp:invite#invitation"

NS_COMMANDS = "http://jabber.org/protocol/commands"  # XEP-0050
NS_OOB = "jabber:x:oob"  # XEP-0066
NS_LEGACY_AUTH = "http://jabber.org/features/iq-auth"  # XEP-0078
NS_ADMIN = "http://jabber.org/protocol/admin"  # XEP-0133
NS_COMPRESS = "http://jabber.org/features/compress"  # XEP-0138
NS_SERVER_INFO = "http://jabber.org/network/serverinfo"  # XEP-0157
NS_DELAY = "urn:xmpp:delay"  # XEP-0203
NS_SASL2 = "urn:xmpp:sasl:2"  # XEP-0388
NS_CHANNEL_BINDING = "urn:xmpp:sasl-cb:0"  # XEP-0440

NS_PRIVILEGE = ("urn:xmpp:privilege:2", "urn:xmpp:privilege:1")
"""Both versions of XEP-0356 say the same about rosters; Prosody 0.12 speaks the first,
ejabberd 23.01 the second."""
