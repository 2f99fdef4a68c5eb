"""What clients write, and how their tests read what they are answered."""

import base64

from twisted.words.protocols.jabber.error import NS_XMPP_STANZAS

DOMAIN = "example.com"
TOKEN = "K7dJq2mZx9RtYw4LbN8vHc3P"
PASSWORD = "correct horse battery"
DECLARATION = "<?xml version='1.0'?>"
NS_REGISTER = "jabber:iq:register"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_STREAMS = "http://etherx.jabber.org/streams"
NS_X_DATA = "jabber:x:data"

STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
GET = f"<iq type='get' id='get' to='{DOMAIN}'><query xmlns='{NS_REGISTER}'/></iq>"
BIND = (
    "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    "<resource>{}</resource></bind></iq>"
)


def header(to=DOMAIN, declaration=DECLARATION, version=" version='1.0'"):
    """A client's stream header."""
    to = "" if to is None else f" to='{to}'"
    return (
        f"{declaration}<stream:stream xmlns='jabber:client' "
        f"xmlns:stream='{NS_STREAMS}'{to}{version}>"
    )


def preauth(token=TOKEN, to=f" to='{DOMAIN}'"):
    """A preauth request; ``to`` is the whole attribute, or "" for none."""
    return (
        f"<iq type='set' id='preauth'{to}>"
        f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/></iq>"
    )


def registration(username="juliet", password=PASSWORD, more="", attributes=f" to='{DOMAIN}'"):
    """A submission with legacy fields."""
    return (
        f"<iq type='set' id='set'{attributes}><query xmlns='{NS_REGISTER}'>"
        f"<username>{username}</username><password>{password}</password>{more}</query></iq>"
    )


def form_registration(attributes=f" to='{DOMAIN}'", **fields):
    """A submission as a data form, FORM_TYPE first."""
    values = {"FORM_TYPE": NS_REGISTER, "username": "juliet", "password": PASSWORD} | fields
    written = "".join(
        f"<field var='{name}'><value>{value}</value></field>" for name, value in values.items()
    )
    return (
        f"<iq type='set' id='set'{attributes}><query xmlns='{NS_REGISTER}'>"
        f"<x xmlns='{NS_X_DATA}' type='submit'>{written}</x></query></iq>"
    )


def auth(mechanism, data=None):
    """The start of a login; ``data`` is what goes into it, bytes are encoded."""
    text = base64.b64encode(data).decode() if isinstance(data, bytes) else data or ""
    return f"<auth xmlns='{NS_SASL}' mechanism='{mechanism}'>{text}</auth>"


def response(data):
    """A further message of a login."""
    text = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return f"<response xmlns='{NS_SASL}'>{text}</response>"


def plain(username="juliet", password=PASSWORD, authzid=""):
    """A whole login by PLAIN."""
    return auth("PLAIN", f"{authzid}\0{username}\0{password}".encode())


def children(element, uri=None):
    """The names of an element's children, in order."""
    return [child.name for child in element.elements() if uri in (None, child.uri)]


def error_of(reply):
    """Type, condition and text of an error reply, which has exactly one error."""
    (error,) = (child for child in reply.elements() if child.name == "error")
    condition, *rest = error.elements()
    assert condition.uri == NS_XMPP_STANZAS, "the condition comes first"
    texts = [str(child) for child in rest if child.name == "text"]
    return error["type"], condition.name, "".join(texts)


def form_fields(query):
    """The fields of the data form in a query: name, type, value, and whether required."""
    return [
        (field["var"], field["type"], str(field.value or ""), field.required is not None)
        for field in query.x.elements(NS_X_DATA, "field")
    ]
