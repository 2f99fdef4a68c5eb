"""Undoes what was made if its link or key could not be shown: it is shown only once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import Connection

from invitereg.cli.display import print_link
from invitereg.cli.output import NotPrinted, print_views
from invitereg.cli.workspace import Workspace
from invitereg.errors import NotFound, Refused, StoreError
from invitereg.model.invites import Invite, token_digest
from invitereg.policy.inviting import OPERATOR
from invitereg.store import invites
from invitereg.store.invites import get_token_record, put_back
from invitereg.views import issued_invite

Issued = tuple[Invite, str]
"""An invite and its token."""


@contextmanager
def undone_if_unseen(undo: Callable[[], str]) -> Iterator[None]:
    """Call ``undo`` if what is done here fails; what it returns says what it has done.

    Raises:
        NotPrinted: with that added to its text.
    """
    try:
        yield
    except NotPrinted as error:
        raise error.after(_outcome(undo)) from None
    except BaseException:
        _outcome(undo)
        raise


def _outcome(undo: Callable[[], str]) -> str:
    """Return what ``undo`` says, or why nothing could be undone."""
    try:
        return undo()
    except StoreError as error:
        return f"What was made could not be undone: {error}"


@contextmanager
def revoked_if_unseen(workspace: Workspace) -> Iterator[list[Issued]]:
    """Revoke the invites that are put into the list, if showing them fails.

    Those stay whose lines standard output has taken whole (`print_each`), from the first on.

    Raises as `undone_if_unseen`.
    """
    made: list[Issued] = []
    with undone_if_unseen(lambda: _revoke(workspace, made)):
        try:
            yield made
        except NotPrinted as error:
            del made[: error.lines]
            raise


def _revoke(workspace: Workspace, made: list[Issued]) -> str:
    def revoke_all(connection: Connection) -> None:
        for invite, _token in made:
            with suppress(Refused):  # used by whoever got its link all the same
                invites.revoke(connection, invite.domain, invite.id, workspace.now())

    workspace.run(workspace.store.database.write(revoke_all))
    if len(made) == 1:
        return "The invite was revoked, as its link was not shown."
    return f"{len(made):,} invites were revoked, as their links were not shown."


def print_issued(
    workspace: Workspace, invite: Invite, token: str, as_json: bool, qr: bool
) -> None:
    """Print an invite with its link, as an object or for people."""
    domain = workspace.domain(invite.domain)
    if as_json:
        print_views([issued_invite(invite, token, domain)])
    else:
        print_link(invite, token, domain, qr)


@contextmanager
def renewed(workspace: Workspace, domain: str, invite_id: str) -> Iterator[Issued]:
    """Give an invite a new link; the old one stays if showing the new one fails.

    Raises as `Issuer.renew` and `undone_if_unseen`.
    """
    database = workspace.store.database
    old = workspace.run(database.read(lambda c: get_token_record(c, domain, invite_id)))
    if old is None:
        raise NotFound(f"There is no invite {invite_id} at {domain}.", invite_id)
    invite, token = workspace.run(workspace.issuer.renew(domain, invite_id, OPERATOR))

    def restore() -> str:
        workspace.run(
            database.write(lambda c: put_back(c, domain, invite.id, old, token_digest(token)))
        )
        return "The new link was not shown: the old one goes on working."

    with undone_if_unseen(restore):
        yield invite, token
