"""An internationalized domain is one domain, however clients spell it (RFC 7622 §3.2.1)."""

from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.interfaces.queries import Redemption
from invitereg.model.accounts import Account
from invitereg.model.invites import Kind, Use, token_digest
from invitereg.model.namespaces import NS_ROSTER
from invitereg.policy.values import Domain, Policy
from invitereg.testing import make_invite
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import (
    BIND,
    NS_REGISTER,
    PASSWORD,
    TOKEN,
    plain,
    preauth,
    registration,
)

UNICODE, ASCII = "münchen.example", "xn--mnchen-3ya.example"
SPELLINGS = (UNICODE, ASCII, ASCII.upper(), f"{ASCII}.", "MÜNCHEN.example")


class SpellingTests(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.listener.domains[UNICODE] = Domain(
            name=UNICODE, policy=Policy(), site_name="München"
        )
        self.accounts = self.listener.accounts[UNICODE] = EmbeddedAccounts(
            UNICODE, self.listener.store, self.listener.work, self.listener.now, 4096
        )

    def add_account(self, username):
        now = self.listener.now()
        account = Account(domain=UNICODE, username=username, created_at=now)
        use = Use(domain=UNICODE, username=username, kind=Kind.ACCOUNT, at=now, door="cli")
        redemption = Redemption(account=account, use=use)
        self.successResultOf(self.accounts.redeem(redemption, PASSWORD))

    def opened(self, spelling):
        client = self.listener.connect()
        self.assertEqual(client.open(to=spelling).name, "features")
        return client

    def session(self, username, spelling, authzid=""):
        """A client that logs in, and asks for its roster; its bound address is ``jid``."""
        client = self.opened(spelling)
        self.assertEqual(client.ask(plain(username, authzid=authzid)).name, "success")
        client.open(to=spelling)
        client.jid = str(client.ask(BIND.format("r")).bind.jid)
        own = f"{username}@{spelling.removesuffix('.')}"
        answer = client.ask(
            f"<iq type='get' id='r' to='{own}'><query xmlns='{NS_ROSTER}'/></iq>"
        )
        self.assertResult(answer)
        client.send("<presence/>")
        client.receive()
        return client

    def test_header(self):
        """It is served by both names, and answers by the one that was asked for."""
        for spelling in SPELLINGS:
            client = self.opened(spelling)
            expected = ASCII if spelling.isascii() else UNICODE
            self.assertEqual(client.header["from"], expected)
        client = self.listener.connect()
        client.open(to="xn--strae-oqa.example")
        self.assertEqual(client.header["from"], "example.com")

    def test_registration(self):
        """A token of the domain is good by any of its names, and the account can log in."""
        for number, spelling in enumerate(SPELLINGS):
            token, name = f"{number}{TOKEN[1:]}", f"juliet{number}"
            invite = make_invite(id=f"invite{number}", domain=UNICODE)
            self.successResultOf(self.listener.store.create_invite(invite, token_digest(token)))
            client = self.opened(spelling)
            to = f" to='{spelling}'"
            self.assertResult(client.ask(preauth(token, to)))
            form = client.ask(f"<iq type='get' id='f'{to}><query xmlns='{NS_REGISTER}'/></iq>")
            self.assertEqual(form["from"], spelling)
            self.assertResult(client.ask(registration(name, attributes=to)))
            self.assertEqual(self.session(name, ASCII).jid, f"{name}@{UNICODE}/r")

    def test_authzid(self):
        """A client may say whom it wants to be in the domain's other spelling."""
        self.add_account("juliet")
        for spelling in SPELLINGS:
            self.session("juliet", UNICODE, authzid=f"juliet@{spelling.removesuffix('.')}")
        client = self.opened(UNICODE)
        wrong = client.ask(plain("juliet", authzid=f"romeo@{ASCII}"))
        self.assertFails(wrong, "invalid-authzid")

    def test_messages(self):
        """Messages to the other spelling arrive, addressed by the name that is stored."""
        for name in ("juliet", "romeo"):
            self.add_account(name)
        romeo = self.session("romeo", UNICODE)
        juliet = self.session("juliet", ASCII)
        for spelling in SPELLINGS:
            to = f"romeo@{spelling.removesuffix('.')}"
            juliet.send(f"<message to='{to}' type='chat'><body>x</body></message>")
            (arrived,) = romeo.receive()
            self.assertEqual(arrived["from"], f"juliet@{UNICODE}/r")
            self.assertEqual(arrived["to"], f"romeo@{UNICODE}")

    def test_requests_to_the_domain(self):
        """The domain answers by whichever name it was asked, and offers the same commands."""
        self.add_account("juliet")
        client = self.session("juliet", ASCII)
        for spelling in SPELLINGS:
            for query in (
                "<query xmlns='http://jabber.org/protocol/disco#info'/>",
                "<query xmlns='http://jabber.org/protocol/disco#items' "
                "node='http://jabber.org/protocol/commands'/>",
                "<ping xmlns='urn:xmpp:ping'/>",
            ):
                to = spelling.removesuffix(".")
                answer = client.ask(f"<iq type='get' id='q' to='{to}'>{query}</iq>")
                self.assertResult(answer)
                self.assertEqual(answer["from"], to)

    def test_contacts(self):
        """A contact that is added in both spellings is one, and is asked once."""
        for name in ("juliet", "romeo"):
            self.add_account(name)
        romeo = self.session("romeo", UNICODE)
        juliet = self.session("juliet", UNICODE)
        for domain in (ASCII, UNICODE):
            juliet.send(
                f"<iq type='set' id='s'><query xmlns='{NS_ROSTER}'>"
                f"<item jid='romeo@{domain}' name='{domain}'/></query></iq>"
            )
        juliet.send(f"<presence type='subscribe' to='romeo@{ASCII}'/>")
        (asked,) = romeo.receive()
        self.assertEqual((asked["type"], asked["from"]), ("subscribe", f"juliet@{UNICODE}"))
        romeo.send(f"<presence type='subscribed' to='juliet@{ASCII}'/>")
        roster = self.successResultOf(self.listener.store.get_roster(UNICODE, "juliet"))
        items = [(jid, str(item.subscription), item.name) for jid, item in roster.items()]
        self.assertEqual(items, [(f"romeo@{UNICODE}", "to", UNICODE)])
