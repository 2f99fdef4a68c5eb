"""What watchers and newcomers are told, and who is told whom to write to."""

from dataclasses import replace

from twisted.internet.defer import Deferred

from invitereg.embedded.notices import SessionNotices
from invitereg.errors import Unavailable
from invitereg.policy.values import WatcherNotice
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import DOMAIN, children, registration

INFO = f"<iq type='get' id='i' to='{DOMAIN}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"


class NoticeCase(DoorTestCase):
    welcome = ""

    def setUp(self):
        super().setUp()
        self.listener = self.make_listener()
        self.send_new()

    def make_listener(self, **options):
        listener = Listener(policy={"registration_invite_only": False}, **options)
        self.change(listener, watchers=((DOMAIN, "romeo"),), welcome=self.welcome)
        return listener

    def change(self, listener, **changes):
        """What a reload does."""
        listener.domains[DOMAIN] = replace(listener.domains[DOMAIN], **changes)

    def send_new(self):
        """What a service does every second."""
        return self.successResultOf(Deferred.fromCoroutine(self.listener.notices.send_new()))

    def register(self, username, invite=None):
        client = (
            self.listener.opened() if invite is None else self.listener.preauthorised(invite)
        )
        self.assertResult(client.ask(registration(username)))

    def available(self, username="romeo", presence="<presence/>", resource="balcony"):
        """A client that says it is there."""
        client = self.listener.logged_in(username, resource)
        everything = client.receive
        client.receive = lambda: [e for e in everything() if e.name == "message"]
        client.send(presence)
        return client

    def left(self, username="romeo"):
        """How many notices wait for an account."""
        return len(self.successResultOf(self.listener.store.notices_of(DOMAIN, username)))


class WatcherTests(NoticeCase):
    def test_told_at_once(self):
        """A watcher who is there learns within a second who registered, and how."""
        romeo = self.available()
        self.listener.add_invite(id="abc", inviter="mercutio")
        self.register("juliet", "K7dJq2mZx9RtYw4LbN8vHc3P")
        self.assertSilent(romeo)
        self.send_new()
        (message,) = romeo.receive()
        self.assertEqual(
            (message["from"], message["to"], message["type"], message["id"]),
            (DOMAIN, f"romeo@{DOMAIN}", "chat", "notice-1"),
        )
        self.assertEqual(
            str(message.body),
            f"juliet@{DOMAIN} has registered; door: c2s; address: 192.0.2.1; "
            f"invite: abc of mercutio@{DOMAIN}",
        )
        self.assertIsNone(message.delay)
        self.send_new()
        self.assertSilent(romeo)
        self.assertEqual(self.left(), 0)

    def test_told_at_login(self):
        """A watcher who was away is told at the next login, once, and when it was."""
        self.listener.add_account("romeo")
        self.register("juliet")
        self.send_new()
        self.register("nurse")
        self.listener.wait(hours=1)
        romeo = self.available()
        first, second = romeo.receive()
        self.assertTrue(str(first.body).endswith("; without invite"))
        self.assertTrue(str(second.body).startswith("nurse@"))
        self.assertEqual(first.delay["stamp"], "2026-01-01T00:00:00Z")
        self.assertEqual(first.delay["from"], DOMAIN)
        self.send_new()
        self.assertSilent(romeo)
        self.assertSilent(self.available(resource="garden"))

    def test_not_there_to_read(self):
        """A session that takes no messages, or has not said that it is there, gets none."""
        busy = self.available(presence="<presence><priority>-1</priority></presence>")
        silent = self.available(presence="", resource="garden")
        directed = self.available(presence=f"<presence to='x@{DOMAIN}'/>", resource="b")
        gone = self.available(resource="c")
        gone.send("<presence type='unavailable'/>")
        self.register("juliet")
        self.send_new()
        for client in (busy, silent, directed, gone):
            self.assertSilent(client)
        self.assertEqual(self.left(), 1)
        busy.send("<presence><priority>5</priority></presence>")
        self.assertEqual(len(busy.receive()), 1)
        busy.send(
            "<presence><show>away</show></presence><presence><priority>x</priority></presence>"
        )
        self.assertSilent(busy)

    def test_every_session(self):
        """Each client of a watcher shows it."""
        clients = [self.available(resource=resource) for resource in "ab"]
        self.register("juliet")
        self.send_new()
        for client in clients:
            self.assertEqual(len(client.receive()), 1)

    def test_other_process(self):
        """An account that another process has made is told like any other."""
        romeo = self.available()
        making = self.listener.door.registrar.create_account(DOMAIN, "benvolio", "x" * 9)
        self.successResultOf(Deferred.fromCoroutine(making))
        self.send_new()
        (message,) = romeo.receive()
        text = f"benvolio@{DOMAIN} has registered; door: cli; without invite"
        self.assertEqual(str(message.body), text)

    def say(self, text, kind="chat"):
        """Write the text for watchers, as a reload does."""
        self.change(self.listener, watcher_notice=WatcherNotice(text=text, type=kind))

    def told(self, romeo):
        """Type and text of what romeo is told within a second."""
        self.send_new()
        return [(one["type"], str(one.body)) for one in romeo.receive()]

    def test_own_words(self):
        """The operator's text can name who registered, through what, and who invited them."""
        self.say("{username}@{domain} ({site_name}): {door} {address} {invite} {inviter} {{x}}")
        romeo = self.available()
        self.listener.add_invite(id="abc", inviter="mercutio")
        self.register("juliet", "K7dJq2mZx9RtYw4LbN8vHc3P")
        said = f"juliet@{DOMAIN} (Example Chat): c2s 192.0.2.1 abc mercutio@{DOMAIN} {{x}}"
        self.assertEqual(self.told(romeo), [("chat", said)])

    def test_nothing_to_name(self):
        """What there is not is a dash: the inviter of the operator's invite, or any invite."""
        self.say("{username} {door} {address} {invite} {inviter}", "normal")
        romeo = self.available()
        self.listener.add_invite(id="abc")
        self.register("juliet", "K7dJq2mZx9RtYw4LbN8vHc3P")
        self.register("nurse")
        making = self.listener.door.registrar.create_account(DOMAIN, "benvolio", "x" * 9)
        self.successResultOf(Deferred.fromCoroutine(making))
        self.assertEqual(
            self.told(romeo),
            [
                ("normal", "juliet c2s 192.0.2.1 abc -"),
                ("normal", "nurse c2s 192.0.2.1 - -"),
                ("normal", "benvolio cli - - -"),
            ],
        )

    def test_names_with_braces(self):
        """What people call themselves is text, whatever it looks like."""
        self.say("{username}")
        romeo = self.available()
        for name in ("{domain}", "{0.__class__}", "{{", "%s"):
            self.register(name)
            self.assertEqual(self.told(romeo), [("chat", name)])

    def test_own_type_of_our_words(self):
        """The type of the message can be changed alone; a welcome stays one of a chat."""
        self.change(self.listener, welcome="Hello {username}")
        self.say("", "normal")
        romeo = self.available()
        self.register("juliet")
        ((kind, said),) = self.told(romeo)
        self.assertEqual(kind, "normal")
        self.assertTrue(said.startswith(f"juliet@{DOMAIN} has registered; "))
        (welcome,) = self.available("juliet").receive()
        self.assertEqual((welcome["type"], str(welcome.body)), ("chat", "Hello juliet"))

    def test_operators_invite(self):
        """An invite that nobody else has made is the operator's."""
        romeo = self.available()
        self.listener.add_invite(id="abc")
        self.register("juliet", "K7dJq2mZx9RtYw4LbN8vHc3P")
        self.send_new()
        (message,) = romeo.receive()
        self.assertTrue(str(message.body).endswith("; invite: abc of the operator"))

    def test_before_the_service_started(self):
        """What was left by a service that was killed is told at login, and not before."""
        self.listener.add_account("romeo")
        self.register("juliet")
        self.listener.notices._last = None
        self.send_new()
        self.assertEqual(self.left(), 1)
        self.assertEqual(len(self.available().receive()), 1)

    def test_many(self):
        """However many registered meanwhile, they are told in their order."""
        romeo = self.available()
        for number in range(7):
            self.register(f"u{number}")
            self.listener.wait(hours=1)
            romeo.send(" ")  # or it would be taken for dead
        self.send_new()
        bodies = [str(message.body)[:2] for message in romeo.receive()]
        self.assertEqual(bodies, [f"u{number}" for number in range(7)])

    def test_store_fails(self):
        """While the store fails, nothing is told and nothing is lost."""
        self.listener.add_account("romeo")
        self.register("juliet")
        notices, working = self.listener.store, self.listener.store.notices_of

        def failing(*_args):
            raise Unavailable("id")

        notices.notices_of = failing
        self.assertSilent(self.available())
        notices.notices_of = working
        self.assertEqual(len(self.available(resource="garden").receive()), 1)

    def test_killed_before_it_forgot(self):
        """What was written is told again after a crash alone, and can be known by its id."""
        romeo = self.available()
        self.register("juliet")
        listener, working = self.listener, self.listener.store.remove_notices

        def failing(*_args):
            raise Unavailable("id")

        listener.store.remove_notices = failing
        for _ in range(3):
            telling = Deferred.fromCoroutine(listener.notices.send_new())
            self.failureResultOf(telling, Unavailable)
        (first,) = romeo.receive()
        self.assertSilent(self.available(resource="garden"))
        listener.store.remove_notices = working
        delivery = listener.embedded.delivery
        restarted = SessionNotices(listener.domains, listener.store, delivery, listener.now)
        restarted.arrived(DOMAIN, "romeo")
        (again,) = romeo.receive()
        self.assertEqual(again.toXml(), first.toXml())
        self.assertEqual(self.left(), 0)

    def test_killed_again_and_again(self):
        """What crashes keep from being forgotten is told three times, and no more."""
        romeo, listener = self.available(), self.listener
        self.register("juliet")

        def failing(*_args):
            raise Unavailable("id")

        working, listener.store.remove_notices = listener.store.remove_notices, failing
        delivery = listener.embedded.delivery
        told = 0
        for _ in range(5):
            restarted = SessionNotices(listener.domains, listener.store, delivery, listener.now)
            restarted.arrived(DOMAIN, "romeo")
            told += len(romeo.receive())
        self.assertEqual(told, 3)
        listener.store.remove_notices = working
        SessionNotices(listener.domains, listener.store, delivery, listener.now).arrived(
            DOMAIN, "romeo"
        )
        self.assertSilent(romeo)
        self.assertEqual(self.left(), 0)

    def test_restarts_without_the_watcher(self):
        """Restarts while nobody is there to read count for nothing."""
        self.listener.add_account("romeo")
        self.register("juliet")
        for _ in range(5):
            delivery = self.listener.embedded.delivery
            SessionNotices(
                self.listener.domains, self.listener.store, delivery, self.listener.now
            ).arrived(DOMAIN, "romeo")
        self.assertEqual(len(self.available().receive()), 1)

    def test_own_registration(self):
        """A watcher is not told of themselves."""
        self.register("romeo")
        self.assertEqual(self.left(), 0)


class WelcomeTests(NoticeCase):
    welcome = "Welcome to {site_name}, {username}! Ask anybody at {domain}. {{x}}"

    def test_welcome(self):
        """A newcomer is welcomed at the first login, and never again."""
        self.register("juliet")
        self.assertEqual(self.left("juliet"), 1)
        juliet = self.available("juliet")
        (message,) = juliet.receive()
        self.assertEqual(
            str(message.body),
            f"Welcome to Example Chat, juliet! Ask anybody at {DOMAIN}. {{x}}",
        )
        self.assertSilent(self.available("juliet", resource="garden"))

    def test_taken_back(self):
        """A welcome that the operator has removed is not told, and not kept."""
        self.register("juliet")
        self.change(self.listener, welcome="")
        self.assertSilent(self.available("juliet"))
        self.assertEqual(self.left("juliet"), 0)

    def test_not_for_the_old(self):
        """Who was there before the welcome was written is no newcomer."""
        self.assertSilent(self.available("mercutio"))

    def test_forgotten(self):
        """A welcome that nobody comes for is given up after three months."""
        self.register("juliet")
        self.listener.wait(days=89)
        self.successResultOf(self.listener.notices.forget_old(100))
        self.assertEqual(self.left("juliet"), 1)
        self.listener.wait(days=2)
        self.successResultOf(self.listener.notices.forget_old(100))
        self.assertEqual(self.left("juliet"), 0)


class ContactAddressTests(NoticeCase):
    def test_form(self):
        """The domain says whom to write to about abuse, by XEP-0157; an account does not."""
        addresses = {
            "abuse": ("mailto:abuse@example.com", "xmpp:romeo@example.com"),
            "status": ("https://status.example.com/",),
        }
        self.change(self.listener, contact_addresses=addresses)
        client = self.listener.logged_in()
        reply = client.ask(INFO)
        form = reply.query.x
        self.assertEqual((form.uri, form["type"]), ("jabber:x:data", "result"))
        found = {
            field["var"]: [str(value) for value in field.elements()]
            for field in form.elements(form.uri, "field")
        }
        self.assertEqual(
            found,
            {
                "FORM_TYPE": ["http://jabber.org/network/serverinfo"],
                "abuse-addresses": list(addresses["abuse"]),
                "status-addresses": list(addresses["status"]),
            },
        )
        own = client.ask(INFO.replace(f"to='{DOMAIN}'", ""))
        self.assertNotIn("x", children(own.query))

    def test_none(self):
        """Without any there is no form."""
        reply = self.listener.logged_in().ask(INFO)
        self.assertNotIn("x", children(reply.query))
