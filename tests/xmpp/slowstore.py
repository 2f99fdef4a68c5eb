"""A store that answers when it is told to."""

from twisted.internet.defer import Deferred


class SlowStore:
    """Does at once what it is asked, but keeps the answers back while ``slow``."""

    def __init__(self, store):
        self._store = store
        self._waiting = []
        self.slow = False

    def __getattr__(self, name):
        method = getattr(self._store, name)

        def answer_later(*args, **kwargs):
            answered = method(*args, **kwargs)
            if not self.slow:
                return answered
            later = Deferred()
            self._waiting.append((answered, later))
            return later

        return answer_later

    @property
    def asked(self):
        """How many answers are kept back."""
        return len(self._waiting)

    def answer(self):
        """Give the answers that are kept back; who gets one may ask again."""
        waiting, self._waiting = self._waiting, []
        for answered, later in waiting:
            answered.chainDeferred(later)

    def answer_all(self):
        """Answer until nobody asks any more."""
        while self._waiting:
            self.answer()
