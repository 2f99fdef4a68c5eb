"""Every transition of RFC 6121, appendix A, as the RFC's tables have them."""

from twisted.trial.unittest import SynchronousTestCase

from invitereg.model.subscribing import Stanza, SubscriptionState, inbound, outbound

# "yes" is MUST be routed or delivered, "no" is MUST NOT; "-" is no change of the state.
OUTBOUND = {
    # A.2.1
    "subscribe": """
        None                      | yes | None + Pending Out
        None + Pending Out        | yes | -
        None + Pending In         | yes | None + Pending Out+In
        None + Pending Out+In     | yes | -
        To                        | yes | -
        To + Pending In           | yes | -
        From                      | yes | From + Pending Out
        From + Pending Out        | yes | -
        Both                      | yes | -
    """,
    # A.2.2
    "unsubscribe": """
        None                      | yes | -
        None + Pending Out        | yes | None
        None + Pending In         | yes | -
        None + Pending Out+In     | yes | None + Pending In
        To                        | yes | None
        To + Pending In           | yes | None + Pending In
        From                      | yes | -
        From + Pending Out        | yes | From
        Both                      | yes | From
    """,
    # A.2.3; where it is not routed, it may be an approval in advance, see test_subscribing
    "subscribed": """
        None                      | no  | -
        None + Pending Out        | no  | -
        None + Pending In         | yes | From
        None + Pending Out+In     | yes | From + Pending Out
        To                        | no  | -
        To + Pending In           | yes | Both
        From                      | no  | -
        From + Pending Out        | no  | -
        Both                      | no  | -
    """,
    # A.2.4
    "unsubscribed": """
        None                      | no  | -
        None + Pending Out        | no  | -
        None + Pending In         | yes | None
        None + Pending Out+In     | yes | None + Pending Out
        To                        | no  | -
        To + Pending In           | yes | To
        From                      | yes | None
        From + Pending Out        | yes | None + Pending Out
        Both                      | yes | To
    """,
}
INBOUND = {
    # A.3.1
    "subscribe": """
        None                      | yes | None + Pending In
        None + Pending Out        | yes | None + Pending Out+In
        None + Pending In         | no  | -
        None + Pending Out+In     | no  | -
        To                        | yes | To + Pending In
        To + Pending In           | no  | -
        From                      | no  | -
        From + Pending Out        | no  | -
        Both                      | no  | -
    """,
    # A.3.2
    "unsubscribe": """
        None                      | no  | -
        None + Pending Out        | no  | -
        None + Pending In         | yes | None
        None + Pending Out+In     | yes | None + Pending Out
        To                        | no  | -
        To + Pending In           | yes | To
        From                      | yes | None
        From + Pending Out        | yes | None + Pending Out
        Both                      | yes | To
    """,
    # A.3.3
    "subscribed": """
        None                      | no  | -
        None + Pending Out        | yes | To
        None + Pending In         | no  | -
        None + Pending Out+In     | yes | To + Pending In
        To                        | no  | -
        To + Pending In           | no  | -
        From                      | no  | -
        From + Pending Out        | yes | Both
        Both                      | no  | -
    """,
    # A.3.4
    "unsubscribed": """
        None                      | no  | -
        None + Pending Out        | yes | None
        None + Pending In         | no  | -
        None + Pending Out+In     | yes | None + Pending In
        To                        | yes | None
        To + Pending In           | yes | None + Pending In
        From                      | no  | -
        From + Pending Out        | yes | From
        Both                      | yes | From
    """,
}
NAMES = {
    "None": SubscriptionState.NONE,
    "None + Pending Out": SubscriptionState.NONE_OUT,
    "None + Pending In": SubscriptionState.NONE_IN,
    "None + Pending Out+In": SubscriptionState.NONE_OUT_IN,
    "To": SubscriptionState.TO,
    "To + Pending In": SubscriptionState.TO_IN,
    "From": SubscriptionState.FROM,
    "From + Pending Out": SubscriptionState.FROM_OUT,
    "Both": SubscriptionState.BOTH,
}


def rows(tables):
    """Each row: the stanza, the state before, the state after; None where nothing happens."""
    for stanza, table in tables.items():
        for line in table.strip().splitlines():
            before, goes, after = (cell.strip() for cell in line.split("|"))
            if goes == "no":
                assert after == "-"
                yield Stanza(stanza), NAMES[before], None
            else:
                yield Stanza(stanza), NAMES[before], NAMES[before if after == "-" else after]


class AppendixTests(SynchronousTestCase):
    def test_complete(self):
        """The tables have every state for every stanza."""
        for tables in (OUTBOUND, INBOUND):
            cases = {(stanza, before) for stanza, before, _after in rows(tables)}
            self.assertEqual(
                cases, {(stanza, state) for stanza in Stanza for state in SubscriptionState}
            )

    def test_outbound(self):
        """A.2: what a stanza does to the roster of who sends it, and whether it is routed."""
        for stanza, before, after in rows(OUTBOUND):
            self.assertIs(outbound(before, stanza), after, (stanza, before))

    def test_inbound(self):
        """A.3: what it does to the roster of whom it is for, and whether it is delivered."""
        for stanza, before, after in rows(INBOUND):
            self.assertIs(inbound(before, stanza), after, (stanza, before))
