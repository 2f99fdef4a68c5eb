"""The store is a table of jobs, and its interface says how each is called."""

import ast
import inspect
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from invitereg.interfaces import stores
from invitereg.interfaces.stores import IStore
from invitereg.store.store import Store


def function_of(source: str) -> ast.FunctionDef:
    [function] = ast.parse(dedent(source)).body
    assert isinstance(function, ast.FunctionDef)
    return function


def methods() -> dict[str, ast.FunctionDef]:
    """What the interfaces of the store say, by the methods' names."""
    parts = {part.__name__ for part in IStore.__bases__}
    return {
        method.name: method
        for part in ast.parse(inspect.getsource(stores)).body
        if isinstance(part, ast.ClassDef) and part.name in parts
        for method in part.body
        if isinstance(method, ast.FunctionDef)
    }


class TableTests(SynchronousTestCase):
    def test_signatures(self) -> None:
        """Whoever calls by the interface, also by name or by default, calls the job."""
        for name, method in methods().items():
            job = function_of(inspect.getsource(inspect.unwrap(getattr(Store, name))))
            self.assertEqual(job.args.args.pop(0).arg, "connection", name)
            self.assertEqual(ast.unparse(job.args), ast.unparse(method.args), name)
            assert job.returns is not None
            assert method.returns is not None
            returned = f"Deferred[{ast.unparse(job.returns)}]"
            self.assertEqual(returned, ast.unparse(method.returns), name)

    def test_complete(self) -> None:
        """What the store can do is in the interface, and is described."""
        table = {name for name in vars(Store) if not name.startswith("_")}
        self.assertEqual(table, set(IStore.names(all=True)))
        self.assertEqual(table, methods().keys())
        self.assertEqual([name for name in table if not getattr(Store, name).__doc__], [])
