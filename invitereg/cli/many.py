"""Makes any number of invites at once, a chunk of them in memory and in a transaction."""

import json
from collections.abc import Iterable, Iterator

from invitereg.cli.desk import Desk
from invitereg.cli.printing import is_terminal, print_each
from invitereg.cli.progress import bar
from invitereg.cli.unseen import revoked_if_unseen
from invitereg.issuer import NewInvite
from invitereg.links import link
from invitereg.model import Invite
from invitereg.objects import issued_object

CHUNK = 1000


def create_many(desk: Desk, new: NewInvite, count: int, as_json: bool) -> None:
    """Make and print ``count`` invites, an object or a link a line.

    What is printed is stored, and what cannot be printed is revoked.

    Raises as `Issuer.create_many`, and:
        NotPrinted: standard output does not take them.
    """
    # Not where the invites themselves run over the screen.
    with bar(count, shown=not is_terminal()) as progress:
        for chunk in _chunks(count):
            with revoked_if_unseen(desk) as made:
                made += desk.run(desk.issuer.create_many(new, chunk))
                # At once: to flush each line would take longer than all the rest.
                print_each(_lines(desk, made, as_json))
            progress.advance(chunk)


def _chunks(count: int) -> Iterator[int]:
    while count > 0:
        yield min(CHUNK, count)
        count -= CHUNK


def _lines(desk: Desk, made: Iterable[tuple[Invite, str]], as_json: bool) -> Iterator[str]:
    for invite, token in made:
        domain = desk.domain(invite.domain)
        if as_json:
            yield json.dumps(issued_object(invite, token, domain))
        else:
            yield link(domain, invite, token)
