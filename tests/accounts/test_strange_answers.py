"""Answers over a component that no server should give: each comes to a known end."""

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import exceptionFromStanza
from wokkel.generic import parseXml

from invitereg.accounts.rosteraccess import RosterAccess
from invitereg.accounts.xmppserver import XMPPServer
from invitereg.interfaces.server import OutcomeUnknown, ServerRefused, ServerUnreachable
from invitereg.runtime.deferreds import Deadline
from invitereg.xmpp.component.connection import Privileges

DOMAIN = "example.com"
COMMANDS = "http://jabber.org/protocol/commands"
FORM = (
    f"<iq type='result'><command xmlns='{COMMANDS}' status='executing' sessionid='1'>"
    "<x xmlns='jabber:x:data' type='form'><field var='accountjid'/><field/></x>"
    "</command></iq>"
)
ITEMS = "http://jabber.org/protocol/disco#items"
NO_COMMAND = (
    "<iq type='error'><error type='cancel'><item-not-found "
    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
)
STRANGE = (
    "<iq type='result'/>",
    "<iq type='result'>text</iq>",
    "<iq type='result'><query/></iq>",
    "<iq type='result'><command/></iq>",
    "<iq type='result'><command xmlns='urn:other' status='completed'/></iq>",
    f"<iq type='result'><command xmlns='{COMMANDS}' status='canceled'/></iq>",
)


class PlayedLine:
    """A connection on which the answers are said beforehand; the last one for ever."""

    jid = f"invites.{DOMAIN}"
    privileges = Privileges(DOMAIN, {"roster": "both"})

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    def ask(self, iq, _seconds):
        self.asked.append(iq)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        element = parseXml(answer.encode())
        return (
            fail(exceptionFromStanza(element))
            if element["type"] == "error"
            else succeed(element)
        )


class StrangeAnswerTests(SynchronousTestCase):
    def server(self, *answers):
        return XMPPServer(DOMAIN, PlayedLine(*answers), Clock())

    def test_nothing_done(self):
        """Before the form is filled in, certainly nothing was done."""
        for strange in STRANGE:
            for method, arguments in (
                ("exists", ("juliet",)),
                ("create", ("juliet", "secret")),
                ("set_password", ("juliet", "secret")),
                ("delete", ("juliet",)),
                ("end_sessions", ("juliet",)),
                ("make_contacts", ("juliet", "romeo")),
            ):
                asked = getattr(self.server(strange), method)(*arguments)
                self.failureResultOf(asked, ServerUnreachable)

    def test_nobody_knows(self):
        """Once it is filled in, an account may have been made."""
        for strange in STRANGE:
            asked = self.server(FORM, strange).create("juliet", "secret")
            self.failureResultOf(asked, OutcomeUnknown)

    def test_crashed(self):
        """What ejabberd 26.07 says of nobody, and of a crash, is decided by its list."""
        unprocessed = (
            "<iq type='error'><error type='cancel'><item-not-found "
            "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text>No hook has processed this "
            "command</text></error></iq>"
        )
        form = FORM.replace("'accountjid'", "'accountjids'")
        for listed, there in ((("romeo",), False), (("juliet", "romeo"), True)):
            answer = self.listed(*(f"{name}@{DOMAIN}" for name in listed))
            server = self.server(form, unprocessed, answer)
            self.assertEqual(self.successResultOf(server.exists("juliet")), there)
        for strange in (*STRANGE, unprocessed):
            server = self.server(form, unprocessed, strange)
            fault = self.failureResultOf(server.exists("juliet"))
            fault.trap(ServerUnreachable, ServerRefused)

    def test_form_decides(self):
        """A form is filled in by the names of its own fields, whichever of the two it has."""
        done = f"<iq type='result'><command xmlns='{COMMANDS}' status='completed'/></iq>"
        for name in ("accountjid", "accountjids"):
            line = PlayedLine(FORM.replace("'accountjid'", f"'{name}'"), done)
            server = XMPPServer(DOMAIN, line, Clock())
            server.end_sessions("juliet")
            self.assertIn(
                f"var='{name}'><value>juliet@{DOMAIN}</value>", line.asked[-1].toXml()
            )

    def test_list(self):
        """A list of accounts that is none says of nobody that he is not there."""
        for strange in STRANGE:
            server = self.server(NO_COMMAND, strange)
            self.failureResultOf(server.exists("juliet"), ServerUnreachable)

    def listed(self, *jids, node=""):
        items = "".join(f"<item jid='{jid}'{node}/>" for jid in jids)
        return f"<iq type='result'><query xmlns='{ITEMS}'>{items}</query></iq>"

    def test_other_list(self):
        """Nor does a list of something else."""
        other = self.listed(f"conference.{DOMAIN}")
        self.failureResultOf(self.server(NO_COMMAND, other).exists("juliet"), ServerUnreachable)
        accounts = self.server(NO_COMMAND, self.listed(f"romeo@{DOMAIN}"))
        self.assertFalse(self.successResultOf(accounts.exists("juliet")))

    def test_shifted_list(self):
        """Nor does a range in which somebody would be, but that others have moved meanwhile."""
        node = f" node='all users/@101-200' name='a@{DOMAIN} -- k@{DOMAIN}'"
        ranges = self.listed(DOMAIN, node=node)
        for first in ("", "j", "k"):
            names = [f"{first}{number:03}" for number in range(150)]
            for there in (names, []):
                answer = self.listed(*(f"{name}@{DOMAIN}" for name in there))
                server = self.server(NO_COMMAND, ranges, answer)
                self.failureResultOf(server.exists("juliet"), ServerUnreachable)
        for names in (["a", "z"], ["a", "juliet", "z"]):
            answer = self.listed(*(f"{name}@{DOMAIN}" for name in names))
            server = self.server(NO_COMMAND, ranges, answer)
            self.assertEqual(self.successResultOf(server.exists("juliet")), "juliet" in names)

    def test_added_and_denied(self):
        """An account that was added, and cannot be read, may be there."""
        done = f"<iq type='result'><command xmlns='{COMMANDS}' status='completed'/></iq>"
        denied = (
            f"<iq type='result'><command xmlns='{COMMANDS}' status='completed'>"
            "<note type='error'>User does not exist</note></command></iq>"
        )
        creating = self.server(FORM, done, FORM, denied).create("juliet", "secret")
        self.failureResultOf(creating, OutcomeUnknown)

    def test_roster(self):
        """A roster that is none does not say that a contact has no name and no groups."""
        for strange in ("<iq type='result'/>", "<iq type='result'><query/></iq>"):
            rosters = RosterAccess(PlayedLine(strange), DOMAIN)
            known = rosters.known("juliet", f"romeo@{DOMAIN}", Deadline(Clock(), 4.0))
            self.failureResultOf(Deferred.fromCoroutine(known), ServerUnreachable)

    def test_odd_condition(self):
        """What a server makes up in place of a condition does not fill the log."""
        odd = (
            f"<iq type='error'><error type='cancel'><{'e' * 5000} "
            "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        )
        for answers, fault in (([odd], ServerRefused), ([FORM, odd], OutcomeUnknown)):
            asked = self.server(*answers).create("juliet", "secret")
            text = self.failureResultOf(asked, fault).value.text
            self.assertIn('answered "eee', text)
            self.assertLess(len(text), 600)
