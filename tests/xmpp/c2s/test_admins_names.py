"""What concerns an admin's name or password is not done from an app, by no admin either."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from invitereg.interfaces.queries import Query
from invitereg.model.invites import Kind, token_digest
from invitereg.policy.values import Domain, Policy
from invitereg.testing import make_invite
from tests.xmpp.adhoc.execution import CREATE_ACCOUNT, RENEW, RESET, REVOKE, form, note
from tests.xmpp.adhoc.test_invites import InviteCase
from tests.xmpp.messages import DOMAIN

TOKEN = "theOldTokenOfThisInvite1"
ADMINS = frozenset({"romeo", "paris", "tybalt"})


class AdminsNameTests(InviteCase):
    """romeo, paris and tybalt are admins; tybalt has no account yet."""

    def allow(self, **_rules: Any) -> None:
        self.listener.domains[DOMAIN] = Domain(name=DOMAIN, policy=Policy(admins=ADMINS))

    def setUp(self) -> None:
        super().setUp()
        self.listener.add_account("paris")

    def opened(self):
        """The invite that the token is of, as it is stored."""
        query = Query(domain=DOMAIN, now=self.listener.now(), digest=token_digest(TOKEN))
        return self.successResultOf(self.listener.store.look_up(query)).invite

    cases = st.tuples(
        st.sampled_from([RENEW, REVOKE]),
        st.sampled_from(
            [
                *((Kind.RESET, name) for name in ("juliet", "romeo", "paris")),
                *((Kind.ACCOUNT, name) for name in ("nurse", "tybalt")),
            ]
        ),
        st.sampled_from(["cli", f"adhoc:romeo@{DOMAIN}", f"web:paris@{DOMAIN}", "api:key"]),
        st.sampled_from([-1, 1]),
    )

    @settings(max_examples=60, deadline=None)
    @given(cases)
    def test_any(self, case):
        """An admin gets no new link to an admin's account, and may end what there is."""
        node, (kind, name), source, hours = case
        now = self.listener.now()
        end = now + timedelta(hours=hours)
        invite = make_invite(
            kind=kind, username=name, source=source, created_at=now, expires_at=end
        )
        store = self.listener.store
        self.successResultOf(store.create_invite(invite, token_digest(TOKEN)))
        steps = [form(invite=invite.id), *([form(confirm="1")] if node == REVOKE else [])]
        answer = self.run_command(self.romeo, node, *steps)
        allowed = node == REVOKE or (hours > 0 and name not in ADMINS)
        self.assertEqual(answer["type"], "result" if allowed else "error")
        if not allowed:
            self.assertEqual(self.opened(), invite)
        revoked = self.successResultOf(store.revoke_invite(DOMAIN, invite.id, now))
        self.assertEqual(revoked.revoked_at, now)
        self.successResultOf(store.purge_invites(DOMAIN, now, 9))

    def test_no_reset(self):
        """No admin makes a link that sets an admin's password, nor their own."""
        for name in ("paris", "romeo", "Romeo"):
            filled = form(accountjid=f"{name}@{DOMAIN}")
            text = self.refused("cancel/not-allowed", self.romeo, RESET, filled)
            self.assertIn("command line", text)
        self.completed(self.romeo, RESET, form(accountjid=f"juliet@{DOMAIN}"))

    def test_no_invite(self):
        """No admin makes an invite for an admin's name that is free."""
        text = self.refused(
            "cancel/not-allowed", self.romeo, CREATE_ACCOUNT, form(username="Tybalt")
        )
        self.assertIn("command line", text)

    def test_no_admin_any_more(self):
        """Who is taken off the admins has nothing to do with the resets that they made."""
        self.completed(self.romeo, RESET, form(accountjid=f"juliet@{DOMAIN}"))
        (invite,) = self.stored()
        policy = Policy(admins=frozenset({"paris"}))
        self.listener.domains[DOMAIN] = Domain(name=DOMAIN, policy=policy)
        for node in (RENEW, REVOKE):
            answer = self.completed(self.romeo, node)
            self.assertEqual(note(answer), "You have no open invitations.")
        self.assertEqual(self.stored(), [invite])
