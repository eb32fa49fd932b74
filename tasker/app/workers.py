"""`Tasker`: the workers of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.app.base import Base
from tasker.runtime.operations import By

if TYPE_CHECKING:
    from tasker.runtime.membership import WorkerInfo


class Crewing(Base):
    """Looking at workers and asking them to go."""

    def workers(self) -> list[WorkerInfo]:
        """Give every worker that is known: those that live, and for some days those that stopped or died.

        Raises:
            LogUnavailable: The log failed.
        """
        return self._engine.membership.workers()

    def drain(self, worker_id: str, *, actor: str | None = None, reason: str | None = None) -> WorkerInfo:
        """Ask a worker to start nothing more, to finish what runs, and to stop; it follows with its next heartbeat.

        Args:
            worker_id: The worker, as `workers()` names it.
            actor: Who asks.
            reason: Why; both go into the log of this process.

        Raises:
            InvalidRequest: There is no such worker; near names are offered.
            NotAllowed: It does not live any more.
        """
        return self._engine.membership.drain(worker_id, By(actor, reason))
