"""Answers that take their time: the store is slow, and the client is not."""

from datetime import timedelta

from invitereg.model.accounts import SCRAM_SHA_256
from invitereg.policy.values import Limit
from invitereg.xmpp.c2s.listener import end_all
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import BIND, GET, auth, header, plain, preauth, registration
from tests.xmpp.slowstore import SlowStore

PING = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"


class WaitingTestCase(DoorTestCase):
    def setUp(self):
        self.start()

    def start(self, **options):
        """A listener whose store can be slowed down."""
        self.listener = Listener(wrap_store=self.wrap, **options)

    def wrap(self, store):
        self.store = SlowStore(store)
        return self.store

    def tearDown(self):
        self.assertEqual(self.flushLoggedErrors(), [])


class OrderTests(WaitingTestCase):
    def test_in_order(self):
        """What is sent meanwhile is answered afterwards, in order, each once."""
        self.listener.add_invite()
        client = self.listener.opened()
        self.store.slow = True
        client.send(preauth() + GET, registration())
        self.assertSilent(client)
        self.store.answer_all()
        replies = client.receive()
        self.assertEqual([r["id"] for r in replies], ["preauth", "get", "set"])
        self.assertEqual({r["type"] for r in replies}, {"result"})

    def test_one_after_the_other(self):
        """A registration is only looked at when the token has been."""
        self.listener.add_invite()
        client = self.listener.opened()
        self.store.slow = True
        client.send(preauth() + registration() + registration("romeo"))
        self.assertEqual(self.store.asked, 1)
        self.store.answer_all()
        self.assertEqual([r["type"] for r in client.receive()], ["result", "result", "error"])

    def test_many_waiting(self):
        """Hundreds of requests may wait; none of them nests in another."""
        client = self.listener.opened()
        self.store.slow = True
        client.send(preauth() + GET * 1000)
        self.store.answer_all()
        self.assertEqual(len(client.receive()), 1001)

    def test_paused(self):
        """A client that sends on meanwhile is not read until its turn comes."""
        self.listener.add_invite()
        client = self.listener.opened()
        self.store.slow = True
        client.send(preauth())
        client.send(GET)
        self.assertEqual(client.transport.producerState, "paused")
        self.store.answer_all()
        self.assertEqual(client.transport.producerState, "producing")
        self.assertEqual(len(client.receive()), 2)

    def test_closed_meanwhile(self):
        """A client that says good-bye is answered first, then closed."""
        self.listener.add_invite()
        client = self.listener.opened()
        self.store.slow = True
        client.send(preauth() + "</stream:stream>")
        self.assertSilent(client)
        self.store.answer_all()
        self.assertEqual([r["type"] for r in client.receive()], ["result"])
        self.assertTrue(client.ended)
        self.assertTrue(client.closed)

    def test_bad_xml_meanwhile(self):
        """A fault ends the stream at once; the answer comes too late."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        self.store.slow = True
        client.send(registration() + "<<")
        self.assertEnded(client, "not-well-formed")
        self.store.answer_all()
        self.assertEqual(client.receive(), [])

    def test_heard_after_the_end(self):
        """A stream that ends while it was paused hears the client's side of the closing."""
        client = self.listener.opened()
        self.store.slow = True
        client.send(preauth() + GET)
        self.assertEqual(client.transport.producerState, "paused")
        end_all(self.listener.door.streams.open, "system-shutdown")
        self.assertEqual(client.transport.producerState, "producing")
        self.assertEnded(client, "system-shutdown")
        self.store.answer_all()
        self.assertEqual(client.receive(), [])


class LossTests(WaitingTestCase):
    def test_lost_in_registration(self):
        """A client that vanishes while it is registered has an account, and nobody an error."""
        self.listener.add_invite()
        client = self.listener.preauthorised()
        self.store.slow = True
        client.send(registration() + GET)
        client.lose()
        self.store.answer_all()
        self.assertEqual(client.receive(), [])
        self.assertIsNotNone(self.listener.account())

    def test_lost_in_preauth(self):
        """Nor is it an error to vanish before the fifth wrong token is answered."""
        client = self.listener.opened()
        client.send(*[preauth("wrong")] * 4)
        client.receive()
        self.store.slow = True
        client.send(preauth("wrong") * 2)
        client.lose()
        self.store.answer_all()
        self.assertEqual(client.receive(), [])

    def test_lost_in_login(self):
        """Nor in a login, by any way, whatever it would have come to."""
        self.listener.add_account()
        first = b"n,,n=juliet,r=fyko+d2lbbFgONRv9qkxdawL"
        for text in (plain(), plain(password="x"), plain("nobody"), auth(SCRAM_SHA_256, first)):
            for answers in range(5):
                client = self.listener.opened()
                self.store.slow = True
                client.send(text + GET)
                for _ in range(answers):
                    self.store.answer()
                client.receive()
                client.lose()
                self.store.answer_all()
                self.store.slow = False
                self.assertEqual(client.receive(), [])

    def test_lost_in_bind(self):
        """Nor while a resource is bound; no session is left behind."""
        self.listener.add_account()
        client = self.listener.opened()
        client.log_in()
        self.store.slow = True
        client.send(BIND.format("x") + PING)
        client.lose()
        self.store.answer_all()
        self.assertEqual(list(self.listener.sessions.of("juliet@example.com")), [])
        self.assertEqual(self.listener.clock.getDelayedCalls(), [])

    def test_failure_after_loss(self):
        """A defect found after the loss is logged as what it is."""
        client = self.listener.opened()
        self.listener.work.run = self.fail_later
        self.store.slow = True
        client.send(plain())
        client.lose()
        self.store.answer_all()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def fail_later(self, *_):
        raise ZeroDivisionError

    def test_time_out_meanwhile(self):
        """A stream whose time is over ends, even while an answer is being worked out."""
        client = self.listener.opened()
        self.store.slow = True
        client.send(preauth())
        self.listener.wait(minutes=10)
        self.assertEnded(client, "connection-timeout")
        client.lose()
        self.store.answer_all()


class SecurityTests(WaitingTestCase):
    def test_trap_1_after_auth(self):
        """What is sent ahead of a login's success is thrown away, in whatever segment."""
        self.listener.add_account()
        client = self.listener.opened()
        self.store.slow = True
        client.send(plain() + GET, header(declaration=""), GET)
        self.store.answer_all()
        self.assertEqual([e.name for e in client.receive()], ["success"])
        self.assertEqual(client.open().name, "features")

    def test_failed_login_goes_on(self):
        """After a failure, what was sent ahead is answered."""
        self.listener.add_account()
        client = self.listener.opened()
        self.store.slow = True
        client.send(plain(password="wrong") + GET)
        self.store.answer_all()
        self.assertEqual([e.name for e in client.receive()], ["failure", "iq"])

    def test_hundred_attempts_at_once(self):
        """A hundred logins at once on parallel streams are counted like one by one."""
        self.start(limits={"logins": Limit(max=10, period=timedelta(minutes=10))})
        self.listener.add_account()
        clients = [self.listener.opened() for _ in range(100)]
        self.store.slow = True
        for client in clients:
            client.send(plain(password="wrong"))
        self.store.answer_all()
        conditions = [client.receive()[0].firstChildElement().name for client in clients]
        self.assertEqual(conditions.count("not-authorized"), 10)
        self.assertEqual(conditions.count("temporary-auth-failure"), 90)
        self.assertEqual(self.listener.work.runs, 10)

    def test_one_use_for_two(self):
        """Of two who register with one use at once, one gets it."""
        invite = self.listener.add_invite()
        clients = [self.listener.preauthorised() for _ in range(2)]
        self.store.slow = True
        for client, name in zip(clients, ("juliet", "romeo"), strict=True):
            client.send(registration(name))
        self.store.answer_all()
        self.assertEqual([c.receive()[0]["type"] for c in clients], ["result", "error"])
        self.assertEqual(self.listener.invite(invite).uses, 1)

    def test_fifty_at_once(self):
        """Fifty streams with one invite make as many accounts as it allows, and no more."""
        for allowed in (1, 3):
            token = f"shared{allowed}"
            invite = self.listener.add_invite(token, uses_allowed=allowed)
            clients = [self.listener.preauthorised(token) for _ in range(50)]
            self.store.slow = True
            for number, client in enumerate(clients):
                client.send(registration(f"guest{allowed}-{number}"))
            self.store.answer_all()
            self.store.slow = False
            kinds = [client.receive()[0]["type"] for client in clients]
            self.assertEqual((kinds.count("result"), len(kinds)), (allowed, 50))
            self.assertEqual(self.listener.invite(invite).uses, allowed)

    def test_guesses_at_once(self):
        """Fifty tokens tried at once are counted as if they came one after the other."""
        clients = [self.listener.opened() for _ in range(50)]
        self.store.slow = True
        for client in clients:
            client.send(preauth("wrong"))
        self.store.answer_all()
        conditions = {c.receive()[0].error.firstChildElement().name for c in clients}
        self.assertEqual(conditions, {"item-not-found"})
        clients[0].send(preauth("wrong"))
        self.store.answer_all()
        (told,) = clients[0].receive()
        self.assertEqual(told.error.firstChildElement().name, "resource-constraint")
