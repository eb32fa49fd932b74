"""The compiled fold: columns of stored events in; states, rows of read models and tallies out; and chains verified.

Nothing here reads the data or the payload of an event except to hash it. Every rule equals its Python namesake.

Declared events are those of codes 1 to 12 and 20 to 32 in schema version 1, and custom ones (codes from 1000). A
stream with any other is *returned*: it is not folded, and its place in `streams` is reported, so that Python upcasts
and folds it. All times are microseconds since the epoch (UTC). Calls release the interpreter's lock while they fold
or hash, and may use several threads; after a fork the child works on one. The type aliases exist for type checkers
alone.
"""

# ruff: noqa: PYI021 - there is no Python source that could hold these docstrings

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias, final

__all__ = ["FOLD_VERSION", "Chain", "FoldError", "Plan", "link", "rows", "states", "tally"]

FOLD_VERSION: Final[int]
"""Moves with every change of what this module takes or gives."""

Head: TypeAlias = tuple[bytes, int, int, int, int, int | None]
"""One event: stream_id (16 bytes), position, kind, place, time, due.

`kind` is version << 32 | min(type, 65535) << 16 | schema_version. `place` is step + 1 (0 for none) << 32 | attempt (0
for none).
"""

Heads: TypeAlias = Sequence[Head] | bytes
"""Heads as tuples, or packed: 60 bytes each, big-endian, without padding.

stream_id 16, position i64, version i32, code i32, schema version i32, step i32 (-1: none), attempt i32 (0: none),
time i64, due i64 (the smallest: none).
"""

Step: TypeAlias = tuple[
    int,  # status, in the order of StepStatus
    int,  # blockers
    int,  # attempt
    int,  # failures
    str,  # outcomes
    int,  # ready_at
    int | None,  # due
    int | None,  # started_at
    int | None,  # ended_at
    int,  # version of the latest step.started, 0 for none
    int,  # outcome
    int,  # error
    int,  # version of the step.retry_scheduled whose delay is pending, 0 for none
    int,  # version of the final step.failed that still counts, 0 for none
    tuple[int, ...],  # versions of step.reset
    tuple[int, ...],  # versions of step.updated
]
"""Where a step stands, as far as columns tell it, and the versions of the events that tell the rest."""

State: TypeAlias = tuple[
    int,  # status, in the order of TaskStatus
    int,  # version
    tuple[int, ...],  # counts, in the order of StepStatus
    int,  # ready
    int,  # created_at
    int | None,  # started_at
    int | None,  # ended_at
    int,  # last_at
    int | None,  # timeout_at
    int,  # version of the task.paused that holds it, 0 for none
    tuple[int, ...],  # versions of its annotations
    int,  # version of the last task.erased, 0 for none
    int,  # position of its first event
    int,  # position of its last event
    tuple[int, ...],  # versions of task.updated
    tuple[Step, ...],  # its steps, by ordinal
]
"""Where a task stands, as far as columns tell it."""

TaskRow: TypeAlias = tuple[
    int,  # created: position of its first event
    str,  # status
    bool,  # paused
    int | None,  # started_at
    int | None,  # completed_at
    str,  # execution_status
    str,  # health_status
    float,  # completion_percentage
    str | None,  # recommended_action
    str,  # steps: JSON of how many have each status
    int,  # stream_version
    int,  # position of its last event
    int,  # created_at
    tuple[int, ...],  # versions of task.updated, for reason and tags
]
"""The columns of a task in the read models that need no data."""

StepRow: TypeAlias = tuple[
    int,  # task: position of its first event
    int,  # number
    str,  # name
    str,  # dependent_system
    str,  # status
    int,  # attempts
    int,  # retry_limit of the template
    None,  # worker_id
    int | None,  # started_at
    int | None,  # completed_at
    int | None,  # due
    None,  # error_type
]
"""The columns of a step in the read models; worker_id, error_type and an operator's limit are left to a `Need`."""

Need: TypeAlias = tuple[int, int, tuple[int, ...], int]
"""What a row of a step still needs: place of the row, kind, versions of the events that tell it, place of the stream.

The kind is 1 for worker_id (the step runs), 2 for error_type, 3 for retry_limit (there were step.updated).
"""

VerifyRow: TypeAlias = tuple[
    int,  # position
    bytes,  # stream_id, event_id and hash: 16, 16 and 32 bytes
    int,  # version << 32 | type
    int,  # step + 1 (0: NULL) << 32 | attempt + 1 (0: NULL)
    int,  # time
    int | None,  # due
    str | None,  # actor
    bytes | None,  # causation_id
    bytes | None,  # metadata
    bytes,  # data
    bytes | None,  # payload
    bytes | None,  # salt and payload_hash, or payload_hash alone where the salt is NULL
    int,  # schema_version; -1 where a column holds what does not fit here: Python then verifies the row
]
"""One event, whole, as its hash needs it."""

StreamRow: TypeAlias = tuple[bytes, str, str, str, bytes, str | None, bytes | None]
"""Id of a stream, then its row, as it enters the root."""

class FoldError(ValueError):
    """Heads that no log ever gives; `args` are the position (0 where none is known) and the reason, a sentence."""

@final
class Plan:
    """A pinned definition as the fold needs it; immutable and cheap to share."""

    def __new__(
        cls,
        parents: Sequence[Sequence[int]],
        names: Sequence[str],
        systems: Sequence[str],
        limits: Sequence[int],
        timeout: int | None,
        concurrent: bool = True,
    ) -> Plan:
        """Take a definition.

        Args:
            parents: For each step, the ordinals of those it depends on.
            names: The name of each step.
            systems: The dependent_system of each step.
            limits: The default_retry_limit of each step.
            timeout: Of the task as a whole, in microseconds.
            concurrent: Whether several steps may run at once.

        Raises:
            ValueError: The lengths differ, or a parent is no other step.
        """

def states(
    plans: Sequence[Plan],
    streams: Sequence[tuple[bytes, int]],
    heads: Heads,
    position: int | None = None,
    time: int | None = None,
) -> tuple[list[State | None], list[int]]:
    """Fold streams into states.

    Args:
        plans: The definitions.
        streams: For each stream its id and the index of its plan, in the order in which heads come; -1 returns it.
        heads: Of each stream from version 1 on, by version.
        position: The last position that counts.
        time: The last instant that counts; a stream with an event within it behind one beyond it is returned.

    Returns:
        For each stream its state, None where it has no event that counts or is returned; and the places in `streams`
        of those that are returned.

    Raises:
        FoldError: A head or an id is malformed, or a head not the next of its stream, or of a step that is not there.
        ValueError: An index of a plan is out of range.
    """

def rows(
    plans: Sequence[Plan],
    streams: Sequence[tuple[bytes, int]],
    heads: Heads,
    position: int | None = None,
    time: int | None = None,
) -> tuple[list[TaskRow | None], list[StepRow], list[Need], list[int]]:
    """Fold streams into rows of the read models.

    Args:
        plans: As for `states`.
        streams: As for `states`.
        heads: As for `states`.
        position: As for `states`.
        time: As for `states`.

    Returns:
        For each stream the row of its task or None; the rows of all steps of those tasks, in order; what those still
        need; and the places of the streams that are returned.

    Raises:
        FoldError: As for `states`.
        ValueError: As for `states`.
    """

def tally(
    plans: Sequence[Plan],
    streams: Sequence[tuple[bytes, int]],
    heads: Heads,
    position: int | None = None,
    time: int | None = None,
) -> tuple[int, int, tuple[int, ...], tuple[int, ...], list[int]]:
    """Fold streams and count what they come to.

    Args:
        plans: As for `states`.
        streams: As for `states`.
        heads: As for `states`.
        position: As for `states`.
        time: As for `states`.

    Returns:
        How many events and tasks were folded; tasks by status and steps by status, in declared order; and the places
        of the streams that are returned.

    Raises:
        FoldError: As for `states`.
        ValueError: As for `states`.
    """

@final
class Chain:
    """Recomputes hash chains over rows that it is fed page by page, in the order of their positions.

    One thread at a time may use it; a second one gets a RuntimeError.
    """

    def __new__(cls, log_id: bytes, after: int | None = None) -> Chain:
        """Take the 16 bytes that name the log, and the position behind which a part of it begins."""

    @property
    def position(self) -> int:
        """Position of the last row that verified."""

    @property
    def streams(self) -> int:
        """How many streams occurred."""

    def knows(self, stream_id: bytes) -> bool:
        """Say whether an event of this stream occurred."""

    def end(self, stream_id: bytes) -> tuple[int, bytes] | None:
        """Give version and hash of the last event of a stream that verified."""

    def gone(self) -> list[tuple[int, bytes]]:
        """Give position and stream of the first payload, for each stream, that is gone unexplained; in log order."""

    def codes(self) -> list[int]:
        """Give the type codes that occurred, sorted."""

    def feed(self, rows: Sequence[VerifyRow], headers: Iterable[StreamRow], types: Mapping[int, bytes]) -> int:
        """Verify the next rows.

        Args:
            rows: In the order of their positions.
            headers: For each stream that begins in these rows, its id and row; one that no log writes is passed over.
            types: A dict from type codes to names, as UTF-8.

        Returns:
            How many rows verified. If fewer than were given, the next one does not, or cannot be read here; the state
            is as after the last that did.
        """

    def missing(self, rows: Sequence[VerifyRow]) -> list[tuple[bytes, int]]:
        """Give stream and version of what stands before the first of these rows of each stream that is not known."""

    def assume(self, stream_id: bytes, version: int, hash: bytes) -> bool:
        """Take the end of a stream from the part before; False if this is no part or knows the stream."""

    def dump(self) -> bytes:
        """Give what a part came to, for `join`; no bytes where this is no part."""

    def join(self, part: bytes) -> bool:
        """Move on over the next part, which was verified elsewhere.

        Returns:
            True if it begins here and what it assumed holds; else nothing is changed.
        """

    def take(
        self, stream_id: bytes, version: int, hash: bytes, code: int, gone: bool = False, erased: bool = False
    ) -> None:
        """Move on over the next row, which Python has verified.

        Args:
            stream_id: Its stream.
            version: Its version.
            hash: Its hash.
            code: Its type.
            gone: Whether its payload is missing.
            erased: Whether it is a task.erased without a payload.
        """

def link(
    previous: bytes,
    position: int,
    stream_id: bytes,
    version: int,
    events: Sequence[tuple[object, ...]],
    salts: bytes,
    /,
) -> tuple[list[tuple[object, ...]], bytes]:
    """Give new events of one stream their places, salts and hashes; see `tasker.fold.link.linker`.

    Args:
        previous: The hash of the event before, or the root of the stream.
        position: Its position.
        stream_id: The stream (16 bytes).
        version: Its version.
        events: `NewEvent` tuples.
        salts: 16 bytes for each event with a payload, in order.

    Returns:
        The rows in the order of their columns, and the last hash.

    Raises:
        ValueError: There are too few salts, or an id or hash has another length.
        TypeError: A column is of another kind.
    """
