"""Count hits for rate limits: each is kept, so a limit holds in any period (sliding window).

Every function takes a connection within a transaction.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Text, bindparam, delete, func, insert, select
from sqlalchemy.engine import Connection

from invitereg.errors import Throttled
from invitereg.policy.counters import Counter
from invitereg.policy.values import Tally
from invitereg.store.statements import delete_some
from invitereg.store.tables import Time, hits

_IN_PERIOD = (
    hits.c.domain == bindparam("of_domain"),
    hits.c.name == bindparam("of_name"),
    hits.c.key == bindparam("of_key"),
    hits.c.at > bindparam("since", type_=Time),
    hits.c.at <= bindparam("ahead", type_=Time),
)
_COUNT = select(func.count()).select_from(hits).where(*_IN_PERIOD).scalar_subquery()
_ADD = (
    insert(hits)
    .from_select(
        ["domain", "name", "key", "at"],
        select(
            bindparam("of_domain", type_=Text),
            bindparam("of_name", type_=Text),
            bindparam("of_key", type_=Text),
            bindparam("moment", type_=Time),
        ).where(bindparam("most") > _COUNT),
    )
    .returning(hits.c.seq)
)
# Of any key: who comes once only, as from ever new networks, must leave nothing for good. A
# few at a time: none of those who are counted waits for all that was left by an attack.
_FORGET = delete_some(
    hits,
    hits.c.domain == bindparam("of_domain"),
    hits.c.name == bindparam("of_name"),
    hits.c.at <= bindparam("since", type_=Time),
)
_TALLY = select(func.count(), func.min(hits.c.at)).where(*_IN_PERIOD)
_REMOVE = delete(hits).where(hits.c.seq.in_(bindparam("numbers", expanding=True)))


def add(
    connection: Connection, domain: str, counters: Sequence[Counter], now: datetime
) -> tuple[int, ...]:
    """Count one hit on every counter, and return the hits' numbers for `remove`.

    Raises:
        Throttled: a counter is at its limit; nothing is counted.
    """
    numbers: list[int] = []
    for counter in counters:
        number = connection.scalar(
            _ADD, {**_which(domain, counter, now), "moment": now, "most": counter.limit.max}
        )
        if number is None:
            remove(connection, numbers)
            count, oldest = connection.execute(_TALLY, _which(domain, counter, now)).one()
            tally = Tally(count=count, oldest=oldest)
            raise counter.refusal(counter.retry_after(tally, now))
        numbers.append(int(number))
    for name, since in {counter.name: counter.since(now) for counter in counters}.items():
        connection.execute(
            _FORGET, {"of_domain": domain, "of_name": name, "since": since, "most": 10}
        )
    return tuple(numbers)


def add_all(
    connection: Connection, domain: str, counters: Sequence[Counter], now: datetime
) -> tuple[int, ...] | None:
    """Count one hit on every counter, or on none if any of them is at its limit.

    Returns:
        The hits' numbers for `remove`, or None if a limit was reached.
    """
    try:
        return add(connection, domain, counters, now)
    except Throttled:
        return None


def remove(connection: Connection, numbers: Sequence[int]) -> None:
    """Take hits back, as if they had not happened."""
    if numbers:
        connection.execute(_REMOVE, {"numbers": numbers})


def _which(domain: str, counter: Counter, now: datetime) -> dict[str, object]:
    return {
        "of_domain": domain,
        "of_name": counter.name,
        "of_key": counter.key,
        "since": counter.since(now),
        "ahead": counter.before(now),
    }
