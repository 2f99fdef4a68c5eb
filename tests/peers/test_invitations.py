"""slixmpp: somebody with an account becomes a contact by a link (XEP-0379)."""

from xml.etree.ElementTree import SubElement

from tests.peers import require_peer
from tests.service.running import DOMAIN, until

require_peer("slixmpp")

from tests.peers.test_people import PeopleCase, Person  # noqa: E402


class InvitationTests(PeopleCase):
    async def guest_of(self, host: str, guest: str) -> tuple[Person, Person]:
        """Two with accounts, of whom neither would approve of anything when asked."""
        people = self.person(host), self.person(guest)
        for person, answer in zip(people, (False, None), strict=True):
            await person.arrive()
            person.auto_authorize = answer
            person.auto_subscribe = False
        return people

    def ask(self, guest: Person, host: str, token: str) -> None:
        """Send the request that a link leads to."""
        request = guest.make_presence(pto=f"{host}@{DOMAIN}", ptype="subscribe")
        SubElement(request.xml, "{urn:xmpp:pars:0}preauth", {"token": token})
        request.send()

    async def test_contact_by_link(self) -> None:
        """Both have each other in the roster and see each other, and nobody was asked."""
        host, guest = await self.guest_of("host", "guest")
        invite = {"inviter": "host", "registration": False}
        self.ask(guest, "host", self.service.invite(**invite))
        for one, other in ((host, "guest"), (guest, "host")):
            await until(
                lambda o=one, n=other: o.subscription(n) == "both", "they are no contacts"
            )
            await one.heard(other, "available")
        await self.converse(host, guest)

    async def test_wrong_token(self) -> None:
        """With a wrong token it is a request as any other, which can be refused."""
        host, guest = await self.guest_of("hostess", "stranger")
        self.ask(guest, "hostess", "x" * 24)
        jid = f"hostess@{DOMAIN}"
        await until(lambda: jid in guest.client_roster, "the request was not noted")
        await until(
            lambda: guest.client_roster[jid]["pending_out"] is False, "it was not refused"
        )
        self.assertEqual(host.subscription("stranger") or "none", "none")
