"""How refusals are said in stanzas."""

from twisted.trial.unittest import SynchronousTestCase

from invitereg import errors
from invitereg.xmpp.stanzas import stanza_error

TABLE = {
    errors.InvalidInvite(): "cancel/item-not-found",
    errors.InviteRequired(): "auth/forbidden",
    errors.RegistrationClosed(): "cancel/not-allowed",
    errors.UsernameTaken(): "cancel/conflict",
    errors.UsernameReserved(): "cancel/not-allowed",
    errors.UsernameReserved(fixed_username="nurse"): "cancel/not-allowed",
    errors.InvalidUsername(): "modify/jid-malformed",
    errors.UnacceptableUsername("It is too short."): "modify/not-acceptable",
    errors.FieldMissing("email"): "modify/not-acceptable",
    errors.UnacceptableField("email"): "modify/not-acceptable",
    errors.WeakPassword(): "modify/not-acceptable",
    errors.UnacceptablePassword("It is too long."): "modify/not-acceptable",
    errors.WrongPassword(): "auth/not-authorized",
    errors.Throttled(60): "wait/resource-constraint",
    errors.TooManyGuests(60): "wait/resource-constraint",
    errors.LoginThrottled(): "wait/resource-constraint",
    errors.Overloaded(): "wait/resource-constraint",
    errors.AddressRefused(): "auth/forbidden",
    errors.Unavailable("4711"): "wait/resource-constraint",
    errors.RosterFull(): "wait/resource-constraint",
    errors.TooManyOpenInvites(20): "wait/resource-constraint",
    errors.MayNotInvite(): "cancel/forbidden",
    errors.MayNotReset(): "cancel/forbidden",
    errors.NotFound("no such invite"): "cancel/item-not-found",
    errors.InvalidRequest("too long"): "modify/not-acceptable",
}
# What only programs by the API can meet.
OF_COMMANDS = {errors.OtherRequest}


def kinds(error: type) -> set[type]:
    """An error and all that are made from it."""
    return {error}.union(*(kinds(derived) for derived in error.__subclasses__()))


class StanzaErrorTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Each refusal has the condition and the type that clients know it by."""
        for refusal, expected in TABLE.items():
            said = stanza_error(refusal)
            self.assertEqual(f"{said.type}/{said.condition}", expected)
            self.assertEqual(said.text, refusal.text)

    def test_complete(self) -> None:
        """No refusal is left to chance: whoever adds one says how it is said."""
        listed = {type(refusal) for refusal in TABLE}
        ours = {kind for kind in kinds(errors.Refused) if kind.__module__ == "invitereg.errors"}
        self.assertEqual(ours - {errors.Refused} - OF_COMMANDS, listed)

    def test_texts_say_what_to_do(self) -> None:
        """The name to take and the id to look for in the log are in the text."""
        self.assertIn(
            "nurse", stanza_error(errors.UsernameReserved(fixed_username="nurse")).text
        )
        self.assertIn("4711", stanza_error(errors.Unavailable("4711")).text)
