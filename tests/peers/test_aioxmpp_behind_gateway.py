"""aioxmpp behind the gateway: invited by somebody who uses slixmpp."""

import asyncio
from typing import Any

from tests.peers.gateway import BehindCase
from tests.peers.servers import Ejabberd, Prosody
from tests.peers.test_aioxmpp import Stream, aioxmpp, available, ibr, person
from tests.peers.test_people import Person
from tests.service.running import DOMAIN, within_bounds


class Invited(BehindCase):
    """Who comes by an invite on one stream, and logs in on another."""

    async def test_contacts(self) -> None:
        """Registration, login, both rosters, presence, and messages both ways."""
        inviter = Person(self.service, self.account(), mechanism="SCRAM-SHA-1")
        self.addAsyncCleanup(inviter.leave)
        await inviter.arrive()
        host = aioxmpp.JID(str(inviter.boundjid.user), DOMAIN, None)
        for direct in (False, True):
            invite = await self.token("--inviter", host.localpart, "--contact")
            name, password = await self.registered(invite, direct)
            client = person(self.service, name, password, "SCRAM-SHA-1", direct)
            roster, came = client.summon(aioxmpp.RosterClient), self.future()
            presence, heard = client.summon(aioxmpp.PresenceClient), self.future()
            presence.on_available.connect(
                lambda jid, _stanza, came=came: jid.bare() == host and came.set_result(jid)
            )
            messages = client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
            # Prosody's mod_privilege tells everybody their privileges, by a message, or none.
            chat = aioxmpp.MessageType.CHAT
            messages.register_callback(chat, None, heard.set_result)
            async with available(client):
                self.assertEqual(roster.items[host].subscription, "both")
                await inviter.contact_of(name)
                self.assertEqual((await within_bounds(came)).bare(), host)
                await inviter.heard(name, "available")
                message = aioxmpp.Message(type_=chat, to=host)
                message.body[None] = "Good morrow"
                await client.send(message)
                await inviter.heard(name, "Good morrow")
                inviter.send_message(f"{name}@{DOMAIN}", "Is the day so young?", mtype="chat")
                arrived = await within_bounds(heard)
                self.assertEqual(arrived.body.any(), "Is the day so young?")
            await inviter.heard(name, "unavailable")

    async def registered(self, invite: str, direct: bool) -> tuple[str, str]:
        """Name and password of somebody who has come by an invite."""
        stream = await Stream.connect(self.service, direct)
        me = (self.name(), self.service.secret())
        self.assertEqual(await stream.preauth("wrong"), "item-not-found")
        self.assertEqual(await stream.preauth(invite), "result")
        fields = set(ibr.get_used_fields(await stream.form()))
        self.assertLessEqual({(ibr.Query.TAG[0], "username")}, fields)
        self.assertEqual(await stream.register(*me), "result")
        await stream.close()
        return me

    def future(self) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().create_future()


class ProsodyTests(Invited):
    kind = Prosody


class EjabberdTests(Invited):
    kind = Ejabberd


del Invited
