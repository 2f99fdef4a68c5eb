"""What clients write to execute commands, and how their tests read the answers."""

from tests.xmpp.messages import DOMAIN, NS_X_DATA

NS_COMMANDS = "http://jabber.org/protocol/commands"
NS_INFO = "http://jabber.org/protocol/disco#info"
NS_ITEMS = "http://jabber.org/protocol/disco#items"
XML_LANG = ("http://www.w3.org/XML/1998/namespace", "lang")

INVITE = "urn:xmpp:invite#invite"
CREATE_ACCOUNT = "urn:xmpp:invite#create-account"
RESET = "invitereg#password-reset"
LIST = "invitereg#list-invites"
RENEW = "invitereg#renew-invite"
REVOKE = "invitereg#revoke-invite"


def command(node, payload="", lang="", **attributes):
    """A request; ``attributes`` are those of the command, such as ``action``."""
    written = "".join(f" {name}='{value}'" for name, value in attributes.items() if value)
    lang = lang and f" xml:lang='{lang}'"
    return (
        f"<iq type='set' id='c' to='{DOMAIN}'{lang}>"
        f"<command xmlns='{NS_COMMANDS}' node='{node}'{written}>{payload}</command></iq>"
    )


def form(fields=(), kind="submit", **more):
    """A submitted form; each field is a name with a value, or a list of them."""
    pairs = [*fields, *((name.replace("_", "-"), value) for name, value in more.items())]
    written = "".join(f"<field var='{name}'>{_values(value)}</field>" for name, value in pairs)
    return f"<x xmlns='{NS_X_DATA}' type='{kind}'>{written}</x>"


def _values(value):
    values = value if isinstance(value, list) else [value]
    return "".join(f"<value>{one}</value>" for one in values)


def specific(reply):
    """Type, condition and the condition of commands, if any, of an error reply."""
    (error,) = (child for child in reply.elements() if child.name == "error")
    condition, *rest = error.elements()
    own = [child.name for child in rest if child.uri == NS_COMMANDS]
    return error["type"], condition.name, *own


def values(answer):
    """The values of the one form in an answer, by field."""
    (shown,) = answer.elements(NS_X_DATA, "x")
    return {
        one["var"]: [str(value) for value in one.elements(NS_X_DATA, "value")]
        for one in shown.elements(NS_X_DATA, "field")
    }


def rows(answer):
    """The rows of a result, each by field."""
    (shown,) = answer.elements(NS_X_DATA, "x")
    return [
        {one["var"]: str(one.value) for one in item.elements(NS_X_DATA, "field")}
        for item in shown.elements(NS_X_DATA, "item")
    ]


def note(answer):
    """The text of an answer's note."""
    (found,) = answer.elements(NS_COMMANDS, "note")
    return str(found)


def actions(answer):
    """The default action, and all that are offered."""
    (found,) = answer.elements(NS_COMMANDS, "actions")
    return found["execute"], [child.name for child in found.elements()]
