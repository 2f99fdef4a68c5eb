"""What watchers and newcomers are told by a component, whatever becomes of its connection."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from twisted.internet.defer import Deferred

from invitereg.interfaces.queries import Redemption
from invitereg.model.accounts import Account
from invitereg.model.invites import Kind, Use
from invitereg.policy.notices import notices_about
from invitereg.policy.values import Domain, Policy, WatcherNotice
from invitereg.runtime.logs import FOREIGN_CHARACTERS
from invitereg.testing import memory_store
from invitereg.xmpp.component import notices
from invitereg.xmpp.component.notices import ComponentNotices
from tests.spying import logged
from tests.xmpp.component.test_connection import JID, ComponentStreamCase

DOMAIN, OTHER = "example.com", "example.org"
AT = datetime(2026, 1, 1, tzinfo=UTC)


class ComponentNoticesTests(ComponentStreamCase):
    def setUp(self):
        super().setUp()
        self.domains = {
            DOMAIN: Domain(
                name=DOMAIN,
                policy=Policy(),
                site_name="Verona",
                watchers=((DOMAIN, "romeo"), (OTHER, "escalus")),
                welcome="Welcome to {site_name}, {username}!",
            )
        }
        self.store = memory_store()
        self.now = AT
        self.notices = self.make_notices(DOMAIN)

    def make_notices(self, host):
        """What tells the accounts of a server that spells itself so."""
        notices = ComponentNotices(
            host,
            JID,
            self.line.ask,
            self.domains,
            self.store,
            lambda: self.now,
            self.reactor.seconds,
        )
        notices.setHandlerParent(self.line)
        return notices

    def register(self, username="juliet", domain=DOMAIN):
        use = Use(domain=domain, username=username, kind=Kind.ACCOUNT, at=AT, door="c2s")
        account = Account(domain=domain, username=username, created_at=AT)
        notices = tuple(notices_about(self.domains[domain], use))
        redemption = Redemption(account=account, use=use, notices=notices)
        self.successResultOf(self.store.redeem(redemption))

    def second(self):
        """What a service does every second; returns what is not done with yet."""
        return Deferred.fromCoroutine(self.notices.send_new())

    def sent(self, name="message"):
        """The stanzas that went out since the last look."""
        text = self.transport.value().decode()
        return re.findall(rf"<{name} .*?</{name}>", text)

    def answer(self):
        """The server has read everything, and answers the ping."""
        (ping,) = self.sent("iq")
        (stanza_id,) = re.findall(r"id='(\w+)'", ping)
        self.transport.clear()
        self.protocol.dataReceived(f"<iq type='error' id='{stanza_id}'/>".encode())

    def left(self, domain=DOMAIN):
        """Who is still to be told."""
        found = self.successResultOf(self.store.notices_after(0, 100))
        return [one.username for one in found if one.domain == domain]

    def test_told(self):
        """Newcomer and watcher are told by the component; others are another's to tell."""
        self.ready()
        self.register()
        telling = self.second()
        welcome, watched = self.sent()
        self.assertIn(f"to='juliet@{DOMAIN}'", welcome)
        self.assertIn("<body>Welcome to Verona, juliet!</body>", welcome)
        self.assertIn(f"to='romeo@{DOMAIN}'", watched)
        self.assertIn(f"from='{JID}'", watched)
        self.assertNotIn("xmlns='jabber:client'", watched)
        self.assertIn("juliet@example.com has registered; door: c2s", watched)
        self.assertEqual(self.left(), ["juliet", "romeo"])
        self.answer()
        self.successResultOf(telling)
        self.assertEqual(self.left(), [])
        self.assertEqual(self.left(OTHER), ["escalus"])
        self.successResultOf(self.second())
        self.assertEqual(self.sent(), [])

    def test_spelling_of_the_server(self):
        """A server that knows its domain by A-labels is written to by them, and understood."""
        domain, host = "m\u00fcnchen.example", "xn--mnchen-3ya.example"
        self.domains[domain] = replace(self.domains[DOMAIN], name=domain, watchers=())
        spelt = self.make_notices(host)
        self.ready()
        self.register(domain=domain)
        said = logged(self)
        telling = Deferred.fromCoroutine(spelt.send_new())
        ((welcome,), (ping,)) = self.sent(), self.sent("iq")
        self.assertIn(f"to='juliet@{host}'", welcome)
        self.assertIn(f"to='{host}'", ping)
        self.protocol.dataReceived(
            f"<message type='error' id='notice-1' to='{JID}' from='juliet@{host}'>"
            "<error type='cancel'>"
            "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            "</message>".encode()
        )
        (text,) = [text for text in said if "notices at" in text]
        self.assertIn(f"juliet@{host} was not told", text)
        self.answer()
        self.successResultOf(telling)
        self.assertEqual(self.left(domain), [])

    def test_own_words(self):
        """What watchers are told, and by which type of message, is the operator's to say."""
        notice = WatcherNotice(text="{username}, {inviter}, {door}", type="normal")
        self.domains[DOMAIN] = replace(self.domains[DOMAIN], watcher_notice=notice)
        self.ready()
        self.register()
        self.second()
        welcome, watched = self.sent()
        self.assertIn("type='chat'", welcome)
        self.assertIn("type='normal'", watched)
        self.assertIn("<body>juliet, -, c2s</body>", watched)

    def test_server_is_away(self):
        """What happens while the server is away is told when it is back, with its time."""
        self.register()
        self.successResultOf(self.second())
        self.now += timedelta(hours=1)
        self.ready()
        telling = self.second()
        self.assertIn(f"stamp='2026-01-01T00:00:00Z' from='{JID}'", _sorted(self.sent()[0]))
        self.answer()
        self.successResultOf(telling)
        self.assertEqual(self.left(), [])

    def test_cut(self):
        """What may not have arrived before the line was cut is told again, as the same."""
        self.ready()
        self.register()
        telling = self.second()
        before = self.sent()
        self.lose()
        self.successResultOf(telling)
        self.reactor.advance(5)
        self.ready()
        telling = self.second()
        self.assertEqual(self.sent(), before)
        self.answer()
        self.successResultOf(telling)
        self.assertEqual(self.left(), [])

    def test_never_confirmed(self):
        """A server that answers no ping gets each notice three times, and no more."""
        said = logged(self)
        self.register()
        sent = []
        for _ in range(6):
            self.ready()
            # As another process would go on after a restart: what counts is in the store.
            self.notices.connectionInitialized()
            telling = self.second()
            sent += self.sent()
            self.lose()
            self.successResultOf(telling)
            self.reactor.advance(5)
        self.assertEqual(len(sent), 6)
        self.assertEqual(len(set(sent)), 2)
        self.assertEqual(self.left(), [])
        self.assertEqual(self.left(OTHER), ["escalus"])
        texts = [text for text in said if "gave up" in text]
        self.assertEqual(len(texts), 1, texts)
        self.assertIn(f"juliet@{DOMAIN}, romeo@{DOMAIN}", texts[0])
        self.assertIn("check --online", texts[0])

    def test_slow(self):
        """A server that answers nothing for a while is not told the same again and again."""
        self.ready()
        self.register()
        for _ in range(3):
            telling = self.second()
            self.reactor.advance(4)
            self.protocol.dataReceived(b"<presence/>")
            self.successResultOf(telling)
        self.assertEqual(len(self.sent()), 2)
        self.transport.clear()
        telling = self.second()
        self.answer()
        self.successResultOf(telling)
        self.assertEqual(self.left(), [])

    def test_many(self):
        """Not everything is sent at once, but all of it in the end."""
        self.patch(notices, "AT_ONCE", 4)
        self.ready()
        for number in range(5):
            self.register(f"u{number}")
        seen = []
        while self.left():
            working = self.second()
            self.assertLessEqual(len(self.sent()), 6)
            seen += self.sent()
            self.answer()
            self.successResultOf(working)
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual(len(seen), 10)

    def test_nothing_to_say(self):
        """What has no text any more is forgotten."""
        self.ready()
        self.register()
        self.domains[DOMAIN] = replace(self.domains[DOMAIN], welcome="")
        telling = self.second()
        self.assertEqual(len(self.sent()), 1)
        self.answer()
        self.successResultOf(telling)
        self.assertEqual(self.left(), [])

    def test_refused(self):
        """That the server keeps nothing for who is away is said, on its word alone."""
        said = logged(self)
        self.ready()
        self.register()
        self.second()
        for sender in ("tybalt@example.com/x", f"juliet@{DOMAIN}"):
            self.protocol.dataReceived(
                f"<message type='error' id='notice-1' to='{JID}' from='{sender}'>"
                "<error type='cancel'>"
                "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
                "</message>".encode()
            )
        texts = [text for text in said if "notices at" in text]
        self.assertEqual(len(texts), 1)
        self.assertIn("juliet@example.com was not told", texts[0])
        self.assertIn("(service-unavailable)", texts[0])
        self.assertIn("mod_offline", texts[0])

    def test_refused_oddly(self):
        """Of a condition that somebody has made up, the log has a part, and in quotes."""
        said = logged(self)
        self.ready()
        self.register()
        self.second()
        condition = "\u0430" * 5000
        self.protocol.dataReceived(
            f"<message type='error' id='notice-1' to='{JID}' from='juliet@{DOMAIN}'>"
            f"<error type='cancel'><{condition} xmlns='urn:x'/></error></message>".encode()
        )
        (text,) = [text for text in said if "notices at" in text]
        self.assertIn(f'("{condition[:FOREIGN_CHARACTERS]}…")', text)
        self.assertLess(len(text), 600)


def _sorted(element):
    """An element whose delay has its attributes in a known order."""
    return re.sub(r"from='([^']*)' stamp='([^']*)'", r"stamp='\2' from='\1'", element)
