"""Keep the notices about registrations until they are delivered."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Integer, Select, bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from invitereg.model.invites import Use
from invitereg.policy.notices import Notice, NoticeKind
from invitereg.store.rows import value_of
from invitereg.store.statements import of_account
from invitereg.store.tables import notices, uses

MOST = 100
"""How many notices of registrations are kept for one account: the latest."""
MOST_TRIES = 3
"""How often a notice is sent, at most: one that nobody confirms would be sent for ever."""

_THIS = of_account(notices)
_ADD = insert(notices).inline()
_KEPT_REGISTRATIONS = (
    select(notices.c.use_seq)
    .where(_THIS, notices.c.kind == NoticeKind.REGISTRATION)
    .order_by(notices.c.use_seq.desc())
    .limit(1)
    .offset(MOST)
    .scalar_subquery()
)
_DROP_OLDEST = delete(notices).where(
    _THIS,
    notices.c.kind == NoticeKind.REGISTRATION,
    notices.c.use_seq <= _KEPT_REGISTRATIONS,
)
_FORGET = delete(notices).where(_THIS)
_REMOVE = delete(notices).where(notices.c.number == bindparam("of_number"))
_TRY = (
    update(notices)
    .where(
        notices.c.number.in_(bindparam("numbers", expanding=True)),
        notices.c.tries < MOST_TRIES,
    )
    .values(tries=notices.c.tries + 1)
    .returning(notices.c.number)
)


# Notices, each with its registration.
_ALL = select(
    notices.c.number,
    *(notices.c[name].label(f"notice_{name}") for name in ("domain", "username", "kind")),
    *(column for column in uses.c if column.name != "seq"),
).join(uses, uses.c.seq == notices.c.use_seq)
_OF = _ALL.where(_THIS).order_by(notices.c.number)
_LAST = _ALL.order_by(notices.c.number.desc()).limit(1)
_AFTER = (
    _ALL.where(notices.c.number > bindparam("seen"))
    .order_by(notices.c.number)
    .limit(bindparam("most", type_=Integer))
)


def add(connection: Connection, new: Iterable[Notice], use_seq: int) -> None:
    """Write notices down, all about the registration in that row of ``uses``."""
    for notice in new:
        row = {
            "domain": notice.domain,
            "username": notice.username,
            "kind": notice.kind,
            "use_seq": use_seq,
            "at": notice.use.at,
        }
        connection.execute(_ADD, row)
        which = {"of_domain": notice.domain, "of_username": notice.username}
        connection.execute(_DROP_OLDEST, which)


def forget(connection: Connection, domain: str, username: str) -> None:
    """Forget all notices for an account."""
    connection.execute(_FORGET, {"of_domain": domain, "of_username": username})


def after(connection: Connection, number: int | None, at_most: int) -> Sequence[Notice]:
    """Return the notices with a greater number, of all domains; for None, only the last one."""
    if number is None:
        return _notices(connection, _LAST, {})
    return _notices(connection, _AFTER, {"seen": number, "most": at_most})


def of(connection: Connection, domain: str, username: str) -> Sequence[Notice]:
    """Return the notices for an account, oldest first; the latest `MOST` of them are kept."""
    return _notices(connection, _OF, {"of_domain": domain, "of_username": username})


def count_try(connection: Connection, numbers: Sequence[int]) -> Sequence[int]:
    """Count that notices are about to be sent.

    Returns the numbers of those that may be: others were sent often enough, or are gone.
    """
    return connection.execute(_TRY, {"numbers": list(numbers)}).scalars().all()


def remove(connection: Connection, numbers: Sequence[int]) -> None:
    """Forget notices that have been delivered."""
    if numbers:
        connection.execute(_REMOVE, [{"of_number": number} for number in numbers])


def _notices(
    connection: Connection, statement: Select[Any], values: Mapping[str, object]
) -> Sequence[Notice]:
    return [
        Notice(
            domain=row.notice_domain,
            username=row.notice_username,
            kind=row.notice_kind,
            use=value_of(Use, row),
            number=row.number,
        )
        for row in connection.execute(statement, values)
    ]
