"""In which words, and in which language, apps are told what to fill in (XEP-0077 §3.1)."""

from dataclasses import replace

from invitereg.policy.values import PasswordRules
from tests.xmpp.component.test_door import ComponentCase
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.gateway.door import FEATURES, SERVER_HEADER, GatewayListener
from tests.xmpp.messages import (
    DOMAIN,
    GET,
    NS_REGISTER,
    NS_X_DATA,
    error_of,
    header,
    preauth,
    registration,
)

RULES = {
    "en": "The password needs at least 8 characters, and must not be your username.",
    "de": "Das Passwort braucht mindestens 8 Zeichen und darf nicht dein Benutzername sein.",
    "es": (
        "La contraseña necesita al menos 8 caracteres, y no puede ser tu nombre de usuario."
    ),
    "fr": (
        "Le mot de passe doit avoir au moins 8 caractères, et ne pas être votre nom "
        "d’utilisateur."
    ),
}
LABELS = {"en": "Password", "de": "Passwort", "es": "Contraseña", "fr": "Mot de passe"}


def speaking(tag):
    """The stream header of a client of that language."""
    return header(version=f" version='1.0' xml:lang='{tag}'")


def labels(query):
    """The label of each field of the data form."""
    return {
        field["var"]: field.getAttribute("label")
        for field in query.x.elements(NS_X_DATA, "field")
    }


class InstructionsTests(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.listener.add_invite()

    def client(self, tag):
        client = self.listener.connect()
        client.ask(speaking(tag))
        client.ask(preauth())
        return client

    def test_rule(self):
        """The rule about passwords stands in both forms, with its number."""
        for tag, rule in RULES.items():
            query = self.client(tag).ask(GET).query
            told = str(query.instructions)
            self.assertTrue(told.endswith(f". {rule}"), told)
            self.assertEqual(str(query.x.instructions), told)

    def test_number(self):
        """It is this server's number, and says where common passwords are refused."""
        rules = PasswordRules(min_length=11, common=frozenset({"correct horse"}))
        self.listener = Listener(policy={"passwords": rules})
        self.listener.add_invite()
        told = str(self.client("en").ask(GET).query.instructions)
        self.assertIn("at least 11 characters", told)
        self.assertIn("many people use", told)
        self.assertIn("11", str(self.client("fr").ask(GET).query.instructions))

    def test_language(self):
        """Everything is in the stream's language: what to do, and each field's name."""
        for tag, told in (("de", "Wähle einen"), ("es", "Elige un"), ("fr", "Choisissez un")):
            query = self.client(f"{tag}-419").ask(GET).query
            self.assertTrue(str(query.instructions).startswith(told))
            self.assertEqual(labels(query)["password"], LABELS[tag])
            self.assertIn(f"xml:lang='{tag}'", query.toXml())
        for tag in ("", "tlh", "../de"):
            query = self.client(tag).ask(GET).query
            self.assertTrue(str(query.instructions).startswith("Choose a username and"))
            self.assertNotIn("xml:lang", query.toXml())

    def test_request(self):
        """A request that is in another language than its stream is answered in its own."""
        client = self.client("de")
        for text in (
            GET.replace("<query", "<query xml:lang='fr'"),
            GET.replace("<iq", "<iq xml:lang='fr'"),
        ):
            self.assertIn(RULES["fr"], str(client.ask(text).query.instructions))

    def test_operators_words(self):
        """What the operator says is said as it is, be it nothing, and the rule added."""
        domain = self.listener.domains[DOMAIN]
        for said, told in (("Willkommen!", f"Willkommen! {RULES['es']}"), ("", RULES["es"])):
            self.listener.domains[DOMAIN] = replace(domain, instructions=said)
            self.assertEqual(str(self.client("es").ask(GET).query.instructions), told)

    def test_reset(self):
        """Who sets a new password reads the rule, too."""
        self.listener.add_account()
        self.listener.add_reset(token="ForJuliet")
        client = self.client("de")
        client.ask(preauth("ForJuliet"))
        told = str(client.ask(GET).query.instructions)
        self.assertEqual(told, f"Wähle ein neues Passwort. {RULES['de']}")

    def test_redirect(self):
        """Who is sent to the site reads why, in their language."""
        domain = self.listener.domains[DOMAIN]
        self.listener.domains[DOMAIN] = replace(domain, web_url="https://chat.example.com/")
        client = self.listener.connect()
        client.ask(speaking("fr"))
        told = str(client.ask(GET).query.instructions)
        self.assertTrue(told.startswith("Pour vous inscrire ici"), told)

    def test_errors(self):
        """Clients compare the text of the error: it is in English, and the same, in each."""
        for tag in RULES:
            reply = self.client(tag).ask(registration(password="short"))
            self.assertEqual(error_of(reply)[2], "The password is too weak")
            self.assertIn("xml:lang='en'", reply.error.toXml())


class GatewayTests(DoorTestCase):
    def test_language(self):
        """In front of a server it is the same."""
        listener = GatewayListener()
        listener.checked()
        listener.add_invite()
        client = listener.connect()
        client.send(speaking("de"))
        listener.accept().say(SERVER_HEADER, FEATURES)
        client.receive()
        client.ask(preauth())
        self.assertIn(RULES["de"], str(client.ask(GET).query.instructions))


class ComponentTests(ComponentCase):
    policy = Listener().domains[DOMAIN].policy

    def test_language(self):
        """So it is at the component, where the request alone has a language."""
        payload = f"<query xmlns='{NS_REGISTER}' xml:lang='de'/>"
        _invite, token = self.invite()
        self.preauth(token)
        self.assertEqual(self.ask("get", payload), "result")
        self.assertIn(RULES["de"], str(self.answer.query.instructions))
