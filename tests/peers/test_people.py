"""slixmpp: two people become contacts, see each other, and write."""

from typing import Any

from tests.peers import require_peer
from tests.service.running import DOMAIN, ServiceCase, until

require_peer("slixmpp")

from tests.peers.test_slixmpp import Client  # noqa: E402


class Person(Client):
    """Somebody who asks for the roster, sends presence, and writes down what comes.

    Attributes:
        log: presence and messages in the order of their coming, as the sender's bare JID with
            a type or a text.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.log: list[tuple[str, str]] = []
        self.add_event_handler("presence_available", lambda stanza: self._note(stanza))
        self.add_event_handler("presence_unavailable", lambda stanza: self._note(stanza))
        self.add_event_handler("presence_subscribe", lambda stanza: self._note(stanza))
        self.add_event_handler("message", lambda stanza: self._note(stanza))

    async def arrive(self) -> None:
        """Log in, as clients do."""
        assert await self.run() == "session_start"
        await self.get_roster()
        self.send_presence()

    def subscription(self, name: str) -> str:
        """What the roster says of somebody."""
        items = self.client_roster
        jid = f"{name}@{DOMAIN}"
        return str(items[jid]["subscription"]) if jid in items else ""

    async def contact_of(self, name: str) -> None:
        """Wait until somebody is a contact, both ways."""
        await until(lambda: self.subscription(name) == "both", f"{self.boundjid} has no {name}")

    async def heard(self, name: str, what: str) -> None:
        """Wait until this has come."""
        entry = (f"{name}@{DOMAIN}", what)
        await until(lambda: entry in self.log, f"{self.boundjid} never hears {entry}")

    def _note(self, stanza: Any) -> None:
        what = stanza["body"] if stanza.name == "message" else stanza["type"]
        self.log.append((stanza["from"].bare, what))


class PeopleCase(ServiceCase):
    def person(self, name: str, password: str = "", **invite: Any) -> Person:
        """Somebody who registers when they arrive; with a password, who has an account."""
        me = (name, password or self.service.secret())
        join = {} if password else {"tokens": [self.service.invite(**invite)], "forms": [me]}
        person = Person(self.service, me, **join)
        self.addAsyncCleanup(person.leave)
        return person

    async def converse(self, one: Person, other: Person) -> None:
        """Both write, and read, in order."""
        for sender, reader in ((one, other), (other, one)):
            for number in range(10):
                sender.send_message(mto=reader.boundjid.bare, mbody=str(number), mtype="chat")
            name = str(sender.boundjid.user)
            await reader.heard(name, "9")
            texts = [text for who, text in reader.log if who == sender.boundjid.bare]
            self.assertEqual([t for t in texts if t.isdigit()], [str(n) for n in range(10)])


class PeopleTests(PeopleCase):
    async def test_become_contacts(self) -> None:
        """One asks, the other agrees: both see each other come, write, and go."""
        romeo, juliet = self.person("romeo"), self.person("juliet")
        await romeo.arrive()
        await juliet.arrive()
        romeo.send_presence_subscription(pto=f"juliet@{DOMAIN}")
        for one, other in ((romeo, "juliet"), (juliet, "romeo")):
            await until(
                lambda o=one, n=other: o.subscription(n) == "both", "they are no contacts"
            )
            await one.heard(other, "available")
        await self.converse(romeo, juliet)
        juliet.abort()
        await romeo.heard("juliet", "unavailable")

    async def test_invited_contacts(self) -> None:
        """Who comes by somebody's invite has them as a contact, and the other way round."""
        nurse = self.person("nurse")
        await nurse.arrive()
        peter = self.person("peter", inviter="nurse", contact=True)
        await peter.arrive()
        self.assertEqual(peter.subscription("nurse"), "both")
        await until(lambda: nurse.subscription("peter") == "both", "the roster was not pushed")
        await nurse.heard("peter", "available")
        await peter.heard("nurse", "available")
        await self.converse(nurse, peter)

    async def test_two_devices(self) -> None:
        """Two devices of one person see each other, and the person's contacts see both."""
        tybalt = self.person("tybalt")
        await tybalt.arrive()
        paris = self.person("paris", inviter="tybalt", contact=True)
        await paris.arrive()
        other = self.person("tybalt", str(tybalt.password))
        await other.arrive()
        await other.heard("tybalt", "available")
        await other.heard("paris", "available")
        both = {tybalt.boundjid.resource, other.boundjid.resource}
        paris_sees = paris.client_roster[f"tybalt@{DOMAIN}"]
        await until(lambda: set(paris_sees.resources) == both, "a device is not seen")
        paris.send_message(mto=f"tybalt@{DOMAIN}", mbody="both", mtype="chat")
        for device in (tybalt, other):
            await device.heard("paris", "both")
