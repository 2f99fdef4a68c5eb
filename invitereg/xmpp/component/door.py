"""The component's door: registration and commands for everybody who writes to its address.

https://xmpp.org/extensions/xep-0114.html

The sender is the address that the server has stamped on the stanza. Apps look for invitations
at the domain itself, so only generic clients for commands find those here.
"""

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel import disco
from wokkel.subprotocols import XMPPHandler

from invitereg.embedded.addresses import parse_jid
from invitereg.errors import Refused, Unavailable
from invitereg.model.namespaces import NS_COMMANDS, NS_PREAUTH, NS_REGISTER
from invitereg.policy.values import Domain, Sender
from invitereg.runtime.workqueue import Client, on_behalf_of
from invitereg.translations import chosen_language
from invitereg.usecases.registrar import Grant, Registrar
from invitereg.xmpp.adhoc.commands import AdHocCommands, Requester
from invitereg.xmpp.component.admission import ConcurrencyLimit, site_of
from invitereg.xmpp.disco import WithoutItems, contact_form
from invitereg.xmpp.registration import RegistrationForm, RegistrationRequest, token_in
from invitereg.xmpp.stanzas import (
    asked_languages,
    error_reply,
    mark_handled,
    result_reply,
    stanza_error,
)

_log = Logger("invitereg.xmpp.component.ComponentDoor")

REMEMBERED_SECONDS = 600.0
MOST_REMEMBERED = 1000


class GrantCache:
    """Keep the latest grant of each account for ten minutes, for up to 1,000 accounts.

    A grant belongs to one session. Each account has one at most, so that no account can push
    out many others.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._by_account: OrderedDict[str, tuple[str | None, float, Grant]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_account)

    def get(self, session: JID) -> Grant | None:
        """Return the grant of a session's token; None if it has sent none lately."""
        resource, until, grant = self._by_account.get(session.userhost(), ("", 0.0, None))
        return grant if resource == session.resource and self._seconds() < until else None

    def remember(self, session: JID, grant: Grant) -> None:
        """Keep a grant in place of the account's last one."""
        account = session.userhost()
        until = self._seconds() + REMEMBERED_SECONDS
        self._by_account[account] = session.resource, until, grant
        self._by_account.move_to_end(account)
        if len(self._by_account) > MOST_REMEMBERED:
            self._by_account.popitem(last=False)

    def forget(self, session: JID) -> None:
        """Forget the grant of the session's account."""
        self._by_account.pop(session.userhost(), None)


AT_ONCE, AT_ONCE_PER_ACCOUNT = 100, 4
"""The most requests under way: of all accounts of the domain, and of one account."""
AT_ONCE_OF_SERVERS, AT_ONCE_PER_SITE = 25, 10
"""The same for other servers: of all, and of one site."""
ANYBODY = "*"

AnswerRequest = Callable[[JID, domish.Element], Awaitable[domish.Element | None]]
"""Returns the payload of the result, for a sender and its request."""


class ComponentDoor(WithoutItems, XMPPHandler):
    """Answer what is sent to the component of one domain."""

    def __init__(
        self,
        domain: Callable[[], Domain],
        registrar: Registrar,
        commands: AdHocCommands,
        register_from: Iterable[str],
        seconds: Callable[[], float],
    ) -> None:
        """``domain`` returns the domain as it is now, after reloads too."""
        super().__init__()
        self._domain = domain
        self._registrar = registrar
        self._commands = commands
        self._register_from = frozenset(register_from)
        self._under_way = ConcurrencyLimit()
        self._own_grants = GrantCache(seconds)
        self._others_grants = GrantCache(seconds)

    def connectionInitialized(self) -> None:
        for kind, uri, name, answer in (
            ("get", NS_REGISTER, "query", self._form),
            ("set", NS_REGISTER, "query", self._register),
            ("set", NS_PREAUTH, "preauth", self._preauth),
            ("set", NS_COMMANDS, "command", self._command),
        ):
            path = f"/iq[@type='{kind}']/{name}[@xmlns='{uri}']"
            self.xmlstream.addObserver(path, self._take, 0, answer)
        for uri, observer in (
            (disco.NS_DISCO_INFO, self._on_info),
            (disco.NS_DISCO_ITEMS, self._on_items),
        ):
            # Before wokkel's, which knows only what is the same for everybody.
            path = f"/iq[@type='get']/query[@xmlns='{uri}'][@node]"
            self.xmlstream.addObserver(path, observer, 1)
        for path in ("/iq[@type='get']", "/iq[@type='set']", "/message"):
            self.xmlstream.addObserver(path, self._on_rest, -1)

    def getDiscoInfo(
        self, _requestor: JID, _target: JID, node: str = ""
    ) -> list[disco.DiscoFeature]:
        if node:
            return []
        domain = self._domain()
        name = f"Invitations to {domain.site_name}"
        identity = disco.DiscoIdentity("automation", "command-node", name)
        uris = (NS_REGISTER, NS_PREAUTH, NS_COMMANDS)
        return [identity, *map(disco.DiscoFeature, uris), *contact_form(domain)]

    def _on_info(self, iq: domish.Element) -> None:
        if self._commands.has(iq.query["node"]):
            self._take(self._info, iq)

    def _on_items(self, iq: domish.Element) -> None:
        if iq.query["node"] == NS_COMMANDS:
            self._take(self._items, iq)

    def _on_rest(self, stanza: domish.Element) -> None:
        """Refuse what no handler has answered (RFC 6121 §8.5.1)."""
        unread = stanza.name == "iq" or stanza.getAttribute("type") in (None, "normal", "chat")
        if not unread or stanza.handled or not stanza.hasAttribute("from"):
            return
        if stanza.name == "iq" or stanza.body is not None:
            self._refuse(stanza, StanzaError("service-unavailable", "cancel"))

    def _take(self, answer: AnswerRequest, iq: domish.Element) -> None:
        if iq.handled or "@" in iq.getAttribute("to", "").partition("/")[0]:
            return
        mark_handled(iq)
        # How many of whom are at once is for `_at_once` to say.
        with on_behalf_of(Client("component")):
            working = Deferred.fromCoroutine(self._reply(iq, answer))
        working.addErrback(
            lambda failure: _log.failure("a component's request failed", failure)
        )

    async def _reply(self, iq: domish.Element, answer: AnswerRequest) -> None:
        try:
            sender = parse_jid(iq["from"])
            _require_prepared(sender, iq["from"])
            with self._under_way.one_more(self._at_once(sender)):
                payload = await answer(sender, iq)
        except Refused as refusal:
            self._refuse(iq, stanza_error(refusal, asked_languages(iq)))
        except StanzaError as error:
            self._refuse(iq, error)
        except Exception:
            unavailable = Unavailable(secrets.token_hex(4))
            _log.failure("a component's request failed (error {id})", id=unavailable.error_id)
            self._refuse(iq, stanza_error(unavailable, asked_languages(iq)))
        else:
            self.send(result_reply(iq, payload))

    def _refuse(self, stanza: domish.Element, error: StanzaError) -> None:
        self.send(error_reply(stanza, error))

    def _at_once(self, sender: JID) -> list[tuple[str, int]]:
        """Return the keys that limit a sender's requests under way, each with its limit."""
        account = (f"account {sender.userhost()}", AT_ONCE_PER_ACCOUNT)
        if self._is_ours(sender):
            return [account, ("own", AT_ONCE)]
        site = (f"site {site_of(sender.host)}", AT_ONCE_PER_SITE)
        return [account, site, ("others", AT_ONCE_OF_SERVERS)]

    def _is_ours(self, sender: JID) -> bool:
        return bool(sender.host == self._domain().name)

    def _require_known(self, sender: JID) -> None:
        """Raise StanzaError unless users of the sender's domain may register."""
        known = {self._domain().name, *self._register_from}
        if sender.host not in known and ANYBODY not in known:
            text = "Registration is not allowed from your server."
            raise StanzaError("forbidden", "auth", text, "en")

    def _origin(self, sender: JID) -> Sender:
        """Return the sender to count: all accounts of another server, which may invent any."""
        ours = self._is_ours(sender)
        return Sender(sender.userhost() if ours else sender.host, sender.host)

    def _grants(self, sender: JID) -> GrantCache:
        return self._own_grants if self._is_ours(sender) else self._others_grants

    async def _preauth(self, sender: JID, iq: domish.Element) -> None:
        self._require_known(sender)
        grant = await self._registrar.preauthorise(
            self._domain().name, self._origin(sender), token_in(iq)
        )
        self._grants(sender).remember(sender, grant)

    async def _form(self, sender: JID, iq: domish.Element) -> domish.Element:
        self._require_known(sender)
        grant = self._grants(sender).get(sender)
        form = RegistrationForm.for_invite(self._domain(), grant.invite if grant else None)
        return form.toElement(asked_languages(iq))

    async def _register(self, sender: JID, iq: domish.Element) -> None:
        self._require_known(sender)
        request = RegistrationRequest.fromElement(iq.query)
        if request.remove:
            text = "An account is removed at its own server."
            raise StanzaError("not-allowed", "cancel", text, "en")
        grants = self._grants(sender)
        origin, grant = self._origin(sender), grants.get(sender)
        await self._registrar.redeem(
            request.submission(self._domain().name, "component", origin, grant)
        )
        grants.forget(sender)

    async def _command(self, sender: JID, iq: domish.Element) -> domish.Element:
        return await self._commands.perform(self._requester(sender, iq), iq.command)

    async def _info(self, sender: JID, iq: domish.Element) -> domish.Element:
        return await self._commands.info(self._requester(sender, iq), iq.query["node"])

    async def _items(self, sender: JID, iq: domish.Element) -> domish.Element:
        return await self._commands.items(self._requester(sender, iq), iq["to"])

    def _requester(self, sender: JID, iq: domish.Element) -> Requester:
        """Return the requester of a command; raise StanzaError for users of other domains."""
        domain = self._domain()
        if sender.host != domain.name or sender.user is None:
            raise StanzaError("forbidden", "auth")
        return Requester(sender, domain, chosen_language(asked_languages(iq)))


def _require_prepared(sender: JID, written: str) -> None:
    """Raise StanzaError if the server has prepared the sender's name in another way.

    Prosody knows a later version of Unicode: it may have two accounts where we see one name.
    """
    if sender.user and not written.startswith(f"{sender.user}@"):
        raise StanzaError("jid-malformed", "modify")
