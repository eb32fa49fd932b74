"""The event log as a port: what every adapter must do, the values it takes and gives, and every error it raises.

Times are integer microseconds since the epoch (UTC). Ids of streams and events are 16 bytes (UUIDv7; a stream that is
no task has a UUIDv8 of its name). Stored bytes (`data`, `payload`, `metadata`) are written and hashed as given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from tasker.codec.rows import NewEvent, StoredEvent, StoredSeal, StreamHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from tasker.domain.work import WorkChange, WorkItem
    from tasker.fold.columns import HeadPage, Heads, LinkPage
    from tasker.log.workers import Workers


class Holding(NamedTuple):
    """A place under a limit, taken by an attempt with its start and kept while the live work has it running.

    Attributes:
        scope: What is limited, such as `system:shop`.
        most: How many attempts may run in this scope, over all workers.
        step: Ordinal of the step.
        attempt: The attempt that starts.
    """

    scope: str
    most: int
    step: int
    attempt: int


class Append(NamedTuple):
    """Events for one stream, to be appended together or not at all.

    Attributes:
        stream_id: The stream.
        expected_version: The version of its last event; 0 for a new stream.
        events: What to append; versions follow `expected_version`.
        header: The stream's row; given exactly when `expected_version` is 0.
        definition: Digest and bytes of the definition, stored with it if the log has none of that digest.
        work: What changes in the live work of this stream, in the same transaction.
        erase: True to set payload and salt of all earlier events of the stream to NULL in the same transaction.
        guard: Another stream and the version it must still have (0: no such stream); else this append loses.
        worker: The worker that starts or reports attempts with this append, which loses unless that worker lives.
        holdings: Places under limits for what it starts; it loses where one is not free.
    """

    stream_id: bytes
    expected_version: int
    events: Sequence[NewEvent]
    header: StreamHeader | None = None
    definition: tuple[bytes, bytes] | None = None
    work: Sequence[WorkChange] = ()
    erase: bool = False
    guard: tuple[bytes, int] | None = None
    worker: str | None = None
    holdings: Sequence[Holding] = ()


class Appended(NamedTuple):
    """The append is durable; its events have consecutive positions from `first` to `last`."""

    first: int
    last: int


class VersionConflict(NamedTuple):
    """Nothing was appended: the last version of the stream, or of its guard, is `actual` (0 if there is none)."""

    actual: int


class IdentityTaken(NamedTuple):
    """Nothing was appended: the identity of the header already belongs to `stream_id`."""

    stream_id: bytes


class Fenced(NamedTuple):
    """Nothing was appended: the worker does not live any more."""

    worker_id: str


class LimitReached(NamedTuple):
    """Nothing was appended: as many attempts as may run in this scope."""

    scope: str


AppendResult = Appended | VersionConflict | IdentityTaken | Fenced | LimitReached


class Columns(Protocol):
    """Columns of many events at a time, for folds and verification; see `tasker.fold.columns`.

    Heads never need `data` or `payload`: an adapter serves them from an index.
    """

    def heads(self, after: bytes, *, limit: int, upto: int) -> HeadPage:
        """Read the heads of the streams whose id is greater than `after`, whole streams only, in the order of ids.

        Args:
            after: The last stream of the page before; empty for the first page.
            limit: How many heads at most, two or more; a single stream that has more comes alone, and whole.
            upto: Only heads up to this position count.

        Returns:
            The next streams; no heads where there are no more.
        """

    def heads_of(self, stream_id: bytes, *, limit: int | None = None) -> Heads:
        """Read the heads of one stream, from its first event on."""

    def events_at(self, positions: Sequence[int]) -> list[StoredEvent]:
        """Read the events at some positions, in the order of the log."""

    def data_at(self, positions: Sequence[int]) -> list[tuple[int, bytes]]:
        """Read position and `data` of the events at some positions, in the order of the log."""

    def links(self, after: int, *, limit: int) -> LinkPage:
        """Read what the chain needs of the events whose position is greater than `after`, in order.

        Nothing is remembered between two calls: what is stored now is given.
        """


class EventLog(Columns, Protocol):
    """An append-only log of streams. Every method is thread-safe and raises `LogUnavailable` if the store fails."""

    @property
    def log_id(self) -> bytes:
        """Give the 16 bytes that name this log, made when it was created."""

    def append(self, batch: Sequence[Append]) -> list[AppendResult]:
        """Append a group in one durable transaction; give one result per element, in order.

        A loser (wrong version, taken identity; also against an earlier element of the same group) consumes no position
        and never fails its neighbours. Positions are gapless and become visible in order, also with many writing
        processes.

        Raises:
            LogUnavailable: Nothing of the group is durable, or `outcome_unknown` says that it may be.
        """

    def stream(self, stream_id: bytes, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Read the events of a stream whose version is greater than `after`, in order."""

    def tail(self, after: int, *, limit: int, streams: Sequence[bytes] | None = None) -> list[StoredEvent]:
        """Read the events of the log whose position is greater than `after`, in order, at most `limit`."""

    def head(self) -> int:
        """Give the position of the last event; 0 for an empty log."""

    def header(self, stream_id: bytes) -> StreamHeader | None:
        """Give the row of a stream, or None if there is no such stream."""

    def with_identity(self, identity: bytes) -> bytes | None:
        """Give the id of the stream that has this identity, or None."""

    def definition(self, digest: bytes) -> bytes | None:
        """Give the stored bytes of a definition, or None."""


Found = tuple[bytes, "WorkItem"]
"""An item of live work and the stream it belongs to."""

Place = tuple[int, bytes, int]
"""Where a ready item stands in the order: rank, stream and step."""

Share = tuple[int, int]
"""Which of how many equal shares of all streams, from 0; told by the last byte of the stream's id."""


class Running(Protocol):
    """What runs, as the live work has it."""

    def orphans(self) -> list[Found]:
        """Read running items whose worker does not live."""

    def held_by(self, worker_id: str) -> list[Found]:
        """Read the running items of a worker."""

    def holders(self, scopes: Sequence[str]) -> list[tuple[str, bytes, int]]:
        """Read who holds places under limits, as (scope, stream, step)."""


class LiveWork(Running, Protocol):
    """The disposable index of what waits or runs; written by `EventLog.append`, rebuilt from the log."""

    def all(self) -> Iterator[Found]:
        """Read every item, with the id of its stream."""

    def of(self, stream_id: bytes) -> list[WorkItem]:
        """Read the items of one stream."""

    def ready(self, *, after: Place | None, limit: int, share: Share | None = None) -> list[Found]:
        """Read ready items without a due time, best rank first, then by stream and step.

        Args:
            after: The place of the last item of the page before; None for the first page.
            limit: How many at most.
            share: Only streams of this share.
        """

    def timers(self, *, before: int, limit: int) -> list[Found]:
        """Read items of every kind whose due time is earlier than `before` (microseconds), earliest first."""

    def at(self, places: Sequence[tuple[bytes, int]]) -> list[Found]:
        """Read the items of some streams and steps, in any order; what has none is left out."""

    def replace(self, items: Iterable[Found]) -> None:
        """Throw everything away and store these items, in one transaction."""


class Checkpoints(Protocol):
    """Named positions up to which a reader of the log has come."""

    def get(self, name: str) -> int:
        """Give the checkpoint of a reader; 0 for one that is not known."""

    def advance(self, name: str, *, expected: int, position: int) -> bool:
        """Move a checkpoint by compare-and-set; False if it was not at `expected` any more."""


class Archive(Protocol):
    """What only an auditor reads, everything of a table in the order of its key; and the seals, which only one adds."""

    def definitions(self) -> Iterator[tuple[bytes, bytes]]:
        """Read digest and bytes of every stored definition."""

    def streams(self) -> Iterator[tuple[bytes, StreamHeader]]:
        """Read the row of every stream, with its id."""

    def event_types(self) -> Iterator[tuple[int, str]]:
        """Read code and name of every type that occurs in the log."""

    def hashes(self, after: int, *, limit: int) -> bytes:
        """Read the hashes of the events whose position is greater than `after`, in order, one after another."""

    def seals(self) -> list[StoredSeal]:
        """Read every seal, in the order of positions."""

    def seal(self, seal: StoredSeal) -> bool:
        """Store a seal for good; False if there is one that begins at the same position."""

    def forget(self) -> None:
        """Forget what readers remember of streams and types, so that the next reads show what is stored now."""


@runtime_checkable
class Shared(Protocol):
    """What a store adds whose log several processes can read at once; audits then use every core."""

    @property
    def url(self) -> str | None:
        """Give the URL by which another process opens the same database, with its secrets; None if none can."""

    def hashes(self, ends: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int, bytes]]:
        """Read the stored hashes of streams at versions, as (stream, version, hash); what is not there is left out."""

    def users(self) -> list[tuple[bytes, str, int]]:
        """Count the rows of streams for each digest and namespace."""


class RunnerLock(Protocol):
    """Proves, where a store lets in one runner at a time, that no other works on this log."""

    @property
    def exclusive(self) -> bool:
        """Say whether holding it proves every other worker of this log dead."""

    def acquire(self) -> None:
        """Take the lock at once.

        Raises:
            TaskerError: Another runner holds it; names the process and what to do.
        """

    def release(self) -> None:
        """Give the lock back; safe to repeat."""


class Signals(Protocol):
    """Hints that the log may have grown. One may be lost: whoever waits also looks every `poll_seconds`."""

    @property
    def poll_seconds(self) -> float:
        """Give how often a waiter looks, whether hints come or not."""

    def listen(self, heard: Callable[[], None]) -> None:
        """Call a function when others may have appended, from any thread; it must return at once."""

    def close(self) -> None:
        """Give no more hints; safe to repeat."""


class Transactions(Protocol):
    """Connections for whoever keeps tables of its own beside the log."""

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        """Hold a connection inside one writing transaction, committed at the end, rolled back by an exception.

        These transactions take turns, those of all processes, and appends of this process may wait meanwhile: do in it
        what must be done, and never append inside.

        Args:
            durable: False if a power failure may take the last of these transactions back, as rows allow that can be
                derived from the log anew; it never takes back events of the log.

        Raises:
            LogUnavailable: The store failed; nothing of it is stored, or `outcome_unknown` says that it may be.
        """

    def reading(self) -> AbstractContextManager[Connection]:
        """Hold a connection for queries on one unchanging state of the database; what it writes is rolled back."""

    def purge(self) -> bool:
        """Let bytes that were erased leave the files too, where the store can do that without others having to wait.

        Never call it inside a transaction.

        Returns:
            Whether it did; where not, they go with the store's own housekeeping.

        Raises:
            LogUnavailable: The store failed.
        """


class Store(Transactions, Protocol):
    """One opened database: the log and what lives beside it."""

    @property
    def log(self) -> EventLog:
        """Give the event log."""

    @property
    def work(self) -> LiveWork:
        """Give the live work."""

    @property
    def workers(self) -> Workers:
        """Give the workers."""

    @property
    def checkpoints(self) -> Checkpoints:
        """Give the checkpoints."""

    @property
    def archive(self) -> Archive:
        """Give what an auditor reads beside the log."""

    def runner_lock(self) -> RunnerLock:
        """Give the lock of the one runner; not yet taken."""

    def signals(self) -> Signals:
        """Give the hints of this store; they end with it."""

    def close(self) -> None:
        """Close every connection; safe to repeat."""
