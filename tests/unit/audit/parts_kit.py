"""What verifies parts in this process, as another process would: quick enough for many small logs."""

from __future__ import annotations

from tasker.audit import worker
from tasker.audit.helpers import Parts
from tasker.errors import TaskerError


class Here:
    """Verifies a part at once."""

    def __init__(self, order):
        """Verify it."""
        self.done = 0
        try:
            self._result = worker.verified(order, self._take)
        except TaskerError:
            self._result = b""

    def _take(self, done):
        self.done = done

    def wait(self, _seconds):
        """Say that it is done."""
        return True

    def result(self):
        """Give the result."""
        return self._result

    def end(self):
        """Do nothing: nothing runs."""


def parts(most, start=Here):
    """Cut a log of any size into so many parts."""
    return Parts(most, least=1, start=start)
