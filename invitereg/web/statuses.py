"""How refusals are said in HTTP: the one map for pages and API (RFC 9110 §15)."""

from math import ceil

from twisted.web.http_headers import Headers

from invitereg import errors

# A subclass stands before its base.
_STATUSES: tuple[tuple[type[errors.Refused], int], ...] = (
    (errors.InvalidInvite, 404),
    (errors.InviteRequired, 403),
    (errors.RegistrationClosed, 403),
    (errors.AddressRefused, 403),
    (errors.UsernameTaken, 409),
    (errors.UsernameReserved, 403),
    (errors.InvalidUsername, 422),
    (errors.UnacceptableUsername, 422),
    (errors.FieldMissing, 422),
    (errors.UnacceptableField, 422),
    (errors.UnacceptablePassword, 422),
    (errors.WrongPassword, 403),
    (errors.Throttled, 429),
    (errors.Unavailable, 503),
    (errors.NotFound, 404),
    (errors.InvalidRequest, 422),
)
_RETRY_SECONDS = 60  # where nobody knows better


def status_of(refusal: errors.Refused) -> int:
    """The HTTP status of a refusal."""
    return next((status for error, status in _STATUSES if isinstance(refusal, error)), 403)


def say_when(headers: Headers, refusal: errors.Refused) -> None:
    """Set Retry-After, in whole seconds, where it is worth trying again."""
    if not isinstance(refusal, errors.Throttled | errors.Unavailable):
        return
    seconds = getattr(refusal, "retry_after", None) or _RETRY_SECONDS
    headers.setRawHeaders(b"Retry-After", [str(ceil(seconds)).encode()])
