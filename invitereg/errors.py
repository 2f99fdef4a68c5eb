"""Refusals, as exceptions that carry data.

Each door translates them by one map of its own; the texts are for the person who registers.
Texts that become ``not-acceptable`` never contain the letters "ip", in any language: one client
reads that as a block of its address.
"""

from collections.abc import Callable
from enum import StrEnum

from invitereg.translations import N_


class Refused(Exception):
    """A registration, a reset or a command was refused; nothing was changed.

    Attributes:
        text: the sentence to show, in English.
    """

    text = N_("This request was refused.")

    def __init__(self, text: str | None = None, **gaps: object) -> None:
        """``text`` has a place for each of ``gaps``, if there are any: ``%(name)s``."""
        self._template = self.text if text is None else text
        self._gaps = gaps
        self.text = self._fill(self._template)
        super().__init__(self.text)

    def told(self, translate: Callable[[str], str]) -> str:
        """Return the sentence in the language that ``translate`` puts English texts into."""
        return self._fill(translate(self._template))

    def _fill(self, template: str) -> str:
        return template % self._gaps if self._gaps else template


class InvalidInvite(Refused):
    """The token is unknown, expired, used up or revoked; all four look alike from outside."""

    text = N_(
        "This invitation is not valid (any more). If you have used it already, log in; "
        "otherwise ask for a new one."
    )


class InviteRequired(Refused):
    """No valid token where one is needed."""

    text = N_("This server is by invitation only: you need an invitation to register.")


class RegistrationClosed(Refused):
    """The operator takes no new accounts at all."""

    text = N_("This server takes no new accounts.")


class AddressRefused(Refused):
    """The client's address is on the blocklist, or not on the allowlist."""

    text = N_("Registration is not allowed from your network.")


class UsernameTaken(Refused):
    """An account of that name exists."""

    text = N_("That username is taken.")


class UsernameReserved(Refused):
    """The name may not be taken, or not by this request.

    Attributes:
        fixed_username: the name to take instead, where an invite fixes it; else None.
        reserved_for: id of the open invite that reserves it, where one does; for the operator,
            and not in the text, which a stranger reads.
    """

    text = N_("That username is reserved.")

    def __init__(
        self,
        fixed_username: str | None = None,
        reserved_for: str | None = None,
        text: str | None = None,
    ) -> None:
        self.fixed_username = fixed_username
        self.reserved_for = reserved_for
        if fixed_username is not None:
            wanted = N_("This invitation is for the username %(name)s.")
            super().__init__(wanted, name=fixed_username)
        else:
            super().__init__(text)


class InvalidUsername(Refused):
    """The name is no valid localpart.

    Attributes:
        character: the first that cannot be used; "" where it is too long, or mixes directions.
    """

    text = N_("That is not a valid username.")

    def __init__(self, text: str | None = None, *, character: str = "", **gaps: object) -> None:
        self.character = character
        super().__init__(text, **gaps)


class UnacceptableUsername(Refused):
    """The name breaks the operator's rule about length or pattern; the text names the rule.

    Attributes:
        pattern: that it does not match; "" where its length is wrong.
    """

    def __init__(self, text: str | None = None, *, pattern: str = "", **gaps: object) -> None:
        self.pattern = pattern
        super().__init__(text, **gaps)


class FieldMissing(Refused):
    """A required field is missing or empty.

    Attributes:
        field: its name; the text says "postal code" for ``zip``, which has the letters "ip".
    """

    def __init__(self, field: str) -> None:
        self.field = field
        if _is_named(field):
            super().__init__(N_("The field %(field)s is required."), field=_label(field))
        else:
            super().__init__(N_("A required field is missing."))


class UnacceptableField(Refused):
    """An additional field has characters that XML has no place for.

    Attributes:
        field: its name; see `FieldMissing`.
    """

    def __init__(self, field: str) -> None:
        self.field = field
        if _is_named(field):
            text = N_("The field %(field)s has characters that cannot be used.")
            super().__init__(text, field=_label(field))
        else:
            super().__init__(N_("A field has characters that cannot be used."))


class PasswordRule(StrEnum):
    """The rule that a password breaks."""

    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    COMMON = "common"
    USERNAME = "username"
    CHARACTER = "character"
    DIRECTION = "direction"


class UnacceptablePassword(Refused):
    """The password is too long or cannot be prepared.

    Attributes:
        rule: that it breaks; None where a server at the back has refused it.
        number: the least characters, or the most bytes, where the rule is about length.
        character: that cannot be used, where the rule is about that.
    """

    def __init__(
        self,
        text: str | None = None,
        *,
        rule: PasswordRule | None = None,
        number: int = 0,
        character: str = "",
        **gaps: object,
    ) -> None:
        self.rule = rule
        self.number = number
        self.character = character
        super().__init__(text, **gaps)


class WeakPassword(UnacceptablePassword):
    """The password is too short, too common, or the username.

    Its text is a contract: clients match it, so it has no other language.
    """

    text = "The password is too weak"


class WrongPassword(Refused):
    """The old password, which was said beside the new one, is not the account's."""

    text = N_("The old password is wrong.")


class Throttled(Refused):
    """Too much of something, for now.

    Attributes:
        retry_after: seconds until it is worth trying again, or None where nobody knows.
    """

    text = N_("Too many requests. Please try again later.")

    def __init__(
        self, retry_after: float | None = None, text: str | None = None, **gaps: object
    ) -> None:
        self.retry_after = retry_after
        super().__init__(text, **gaps)


class LoginThrottled(Throttled):
    """An account, or a network, has had too many logins that failed."""

    text = N_("Too many failed logins. Wait a bit.")


class TooManyGuests(Throttled):
    """An invite with several uses was used as often from one network as it may be for now."""

    text = N_(
        "Too many people have registered with this invitation from your network. "
        "Use mobile data instead of this Wi-Fi, or try again later."
    )


class TooManyOpenInvites(Throttled):
    """A user has as many invites that nobody has used yet as they may.

    Attributes:
        most: how many that is.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        text = N_("You have %(most)s open invitations, which is the most. Revoke one, or wait.")
        super().__init__(text=text, most=most)


class Overloaded(Throttled):
    """The queue of work that waits for a thread is full."""

    text = N_("The server is busy. Please try again in a moment.")


class Unavailable(Refused):
    """The store or the backend did not do what it was asked.

    Attributes:
        error_id: the name under which the cause is in the log.
        cause: the same for the operator, who may not have the log at hand; "" if nobody knows.
    """

    def __init__(self, error_id: str, cause: str = "") -> None:
        self.error_id = error_id
        self.cause = cause
        text = N_("The server has a problem (error %(id)s). Please try again later.")
        super().__init__(text, id=error_id)


class RosterFull(Refused):
    """A roster, or what waits for its owner's answer, is at its limit."""

    text = N_("There are too many contacts in the roster already, or their names are too long.")


class MayNotInvite(Refused):
    """The policy does not let this user make such an invite."""

    text = N_("You may not invite people to register on this server.")


class MayNotReset(MayNotInvite):
    """The right to make and change invites does not extend to links that set a password."""

    text = N_("You may not see, make or change links that set a new password.")


class NotFound(Refused):
    """A command names an invite or an account that does not exist.

    Attributes:
        invite_id: of the invite that there is not; None if it was about something else.
    """

    def __init__(self, text: str, invite_id: str | None = None) -> None:
        super().__init__(text)
        self.invite_id = invite_id


class InvalidRequest(Refused):
    """A command asks for something that makes no sense; the text says what."""


class OtherRequest(InvalidRequest):
    """A request has the name of an earlier one, and asks for something else."""

    text = N_("Something else was asked for under this name before: choose another for this.")


def _label(field: str) -> str:
    return "postal code" if field == "zip" else field


def _is_named(field: str) -> bool:
    """Whether texts may name a field."""
    return "ip" not in _label(field).lower()


class StoreError(Exception):
    """The store cannot be opened; the text is one line for the operator."""
