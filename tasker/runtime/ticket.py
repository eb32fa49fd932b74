"""One request to the leader: a command on a stream, and how its end is made known."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from tasker.codec.rows import StreamHeader
    from tasker.domain.commands import ControlCommand, TaskCommand
    from tasker.runtime.plans import Plan
    from tasker.runtime.slots import Running
    from tasker.runtime.streams import Known


class Ticket:
    """A command in the leader's inbox.

    Attributes:
        stream_id: The stream it is about.
        command: What is asked.
        size: Bytes of user data in it, for the bounds of the inbox.
        created: For a new task, the plan and the stream's row.
        metadata: For a new task, the bytes of the trace and request ids that came with its request, or None.
        expected: The version at which the task must be when the command is decided; None for any.
        report: True for reports of attempts and for timers: they go first and are never given up.
        worker_id: For the report of an attempt, the name under which it was started; it counts under no other.
        returns: The attempt whose slot this report gives back, or None.
        hooked: True if the task's hook still has to run when this report would end the task.
        known: The state after it, once it is durable.
        taken_by: The stream that already has the identity of a new task.
        error: Why it was refused.
        gate: Released when it is settled, or when its owner shall lead.
    """

    __slots__ = (
        "command", "created", "error", "expected", "gate", "hooked", "known", "metadata", "position", "report",
        "returns", "settled", "size", "stream_id", "taken_by", "worker_id",
    )  # fmt: skip

    def __init__(
        self,
        stream_id: bytes,
        command: TaskCommand | ControlCommand,
        *,
        size: int = 0,
        created: tuple[Plan, StreamHeader] | None = None,
        gate: threading.Lock | None = None,
    ) -> None:
        """Take the command; `gate` is a lock already held if somebody will wait."""
        self.stream_id = stream_id
        self.command = command
        self.size = size
        self.created = created
        self.gate = gate
        self.metadata: bytes | None = None
        self.expected: int | None = None
        self.report = False
        self.worker_id: str | None = None
        self.returns: Running | None = None
        self.hooked = False
        self.settled = False
        self.position = 0
        self.known: Known | None = None
        self.taken_by: bytes | None = None
        self.error: Exception | None = None

    def settle(self) -> None:
        """Say that it is decided for good and, if it made events, durable."""
        self.settled = True
        self.call()

    def call(self) -> None:
        """Wake who waits for it, to see that it is settled or to lead."""
        if self.gate is not None:
            with contextlib.suppress(RuntimeError):  # it was called already and has not looked yet
                self.gate.release()

    def refuse(self, error: Exception) -> None:
        """Settle it with an error."""
        self.error = error
        self.settle()
