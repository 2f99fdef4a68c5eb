"""What the log tells of a server that is there only after we are."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from invitereg.interfaces.server import OWN_INVITES, ServerUnreachable
from invitereg.runtime.logs import FaultLog
from invitereg.service.remote import LOOK_SECONDS, ServerChecks
from tests.contracts.servers import MemoryServer
from tests.spying import logged

DOMAIN = "example.com"


class LateServer(MemoryServer):
    """Not there at first.

    Attributes:
        there: whether it is by now.
        asked: how often it was asked for warnings.
    """

    def __init__(self) -> None:
        super().__init__(DOMAIN)
        self.there = False
        self.asked = 0

    def warnings(self) -> Deferred[Sequence[str]]:
        self.asked += 1
        down = ServerUnreachable("it is away")
        return succeed([OWN_INVITES]) if self.there else fail(down)


class LookTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.server = Clock(), LateServer()
        self.said = logged(self)
        faults = FaultLog(Logger(), f"the server of {DOMAIN}", self.clock.seconds)
        self.checks = ServerChecks(
            self.server, faults, by_component=False, seconds=self.clock.seconds
        )

    def wait(self, seconds: float) -> None:
        """What is done every second, for a while."""
        for _ in range(int(seconds)):
            self.successResultOf(Deferred.fromCoroutine(self.checks.start_when_answered()))
            self.clock.advance(1)

    def told(self, part: str) -> int:
        return sum(part in line for line in self.said)

    def test_late(self) -> None:
        """A server that comes later is looked at then, once, and the log has what is found."""
        self.wait(3 * LOOK_SECONDS)
        self.assertEqual((self.told("it is away"), self.told(OWN_INVITES)), (1, 0))
        self.assertEqual(self.server.asked, 3)
        self.server.there = True
        self.wait(3 * LOOK_SECONDS)
        self.assertEqual((self.told("works again"), self.told(OWN_INVITES)), (1, 1))
        self.assertEqual(self.server.asked, 4)

    def test_there(self) -> None:
        """A server that is there is asked once, at once."""
        self.server.there = True
        self.wait(1)
        self.assertEqual((self.told(OWN_INVITES), self.server.asked), (1, 1))
        self.wait(99)
        self.assertEqual((self.told(OWN_INVITES), self.server.asked), (1, 1))
