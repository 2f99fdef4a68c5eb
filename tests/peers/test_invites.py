"""slixmpp executes the commands about invites; who is given the link registers with it."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.peers import require_peer
from tests.peers.test_slixmpp import Client
from tests.service.running import DOMAIN, ServiceCase, within_bounds
from tests.xmpp.adhoc.execution import CREATE_ACCOUNT, INVITE, LIST, RENEW, RESET, REVOKE

require_peer("slixmpp")

Fill = Callable[[Any], dict[str, Any]]


class Inviter(Client):
    """A person with slixmpp who executes commands as its plugin does, stage by stage.

    Attributes:
        at: where the commands are.
    """

    at = DOMAIN

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register_plugin("xep_0050")

    async def commands(self) -> dict[str, str]:
        """The commands that are offered, by node."""
        found = await self.plugin["xep_0050"].get_commands(self.at)
        items = found["disco_items"]["items"]
        assert all(str(jid) == self.at for jid, _node, _name in items)
        return {node: name for _jid, node, name in items}

    async def perform(self, node: str, *fills: Fill) -> Any:
        """The answer to a command whose forms are filled in one after the other."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        left = list(fills)

        def go_on(iq: Any, session: dict[str, Any]) -> None:
            answer = iq["command"]
            if answer["status"] == "completed":
                done.set_result(answer)
                return
            shown = answer["form"]
            filled = self.plugin["xep_0004"].make_form(ftype="submit")
            for var, value in left.pop(0)(shown).items():
                filled.add_field(var=var, value=value)
            session["payload"] = filled
            if "complete" in answer["actions"]:
                self.plugin["xep_0050"].complete_command(session)
            else:
                self.plugin["xep_0050"].continue_command(session)

        def fail(iq: Any, _session: dict[str, Any]) -> None:
            done.set_result(iq["error"])

        session = {"next": go_on, "error": fail}
        self.plugin["xep_0050"].start_command(self.at, node, session)
        return await within_bounds(done)


def first_choice(form: Any) -> dict[str, Any]:
    """The first of the invites to choose from."""
    return {"invite": form.get_fields()["invite"]["options"][0]["value"]}


class InvitePeerTests(ServiceCase):
    settings = (
        f"admins: [romeo@{DOMAIN}]\n"
        "policy: {invites: {allow_user_invites: true, users: {max_open: 2}}}"
    )

    def client(self, *args: Any, **options: Any) -> Inviter:
        client = Inviter(self.service, *args, **options)
        self.addAsyncCleanup(client.leave)
        return client

    async def register(self, name: str, token: str) -> Inviter:
        """Somebody who registers with a token, and has logged in."""
        me = (name, self.service.secret())
        client = self.client(me, tokens=[token], forms=[me])
        self.assertEqual(await client.run(), "session_start")
        return client

    def token(self, answer: Any) -> str:
        """The token in a result, which has all the fields that apps look for."""
        told = answer["form"].get_values()
        self.assertEqual(told["FORM_TYPE"], ["urn:xmpp:invite#invitation"])
        self.assertEqual(told["landing-url"], "")
        self.assertRegex(told["expire"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        token: str = told["uri"].partition("preauth=")[2].partition(";")[0]
        self.service.secrets.append(token)
        return token

    async def test_user(self) -> None:
        """A user invites from the app, and the friend registers; until there are enough."""
        juliet = await self.register("juliet", self.service.invite())
        self.assertEqual(
            set(await juliet.commands()), {INVITE, CREATE_ACCOUNT, LIST, RENEW, REVOKE}
        )
        made = await juliet.perform(INVITE)
        uri = made["form"].get_values()["uri"]
        self.assertRegex(uri, rf"^xmpp:juliet@{DOMAIN}\?roster;preauth=[A-Za-z0-9]+;ibr=y$")
        await self.register("tybalt", self.token(made))

        self.token(await juliet.perform(INVITE))
        self.token(await juliet.perform(CREATE_ACCOUNT, lambda _form: {"username": "nurse"}))
        refused = await juliet.perform(INVITE)
        self.assertEqual(
            (refused["type"], refused["condition"]), ("wait", "resource-constraint")
        )
        revoked = await juliet.perform(REVOKE, first_choice, lambda _form: {"confirm": True})
        self.assertEqual(revoked["notes"], [("info", "The invitation is revoked.")])
        self.token(await juliet.perform(INVITE))

    async def test_admin(self) -> None:
        """An admin makes an invite by the form, and a reset link, from the app."""
        romeo = await self.register("romeo", self.service.invite(username="romeo"))
        self.assertIn(RESET, await romeo.commands())
        fields = {"username": "benvolio", "expiry": "1d", "role": ["team"], "note": "a friend"}
        made = await romeo.perform(CREATE_ACCOUNT, lambda _form: fields)
        self.assertIn(f"xmpp:benvolio@{DOMAIN}?register;", made["form"].get_values()["uri"])
        listed = await romeo.perform(LIST, lambda form: {"status": "pending"})
        self.assertEqual([row["username"] for row in listed["form"]["items"]], ["benvolio"])
        benvolio = await self.register("benvolio", self.token(made))
        await benvolio.leave()

        account = {"accountjid": f"benvolio@{DOMAIN}"}
        reset = await romeo.perform(RESET, lambda _form: account)
        await self.register("benvolio", self.token(reset))

    async def test_wrong_form(self) -> None:
        """A form that is filled in wrongly is an error that the app is told of."""
        paris = await self.register("paris", self.service.invite())
        error = await paris.perform(CREATE_ACCOUNT, lambda _form: {"shoe-size": "44"})
        self.assertEqual((error["type"], error["condition"]), ("modify", "bad-request"))
        forbidden = await paris.perform(RESET)
        self.assertEqual((forbidden["type"], forbidden["condition"]), ("cancel", "forbidden"))
