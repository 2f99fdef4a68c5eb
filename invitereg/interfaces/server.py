"""The interface of the server that keeps a domain's accounts, where that is not invitereg.

A call over a network ends in one of four ways, and the caller must know in which: it was done,
it was refused, it certainly was not done, or nobody can tell. The last three are the failures
below; an `IServer` fails with nothing else.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

PATIENCE_SECONDS = 4.0
"""How long a server may take for each method of `IServer`, however many requests it makes."""

OWN_INVITES = (
    "the server makes invitations of its own: through the gateway nobody can use them, as it "
    "knows no token but ours, and beside the site they let people register past its rules. "
    "ejabberd: remove mod_invites from modules. Prosody: remove invites and all modules that "
    "begin with invites_ from modules_enabled"
)
"""What the operator is told if the server has a command for invites (XEP-0401)."""

CheckPassword = Callable[[str, str], Deferred[bool]]
"""Return whether a password is that of a username; it fails as `IServer`."""


class ServerFault(Exception):
    """A server did not do what it was asked to.

    Attributes:
        text: the cause and the remedy, for the operator; it has no password and no stanza.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class ServerRefused(ServerFault):
    """The server refused, and did nothing."""


class AlreadyThere(ServerRefused):
    """An account of that name exists already."""


class NotThere(ServerRefused):
    """No account of that name exists."""


class MissingPrivilege(ServerRefused):
    """The server does not let us; the text has the lines for its configuration."""


class PasswordRefused(ServerRefused):
    """The server does not accept that password; the text is for the person who registers."""


class ServerUnreachable(ServerFault):
    """Nothing was done: the request was not sent, or the server certainly did not read it."""


class OutcomeUnknown(ServerFault):
    """The server may have done it, or may still do it.

    There was no answer in time, or a malformed one, or the connection was lost after the
    request was sent.
    """


class IServer(Interface):
    """Manage the accounts of one domain at its server.

    All usernames are localparts after nodeprep. Each method ends within `PATIENCE_SECONDS`. It
    fails with `ServerRefused` (or the subclass that is named), `ServerUnreachable` or
    `OutcomeUnknown`. A method that changes nothing never fails with the last: it fails with
    `ServerUnreachable` if there is no answer.
    """

    domain = Attribute("The domain's name, in its normal form.")

    own_username = Attribute(
        "The username of the account by which we call the server, which so exists; or None."
    )

    def exists(username: str) -> Deferred[bool]:
        """Return whether there is an account of that name, as the server says.

        A server that cannot read its accounts may deny all of them.
        """

    def create(username: str, password: str) -> Deferred[None]:
        """Make an account.

        Raises:
            AlreadyThere: there is one already; it is unchanged.
            PasswordRefused: the server has rules of its own for passwords.
        """

    def set_password(username: str, password: str) -> Deferred[None]:
        """Set an account's password; to do it again does no harm.

        Raises:
            NotThere, PasswordRefused: the password was not set.
        """

    def delete(username: str) -> Deferred[None]:
        """Delete an account; the server ends its sessions.

        Raises:
            NotThere: there is none.
        """

    def end_sessions(username: str) -> Deferred[None]:
        """End all sessions of an account; there may be none."""

    def make_contacts(username: str, contact: str) -> Deferred[None]:
        """Put two accounts into each other's rosters, with subscription both.

        To do it again does no harm. Names and groups that either has given the other are kept,
        if the server tells them.

        Raises:
            NotThere: one of the accounts does not exist; to try again is in vain.
        """

    def contacts_problem() -> Deferred[str | None]:
        """Return why `make_contacts` cannot work here, for the operator; None if it can."""

    def warnings() -> Deferred[Sequence[str]]:
        """Return settings of the server that its operator may not have meant.

        Invitations of its own are one.
        """

    def try_privileges() -> Deferred[Sequence[str]]:
        """Try all of the above on accounts that are made for that and removed again.

        Returns:
            A text for each thing that the server does not let us do, with what to change. It
            does not fail: that the server cannot be reached is a text, too.
        """
