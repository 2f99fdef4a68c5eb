"""The component's door: registration and commands for whoever writes to its address.

https://xmpp.org/extensions/xep-0114.html

Who writes is known by the address that the server has stamped on the stanza. Apps look for
invitations at the domain itself, so only generic clients for commands find those here.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID, InvalidFormat
from twisted.words.protocols.jabber.xmlstream import toResponse
from twisted.words.xish import domish
from wokkel import disco
from wokkel.iwokkel import IDisco
from wokkel.subprotocols import XMPPHandler
from zope.interface import implementer

from invitereg.errors import Refused, Throttled, Unavailable
from invitereg.policy.values import Domain, Sender
from invitereg.registrar import Grant, Registrar, Submission
from invitereg.xmpp.adhoc import LANGUAGE, NS_COMMANDS, AdHocCommands, Asker
from invitereg.xmpp.commands import about_command
from invitereg.xmpp.disco import contact_form
from invitereg.xmpp.errors import stanza_error
from invitereg.xmpp.preauth import NS_PREAUTH
from invitereg.xmpp.rate import MINUTE, Rate
from invitereg.xmpp.register import NS_REGISTER, RegistrationForm, RegistrationRequest

REMEMBERED_SECONDS = 600.0
MOST_REMEMBERED = 1000
AT_ONCE = 50
PER_ADDRESS, PER_DOMAIN = 30, 300
"""How many requests one bare JID, and all of a domain, may make in a minute."""
ANYBODY = "*"


@implementer(IDisco)
class ComponentDoor(XMPPHandler):
    """Answers what is sent to a component of one domain."""

    _log = Logger()

    def __init__(
        self,
        domain: Callable[[], Domain],
        registrar: Registrar,
        commands: AdHocCommands,
        register_from: Iterable[str],
        seconds: Callable[[], float],
    ) -> None:
        """``domain`` is the one that is served, as it is then; ``seconds`` never jumps."""
        super().__init__()
        self._domain = domain
        self._registrar = registrar
        self._commands = commands
        self._register_from = frozenset(register_from)
        self._seconds = seconds
        self._by_address = Rate(PER_ADDRESS, seconds)
        self._by_domain = Rate(PER_DOMAIN, seconds)
        self._grants: OrderedDict[str, tuple[float, Grant]] = OrderedDict()
        self._busy = 0
        self._answers = {
            ("get", NS_REGISTER, "query"): self._form,
            ("set", NS_REGISTER, "query"): self._register,
            ("set", NS_PREAUTH, "preauth"): self._preauth,
            ("set", NS_COMMANDS, "command"): self._command,
        }

    def connectionInitialized(self) -> None:
        """Listen."""
        for kind, uri, name in self._answers:
            path = f"/iq[@type='{kind}']/{name}[@xmlns='{uri}']"
            self.xmlstream.addObserver(path, self._on_request)
        for uri, observer in (
            (disco.NS_DISCO_INFO, self._on_info),
            (disco.NS_DISCO_ITEMS, self._on_items),
        ):
            # Before wokkel's, which knows only what is the same for everybody.
            path = f"/iq[@type='get']/query[@xmlns='{uri}'][@node]"
            self.xmlstream.addObserver(path, observer, 1)
        for path in ("/iq[@type='get']", "/iq[@type='set']", "/message"):
            self.xmlstream.addObserver(path, self._on_rest, -1)

    def getDiscoInfo(self, _requestor: JID, _target: JID, node: str = "") -> list[Any]:
        """What the component is and does, and whom to write to (XEP-0157)."""
        if node:
            return []
        domain = self._domain()
        features = (NS_REGISTER, NS_PREAUTH, NS_COMMANDS)
        return [
            disco.DiscoIdentity(
                "automation", "command-node", f"Invitations to {domain.site_name}"
            ),
            *(disco.DiscoFeature(feature) for feature in features),
            *contact_form(domain),
        ]

    def getDiscoItems(self, _requestor: JID, _target: JID, _node: str = "") -> list[Any]:
        """There are none but commands."""
        return []

    def _on_info(self, iq: domish.Element) -> None:
        if self._commands.has(iq.query["node"]):
            self._take(iq, self._info)

    def _on_items(self, iq: domish.Element) -> None:
        if iq.query["node"] == NS_COMMANDS:
            self._take(iq, self._items)

    def _on_request(self, iq: domish.Element) -> None:
        payload = next(iq.elements())
        answer = self._answers.get((iq["type"], payload.uri, payload.name))
        if answer is not None:
            self._take(iq, answer)

    def _on_rest(self, stanza: domish.Element) -> None:
        """Say that nobody reads what is no request of ours (RFC 6121 §8.5.1)."""
        unread = stanza.name == "iq" or stanza.getAttribute("type") in (None, "normal", "chat")
        if not unread or _is_handled(stanza) or not stanza.hasAttribute("from"):
            return
        if stanza.name == "iq" or stanza.body is not None:
            self._refuse(stanza, StanzaError("service-unavailable", "cancel"))

    def _take(
        self,
        iq: domish.Element,
        answer: Callable[[JID, domish.Element], Coroutine[Any, Any, domish.Element | None]],
    ) -> None:
        if _is_handled(iq) or "@" in iq.getAttribute("to", "").partition("/")[0]:
            return
        iq.handled = True  # type: ignore[attr-defined]  # read by wokkel
        Deferred.fromCoroutine(self._reply(iq, answer)).addErrback(
            lambda failure: self._log.failure("a component's request failed", failure)
        )

    async def _reply(self, iq: domish.Element, answer: Any) -> None:
        self._busy += 1
        try:
            sender = JID(iq.getAttribute("from") or "")
            self._require_quiet(sender)
            payload = await answer(sender, iq)
        except InvalidFormat:
            return
        except Refused as refusal:
            self._refuse(iq, stanza_error(refusal))
        except StanzaError as error:
            self._refuse(iq, error)
        except Exception:
            unavailable = Unavailable(secrets.token_hex(4))
            self._log.failure(
                "a component's request failed (error {id})", id=unavailable.error_id
            )
            self._refuse(iq, stanza_error(unavailable))
        else:
            response = toResponse(iq, "result")
            if payload is not None:
                response.addChild(payload)
            self.send(response)
        finally:
            self._busy -= 1

    def _refuse(self, stanza: domish.Element, error: StanzaError) -> None:
        """Answer by an error, without what was sent: that may be a password."""
        response = toResponse(stanza, "error")
        for element in about_command(stanza):
            response.addChild(element)
        response.addChild(error.getElement())
        self.send(response)

    def _require_quiet(self, sender: JID) -> None:
        """Raises Throttled if too much is asked by one, by all of a domain, or by all."""
        few = self._by_address.add(sender.userhost()) and self._by_domain.add(sender.host)
        if not few or self._busy > AT_ONCE:
            raise Throttled(MINUTE)

    def _require_known(self, sender: JID) -> None:
        """Raises StanzaError unless users of the sender's domain may register."""
        known = {self._domain().name, *self._register_from}
        if sender.host not in known and ANYBODY not in known:
            text = "Registration is not allowed from your server."
            raise StanzaError("forbidden", "auth", text, "en")

    def _origin(self, sender: JID) -> Sender:
        """Whom to count: of another server all together, as it makes up whom it likes."""
        ours = sender.host == self._domain().name
        return Sender(sender.userhost() if ours else sender.host, sender.host)

    def _grant(self, sender: JID) -> Grant | None:
        found = self._grants.get(sender.full())
        if found is None or found[0] <= self._seconds():
            return None
        return found[1]

    async def _preauth(self, sender: JID, iq: domish.Element) -> None:
        self._require_known(sender)
        token = iq.preauth.getAttribute("token") or ""
        if not token:
            raise StanzaError("bad-request", "modify", "The token is missing.", "en")
        grant = await self._registrar.preauthorise(
            self._domain().name, self._origin(sender), token
        )
        self._grants[sender.full()] = (self._seconds() + REMEMBERED_SECONDS, grant)
        self._grants.move_to_end(sender.full())
        if len(self._grants) > MOST_REMEMBERED:
            self._grants.popitem(last=False)

    async def _form(self, sender: JID, _iq: domish.Element) -> domish.Element:
        self._require_known(sender)
        grant = self._grant(sender)
        form = RegistrationForm.for_invite(self._domain(), grant.invite if grant else None)
        return form.toElement()

    async def _register(self, sender: JID, iq: domish.Element) -> None:
        self._require_known(sender)
        request = RegistrationRequest.fromElement(iq.query)
        if request.remove:
            text = "An account is removed at its own server."
            raise StanzaError("not-allowed", "cancel", text, "en")
        request.require_clear()
        values = dict(request.values)
        await self._registrar.redeem(
            Submission(
                domain=self._domain().name,
                door="component",
                address=self._origin(sender),
                username=values.pop("username", "").strip(),
                password=values.pop("password", ""),
                fields=values,
                grant=self._grant(sender),
            )
        )
        self._grants.pop(sender.full(), None)

    async def _command(self, sender: JID, iq: domish.Element) -> domish.Element:
        return await self._commands.perform(self._asker(sender, iq), iq.command)

    async def _info(self, sender: JID, iq: domish.Element) -> domish.Element:
        return await self._commands.info(self._asker(sender, iq), iq.query["node"])

    async def _items(self, sender: JID, iq: domish.Element) -> domish.Element:
        return await self._commands.items(self._asker(sender, iq), iq["to"])

    def _asker(self, sender: JID, iq: domish.Element) -> Asker:
        """Who gives a command: a user of the domain; raises StanzaError for others."""
        domain = self._domain()
        if sender.host != domain.name or sender.user is None:
            raise StanzaError("forbidden", "auth")
        payload = next(iq.elements())
        said = (payload.getAttribute(LANGUAGE), iq.getAttribute(LANGUAGE))
        return Asker.speaking(sender, domain, [tag for tag in said if tag][:1])


def _is_handled(stanza: domish.Element) -> bool:
    return stanza.handled is True
