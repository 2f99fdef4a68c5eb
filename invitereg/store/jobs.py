"""Keep what is to be done at a server that keeps the accounts, and who does it when."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Integer, Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.engine import Connection

from invitereg.interfaces.leases import Errand, Task
from invitereg.store.tables import Time, errands

AT_ONCE = 20
IMPLAUSIBLE_PAUSE = timedelta(minutes=2)
"""More than an errand is put off for, even if the clocks of two processes differ."""
KEPT = timedelta(hours=1)
"""How long an answer is kept that nobody has come for."""

_NUMBERED = errands.c.number == bindparam("of_number")
_ADD = insert(errands).returning(errands.c.number)
_IS_DUE = (
    errands.c.domain == bindparam("of_domain"),
    errands.c.answer.is_(None),
    or_(
        errands.c.due <= bindparam("now", type_=Time),
        errands.c.due > bindparam("ahead", type_=Time),
    ),
)
_DUE = select(errands.c.number).where(
    *_IS_DUE,
    or_(errands.c.node.is_(None), errands.c.node == bindparam("of_node")),
    or_(errands.c.expires.is_(None), errands.c.expires > bindparam("now", type_=Time)),
)
# Asked outside, too: of two who have read the same, one takes it.
_TAKE = (
    update(errands)
    .where(errands.c.number.in_(_DUE.order_by(errands.c.number).limit(AT_ONCE)), *_IS_DUE)
    .values(due=bindparam("again", type_=Time), tries=errands.c.tries + 1)
    .returning(*errands.c)
)
_PUT_OFF = update(errands).where(_NUMBERED).values(due=bindparam("until", type_=Time))
_ANSWER = update(errands).where(_NUMBERED).values(answer=bindparam("new_answer"), details={})
_FORGET = delete(errands).where(_NUMBERED)
_WITHDRAW = delete(errands).where(_NUMBERED, errands.c.tries == 0)
_GET = select(errands).where(_NUMBERED)
_FORGET_CONTACTS = delete(errands).where(
    errands.c.domain == bindparam("of_domain"),
    errands.c.task == Task.CONTACTS,
    or_(
        errands.c.username == bindparam("of_username"),
        errands.c.details["contact"].as_string() == bindparam("of_username"),
    ),
)
_PURGE = delete(errands).where(
    errands.c.number.in_(
        select(errands.c.number)
        .where(errands.c.expires <= bindparam("before", type_=Time))
        .limit(bindparam("most", type_=Integer))
    )
)


def add(connection: Connection, errand: Errand) -> int:
    """Write down that something is to be done; returns its number."""
    row = {
        "domain": errand.domain,
        "username": errand.username,
        "task": errand.task,
        "details": dict(errand.details),
        "node": errand.node,
        "at": errand.at,
        "due": errand.at,
        "expires": errand.expires,
        "tries": 0,
    }
    return int(connection.execute(_ADD, row).scalar_one())


def take(
    connection: Connection, domain: str, node: str, now: datetime, again: datetime
) -> Sequence[Errand]:
    """Return what is to be done now; nobody else is given it before ``again``. At most 20.

    What is put off for longer than any errand is (two minutes after ``again``) was so by
    a clock that was ahead: it is to be done now.
    """
    times = {"now": now, "again": again, "ahead": again + IMPLAUSIBLE_PAUSE}
    which = {"of_domain": domain, "of_node": node, **times}
    found = [_errand_of(row) for row in connection.execute(_TAKE, which)]
    return sorted(found, key=lambda errand: errand.number)


def put_off(connection: Connection, number: int, until: datetime) -> None:
    """Try again at ``until`` what could not be done."""
    connection.execute(_PUT_OFF, {"of_number": number, "until": until})


def finish(connection: Connection, number: int, answer: str | None = None) -> None:
    """Forget an errand that is done, or keep the answer for who asked."""
    if answer is None:
        connection.execute(_FORGET, {"of_number": number})
    else:
        connection.execute(_ANSWER, {"of_number": number, "new_answer": answer})


def get(connection: Connection, number: int) -> Errand | None:
    """Return an errand, or None when it is forgotten."""
    row = connection.execute(_GET, {"of_number": number}).one_or_none()
    return None if row is None else _errand_of(row)


def withdraw(connection: Connection, number: int) -> bool:
    """Forget an errand that nobody has taken up; False if somebody has."""
    return connection.execute(_WITHDRAW, {"of_number": number}).rowcount == 1


def purge(connection: Connection, now: datetime, at_most: int) -> int:
    """Forget those that expired an hour ago, also of domains that are served no longer.

    Returns as `purging.purge_invites`.
    """
    which = {"before": now - KEPT, "most": at_most}
    return connection.execute(_PURGE, which).rowcount


def forget_contacts(connection: Connection, domain: str, username: str) -> None:
    """Make no contacts any more of an account that is deleted, whoever gets its name."""
    connection.execute(_FORGET_CONTACTS, {"of_domain": domain, "of_username": username})


def _errand_of(row: Row[tuple[object, ...]]) -> Errand:
    return Errand(
        number=row.number,
        domain=row.domain,
        username=row.username,
        task=Task(row.task),
        details=row.details,
        node=row.node,
        at=row.at,
        expires=row.expires,
        tries=row.tries,
        answer=row.answer,
    )
