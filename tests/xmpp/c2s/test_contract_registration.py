"""What clients need of preauth and registration: the contract's points 9 to 14, 16, 17."""

from dataclasses import replace
from datetime import timedelta

from invitereg.errors import WeakPassword
from invitereg.testing import START
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import (
    DOMAIN,
    GET,
    NS_REGISTER,
    NS_X_DATA,
    PASSWORD,
    TOKEN,
    children,
    error_of,
    form_fields,
    form_registration,
    header,
    preauth,
    registration,
)


class FormTests(DoorTestCase):
    def assertForm(self, reply):
        """It is the form that every client can read."""
        self.assertResult(reply)
        query = reply.query
        self.assertEqual(query.uri, NS_REGISTER)
        self.assertEqual(children(query, NS_REGISTER), ["instructions", "username", "password"])
        self.assertEqual(children(query, NS_X_DATA), ["x"])
        self.assertEqual((str(query.username), str(query.password)), ("", ""))
        self.assertEqual(query.x["type"], "form")
        self.assertEqual(
            form_fields(query),
            [
                ("FORM_TYPE", "hidden", NS_REGISTER, False),
                ("username", "text-single", "", True),
                ("password", "text-private", "", True),
            ],
        )
        self.assertNotIn("registered", children(query))

    def test_point_09_both_forms(self):
        """Borogove needs the data form, SA and Monal the legacy fields: both are there."""
        self.listener.add_invite()
        self.assertForm(self.listener.preauthorised().ask(GET))

    def test_point_09_instructions(self):
        """The form says what the operator says, and the rule that errors do not name."""
        query = self.listener.opened().ask(GET).query
        said = (
            f"{self.listener.domains[DOMAIN].instructions} The password needs at least 8 "
            "characters, and must not be your username."
        )
        self.assertEqual((str(query.instructions), str(query.x.instructions)), (said, said))

    def test_title(self):
        """The data form has the operator's title, if there is one; that of a reset has none."""
        domains = self.listener.domains
        self.listener.add_account("juliet")
        self.listener.add_invite("A" * 24)
        self.listener.add_reset()
        for title in ("", "Join <us> & ☃"):
            domains[DOMAIN] = replace(domains[DOMAIN], title=title)
            form = self.listener.preauthorised("A" * 24).ask(GET).query.x
            self.assertEqual(
                [str(one) for one in form.elements(NS_X_DATA, "title")], [title][: bool(title)]
            )
            reset = self.listener.preauthorised().ask(GET).query.x
            self.assertIsNone(reset.title)

    def test_point_12_web_redirect(self):
        """Where there is a site and a token is needed, it is named; the set is refused."""
        self.set_site("https://chat.example.com/")
        client = self.listener.opened()
        reply = client.ask(GET)
        self.assertResult(reply)
        query = reply.query
        self.assertEqual(children(query, NS_REGISTER), ["instructions"])
        (redirect,) = query.elements("jabber:x:oob", "x")
        self.assertEqual(str(redirect.url), "https://chat.example.com/")
        self.assertEqual(redirect.url.uri, "jabber:x:oob")
        refused = client.ask(registration("juliet"))
        self.assertEqual(error_of(refused)[:2], ("auth", "forbidden"))

    def test_point_12_only_where_needed(self):
        """With a token, on an open server, or without https, the form is the usual one."""
        self.listener.add_invite()
        self.set_site("https://chat.example.com/")
        self.assertForm(self.listener.preauthorised().ask(GET))
        self.set_site("http://localhost:8080/")
        self.assertForm(self.listener.opened().ask(GET))
        self.set_site("https://chat.example.com/", registration_invite_only=False)
        self.assertForm(self.listener.opened().ask(GET))

    def set_site(self, url, **policy):
        domain = self.listener.domains[DOMAIN]
        self.listener.domains[DOMAIN] = replace(
            domain, web_url=url, policy=replace(domain.policy, **policy)
        )

    def test_point_12_form_without_token(self):
        """Without a token the form is the same, and the set is refused."""
        client = self.listener.opened()
        self.assertForm(client.ask(GET))
        self.assertError(client.ask(registration()), "auth", "forbidden")

    def test_point_11_no_detour(self):
        """With a valid token there is neither a CAPTCHA nor a redirect."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        client.ask(GET)
        self.assertNotIn("jabber:x:oob", client.raw)
        self.assertNotIn("urn:xmpp:captcha", client.raw)


class SubmissionTests(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.invite = self.listener.add_invite()

    def assertRegistered(self, reply, username="juliet"):
        """An account was made with the invite, and the reply is empty."""
        self.assertResult(reply)
        self.assertEqual(children(reply), [])
        self.assertIsNotNone(self.listener.account(username))
        self.assertEqual(self.listener.invite(self.invite).uses, 1)

    def test_point_10_snikket(self):
        """SA: preauth, get and legacy set, all to the domain."""
        client = self.listener.opened(Phase.CLEAR)
        client.secure()
        self.assertResult(client.ask(preauth()))
        self.assertResult(client.ask(GET))
        self.assertRegistered(client.ask(registration()))

    def test_point_10_conversations_2_12(self):
        """C2.12: preauth without `to`, the set with a `from` that is no account yet."""
        client = self.listener.opened()
        self.assertResult(client.ask(preauth(to="")))
        self.assertResult(client.ask(GET))
        submission = registration(attributes=f" from='juliet@{DOMAIN}'")
        self.assertRegistered(client.ask(submission))

    def test_point_10_monal(self):
        """Monal: everything pipelined as it does, the set without `to`."""
        client = self.listener.connect(Phase.CLEAR)
        client.send(header() + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        client.receive()
        client.finish_handshake()
        client.open()
        self.assertResult(client.ask(preauth()))
        self.assertResult(client.ask(GET))
        self.assertRegistered(client.ask(registration(attributes="")))

    def test_point_10_martin(self):
        """Siskin: preauth in clear, refused; then a data form."""
        client = self.listener.opened(Phase.CLEAR)
        self.assertEqual(client.ask(preauth())["from"], DOMAIN)
        client.secure()
        for request in (preauth(), GET, form_registration()):
            reply = client.ask(request)
            self.assertEqual(reply["from"], DOMAIN)
        self.assertRegistered(reply)

    def test_point_10_yaxim(self):
        """Without `to` at first, and every field that was offered is echoed, empty (yaxim)."""
        client = self.listener.opened()
        self.assertResult(client.ask(preauth(to="")))
        more = "<instructions/><email></email><registered/><unknown xmlns='urn:x'>1</unknown>"
        self.assertRegistered(client.ask(registration(more=more)))

    def test_point_10_borogove(self):
        """BG: the form alone, with the fields in any order."""
        client = self.listener.preauthorised()
        self.assertRegistered(client.ask(form_registration(unknown="1", email="")))

    def test_point_10_second_stream_without_get(self):
        """Dino and Kaidan read the form on one stream and submit on another."""
        first = self.listener.opened()
        first.ask(GET)
        first.send("</stream:stream>")
        first.lose()
        self.assertRegistered(self.listener.preauthorised().ask(registration(attributes="")))

    def test_point_10_converse(self):
        """Converse sends preauth after the get, without any `to`."""
        client = self.listener.opened()
        self.assertResult(client.ask(GET.replace(f" to='{DOMAIN}'", "")))
        self.assertResult(client.ask(preauth(to="")))
        self.assertRegistered(client.ask(registration(attributes="")))

    def test_point_10_form_without_form_type(self):
        """A form that does not say what it is is taken; one for something else is not."""
        client = self.listener.preauthorised()
        reply = client.ask(form_registration(FORM_TYPE="urn:other"))
        self.assertError(reply, "modify", "not-acceptable")
        self.assertRegistered(
            client.ask(
                form_registration(FORM_TYPE="").replace(
                    "<field var='FORM_TYPE'><value></value></field>", ""
                )
            )
        )

    def test_point_10_escaped_password(self):
        """Every character of a password counts, however it is written in XML."""
        client = self.listener.preauthorised()
        client.ask(registration(password="a&lt;b<![CDATA[>]]>c&#38;&#x65e5;d ef"))
        client.log_in(password="a<b>c&日d ef")


class TokenTests(DoorTestCase):
    def test_point_13_tokens_that_open_nothing(self):
        """Unknown, expired, used up or revoked: all look alike, and the stream stays open."""
        self.listener.add_invite("expired", expires_at=START)
        self.listener.add_invite("used", uses=1)
        self.listener.add_invite("revoked", revoked_at=START)
        client = self.listener.opened()
        texts = set()
        for token in ("unknown", "expired", "used", "revoked"):
            reply = client.ask(preauth(token))
            self.assertError(reply, "cancel", "item-not-found")
            texts.add(error_of(reply)[2])
        (text,) = texts
        self.assertIn("not valid", text)
        self.listener.add_invite()
        self.assertResult(client.ask(preauth()))

    def test_point_13_enforced_at_the_set(self):
        """SA goes on after some errors: the set is refused all the same."""
        client = self.listener.opened()
        client.ask(preauth("unknown"))
        self.assertResult(client.ask(GET))
        self.assertError(client.ask(registration()), "auth", "forbidden")
        self.assertIsNone(self.listener.account())

    def test_point_14_preauth_consumes_nothing(self):
        """Preauth may be repeated on a stream and on others; the first set gets the use."""
        invite = self.listener.add_invite()
        first = self.listener.preauthorised()
        self.assertResult(first.ask(preauth()))
        second = self.listener.preauthorised(address="198.51.100.1")
        self.assertEqual(self.listener.invite(invite).uses, 0)
        self.assertResult(second.ask(registration("romeo")))
        self.assertError(first.ask(registration()), "cancel", "item-not-found")
        self.assertIsNone(self.listener.account("juliet"))

    def test_point_14_retry(self):
        """After a taken name or a weak password the same stream tries again."""
        invite = self.listener.add_invite()
        self.listener.add_account("romeo")
        client = self.listener.preauthorised()
        self.assertError(client.ask(registration("romeo")), "cancel", "conflict")
        weak = client.ask(registration(password="short"))
        self.assertError(weak, "modify", "not-acceptable")
        self.assertEqual(self.listener.invite(invite).uses, 0)
        self.assertResult(client.ask(registration()))
        self.assertEqual(self.listener.invite(invite).uses, 1)

    def test_point_14_spent_for_this_stream(self):
        """A second account needs the token again, even if it has uses left."""
        self.listener.add_invite(uses_allowed=5)
        client = self.listener.preauthorised()
        client.ask(registration())
        self.assertError(client.ask(registration("romeo")), "auth", "forbidden")
        client.ask(preauth())
        self.assertResult(client.ask(registration("romeo")))

    def test_rule_expired_in_between(self):
        """A token that expires while the person types still works on that stream (XEP-0445)."""
        self.listener.add_invite(expires_at=START + timedelta(minutes=5))
        client = self.listener.preauthorised()
        self.listener.wait(minutes=6)
        other = self.listener.opened()
        self.assertError(other.ask(preauth()), "cancel", "item-not-found")
        self.assertError(other.ask(registration()), "auth", "forbidden")
        self.assertResult(client.ask(registration()))

    def test_rule_revoked_in_between(self):
        """A token that is revoked while the person types does not work."""
        invite = self.listener.add_invite()
        client = self.listener.preauthorised()
        self.listener.revoke(invite)
        self.assertError(client.ask(registration()), "cancel", "item-not-found")

    def test_rule_reserved_username(self):
        """A username on an invite is kept for it, and is the only one it can take."""
        self.listener.add_invite("other")
        self.listener.add_invite(username="juliet")
        other = self.listener.opened()
        other.ask(preauth("other"))
        self.assertError(other.ask(registration()), "cancel", "not-allowed")
        client = self.listener.preauthorised()
        reply = client.ask(registration("romeo"))
        self.assertError(reply, "cancel", "not-allowed")
        self.assertIn("juliet", error_of(reply)[2])
        self.assertResult(client.ask(registration()))

    def test_rule_reserved_until_expiry(self):
        """When such an invite has expired, anybody may take the name."""
        self.listener.add_invite("other")
        self.listener.add_invite(username="juliet", expires_at=START + timedelta(minutes=5))
        self.listener.wait(minutes=6)
        client = self.listener.opened()
        client.ask(preauth("other"))
        self.assertResult(client.ask(registration()))


class AnswerTests(DoorTestCase):
    def test_point_16_shape_of_errors(self):
        """One error, its condition first, and the query echoed without the password."""
        self.listener.add_invite()
        self.listener.add_account("romeo")
        client = self.listener.preauthorised()
        for request in (registration("romeo"), form_registration(username="romeo")):
            reply = client.ask(request)
            self.assertEqual(children(reply), ["query", "error"])
            self.assertEqual(str(reply.query.username), "romeo")
            self.assertEqual(children(reply.query), ["username"])
            self.assertEqual(children(reply.error)[0], "conflict")
        self.assertNotIn(PASSWORD, client.raw)

    def test_point_16_weak_password(self):
        """Clients match the text of a weak password, to the letter."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        reply = client.ask(registration(password="short"))
        expected = ("modify", "not-acceptable", "The password is too weak")
        self.assertEqual(error_of(reply), expected)
        self.assertEqual(WeakPassword.text, expected[2])

    def test_point_17_login_on_the_same_stream(self):
        """Clients such as yaxim log in where they have registered, without a restart."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        client.ask(registration())
        self.assertIn("bind", children(client.log_in()))

    def test_point_17_immediate_reconnect(self):
        """Conversations, Monal and others connect anew at once."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        client.ask(registration())
        client.send("</stream:stream>")
        client.lose()
        self.assertIn("bind", children(self.listener.opened().log_in()))

    def test_tokens_are_case_sensitive(self):
        """A token in another case is another token."""
        self.listener.add_invite()
        reply = self.listener.opened().ask(preauth(TOKEN.lower()))
        self.assertError(reply, "cancel", "item-not-found")
