"""Why somebody is refused is told in the language of the app (RFC 6120 §8.3.2)."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.xish import domish

from invitereg import errors
from invitereg.model.names import unusable_password, wrong_username
from invitereg.translations import languages, translator
from invitereg.xmpp.component.admission import PER_ACCOUNT, Admission
from invitereg.xmpp.stanzas import stanza_error
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import DOMAIN, PASSWORD, header, preauth, registration

XML_LANG = ("http://www.w3.org/XML/1998/namespace", "lang")
REFUSALS = (
    errors.Refused(),
    errors.InvalidInvite(),
    errors.InviteRequired(),
    errors.RegistrationClosed(),
    errors.AddressRefused(),
    errors.UsernameTaken(),
    errors.UsernameReserved(),
    errors.UsernameReserved(fixed_username="juliet"),
    errors.InvalidUsername(),
    errors.FieldMissing("email"),
    errors.FieldMissing("zip"),
    errors.FieldMissing("recipient"),
    errors.UnacceptableField("email"),
    errors.UnacceptableField("recipient"),
    errors.WrongPassword(),
    errors.Throttled(),
    errors.LoginThrottled(),
    errors.TooManyGuests(),
    errors.TooManyOpenInvites(5),
    errors.Overloaded(),
    errors.Unavailable("e1"),
    errors.RosterFull(),
    errors.MayNotInvite(),
    errors.MayNotReset(),
    errors.OtherRequest(),
    *map(unusable_password, ("x" * 2000, "\N{HEBREW LETTER ALEF}1", "a\x00b")),
    *(wrong_username(text, DOMAIN) for text in ("juliet ", f"juliet@{DOMAIN}", "a@b", "<")),
)


class TellingTests(SynchronousTestCase):
    def test_all(self):
        """Every refusal has its words in every language, with what belongs into them."""
        for language in languages():
            for refusal in REFUSALS:
                error = stanza_error(refusal, [language])
                self.assertEqual(error.textLang, language, refusal.text)
                self.assertNotIn("%", error.text)
                self.assertEqual(error.text == refusal.text, language == "en")

    def test_what_it_is_about(self):
        """Names, numbers and characters are the same in every language."""
        for language in languages():
            told = errors.TooManyOpenInvites(57).told(translator([language]))
            self.assertIn("57", told)
            self.assertIn("juliet", errors.UsernameReserved("juliet").told(str))

    def test_no_block(self):
        """No text of not-acceptable has the letters that a client takes for a block."""
        for language in languages():
            for refusal in REFUSALS:
                error = stanza_error(refusal, [language])
                if error.condition == "not-acceptable":
                    self.assertNotIn("ip", error.text.lower())

    def test_contract(self):
        """The text that clients compare is English for all, and says so."""
        error = stanza_error(errors.WeakPassword(), ["de"])
        self.assertEqual((error.text, error.textLang), ("The password is too weak", "en"))

    def test_operators_words(self):
        """What an upstream server has said is passed on as it is, whatever it has in it."""
        error = stanza_error(errors.UnacceptablePassword("100 % %(name)s"), ["de"])
        self.assertEqual((error.text, error.textLang), ("100 % %(name)s", "en"))


class StreamTests(DoorTestCase):
    def test_stream(self):
        """A stream in German is refused in German; a request in French, in French."""
        client = self.listener.connect()
        client.ask(header(version=" version='1.0' xml:lang='de-AT'"))
        for request, language in (
            (preauth("nonsense"), "de"),
            (preauth("nonsense").replace("<iq ", "<iq xml:lang='fr' ", 1), "fr"),
            (preauth("nonsense").replace("<iq ", "<iq xml:lang='tlh' ", 1), "en"),
            (registration("juliet", PASSWORD), "de"),
        ):
            reply = client.ask(request)
            self.assertEqual(reply.error.text[XML_LANG], language)

    def test_presence(self):
        """So it is with presence that cannot be answered for now."""
        client = self.listener.logged_in()
        self.listener.embedded.presence.probe = busy
        reply = client.ask(f"<presence type='probe' to='nurse@{DOMAIN}' xml:lang='es'/>")
        self.assertEqual(reply.error.text[XML_LANG], "es")


async def busy(*_arguments):
    """Do nothing, as there is too much to do."""
    raise errors.Overloaded


class ComponentTests(SynchronousTestCase):
    def test_too_many(self):
        """Who asks a component too much is told so in their language, too."""
        sent = []
        admission = Admission(DOMAIN, Clock().seconds, sent.append)
        for _ in range(PER_ACCOUNT + 1):
            iq = domish.Element(("jabber:component:accept", "iq"))
            iq.attributes |= {"type": "get", "id": "1", "from": f"a@{DOMAIN}/r"}
            iq["to"], iq[XML_LANG] = f"invites.{DOMAIN}", "fr"
            iq.addElement(("jabber:iq:register", "query"))
            admission.admits(iq)
        (refused,) = sent
        self.assertEqual(refused.error.text[XML_LANG], "fr")
