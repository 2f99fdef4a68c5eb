"""Refusals on the web: HTTP statuses (RFC 9110 §15) and the texts of pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from twisted.web.http_headers import Headers

from invitereg import errors
from invitereg.policy.texts import Translate
from invitereg.policy.values import Policy

# All others are 403 (Forbidden).
_STATUSES: tuple[tuple[type[errors.Refused], int], ...] = (
    (errors.InvalidInvite, 404),
    (errors.UsernameTaken, 409),
    (errors.InvalidUsername, 422),
    (errors.UnacceptableUsername, 422),
    (errors.FieldMissing, 422),
    (errors.UnacceptableField, 422),
    (errors.UnacceptablePassword, 422),
    (errors.Throttled, 429),
    (errors.Unavailable, 503),
    (errors.NotFound, 404),
    (errors.InvalidRequest, 422),
)
_RETRY_SECONDS = 60  # where nobody knows better


def status_of(refusal: errors.Refused) -> int:
    """Return the HTTP status of a refusal."""
    return next((status for error, status in _STATUSES if isinstance(refusal, error)), 403)


def say_when(headers: Headers, refusal: errors.Refused) -> None:
    """Set Retry-After, in whole seconds, where it is worth trying again."""
    if not isinstance(refusal, errors.Throttled | errors.Unavailable):
        return
    seconds = getattr(refusal, "retry_after", None) or _RETRY_SECONDS
    headers.setRawHeaders(b"Retry-After", [str(ceil(seconds)).encode()])


# What a browser may fill in by itself (HTML, autofill), and which keyboard it shows.
AUTOFILL: Mapping[str, tuple[str, str]] = {
    "nick": ("nickname", "text"),
    "name": ("name", "text"),
    "first": ("given-name", "text"),
    "last": ("family-name", "text"),
    "email": ("email", "email"),
    "address": ("street-address", "text"),
    "city": ("address-level2", "text"),
    "state": ("address-level1", "text"),
    "zip": ("postal-code", "text"),
    "phone": ("tel", "tel"),
    "url": ("url", "url"),
}


@dataclass(frozen=True, slots=True)
class FormError:
    """Name what is wrong with a form.

    Attributes:
        field: the name of the field, or "" where it is none of them.
    """

    field: str
    text: str


def form_error(refusal: errors.Refused, policy: Policy, translate: Translate) -> FormError:
    """Return the text for a refused form, and the field that it belongs to."""
    _ = translate
    if isinstance(refusal, errors.FieldMissing):
        return FormError(refusal.field, _("Please fill this in."))
    if isinstance(refusal, errors.UnacceptableField):
        return FormError(refusal.field, _("This has characters that cannot be used."))
    if isinstance(refusal, errors.UnacceptablePassword):
        return FormError("password", password_problem(refusal, translate))
    if isinstance(
        refusal,
        errors.UsernameTaken
        | errors.UsernameReserved
        | errors.InvalidUsername
        | errors.UnacceptableUsername,
    ):
        return FormError("username", _username(refusal, policy, translate))
    return FormError("", reason(refusal, translate))


def password_problem(refusal: errors.UnacceptablePassword, translate: Translate) -> str:
    """Name the rule that a password breaks, and what to do."""
    _, rule = translate, errors.PasswordRule
    told = {"number": refusal.number, "character": _visible(refusal.character)}
    texts = {
        rule.TOO_SHORT: _("This is too short: please use at least %(number)s characters."),
        rule.TOO_LONG: _(
            "This password is too long: at most %(number)s Latin letters fit, and fewer others."
        ),
        rule.COMMON: _("Many people use this password. Please choose another."),
        rule.USERNAME: _("Your username cannot be your password. Please choose another."),
        rule.CHARACTER: _("A password cannot have this character: %(character)s"),
        rule.DIRECTION: _(
            "A password with letters that are written from right to left, such as Arabic or "
            "Hebrew ones, must begin and end with such a letter, and cannot have Latin ones."
        ),
    }
    if refusal.rule is None:
        return _("The server does not take this password. Please choose another.")
    return texts[refusal.rule] % told


def _visible(character: str) -> str:
    """Return a character, if it is visible, and its number in Unicode."""
    number = f"U+{ord(character):04X}" if character else ""
    return (
        f"{character} ({number})" if character.isprintable() and character.strip() else number
    )


def _username(refusal: errors.Refused, policy: Policy, translate: Translate) -> str:
    """Name what is wrong with a username, and what to do; RFC 6122 §A bars characters."""
    _ = translate
    if isinstance(refusal, errors.UsernameTaken):
        return _("Somebody has this username already. Please choose another.")
    if isinstance(refusal, errors.UsernameReserved):
        if refusal.fixed_username:
            wanted = _("This invitation is for the username %(name)s.")
            return wanted % {"name": refusal.fixed_username}
        return _("This username is reserved. Please choose another.")
    if isinstance(refusal, errors.InvalidUsername):
        character = refusal.character
        if not character:
            return _(
                "This username is too long, or mixes letters that are written from right to "
                "left, such as Arabic or Hebrew ones, with others."
            )
        if character.isascii():
            return _("A username cannot have spaces, nor any of these: \" & ' / : < > @")
        wanted = _("A username cannot have this character: %(character)s")
        return wanted % {"character": _visible(character)}
    if isinstance(refusal, errors.UnacceptableUsername) and refusal.pattern:
        wanted = _("A username here must match this pattern: %(pattern)s")
        return wanted % {"pattern": refusal.pattern}
    length = _("A username here has %(least)s to %(most)s characters.")
    return length % {"least": policy.usernames.min_length, "most": policy.usernames.max_length}


def reason(refusal: errors.Refused, translate: Translate) -> str:
    """Return why a page is not shown or a form not taken, and what to do."""
    _ = translate
    if isinstance(refusal, errors.InviteRequired):
        return _("Here you need an invitation to get an account. Ask somebody who has one.")
    if isinstance(refusal, errors.RegistrationClosed):
        return _("No new accounts are made here at present.")
    if isinstance(refusal, errors.AddressRefused):
        return _("This is not possible from your network. Try it from another one.")
    if isinstance(refusal, errors.Overloaded):
        return _("There is a lot to do here at this moment. Please try again in a minute.")
    if isinstance(refusal, errors.TooManyGuests):
        return _(
            "Too many people have registered with this invitation from your network. "
            "Use mobile data instead of this Wi-Fi, or try again later."
        )
    if isinstance(refusal, errors.Throttled):
        return _("This was tried too often from your network. Please try again later.")
    if isinstance(refusal, errors.Unavailable):
        problem = _("The server has a problem (error %(id)s). Please try again later.")
        return problem % {"id": refusal.error_id}
    return _("This is not possible.")
