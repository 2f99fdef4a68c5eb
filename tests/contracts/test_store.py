"""Runs the contract of the stores on each of them."""

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from invitereg.interfaces.stores import IStore
from invitereg.runtime.threads import Inline, Threads
from invitereg.store.database import open_database, open_memory
from invitereg.store.store import Store
from tests.contracts.account_contract import AccountContract
from tests.contracts.branch_contract import BranchContract
from tests.contracts.bulk_contract import BulkContract
from tests.contracts.ending_contract import EndingContract
from tests.contracts.invite_contract import InviteContract
from tests.contracts.key_contract import KeyContract
from tests.contracts.lease_contract import JobContract, LeaseContract
from tests.contracts.login_contract import LoginContract
from tests.contracts.notice_contract import NoticeContract
from tests.contracts.quota_contract import QuotaContract
from tests.contracts.redeem_contract import RedeemContract
from tests.contracts.roster_contract import InvitationContract, RosterContract

# Only what is derived from them is a test: with a store.
_CONTRACTS = (
    InviteContract,
    BulkContract,
    RedeemContract,
    AccountContract,
    RosterContract,
    InvitationContract,
    LeaseContract,
    JobContract,
    BranchContract,
    QuotaContract,
    NoticeContract,
    KeyContract,
    EndingContract,
    LoginContract,
)
del InviteContract, BulkContract, QuotaContract, RedeemContract, AccountContract
del RosterContract, InvitationContract, BranchContract, NoticeContract, KeyContract
del LeaseContract, JobContract, EndingContract, LoginContract


class ContractTests(SynchronousTestCase):
    def test_each_runs(self):
        """No contract hides another's test by its name: one class runs them all."""
        names = [name for c in _CONTRACTS for name in vars(c) if name.startswith("test_")]
        self.assertEqual([name for name, n in Counter(names).items() if n > 1], [])

    def test_none_is_forgotten(self):
        """Every contract in this folder is run, but for the backends', which run theirs."""
        for path in Path(__file__).parent.glob("*_contract.py"):
            module = import_module(f"tests.contracts.{path.stem}")
            if path.stem != "backend_contract":
                contracts = {c for name, c in vars(module).items() if name.endswith("Contract")}
                self.assertEqual(contracts - set(_CONTRACTS), set(), path.name)


class MemoryStoreTests(*_CONTRACTS):
    def setUp(self):
        super().setUp()
        database = open_memory()
        self.addCleanup(database.close)
        self.store = Store(database)

    def test_interfaces(self):
        """It can be put wherever a store is asked for."""
        verifyObject(IStore, self.store)


class SQLStoreTests(*_CONTRACTS):
    """As the command line uses it: in one thread."""

    def setUp(self):
        super().setUp()
        database = open_database(self.folder(), Inline())
        self.addCleanup(database.close)
        self.store = Store(database)

    def test_interfaces(self):
        """It can be put wherever a store is asked for."""
        verifyObject(IStore, self.store)


@pytest.mark.slow
class ThreadedSQLStoreTests(*_CONTRACTS):
    """As a service uses it: reads in a pool of threads, writes in one of their own."""

    def setUp(self):
        super().setUp()
        threads = Threads(reactor)
        threads.start()
        database = open_database(self.folder(), threads)
        self.addCleanup(database.close)
        self.addCleanup(threads.stop)
        self.store = Store(database)
