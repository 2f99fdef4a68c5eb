"""The origins that stand in brackets before log lines: filters of operators match them."""

import ast
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.test_structure import MODULES, PACKAGE

# As of the first version that wrote the line. Add to them; a module or class that is renamed
# keeps its line's origin.
ORIGINS = """
invitereg.accounts.asking.Asking
invitereg.accounts.errands.Errands
invitereg.accounts.gone.GoneAccounts
invitereg.accounts.making.Making
invitereg.connections.ConnectionGate
invitereg.domain.presence.Presence
invitereg.domain.sessions.Sessions
invitereg.domain.telling.Teller
invitereg.issuer.Issuer
invitereg.logguard.LogGuard
invitereg.notify.ServiceManager
invitereg.ports.Ports
invitereg.proxied.ProxiedFactory
invitereg.registrar.Registrar
invitereg.serverchecks.ServerChecks
invitereg.store.database.Database
invitereg.store.opening
invitereg.tap.InviteregService
invitereg.threads.Threads
invitereg.tls.Certificates
invitereg.upkeep.Upkeep
invitereg.web.accesslog.AccessLog
invitereg.web.api.authorization.Authorization
invitereg.web.api.prosody.ProsodyInvites
invitereg.web.api.resource.Api
invitereg.web.health.Ready
invitereg.web.metrics.MetricsPage
invitereg.web.request.WebRequest
invitereg.xmpp.account.AccountHandler
invitereg.xmpp.behind.Behind
invitereg.xmpp.bind.BindHandler
invitereg.xmpp.c2s.C2SDoor
invitereg.xmpp.commands.CommandsHandler
invitereg.xmpp.component.ComponentDoor
invitereg.xmpp.componentstream.ComponentStream
invitereg.xmpp.disco.SessionDiscoHandler
invitereg.xmpp.hostping.HostPing
invitereg.xmpp.inbox.Inbox
invitereg.xmpp.outbox.UnreadLedger
invitereg.xmpp.preauth.PreauthHandler
invitereg.xmpp.register.RegistrationHandler
invitereg.xmpp.roster.RosterHandler
invitereg.xmpp.sasl.SaslHandler
invitereg.xmpp.telling.ComponentTeller
"""


def written_origins() -> Iterator[str]:
    """Yield the namespace of each logger, and of each handler that has one."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Logger":
                yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "origin":
                yield from [node.value.value] if isinstance(node.value, ast.Constant) else ()


class OriginTests(SynchronousTestCase):
    def test_fixed(self) -> None:
        """No filter of an operator stops matching because a module or class was moved."""
        self.assertEqual(sorted(set(written_origins())), sorted(ORIGINS.split()))

    def test_said(self) -> None:
        """No logger of a class takes its origin from where the class happens to be."""
        for path in MODULES:
            if path.parent.name == "versions":  # whose names are fixed
                continue
            text = path.read_text(encoding="utf-8")
            self.assertNotIn("Logger()", text, path.relative_to(PACKAGE))
