"""The interface of the server that keeps a domain's accounts, where that is not invitereg.

A request over a network ends in one of four ways, and who asks must know in which: it was
done, it was refused, it certainly was not done, or nobody can tell. The last three are the
failures below; an `IServer` fails with nothing else.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

PATIENCE_SECONDS = 4.0
"""How long a server may take for each method of `IServer`, however many steps it has."""


OWN_INVITES = (
    "the server makes invitations of its own: through the gateway nobody can use them, as it "
    "knows no token but ours, and beside the site they let people register past its rules. "
    "ejabberd: remove mod_invites from modules. Prosody: remove invites and all modules that "
    "begin with invites_ from modules_enabled"
)
"""About a server that has a command for it (XEP-0401)."""

CheckPassword = Callable[[str, str], Deferred[bool]]
"""Takes a username and a password, and tells whether they fit; fails as `IServer`."""


class ServerFault(Exception):
    """A server did not do what it was asked.

    Attributes:
        text: what was wrong and what to do, for the operator; no password and no stanza.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class ServerRefused(ServerFault):
    """The server said no, and has done nothing."""


class AlreadyThere(ServerRefused):
    """There is an account of that name."""


class NotThere(ServerRefused):
    """There is no account of that name."""


class MissingPrivilege(ServerRefused):
    """The server does not let us; the text has the lines of its configuration that do."""


class PasswordRefused(ServerRefused):
    """The server does not take that password; the text is for the person who registers."""


class ServerUnreachable(ServerFault):
    """Nothing was done: the request never left, or the server is known not to have read it."""


class OutcomeUnknown(ServerFault):
    """The server may have done it, or may do it yet.

    No answer came in time, or none that can be understood, or the line was cut after the
    request had left.
    """


class IServer(Interface):
    """The server of one domain, as far as its accounts go.

    All usernames are localparts after nodeprep. Every method comes to an end within
    `PATIENCE_SECONDS`. It fails with `ServerRefused` (or what of it is named),
    `ServerUnreachable` or `OutcomeUnknown`; what only asks and changes nothing never with the
    last: no answer is `ServerUnreachable` there.
    """

    domain = Attribute("The domain's name, in its normal form.")

    own_username = Attribute(
        "Of an account there that is certainly there, as we act by it; None without one."
    )

    def exists(username: str) -> Deferred[bool]:
        """Whether there is an account of that name; never a guess.

        But a server that cannot read its accounts may deny all of them.
        """

    def create(username: str, password: str) -> Deferred[None]:
        """Make an account.

        Raises:
            AlreadyThere: there was one before; it is as it was.
            PasswordRefused: the server has rules of its own.
        """

    def set_password(username: str, password: str) -> Deferred[None]:
        """Set an account's password; doing it again does no harm.

        Raises:
            NotThere, PasswordRefused: nothing was set.
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

        Doing it again does no harm. Names and groups that either has given the other stay,
        where the server tells them.

        Raises:
            NotThere: one of the accounts is gone; there is nothing to be done any more.
        """

    def contacts_problem() -> Deferred[str | None]:
        """Return why `make_contacts` cannot work here, for the operator; None if it can."""

    def warnings() -> Deferred[Sequence[str]]:
        """Return settings of the server that its operator may not have meant.

        Invitations of its own are one. It fails as what only asks.
        """

    def try_privileges() -> Deferred[Sequence[str]]:
        """Test all of the above on an account that is made for it and removed again.

        Returns:
            What the server does not let us do, each with what to change; nothing if all is
            well. It does not fail: a server that cannot be reached is a text, too.
        """
