"""A store whose rosters a test writes down, and can keep back."""

from twisted.internet.defer import Deferred

from invitereg.model.roster import RosterItem, Subscription


class Book:
    """A store with other rosters than those that people have made.

    Attributes:
        rosters: by bare JID, each by the contact's bare JID.
        reading: called at each read of a roster, before it is returned.
    """

    def __init__(self, store):
        self._store = store
        self.rosters = {}
        self.reading = self.nothing

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def nothing(self):
        """Nothing happens meanwhile."""

    def befriend(self, one, other, subscription="both"):
        """Let ``one`` have ``other`` in the roster, and the other way round."""
        opposite = {"to": "from", "from": "to"}.get(subscription, subscription)
        self.put(one, other, subscription)
        self.put(other, one, opposite)

    def put(self, one, other, subscription, request=None):
        """Write down one item."""
        kind = Subscription(subscription)
        item = RosterItem(jid=other, subscription=kind, request=request)
        self.rosters.setdefault(one, {})[other] = item

    def get_roster(self, domain, username):
        """See `IRosterStore`."""
        return Deferred.fromCoroutine(self._roster(f"{username}@{domain}"))

    async def _roster(self, account):
        roster = dict(self.rosters.get(account, {}))
        await self.reading()
        return roster
