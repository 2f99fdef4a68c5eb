"""Send notices to accounts of the embedded domain as soon as they have a session.

A notice is removed from the store after it was written to a session. If the process crashes in
between, it is sent again at the next login, with the same id, so that no notice is lost;
`INoticeStore.try_notices` limits how often.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.words.xish import domish

from invitereg.embedded.delivery import Delivery
from invitereg.errors import Refused
from invitereg.interfaces.stores import INoticeStore
from invitereg.model.namespaces import NS_CLIENT, NS_DELAY
from invitereg.policy.notices import Notice, text_of, type_of
from invitereg.policy.values import Domain

_log = Logger("invitereg.domain.telling.Teller")

AT_ONCE = 100
LATE = timedelta(seconds=10)
KEPT = timedelta(days=90)
MOST_NAMED = 5
GAVE_UP = (
    "gave up telling {whom} of registrations ({count} notices): each was sent as often as it "
    "may be, and never confirmed{hint}"
)


class SessionNotices:
    """Send notices to the sessions of this process."""

    def __init__(
        self,
        domains: Mapping[str, Domain],
        store: INoticeStore,
        delivery: Delivery,
        now: Callable[[], datetime],
    ) -> None:
        self._domains = domains
        self._store = store
        self._delivery = delivery
        self._now = now
        self._last: int | None = None
        self._told: set[int] = set()
        # One at a time: between reading and forgetting, nobody else reads the same.
        self._turn = DeferredLock()

    def arrived(self, domain: str, username: str) -> None:
        """Send an account everything that waits for it; called when it gets a session."""
        Deferred.fromCoroutine(self._try(domain, username))

    async def _try(self, domain: str, username: str) -> None:
        try:
            await self._turn.run(Deferred.fromCoroutine, self._tell_all(domain, username))
        except Refused as refusal:
            # The store has said in the log what is wrong; it waits for the next login.
            _log.debug("notices are put off: {refusal}", refusal=refusal)
        except Exception:
            _log.failure("notices could not be told")

    async def _tell_all(self, domain: str, username: str) -> None:
        await self._tell(await self._store.notices_of(domain, username))

    async def send_new(self) -> None:
        """Send the notices that any process has stored since the last call.

        To be called every second. Older notices are sent when their account connects.
        """
        await self._turn.run(Deferred.fromCoroutine, self._tell_new())

    def forget_old(self, at_most: int) -> Deferred[int]:
        """Remove up to ``at_most`` notices that are too old; return how many were removed."""
        return self._store.purge_notices(self._now() - KEPT, at_most)

    async def _tell_new(self) -> None:
        found = await self._store.notices_after(self._last, AT_ONCE)
        while found:
            if self._last is not None:
                await self._tell(found)
            self._last = found[-1].number
            found = await self._store.notices_after(self._last, AT_ONCE)
        self._last = self._last or 0

    async def _tell(self, notices: Sequence[Notice]) -> None:
        due = [one for one in notices if self._is_due(one)]
        allowed = await self._store.try_notices([one.number for one in due])
        told = [one.number for one in notices if one.number in self._told]
        exhausted = [one for one in due if one.number not in allowed]
        told += [one.number for one in due if one in exhausted or self._is_told(one)]
        # Not told again, however often they are read before the store has forgotten them.
        self._told.update(told)
        if told:
            await self._store.remove_notices(told)
        self._told.difference_update(told)
        if exhausted:
            _log.warn(GAVE_UP, whom=recipients(exhausted), count=len(exhausted), hint="")

    def _is_due(self, notice: Notice) -> bool:
        """Return whether to send a notice now: not sent yet, and its account has a session."""
        return notice.number not in self._told and self._delivery.is_ready(
            notice.domain, notice.username
        )

    def _is_told(self, notice: Notice) -> bool:
        """Send a notice; return True also if there is nothing left to say."""
        message = notice_message(notice, self._domains, notice.use.domain, self._now())
        return message is None or self._delivery.to_all_ready(
            notice.domain, notice.username, message
        )


def recipients(notices: Sequence[Notice]) -> str:
    """Return the accounts that notices are for, as text for one line of the log."""
    whom = list(dict.fromkeys(f"{one.username}@{one.domain}" for one in notices))
    return ", ".join(whom[:MOST_NAMED]) + (" and others" if len(whom) > MOST_NAMED else "")


def notice_message(
    notice: Notice,
    domains: Mapping[str, Domain],
    sender: str,
    now: datetime,
    namespace: str | None = NS_CLIENT,
) -> domish.Element | None:
    """Return the message that tells a notice, or None if there is nothing left to say.

    Args:
        notice: what to tell.
        domains: those that are served, by name.
        sender: the JID that it comes from.
        now: the current time; a notice that is late carries its time (XEP-0203).
        namespace: of the stream that the message is sent on.
    """
    domain = domains.get(notice.use.domain)
    if domain is None or not (text := text_of(notice, domain)):
        return None
    message = domish.Element((namespace, "message"))
    message["from"] = sender
    message["to"] = f"{notice.username}@{notice.domain}"
    message["type"] = type_of(notice, domain)
    message["id"] = f"notice-{notice.number}"
    message.addElement("body", content=text)
    if now - notice.use.at > LATE:
        delay = message.addElement((NS_DELAY, "delay"))
        delay["from"] = sender
        delay["stamp"] = notice.use.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return message
