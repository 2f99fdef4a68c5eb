"""Users make invites from their app, and see what becomes of them (XEP-0401)."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from invitereg.interfaces.queries import InviteChanges
from invitereg.model.invites import Kind
from invitereg.policy.values import Domain, InviteRules, Limit, Policy, UserInviteLimits
from tests.xmpp.adhoc.execution import (
    CREATE_ACCOUNT,
    INVITE,
    LIST,
    NS_COMMANDS,
    NS_INFO,
    NS_ITEMS,
    RENEW,
    RESET,
    REVOKE,
    XML_LANG,
    actions,
    command,
    form,
    note,
    rows,
    specific,
    values,
)
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import DOMAIN, NS_X_DATA, error_of, header, preauth, registration

FOR_USERS = [INVITE, LIST, RENEW, REVOKE]


class InviteCase(DoorTestCase):
    """juliet is a user, and romeo the admin, both logged in."""

    def setUp(self):
        super().setUp()
        self.allow()
        self.juliet = self.listener.logged_in("juliet")
        self.romeo = self.listener.logged_in("romeo")

    def allow(self, landing_url=None, users=None, **rules):
        """Change the policy; users may invite to register, if nothing is said."""
        limits = UserInviteLimits(**(users or {}))
        invites = InviteRules(**({"allow_user_invites": True} | rules), users=limits)
        policy = Policy(admins=frozenset({"romeo"}), invites=invites)
        domain = Domain(name=DOMAIN, policy=policy, landing_url=landing_url)
        self.listener.domains[DOMAIN] = domain

    def run_command(self, client, node, *forms, **options):
        """What the last answer to a command and its forms is."""
        answer = client.ask(command(node, **options))
        for filled in forms:
            self.assertResult(answer)
            session_id = answer.command["sessionid"]
            answer = client.ask(command(node, filled, sessionid=session_id))
        return answer

    def completed(self, client, node, *forms, **options):
        """The answer to a command that is done after these forms."""
        answer = self.run_command(client, node, *forms, **options)
        self.assertResult(answer)
        self.assertEqual(answer.command["status"], "completed")
        return answer.command

    def refused(self, expected, client, node, *forms):
        """The command gets this error: type, condition, and that of commands if any."""
        answer = self.run_command(client, node, *forms)
        self.assertEqual("/".join(specific(answer)), expected)
        return error_of(answer)[2]

    def token(self, made):
        """The token of an invite that has just been made."""
        (uri,) = values(made)["uri"]
        return uri.partition("preauth=")[2].partition(";")[0]

    def stored(self):
        """All invites, oldest first."""
        listed = self.listener.store.list_invites(DOMAIN, self.listener.now())
        return self.successResultOf(listed)

    def items(self, client, lang="", node=NS_COMMANDS):
        lang = lang and f" xml:lang='{lang}'"
        answer = client.ask(
            f"<iq type='get' id='i' to='{DOMAIN}'{lang}>"
            f"<query xmlns='{NS_ITEMS}' node='{node}'/></iq>"
        )
        self.assertResult(answer)
        self.assertEqual(answer.query["node"], node)
        return list(answer.query.elements())

    def info(self, client, node=None, to=DOMAIN):
        node = f" node='{node}'" if node else ""
        return client.ask(
            f"<iq type='get' id='i' to='{to}'><query xmlns='{NS_INFO}'{node}/></iq>"
        )


class DiscoveryTests(InviteCase):
    """Point 20 of what clients need: commands are found at the domain."""

    def test_announced(self):
        """The domain says that it has commands; an account has none."""
        for to, expected in ((DOMAIN, True), (f"juliet@{DOMAIN}", False)):
            features = [one["var"] for one in self.info(self.juliet, to=to).query.elements()
                        if one.name == "feature"]  # fmt: skip
            self.assertEqual(NS_COMMANDS in features, expected)

    def test_items(self):
        """Each command is an item of the domain's; users see theirs, admins all."""
        found = self.items(self.romeo)
        self.assertEqual({one["jid"] for one in found}, {DOMAIN})
        everything = [INVITE, CREATE_ACCOUNT, RESET, LIST, RENEW, REVOKE]
        self.assertEqual([one["node"] for one in found], everything)
        nodes = [one["node"] for one in self.items(self.juliet)]
        self.assertEqual(nodes, [INVITE, CREATE_ACCOUNT, LIST, RENEW, REVOKE])
        self.allow(allow_user_invites=False)
        self.assertEqual([one["node"] for one in self.items(self.juliet)], FOR_USERS)
        self.allow(allow_user_invites=False, allow_contact_invites=False)
        self.assertEqual(self.items(self.juliet), [])

    def test_what_is_open_can_be_revoked(self):
        """Who may not invite any more still sees what they have made, while it is open."""
        self.completed(self.juliet, INVITE)
        self.allow(allow_user_invites=False, allow_contact_invites=False)
        self.assertEqual([one["node"] for one in self.items(self.juliet)], FOR_USERS[1:])

    def test_other_nodes(self):
        """The node of a command has no items, and the domain without a node none either."""
        for node in (INVITE, "x"):
            self.assertEqual(self.items(self.juliet, node=node), [])

    def test_info(self):
        """A command says what it is, to those who may execute it."""
        answer = self.info(self.juliet, INVITE)
        identity, *features = answer.query.elements()
        self.assertEqual(
            (identity["category"], identity["type"]), ("automation", "command-node")
        )
        self.assertEqual([one["var"] for one in features], [NS_COMMANDS, NS_X_DATA])
        self.assertError(self.info(self.juliet, RESET), "cancel", "forbidden")
        self.assertError(self.info(self.juliet, "x"), "cancel", "item-not-found")

    def test_language(self):
        """Names follow the language of the request, or else of the stream."""
        english, german = "Invite a contact", "Kontakt einladen"
        self.assertEqual(self.items(self.juliet)[0]["name"], english)
        self.assertEqual(self.items(self.juliet, lang="de-AT")[0]["name"], german)
        client = self.listener.connect()
        self.listener.add_account("nurse")
        client.open = lambda: client.ask(header(version=" version='1.0' xml:lang='de'"))
        client.open()
        client.log_in("nurse")
        client.ask(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
        )
        self.assertEqual(self.items(client)[0]["name"], german)
        self.assertEqual(self.items(client, lang="en")[0]["name"], english)
        self.assertEqual(self.items(client, lang="tlh")[0]["name"], english)

    def test_elsewhere(self):
        """One's own account takes no commands, nor does the domain without being named."""
        for to in (f" to='juliet@{DOMAIN}'", ""):
            asked = command(INVITE).replace(f" to='{DOMAIN}'", to)
            answer = self.juliet.ask(asked)
            self.assertError(answer, "cancel", "service-unavailable")
        self.assertEqual(self.stored(), [])

    def test_before_login(self):
        """Nobody executes anything before they have logged in."""
        client = self.listener.opened()
        client.send(command(INVITE))
        self.assertEqual(self.stored(), [])


class InviteTests(InviteCase):
    """``urn:xmpp:invite#invite``, by the button in an app."""

    def test_at_once(self):
        """One step: a link that registers, its page, and how long it is good, in UTC."""
        self.allow(landing_url="https://example.com/i#")
        made = self.completed(self.juliet, INVITE, action="execute")
        self.assertEqual(made["node"], INVITE)
        token, (invite,) = self.token(made), self.stored()
        self.assertEqual(
            values(made),
            {
                "FORM_TYPE": ["urn:xmpp:invite#invitation"],
                "uri": [f"xmpp:juliet@{DOMAIN}?roster;preauth={token};ibr=y"],
                "landing-url": [f"https://example.com/i#{token}"],
                "expire": ["2026-01-08T00:00:00Z"],
            },
        )
        self.assertEqual((invite.inviter, invite.source), ("juliet", f"adhoc:juliet@{DOMAIN}"))

    def test_website_only(self):
        """Where no app opens invitations, the page is the link, and the URI is empty."""
        self.allow(landing_url="https://example.com/i/", users={})
        domain = replace(self.listener.domains[DOMAIN], website_only=True)
        self.listener.domains[DOMAIN] = domain
        for node, *forms in ((INVITE,), (CREATE_ACCOUNT, form(username="tybalt"))):
            made = values(self.completed(self.juliet, node, *forms))
            self.assertEqual(made["uri"], [""])
            self.assertTrue(made["landing-url"][0].startswith("https://example.com/i/"))

    def test_website_only_contact(self):
        """Who may only make contacts hands out their address, without a token."""
        self.allow(landing_url="https://example.com/i/", allow_user_invites=False)
        domain = replace(self.listener.domains[DOMAIN], website_only=True)
        self.listener.domains[DOMAIN] = domain
        made = values(self.completed(self.juliet, INVITE))
        self.assertEqual(made["uri"], [f"xmpp:juliet@{DOMAIN}?roster"])

    def test_without_page(self):
        """The field of the landing page is there, empty, where there is no page."""
        self.assertEqual(values(self.completed(self.juliet, INVITE))["landing-url"], [""])

    def test_never(self):
        """Only a link that is good for ever does not say how long."""
        self.allow(expiry=None, users={"max_expiry": None})
        self.assertNotIn("expire", values(self.completed(self.juliet, INVITE)))

    def test_registers(self):
        """Whoever is given the link registers with it."""
        token = self.token(self.completed(self.juliet, INVITE))
        newcomer = self.listener.preauthorised(token)
        self.assertResult(newcomer.ask(registration("tybalt")))
        self.assertIsNotNone(self.listener.account("tybalt"))

    def test_contact_only(self):
        """Who may not invite to register gets a link for a contact, that registers nobody."""
        self.allow(allow_user_invites=False)
        made = self.completed(self.juliet, INVITE)
        (uri,) = values(made)["uri"]
        self.assertTrue(uri.startswith(f"xmpp:juliet@{DOMAIN}?roster;preauth="))
        self.assertNotIn("ibr", uri)
        answer = self.listener.opened().ask(preauth(self.token(made)))
        self.assertError(answer, "cancel", "item-not-found")

    def test_forbidden(self):
        """Who may invite nobody at all is told so; the admin may."""
        self.allow(allow_user_invites=False, allow_contact_invites=False)
        self.refused("cancel/forbidden", self.juliet, INVITE)
        self.completed(self.romeo, INVITE)

    def test_limits(self):
        """Who has too many open, or has made too many, is told to wait."""
        made = Limit(max=3, period=timedelta(days=1))
        self.allow(users={"max_open": 2, "made": made})
        for _ in range(2):
            self.completed(self.juliet, INVITE)
        text = self.refused("wait/resource-constraint", self.juliet, INVITE)
        self.assertIn("2 open invitations", text)
        invite = self.stored()[0]
        self.completed(self.juliet, REVOKE, form(invite=invite.id), form(confirm="1"))
        self.completed(self.juliet, INVITE)
        self.listener.revoke(self.stored()[2])
        self.refused("wait/resource-constraint", self.juliet, INVITE)
        self.assertEqual(len(self.stored()), 3)
        self.listener.wait(days=1)
        self.juliet.receive()  # a ping
        self.completed(self.juliet, INVITE)

    def test_not_twice(self):
        """A result that is asked for again does not make another invite."""
        made = self.completed(self.juliet, INVITE)
        answer = self.juliet.ask(command(INVITE, sessionid=made["sessionid"]))
        self.assertEqual(specific(answer), ("cancel", "not-allowed", "session-expired"))
        self.assertEqual(len(self.stored()), 1)

    def test_error_names_the_session(self):
        """An error says which command and session it is about, without what was filled in."""
        session_id = self.juliet.ask(command(CREATE_ACCOUNT)).command["sessionid"]
        filled = form(username="juliet")
        answer = self.juliet.ask(command(CREATE_ACCOUNT, filled, sessionid=session_id))
        about, error = answer.elements()
        self.assertEqual(about.attributes, {"node": CREATE_ACCOUNT, "sessionid": session_id})
        self.assertEqual((list(about.elements()), error.name), ([], "error"))

    def test_deleted(self):
        """The session of an account that is gone makes no invite any more."""
        self.successResultOf(
            self.listener.store.delete_account(DOMAIN, "juliet", self.listener.now())
        )
        self.refused("cancel/forbidden", self.juliet, INVITE)
        self.assertEqual(self.stored(), [])


class CreateAccountTests(InviteCase):
    """``urn:xmpp:invite#create-account``, by a form."""

    def fields(self, client):
        answer = self.run_command(client, CREATE_ACCOUNT).command
        self.assertEqual((answer["status"], actions(answer)),
                         ("executing", ("complete", ["complete"])))  # fmt: skip
        return [one["var"] for one in answer.x.elements(NS_X_DATA, "field")]

    def test_form(self):
        """Users are asked for a name and whether to be contacts; admins for the rest too."""
        asked = ["FORM_TYPE", "username", "roster-subscription"]
        self.assertEqual(self.fields(self.juliet), asked)
        more = ["expiry", "uses", "role", "note"]
        self.assertEqual(self.fields(self.romeo), asked + more)
        self.allow(allow_contact_invites=False)
        self.assertEqual(self.fields(self.juliet), asked[:2])

    def test_username(self):
        """The link names the username, which is reserved for it."""
        made = self.completed(self.juliet, CREATE_ACCOUNT, form(username="Tybalt"))
        token, (invite,) = self.token(made), self.stored()
        self.assertEqual(
            values(made)["uri"], [f"xmpp:tybalt@{DOMAIN}?register;preauth={token}"]
        )
        self.assertEqual((invite.kind, invite.username), (Kind.ACCOUNT, "tybalt"))
        newcomer = self.listener.preauthorised(token)
        self.assertError(newcomer.ask(registration("paris")), "cancel", "not-allowed")
        self.assertResult(newcomer.ask(registration("tybalt")))

    def test_no_username(self):
        """Without a name the link names none; contacts are made all the same."""
        made = self.completed(self.juliet, CREATE_ACCOUNT, form(roster_subscription="1"))
        token, (invite,) = self.token(made), self.stored()
        self.assertEqual(values(made)["uri"], [f"xmpp:{DOMAIN}?register;preauth={token}"])
        self.assertEqual((invite.kind, invite.inviter), (Kind.ACCOUNT_AND_CONTACT, "juliet"))

    def test_admin(self):
        """An admin says how long, how often, and what roles they get."""
        filled = form(expiry="30d", uses="5", role=["team", "guest"], note="fair")
        self.completed(self.romeo, CREATE_ACCOUNT, filled)
        self.completed(self.romeo, CREATE_ACCOUNT, form(expiry="never", uses="unlimited"))
        fair, ever = self.stored()
        self.assertEqual(
            (fair.uses_allowed, fair.roles, fair.note), (5, ("team", "guest"), "fair")
        )
        self.assertEqual(fair.expires_at - fair.created_at, timedelta(days=30))
        self.assertEqual((ever.uses_allowed, ever.expires_at), (None, None))

    def test_not_for_users(self):
        """What only admins are asked for, users cannot say either."""
        for name, value in (
            ("role", "team"),
            ("uses", "2"),
            ("expiry", "never"),
            ("note", "x"),
        ):
            filled = form([(name, value)])
            bad = "modify/bad-request/bad-payload"
            text = self.refused(bad, self.juliet, CREATE_ACCOUNT, filled)
            self.assertIn(name, text)
        self.assertEqual(self.stored(), [])

    def test_names_that_cannot_be(self):
        """A name that is none, taken or reserved gets the same error as at registration."""
        for name, expected in (
            ("ty balt", "modify/jid-malformed"),
            ("juliet", "cancel/conflict"),
            ("romeo", "cancel/not-allowed"),
            ("аdmin", "cancel/not-allowed"),
        ):
            self.refused(expected, self.juliet, CREATE_ACCOUNT, form(username=name))
        self.completed(self.juliet, CREATE_ACCOUNT, form(username=" nurse@example.com"))
        self.refused("cancel/not-allowed", self.juliet, CREATE_ACCOUNT, form(username="nurse"))
        self.assertEqual(len(self.stored()), 1)

    def test_again(self):
        """After a name that is taken, another can be given in the same session."""
        answer = self.run_command(self.juliet, CREATE_ACCOUNT, form(username="juliet"))
        self.assertError(answer, "cancel", "conflict")
        answer = self.juliet.ask(command(CREATE_ACCOUNT))
        session_id = answer.command["sessionid"]
        for name, kind in (("juliet", "error"), ("nurse", "result")):
            filled = form(username=name)
            answer = self.juliet.ask(command(CREATE_ACCOUNT, filled, sessionid=session_id))
            self.assertEqual(answer["type"], kind)

    def test_wrong_values(self):
        """A choice, a number or a role that is none is refused, with nothing stored."""
        for name, value in (
            ("expiry", "2d"),
            ("uses", "0"),
            ("uses", "many"),
            ("uses", "9999999999"),
            ("role", "Team Lead"),
            ("roster-subscription", "yes"),
            ("username", ["a", "b"]),
            ("note", "x" * 2000),
            ("FORM_TYPE", "urn:xmpp:invite#invitation"),
        ):
            filled = form([(name, value)])
            self.refused("modify/bad-request/bad-payload", self.romeo, CREATE_ACCOUNT, filled)
        doubled = form([("username", "nurse"), ("username", "nurse")])
        self.refused("modify/bad-request/bad-payload", self.romeo, CREATE_ACCOUNT, doubled)
        several = form(username="nurse", uses="2")
        self.refused("modify/not-acceptable", self.romeo, CREATE_ACCOUNT, several)
        self.assertEqual(self.stored(), [])

    def test_forbidden(self):
        """Who may not invite to register cannot do it by this form either."""
        self.allow(allow_user_invites=False)
        self.refused("cancel/forbidden", self.juliet, CREATE_ACCOUNT)

    def test_lost_meanwhile(self):
        """A right that is lost while the form is filled in counts no more."""
        session_id = self.juliet.ask(command(CREATE_ACCOUNT)).command["sessionid"]
        self.allow(allow_user_invites=False)
        answer = self.juliet.ask(command(CREATE_ACCOUNT, form(), sessionid=session_id))
        self.assertError(answer, "cancel", "forbidden")
        self.assertEqual(self.stored(), [])

    names = st.sampled_from(
        ["FORM_TYPE", "username", "roster-subscription", "expiry", "uses", "role", "note", "x"]
    )
    texts = st.sampled_from(
        [CREATE_ACCOUNT, "nurse", "", " ", "a b", "1", "0", "true", "7d", "never", "unlimited"]
    ) | st.text(st.characters(categories=("L", "N", "Zs")), max_size=5)
    filled = st.lists(st.tuples(names, texts | st.lists(texts, max_size=3)), max_size=6)
    kinds = st.sampled_from(["submit", "cancel", "form", "result"])

    @settings(max_examples=150)
    @given(filled, kinds, st.booleans())
    def test_any_form(self, fields, kind, by_admin):
        """Whatever is submitted, there is one answer, and an invite only if it says so."""
        client = self.romeo if by_admin else self.juliet
        before = len(self.stored())
        answer = self.run_command(client, CREATE_ACCOUNT, form(fields, kind))
        made = len(self.stored()) - before
        self.assertEqual(made, 1 if answer["type"] == "result" else 0)
        if made:
            self.token(answer.command)
            invite = self.stored()[-1]
            self.assertTrue(by_admin or (invite.uses_allowed, invite.roles) == (1, ()))
            self.listener.revoke(invite)
            self.listener.wait(days=1)
            for session in (self.romeo, self.juliet):
                session.send(" ")  # or it would be taken for dead
                session.receive()
        else:
            self.assertNotEqual(specific(answer)[1], "internal-server-error")
            self.assertNotEqual(specific(answer)[0], "wait")


class ResetTests(InviteCase):
    """A link for somebody who has forgotten their password."""

    node = RESET

    def test_reset(self):
        """The admin makes it for an account, whose owner sets a new password by it."""
        made = self.completed(self.romeo, self.node, form(accountjid=f"Juliet@{DOMAIN}"))
        token = self.token(made)
        self.assertEqual(
            values(made)["uri"], [f"xmpp:juliet@{DOMAIN}?register;preauth={token}"]
        )
        client = self.listener.preauthorised(token)
        self.assertResult(client.ask(registration("juliet", "a quite new password")))

    def test_refused(self):
        """There must be such an account, at this domain; and only admins do it."""
        for jid in (f"nobody@{DOMAIN}", "juliet@example.org", DOMAIN):
            self.refused("cancel/item-not-found", self.romeo, self.node, form(accountjid=jid))
        for jid in ("", "@", "a@b@c d"):
            bad = "modify/bad-request/bad-payload"
            self.refused(bad, self.romeo, self.node, form(accountjid=jid))
        self.refused("cancel/forbidden", self.juliet, self.node)
        self.assertEqual(self.stored(), [])


class ProsodysResetTests(ResetTests):
    """Who asks by the node of Prosody's module gets the same."""

    node = "xmpp:prosody.im/mod_invites_adhoc#password-reset"

    def test_answers(self):
        """Each answer names the node that was asked for."""
        answer = self.romeo.ask(command(self.node))
        self.assertEqual(
            (answer.command["node"], actions(answer.command)[0]), (self.node, "complete")
        )
        made = self.completed(self.romeo, self.node, form(accountjid=f"juliet@{DOMAIN}"))
        self.assertEqual(made["node"], self.node)

    def test_found(self):
        """The node is described to those who may use it, and not listed a second time."""
        answer = self.info(self.romeo, self.node)
        self.assertEqual(answer.query["node"], self.node)
        self.assertEqual(answer.query.identity["name"], "Create a link to set a new password")
        self.assertError(self.info(self.juliet, self.node), "cancel", "forbidden")
        self.assertNotIn(self.node, [one["node"] for one in self.items(self.romeo)])


class OwnTests(InviteCase):
    """Listing, renewing and revoking."""

    def test_list(self):
        """A user sees their own open invites, without any token."""
        self.assertEqual(
            note(self.completed(self.juliet, LIST)), "There are no such invitations."
        )
        token = self.token(self.completed(self.juliet, INVITE))
        self.completed(self.juliet, CREATE_ACCOUNT, form(username="nurse"))
        self.completed(self.romeo, INVITE)
        answer = self.completed(self.juliet, LIST)
        first, second = rows(answer)
        invite = self.stored()[0]
        self.assertEqual(
            first,
            {
                "id": invite.id,
                "kind": "to register and become a contact",
                "inviter": "juliet",
                "username": "",
                "created": "2026-01-01T00:00:00Z",
                "expire": "2026-01-08T00:00:00Z",
                "uses": "0/1",
                "status": "open",
                "note": "",
            },
        )
        self.assertEqual(second["username"], "nurse")
        self.assertNotIn(token, answer.toXml())

    def test_strange_note(self):
        """A note that was imported with what XML has no place for is shown without that."""
        self.completed(self.juliet, INVITE)
        stored = self.stored()[0]
        changes, store = InviteChanges(values={"note": "a\x01<b"}), self.listener.store
        now = self.listener.now()
        self.successResultOf(store.edit_invite(DOMAIN, stored.id, changes, now, "cli"))
        [row] = rows(self.completed(self.juliet, LIST))
        self.assertEqual(row["note"], "a\ufffd<b")
        self.assertIn("a\ufffd&lt;b", self.run_command(self.juliet, REVOKE).toXml())

    def test_list_of_admin(self):
        """An admin sees everybody's, by status, in pages."""
        self.completed(self.juliet, INVITE)
        self.completed(self.romeo, INVITE)
        self.listener.add_invite(uses_allowed=None, expires_at=None, note="open day")
        mine, _, operators = self.stored()
        self.listener.revoke(mine)
        pending = rows(self.completed(self.romeo, LIST, form()))
        self.assertEqual([row["inviter"] for row in pending], ["romeo", ""])
        self.assertEqual((pending[1]["uses"], pending[1]["expire"]), ("0/∞", ""))
        everything = rows(self.completed(self.romeo, LIST, form(status="all")))
        self.assertEqual([row["status"] for row in everything], ["revoked", "open", "open"])
        rest = rows(self.completed(self.romeo, LIST, form(status="all", after=mine.id)))
        self.assertEqual(len(rest), 2)
        self.assertEqual(rest[-1]["id"], operators.id)
        self.refused("cancel/item-not-found", self.romeo, LIST, form(after="x"))

    def test_many(self):
        """A long list says that it is not all."""
        for number in range(101):
            self.listener.add_invite(f"token {number}")
        answer = self.completed(self.romeo, LIST, form())
        self.assertEqual(len(rows(answer)), 100)
        self.assertIn(self.stored()[99].id, note(answer))

    def test_renew(self):
        """A lost link is replaced by a new one; the old one opens nothing."""
        lost = self.token(self.completed(self.juliet, INVITE))
        (invite,) = self.stored()
        shown = self.run_command(self.juliet, RENEW).command
        self.assertIn(invite.id, shown.toXml())
        made = self.completed(self.juliet, RENEW, form(invite=invite.id))
        self.listener.preauthorised(self.token(made))
        answer = self.listener.opened().ask(preauth(lost))
        self.assertError(answer, "cancel", "item-not-found")

    def test_renew_for_a_name(self):
        """The new link of an invite for a username names it, too."""
        filled = form(username="nurse", roster_subscription="1")
        self.completed(self.juliet, CREATE_ACCOUNT, filled)
        made = self.completed(self.juliet, RENEW, form(invite=self.stored()[0].id))
        self.assertTrue(values(made)["uri"][0].startswith(f"xmpp:nurse@{DOMAIN}?register;"))

    def test_revoke(self):
        """An invite is revoked once that is confirmed, and not before."""
        token = self.token(self.completed(self.juliet, INVITE))
        (invite,) = self.stored()
        shown = self.run_command(self.juliet, REVOKE, form(invite=invite.id)).command
        self.assertEqual(actions(shown), ("complete", ["prev", "complete"]))
        self.assertIn(invite.id, str(shown.x.instructions))
        chosen = form(invite=invite.id)
        kept = self.completed(self.juliet, REVOKE, chosen, form(confirm="0"))
        self.assertEqual(note(kept), "Nothing was revoked.")
        self.listener.preauthorised(token)
        self.completed(self.juliet, REVOKE, chosen, form(confirm="1"))
        answer = self.listener.opened().ask(preauth(token))
        self.assertError(answer, "cancel", "item-not-found")
        self.assertEqual(
            note(self.completed(self.juliet, REVOKE)), "You have no open invitations."
        )

    def test_others(self):
        """Nobody but an admin touches what others have made."""
        self.completed(self.romeo, INVITE)
        self.completed(self.juliet, INVITE)
        his, mine = self.stored()
        for node in (RENEW, REVOKE):
            bad = "modify/bad-request/bad-payload"
            self.refused(bad, self.juliet, node, form(invite=his.id))
            self.refused("cancel/item-not-found", self.romeo, node, form(invite="x"))
        self.completed(self.romeo, RENEW, form(invite=mine.id))
        self.completed(self.romeo, REVOKE, form(invite=mine.id), form(confirm="true"))
        self.assertEqual([i.revoked_at is None for i in self.stored()], [True, False])

    def test_over_meanwhile(self):
        """What is revoked or used while the form is open is not renewed, and says why."""
        self.completed(self.juliet, INVITE)
        (invite,) = self.stored()
        session_id = self.juliet.ask(command(RENEW)).command["sessionid"]
        self.listener.revoke(invite)
        chosen = form(invite=invite.id)
        answer = self.juliet.ask(command(RENEW, chosen, sessionid=session_id))
        self.assertError(answer, "modify", "not-acceptable")

    def test_in_german(self):
        """Forms, results and errors speak the language of who asks."""
        made = self.completed(self.juliet, INVITE, lang="de")
        self.assertEqual((made[XML_LANG], str(made.x.title)), ("de", "Einladung"))
        shown = self.juliet.ask(command(REVOKE, lang="de")).command
        self.assertIn("gültig bis", shown.toXml())
        answer = self.juliet.ask(command("x", lang="de"))
        self.assertEqual(error_of(answer)[2], "Diesen Befehl gibt es nicht.")
