"""The store of notices in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from zope.interface import implementer

from invitereg.notices import INoticeStore, Notice
from invitereg.store.memory import MemoryStore
from invitereg.store.memory_firing import fired


@implementer(INoticeStore)
class MemoryNoticeStore:
    """The notices of a `MemoryStore`. Each method is described in its interface."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._notices = store.notices

    @fired
    def notices_after(self, number: int | None, at_most: int) -> Sequence[Notice]:
        """See `INoticeStore`."""
        found = self._notices.after(number or 0)
        some = found[-1:] if number is None else found[:at_most]
        return [self._known(one) for one in some]

    @fired
    def notices_of(self, domain: str, username: str) -> Sequence[Notice]:
        """See `INoticeStore`."""
        return [self._known(one) for one in self._notices.of(domain, username)]

    @fired
    def remove_notices(self, numbers: Sequence[int]) -> None:
        """See `INoticeStore`."""
        self._notices.remove(numbers)

    @fired
    def purge_notices(self, before: datetime, at_most: int) -> int:
        """See `INoticeStore`."""
        return self._notices.purge(before, at_most)

    def _known(self, notice: Notice) -> Notice:
        """The notice with what the history still knows of its registration."""
        return replace(notice, use=self._store.known(notice.use))
