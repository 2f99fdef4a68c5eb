"""The store is a table of jobs, and its interface says how each is called."""

from inspect import signature

from twisted.trial.unittest import SynchronousTestCase

from invitereg.interfaces import IStore
from invitereg.store.store import Store


class TableTests(SynchronousTestCase):
    def test_signatures(self):
        """Whoever calls by the interface, also by name or by default, calls the job."""
        for name in IStore.names(all=True):
            asked = IStore[name].getSignatureInfo()
            _connection, *parameters = signature(getattr(Store, name)).parameters.values()
            listed = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
            self.assertEqual([p.name for p in listed], list(asked["positional"]), name)
            defaults = {p.name: p.default for p in listed if p.default is not p.empty}
            self.assertEqual(defaults, asked["optional"], name)

    def test_complete(self):
        """What the store can do is in the interface, and is described."""
        table = {name for name in vars(Store) if not name.startswith("_")}
        self.assertEqual(table, set(IStore.names(all=True)))
        self.assertEqual([name for name in table if not getattr(Store, name).__doc__], [])
