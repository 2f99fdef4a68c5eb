"""Ad-hoc commands apart from any stream: stages, sessions, and every error of XEP-0050 §4.6."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.errors import UsernameTaken
from invitereg.policy.values import Domain
from invitereg.translations import chosen_language
from invitereg.xmpp.adhoc.commands import (
    ACTIONS,
    LANGUAGE,
    LIFETIME_SECONDS,
    MAX_PER_USER,
    AdHocCommands,
    CommandSessions,
    Completed,
    ExpiredSession,
    Requester,
    Stage,
    UnknownSession,
)
from invitereg.xmpp.adhoc.forms import Field, Form
from tests.xmpp.adhoc.execution import NS_COMMANDS, actions, note, values
from tests.xmpp.messages import NS_X_DATA

JULIET = JID("juliet@example.com/balcony")
ROMEO = JID("romeo@example.com/orchard")
DOMAIN = Domain(name="example.com")


class ThreeStages:
    """Asks for three words, and then says them; romeo may not."""

    node = "three"
    name = "Commands"  # which is in the catalogue

    def __init__(self):
        self.said = []

    async def is_allowed(self, requester):
        return requester.jid.user == "juliet"

    async def proceed(self, requester, answers):
        if len(answers) < 3:
            word = Field(var="word", label=f"Word {len(answers)}", required=True)
            form = Form(form_type=f"words#{len(answers)}", title="Words", fields=[word])
            return Stage(form, last=len(answers) == 2)
        words = " ".join(answer["word"] for answer in answers)
        if "taken" in words:
            raise UsernameTaken
        self.said.append(words)
        return Completed(note=words)


class AtOnce:
    """Is done as soon as it is executed."""

    node = "once"
    name = "List invitations"

    def __init__(self):
        self.times = 0

    async def is_allowed(self, _requester):
        return True

    async def proceed(self, _requester, _answers):
        self.times += 1
        return Completed(note="done")


class CommandCase(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.three, self.once = ThreeStages(), AtOnce()
        self.sessions = CommandSessions(self.clock.seconds)
        self.commands = AdHocCommands([self.three, self.once], self.sessions)

    def requester(self, jid=JULIET, language="en"):
        return Requester(jid, DOMAIN, chosen_language([language]))

    def ask(self, node="three", word=None, jid=JULIET, language="en", **attributes):
        """What a request is answered; ``word`` is what its form has filled in."""
        request = domish.Element((NS_COMMANDS, "command"))
        if node is not None:
            request["node"] = node
        for name, value in attributes.items():
            request[name] = value
        if word is not None:
            form = request.addElement((NS_X_DATA, "x"))
            form["type"] = "submit"
            field = form.addElement("field")
            field["var"] = "word"
            field.addElement("value", content=word)
        performed = self.commands.perform(self.requester(jid, language), request)
        return self.outcome(performed)

    def outcome(self, working):
        """What a coroutine returns or raises."""
        results = []
        Deferred.fromCoroutine(working).addBoth(results.append)
        (result,) = results
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def begun(self, **options):
        """The id of a session that has just begun."""
        return self.ask(**options)["sessionid"]

    def assertError(self, expected, **request):
        """The request gets this error: type, condition, and condition of commands if any."""
        error = self.assertRaises(StanzaError, self.ask, **request)
        own = [error.appCondition.name] if error.appCondition is not None else []
        self.assertEqual("/".join([error.type, error.condition, *own]), expected)
        self.assertTrue(error.text)
        return error


class StageTests(CommandCase):
    def test_at_once(self):
        """A command of no stages is completed at once, and its session is over."""
        answer = self.ask("once")
        self.assertEqual((answer["status"], answer["node"]), ("completed", "once"))
        self.assertEqual(note(answer), "done")
        self.assertEqual((self.once.times, len(self.sessions)), (1, 0))
        session_id = answer["sessionid"]
        expired = "cancel/not-allowed/session-expired"
        self.assertError(expired, node="once", sessionid=session_id)
        self.assertEqual(self.once.times, 1)

    def test_stages(self):
        """One stage after the other, each with the actions that there are, to the end."""
        answer = self.ask(action="execute")
        session_id = answer["sessionid"]
        self.assertEqual(actions(answer), ("next", ["next"]))
        answer = self.ask(sessionid=session_id, word="a", action="next")
        self.assertEqual(actions(answer), ("next", ["prev", "next"]))
        self.assertEqual(values(answer)["FORM_TYPE"], ["words#1"])
        answer = self.ask(sessionid=session_id, word="b")
        self.assertEqual((answer["status"], answer["sessionid"]), ("executing", session_id))
        self.assertEqual(actions(answer), ("complete", ["prev", "complete"]))
        answer = self.ask(sessionid=session_id, word="c", action="complete")
        self.assertEqual((answer["status"], note(answer)), ("completed", "a b c"))
        self.assertEqual(len(self.sessions), 0)

    def test_prev(self):
        """Going back forgets the answer; what comes with it is not read."""
        session_id = self.begun()
        self.ask(sessionid=session_id, word="wrong")
        answer = self.ask(sessionid=session_id, action="prev", word="unread")
        self.assertEqual(values(answer)["FORM_TYPE"], ["words#0"])
        for word in "abc":
            answer = self.ask(sessionid=session_id, word=word)
        self.assertEqual(self.three.said, ["a b c"])

    def test_cancel(self):
        """A session can be canceled at any stage, and does nothing then."""
        for stages in range(3):
            session_id = self.begun()
            for _ in range(stages):
                self.ask(sessionid=session_id, word="x")
            answer = self.ask(sessionid=session_id, action="cancel")
            self.assertEqual(answer["status"], "canceled")
            self.assertEqual(list(answer.elements()), [])
            expired = "cancel/not-allowed/session-expired"
            self.assertError(expired, sessionid=session_id, word="x")
        self.assertEqual((self.three.said, len(self.sessions)), ([], 0))

    def test_refused(self):
        """What cannot be done so may be tried with another answer."""
        session_id = self.begun()
        for word in "ab":
            self.ask(sessionid=session_id, word=word)
        self.assertRaises(UsernameTaken, self.ask, sessionid=session_id, word="taken")
        self.assertEqual(note(self.ask(sessionid=session_id, word="c")), "a b c")

    def test_several(self):
        """Somebody may execute the same command several times at once."""
        first, second = self.begun(), self.begun()
        self.assertNotEqual(first, second)
        for word in "ab":
            self.ask(sessionid=first, word=word)
        answer = self.ask(sessionid=second, word="x")
        self.assertEqual(values(answer)["FORM_TYPE"], ["words#1"])
        self.assertEqual(note(self.ask(sessionid=first, word="c")), "a b c")

    def test_language(self):
        """A session stays in the language that it began in, errors too."""
        answer = self.ask(language="de-CH")
        self.assertEqual(answer[LANGUAGE], "de")
        session_id = answer["sessionid"]
        answer = self.ask(sessionid=session_id, word="x", language="en")
        self.assertEqual(answer[LANGUAGE], "de")
        payload = "modify/bad-request/bad-payload"
        error = self.assertError(payload, sessionid=session_id, language="en")
        self.assertEqual(
            (error.textLang, error.text), ("de", "Ein ausgefülltes Formular fehlt.")
        )

    @given(st.lists(st.sampled_from([*ACTIONS, None]), max_size=12))
    def test_any_order(self, asked):
        """In whatever order actions come, each does what the stage says, or nothing."""
        self.setUp()
        session_id, stage = self.begun(), 0
        for action in asked:
            forward = action in (None, "execute", "complete" if stage == 2 else "next")
            attributes = {} if action is None else {"action": action}
            request = {"sessionid": session_id, "word": str(stage), **attributes}
            if stage is None:
                self.assertError("cancel/not-allowed/session-expired", **request)
            elif action == "cancel" or (forward and stage == 2):
                status = "canceled" if action == "cancel" else "completed"
                self.assertEqual(self.ask(**request)["status"], status)
                stage = None
            elif forward or (action == "prev" and stage):
                stage += 1 if forward else -1
                answer = self.ask(**request)
                self.assertEqual(values(answer)["FORM_TYPE"], [f"words#{stage}"])
            else:
                self.assertError("modify/bad-request/bad-action", **request)
        self.assertLessEqual(set(self.three.said), {"0 1 2"})


class ErrorTests(CommandCase):
    """The table of §4.6."""

    def test_malformed_action(self):
        """An action that there is not."""
        session_id = self.begun()
        for action in ("finish", "", "Execute"):
            for more in ({}, {"sessionid": session_id}):
                self.assertError("modify/bad-request/malformed-action", action=action, **more)

    def test_bad_action(self):
        """An action that cannot be now."""
        for action in ("next", "prev", "complete", "cancel"):
            self.assertError("modify/bad-request/bad-action", action=action)
        session_id = self.begun()
        for action in ("prev", "complete"):
            self.assertError(
                "modify/bad-request/bad-action", sessionid=session_id, action=action, word="x"
            )
        for _ in range(2):
            self.ask(sessionid=session_id, word="x")
        self.assertError(
            "modify/bad-request/bad-action", sessionid=session_id, action="next", word="x"
        )

    def test_bad_payload(self):
        """A form that is missing or wrong; afterwards a right one still counts."""
        session_id = self.begun()
        for word in (None, "", "x" * 2000):
            self.assertError("modify/bad-request/bad-payload", sessionid=session_id, word=word)
        self.assertEqual(self.ask(sessionid=session_id, word="x")["status"], "executing")

    def test_bad_session(self):
        """An id that never was this user's, this client's or this command's."""
        session_id = self.begun()
        bad = "modify/bad-request/bad-sessionid"
        for other in (
            "",
            "x",
            "1-",
            session_id[:-1],
            session_id + "0",
            "é-ü",
            "2" + session_id,
        ):
            self.assertError(bad, sessionid=other, word="x")
        self.assertError(bad, node="once", sessionid=session_id)
        elsewhere = JID("juliet@example.com/chamber")
        self.assertError(bad, sessionid=session_id, jid=elsewhere, word="x")
        self.assertEqual(self.ask(sessionid=session_id, word="x")["status"], "executing")

    def test_expired(self):
        """A session that nobody has gone on with for ten minutes."""
        session_id = self.begun()
        self.clock.advance(LIFETIME_SECONDS - 1)
        self.ask(sessionid=session_id, word="x")
        self.clock.advance(LIFETIME_SECONDS - 1)
        self.ask(sessionid=session_id, word="x")
        self.clock.advance(LIFETIME_SECONDS)
        self.assertError("cancel/not-allowed/session-expired", sessionid=session_id, word="x")
        self.assertEqual((len(self.sessions), self.three.said), (0, []))

    def test_forbidden(self):
        """A command that is not for this user."""
        self.assertError("cancel/forbidden", jid=ROMEO)

    def test_forbidden_meanwhile(self):
        """A right that is lost in the middle of a command counts no more."""
        session_id = self.begun()
        self.three.is_allowed = self._nobody
        self.assertError("cancel/forbidden", sessionid=session_id, word="x")

    async def _nobody(self, _requester):
        return False

    def test_unknown(self):
        """A command that there is not, and none at all."""
        self.assertError("cancel/item-not-found", node="four")
        for node in ("", None):
            self.assertError("modify/bad-request", node=node)

    texts = st.text(max_size=8)

    @given(
        st.sampled_from([None, "three", "four", NS_COMMANDS]) | texts,
        st.dictionaries(st.sampled_from(["action", "sessionid", "status"]), texts),
        st.none() | texts,
    )
    def test_any_request(self, node, attributes, word):
        """Whatever is asked for, it is answered by an error of the table, or begins."""
        try:
            answer = self.ask(node, word, **attributes)
        except StanzaError as error:
            self.assertIn(error.condition, ("bad-request", "item-not-found"))
            self.assertIn(error.type, ("modify", "cancel"))
        else:
            self.assertEqual((node, answer["status"]), ("three", "executing"))
        self.assertEqual(self.three.said, [])

    def test_translated(self):
        """An error says in the user's language what is wrong."""
        error = self.assertError("cancel/item-not-found", node="four", language="de")
        self.assertEqual((error.textLang, error.text), ("de", "Diesen Befehl gibt es nicht."))


class DiscoTests(CommandCase):
    def test_items(self):
        """Everybody sees what they may execute, by its name in their language."""
        answer = self.outcome(self.commands.items(self.requester(language="de"), DOMAIN.name))
        self.assertEqual(answer["node"], NS_COMMANDS)
        found = [(one["jid"], one["node"], one["name"]) for one in answer.elements()]
        self.assertEqual(
            found,
            [
                ("example.com", "three", "Befehle"),
                ("example.com", "once", "Einladungen anzeigen"),
            ],
        )
        answer = self.outcome(self.commands.items(self.requester(ROMEO), DOMAIN.name))
        self.assertEqual([one["node"] for one in answer.elements()], ["once"])

    def test_info(self):
        """The list and each command say what they are, to those who may know."""
        for node, kind in ((NS_COMMANDS, "command-list"), ("three", "command-node")):
            answer = self.outcome(self.commands.info(self.requester(), node))
            identity, *features = answer.elements()
            self.assertEqual((identity["category"], identity["type"]), ("automation", kind))
            self.assertEqual([one["var"] for one in features], [NS_COMMANDS, NS_X_DATA])
            self.assertEqual(answer["node"], node)
        refused = self.commands.info(self.requester(ROMEO), "three")
        error = self.assertRaises(StanzaError, self.outcome, refused)
        self.assertEqual(error.condition, "forbidden")


class SessionTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.sessions = CommandSessions(self.clock.seconds)

    def keep(self, jid=JULIET):
        session = self.sessions.begin(jid, "node", "en")
        self.sessions.keep(session)
        return session.id

    def test_bounded(self):
        """One user has so many open, from whatever client; the oldest makes room."""
        clients = (JULIET, JID("juliet@example.com/chamber"))
        kept = [self.keep(clients[number % 2]) for number in range(MAX_PER_USER + 1)]
        others = self.keep(ROMEO)
        self.assertEqual(len(self.sessions), MAX_PER_USER + 1)
        self.assertRaises(ExpiredSession, self.sessions.take, kept[0], JULIET, "node")
        self.assertEqual(self.sessions.take(kept[2], JULIET, "node").id, kept[2])
        self.sessions.take(others, ROMEO, "node")

    def test_touched(self):
        """Who goes on with a session keeps it, not the one that began later."""
        kept = [self.keep() for _ in range(MAX_PER_USER)]
        self.sessions.keep(self.sessions.take(kept[0], JULIET, "node"))
        self.keep()
        self.assertRaises(ExpiredSession, self.sessions.take, kept[1], JULIET, "node")
        self.sessions.take(kept[0], JULIET, "node")

    def test_forgotten(self):
        """Nothing is left of sessions that are over."""
        for number in range(50):
            self.keep(JID(f"user{number}@example.com/x"))
        self.clock.advance(LIFETIME_SECONDS)
        self.keep()
        self.assertEqual(len(self.sessions), 1)

    def test_once(self):
        """A session that is taken cannot be taken again, by a request that comes meanwhile."""
        session_id = self.keep()
        self.sessions.take(session_id, JULIET, "node")
        self.assertRaises(ExpiredSession, self.sessions.take, session_id, JULIET, "node")

    def test_other_process(self):
        """Another process knows nothing of a session, and says so."""
        other = CommandSessions(self.clock.seconds)
        self.assertRaises(UnknownSession, other.take, self.keep(), JULIET, "node")
