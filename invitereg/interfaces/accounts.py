"""The methods of the accounts of one domain, wherever they are kept.

All that touch a disk, a database or a network return Deferreds. All fail with
`invitereg.errors.Unavailable` when the backend does not answer, and with
`invitereg.errors.Overloaded` when too much work waits already.
"""

from datetime import datetime

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from invitereg.interfaces.queries import Redemption
from invitereg.model.accounts import ScramKeys
from invitereg.model.invites import Use


class IAccounts(Interface):
    """Make, find and delete the accounts of one domain.

    A backend that can set and check passwords provides `IPasswords`, too; one that clients log
    in to provides `ILogins`.
    """

    def redeem(redemption: Redemption, password: str) -> Deferred[None]:
        """Make the account of a redemption exactly once, whatever fails.

        The redemption's account comes without credentials. Raises as `store.redeeming.redeem`.
        """

    def exists(username: str) -> Deferred[bool]:
        """Return whether there is an account of that name."""

    def recognise(username: str) -> Deferred[bool]:
        """Do as `exists`, and let the store learn of an account that is there.

        Raises as `store.leases.learn`.
        """

    def contacts_problem() -> Deferred[str | None]:
        """Return why accounts cannot be made contacts, for the operator; None if they can."""

    def delete(
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> Deferred[None]:
        """Delete an account. See `store.accounts.remove`."""


class IPasswordCheck(Interface):
    """Check the passwords of one domain's accounts."""

    def check_password(username: str, password: str) -> Deferred[datetime | None]:
        """Return when the password was set, if it is the account's; else None.

        Both take the same work. The caller counts the attempt against the limits of logins: see
        `invitereg.usecases.throttles`. No answer of another server is cached, and Unavailable
        means that it has given none.
        """


class IPasswords(IPasswordCheck):
    """Set and check the passwords of one domain's accounts."""

    def reset(use: Use, password: str) -> Deferred[None]:
        """Set a new password by a reset invite. Raises as `store.redeeming.reset`."""

    def change_password(username: str, password: str, since: datetime) -> Deferred[datetime]:
        """Set a new password, unless another one has been set since ``since``.

        Returns:
            When the new one was set.

        Raises:
            NotFound: there is no such account, or it has another password by now.
        """


class ILogins(IPasswordCheck):
    """Verify logins at one domain by SASL."""

    mechanisms = Attribute("A tuple of the SASL mechanisms to offer, the strongest first.")

    def get_scram_keys(
        username: str, mechanism: str
    ) -> Deferred[tuple[ScramKeys, datetime | None]]:
        """Return the keys to check a SCRAM exchange against, and when they were set.

        For an unknown account, return keys that no password fits, the same each time, and None:
        so a stranger cannot find out which accounts exist.
        """
