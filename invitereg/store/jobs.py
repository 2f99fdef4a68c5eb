"""Keep the jobs: what is to be done at a server that keeps the accounts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.engine import Connection

from invitereg.interfaces.leases import Job, Task
from invitereg.store.rows import row_of, value_of
from invitereg.store.tables import Time, jobs

AT_ONCE = 20
IMPLAUSIBLE_PAUSE = timedelta(minutes=2)
"""Longer than any job is postponed, even if the clocks of two processes differ."""

_NUMBERED = jobs.c.number == bindparam("of_number")
_ADD = insert(jobs).returning(jobs.c.number)
_IS_DUE = (
    jobs.c.domain == bindparam("of_domain"),
    jobs.c.answer.is_(None),
    or_(
        jobs.c.due <= bindparam("now", type_=Time),
        jobs.c.due > bindparam("ahead", type_=Time),
    ),
)
_DUE = select(jobs.c.number).where(
    *_IS_DUE,
    or_(jobs.c.node.is_(None), jobs.c.node == bindparam("of_node")),
    or_(jobs.c.expires.is_(None), jobs.c.expires > bindparam("now", type_=Time)),
)
# Asked outside, too: of two who have read the same, one takes it.
_TAKE = (
    update(jobs)
    .where(jobs.c.number.in_(_DUE.order_by(jobs.c.number).limit(AT_ONCE)), *_IS_DUE)
    .values(due=bindparam("again", type_=Time), tries=jobs.c.tries + 1)
    .returning(*jobs.c)
)
_POSTPONE = update(jobs).where(_NUMBERED).values(due=bindparam("until", type_=Time))
_ANSWER = update(jobs).where(_NUMBERED).values(answer=bindparam("new_answer"), details={})
_FORGET = delete(jobs).where(_NUMBERED)
_WITHDRAW = delete(jobs).where(_NUMBERED, jobs.c.tries == 0)
_GET = select(jobs).where(_NUMBERED)
_FORGET_CONTACTS = delete(jobs).where(
    jobs.c.domain == bindparam("of_domain"),
    jobs.c.task == Task.CONTACTS,
    or_(
        jobs.c.username == bindparam("of_username"),
        jobs.c.details["contact"].as_string() == bindparam("of_username"),
    ),
)


def add(connection: Connection, job: Job) -> int:
    """Add a job; return its number."""
    row = row_of(job) | {"details": dict(job.details), "due": job.at}
    del row["number"]
    return int(connection.execute(_ADD, row).scalar_one())


def take(
    connection: Connection, domain: str, node: str, now: datetime, again: datetime
) -> Sequence[Job]:
    """Return the jobs to do now, at most 20; nobody else is given them before ``again``.

    A job that is due later than two minutes after ``again`` was postponed by a clock that was
    ahead: it is due now.
    """
    times = {"now": now, "again": again, "ahead": again + IMPLAUSIBLE_PAUSE}
    which = {"of_domain": domain, "of_node": node, **times}
    found = [value_of(Job, row) for row in connection.execute(_TAKE, which)]
    return sorted(found, key=lambda job: job.number)


def postpone(connection: Connection, number: int, until: datetime) -> None:
    """Let a job that could not be done be due again at ``until``."""
    connection.execute(_POSTPONE, {"of_number": number, "until": until})


def finish(connection: Connection, number: int, answer: str | None = None) -> None:
    """Forget a job that is done, or keep its answer for the process that waits for it."""
    if answer is None:
        connection.execute(_FORGET, {"of_number": number})
    else:
        connection.execute(_ANSWER, {"of_number": number, "new_answer": answer})


def get(connection: Connection, number: int) -> Job | None:
    """Return a job, or None when it is forgotten."""
    row = connection.execute(_GET, {"of_number": number}).one_or_none()
    return None if row is None else value_of(Job, row)


def withdraw(connection: Connection, number: int) -> bool:
    """Forget a job that nobody has taken up; False if somebody has."""
    return connection.execute(_WITHDRAW, {"of_number": number}).rowcount == 1


def forget_contacts(connection: Connection, domain: str, username: str) -> None:
    """Forget the jobs that make contacts of a deleted account: another may get its name."""
    connection.execute(_FORGET_CONTACTS, {"of_domain": domain, "of_username": username})
