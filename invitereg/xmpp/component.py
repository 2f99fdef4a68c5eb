"""The component's door: registration and commands for whoever writes to its address.

https://xmpp.org/extensions/xep-0114.html

Who writes is known by the address that the server has stamped on the stanza. Apps look for
invitations at the domain itself, so only generic clients for commands find those here.
"""

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
from invitereg.policy.values import Domain
from invitereg.registrar import Grant, Registrar, Submission
from invitereg.xmpp.adhoc import NS_COMMANDS, AdHocCommands, Asker
from invitereg.xmpp.errors import stanza_error
from invitereg.xmpp.preauth import NS_PREAUTH
from invitereg.xmpp.register import NS_REGISTER, RegistrationForm, RegistrationRequest

REMEMBERED_SECONDS = 600.0
MOST_REMEMBERED = 1000
AT_ONCE = 50
PER_ADDRESS, PER_DOMAIN = 30, 300
"""How many requests one bare JID, and all of a domain, may make in a minute."""
_MINUTE = 60.0
ANYBODY = "*"


class Rate:
    """Counts what each does within a minute; of too many, the first are forgotten."""

    def __init__(self, most: int, seconds: Callable[[], float], keys: int = 10000) -> None:
        self._most = most
        self._seconds = seconds
        self._keys = keys
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def add(self, key: str) -> bool:
        """Count one more; False if it is one too many."""
        now = self._seconds()
        began, count = self._counts.get(key, (now, 0))
        if now - began >= _MINUTE:
            began, count = now, 0
        self._counts[key] = (began, count + 1)
        if len(self._counts) > self._keys:
            self._counts.popitem(last=False)
        return count < self._most


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
        items = (
            f"/iq[@type='get']/query[@xmlns='{disco.NS_DISCO_ITEMS}'][@node='{NS_COMMANDS}']"
        )
        # Before wokkel's, which knows only items that are the same for everybody.
        self.xmlstream.addObserver(items, self._on_items, 1)

    def getDiscoInfo(self, _requestor: JID, _target: JID, node: str = "") -> list[Any]:
        """What the component is and does."""
        if node:
            return []
        name = self._domain().site_name
        features = (NS_REGISTER, NS_PREAUTH, NS_COMMANDS)
        return [
            disco.DiscoIdentity("automation", "command-node", f"Invitations to {name}"),
            *(disco.DiscoFeature(feature) for feature in features),
        ]

    def getDiscoItems(self, _requestor: JID, _target: JID, _node: str = "") -> list[Any]:
        """There are none but commands."""
        return []

    def _on_items(self, iq: domish.Element) -> None:
        self._take(iq, self._items)

    def _on_request(self, iq: domish.Element) -> None:
        payload = next(iq.elements())
        answer = self._answers.get((iq["type"], payload.uri, payload.name))
        if answer is not None:
            self._take(iq, answer)

    def _take(
        self,
        iq: domish.Element,
        answer: Callable[[JID, domish.Element], Coroutine[Any, Any, domish.Element | None]],
    ) -> None:
        if getattr(iq, "handled", False):
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
            payload = await answer(sender, next(iq.elements()))
        except InvalidFormat:
            return
        except Refused as refusal:
            self.send(stanza_error(refusal).toResponse(_bare(iq)))
        except StanzaError as error:
            self.send(error.toResponse(_bare(iq)))
        except Exception:
            unavailable = Unavailable(iq.getAttribute("id") or "-")
            self._log.failure("a component's request failed")
            self.send(stanza_error(unavailable).toResponse(_bare(iq)))
        else:
            response = toResponse(iq, "result")
            if payload is not None:
                response.addChild(payload)
            self.send(response)
        finally:
            self._busy -= 1

    def _require_quiet(self, sender: JID) -> None:
        """Raises Throttled if too much is asked by one, by all of a domain, or by all."""
        few = self._by_address.add(sender.userhost()) and self._by_domain.add(sender.host)
        if not few or self._busy > AT_ONCE:
            raise Throttled(_MINUTE)

    def _require_known(self, sender: JID) -> None:
        """Raises StanzaError unless users of the sender's domain may register."""
        known = {self._domain().name, *self._register_from}
        if sender.host not in known and ANYBODY not in known:
            text = "Registration is not allowed from your server."
            raise StanzaError("forbidden", "auth", text, "en")

    def _grant(self, sender: JID) -> Grant | None:
        found = self._grants.get(sender.full())
        if found is None or found[0] <= self._seconds():
            return None
        return found[1]

    async def _preauth(self, sender: JID, preauth: domish.Element) -> None:
        self._require_known(sender)
        token = preauth.getAttribute("token") or ""
        if not token:
            raise StanzaError("bad-request", "modify", "The token is missing.", "en")
        grant = await self._registrar.preauthorise(self._domain().name, None, token)
        self._grants[sender.full()] = (self._seconds() + REMEMBERED_SECONDS, grant)
        self._grants.move_to_end(sender.full())
        if len(self._grants) > MOST_REMEMBERED:
            self._grants.popitem(last=False)

    async def _form(self, sender: JID, _query: domish.Element) -> domish.Element:
        self._require_known(sender)
        grant = self._grant(sender)
        form = RegistrationForm.for_invite(self._domain(), grant.invite if grant else None)
        return form.toElement()

    async def _register(self, sender: JID, query: domish.Element) -> None:
        self._require_known(sender)
        request = RegistrationRequest.fromElement(query)
        if request.remove:
            text = "An account is removed at its own server."
            raise StanzaError("not-allowed", "cancel", text, "en")
        request.require_clear()
        values = dict(request.values)
        await self._registrar.redeem(
            Submission(
                domain=self._domain().name,
                door="component",
                address=None,
                username=values.pop("username", "").strip(),
                password=values.pop("password", ""),
                fields=values,
                grant=self._grant(sender),
            )
        )
        self._grants.pop(sender.full(), None)

    async def _command(self, sender: JID, command: domish.Element) -> domish.Element:
        return await self._commands.perform(self._asker(sender), command)

    async def _items(self, sender: JID, _query: domish.Element) -> domish.Element:
        return await self._commands.items(self._asker(sender))

    def _asker(self, sender: JID) -> Asker:
        """Who gives a command: a user of the domain; raises StanzaError for others."""
        domain = self._domain()
        if sender.host != domain.name or sender.user is None:
            raise StanzaError("forbidden", "auth")
        return Asker.speaking(sender, domain, ())


def _bare(iq: domish.Element) -> domish.Element:
    """The request without what it carries: an error does not repeat a password."""
    bare = domish.Element((None, "iq"))
    for name in ("type", "id", "from", "to"):
        if iq.hasAttribute(name):
            bare[name] = iq[name]
    return bare
