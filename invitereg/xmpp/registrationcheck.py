"""Asks a server for its registration form before login (XEP-0077 §3.1)."""

from typing import Any

from twisted.words.xish import domish

from invitereg.xmpp.register import NS_REGISTER
from invitereg.xmpp.upstreamdialogue import open_dialogue
from invitereg.xmpp.upstreamhints import UpstreamFailure
from invitereg.xmpp.upstreamkeys import Upstream

_REMEDY = (
    "it registers accounts by itself, which would be a way around every rule. "
    "Prosody: set allow_registration = false, and remove invites_register and register_ibr "
    "from modules_enabled. ejabberd: remove mod_register from modules. Then restart it"
)
_REQUEST = f"<iq type='get' id='r'><query xmlns='{NS_REGISTER}'/></iq>".encode()


async def check_registration(upstream: Upstream, reactor: Any) -> domish.Element:
    """Be sure that a server registers nobody by itself.

    Returns:
        its stream features.

    Raises:
        UpstreamFailure: it has a form for everybody, or it cannot be asked.
    """
    dialogue = await open_dialogue(upstream, reactor)
    try:
        answer = await dialogue.ask(_REQUEST)
    finally:
        dialogue.close()
    # No answer is as good as a refusal: then nobody can register there, either.
    if answer is not None and (answer.name, answer.getAttribute("type")) == ("iq", "result"):
        raise UpstreamFailure(_REMEDY)
    return dialogue.features
