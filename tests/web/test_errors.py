"""Refusals on the site and in the API: the status of each (the table of errors)."""

from twisted.trial.unittest import SynchronousTestCase

from invitereg import errors
from invitereg.web.errors import status_of
from tests.xmpp.test_errors import kinds

TABLE = {
    errors.InvalidInvite(): 404,
    errors.NotFound("no such invite"): 404,
    errors.InviteRequired(): 403,
    errors.RegistrationClosed(): 403,
    errors.AddressRefused(): 403,
    errors.UsernameReserved(): 403,
    errors.UsernameReserved("nurse"): 403,
    errors.WrongPassword(): 403,
    errors.RosterFull(): 403,
    errors.MayNotInvite(): 403,
    errors.MayNotReset(): 403,
    errors.UsernameTaken(): 409,
    errors.InvalidUsername(): 422,
    errors.UnacceptableUsername("It is too short."): 422,
    errors.FieldMissing("email"): 422,
    errors.UnacceptableField("email"): 422,
    errors.UnacceptablePassword("It is too long."): 422,
    errors.WeakPassword(): 422,
    errors.InvalidRequest("too long"): 422,
    errors.OtherRequest(): 422,
    errors.Throttled(60): 429,
    errors.LoginThrottled(): 429,
    errors.TooManyGuests(60): 429,
    errors.TooManyOpenInvites(20): 429,
    errors.Overloaded(): 429,
    errors.Unavailable("4711"): 503,
}


class StatusTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Each refusal has the status that browsers and programs know it by."""
        self.assertEqual({each: status_of(each) for each in TABLE}, TABLE)

    def test_complete(self) -> None:
        """No refusal is left to chance: whoever adds one says which status it has."""
        listed = {type(refusal) for refusal in TABLE}
        ours = {kind for kind in kinds(errors.Refused) if kind.__module__ == "invitereg.errors"}
        self.assertEqual(ours - {errors.Refused}, listed)
