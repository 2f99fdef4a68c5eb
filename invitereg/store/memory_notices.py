"""What the `MemoryStore` keeps to be told."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from invitereg.notices import Notice, NoticeKind
from invitereg.store.notices import MOST


class Notices:
    """Notices, by number."""

    def __init__(self) -> None:
        self._notices: dict[int, Notice] = {}
        self._last = 0

    def add(self, new: Iterable[Notice]) -> None:
        """Keep notices, and of an account's registrations the latest."""
        for notice in new:
            self._last += 1
            self._notices[self._last] = replace(notice, number=self._last)
            told = [
                one.number
                for one in self.of(notice.domain, notice.username)
                if one.kind is NoticeKind.REGISTRATION
            ]
            self.remove(told[:-MOST])

    def after(self, number: int) -> Sequence[Notice]:
        """Those with a greater number."""
        return [one for one in self._notices.values() if one.number > number]

    def of(self, domain: str, username: str) -> Sequence[Notice]:
        """Those of one account."""
        recipient = (domain, username)
        return [
            one for one in self._notices.values() if (one.domain, one.username) == recipient
        ]

    def forget(self, domain: str, username: str) -> None:
        """Remove those of one account."""
        self.remove([one.number for one in self.of(domain, username)])

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove those with these numbers."""
        for number in numbers:
            self._notices.pop(number, None)

    def purge(self, before: datetime, at_most: int) -> int:
        """Remove those of old registrations; returns how many."""
        old = [one.number for one in self._notices.values() if one.use.at <= before][:at_most]
        self.remove(old)
        return len(old)
