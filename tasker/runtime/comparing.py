"""The use case of whoever is about to change definitions: what would become of the live tasks of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec import definition as definition_codec
from tasker.codec.decode import decode, id_bytes
from tasker.domain.definition import TaskDefinition
from tasker.domain.divergence import Difference, Divergence, Verdict, alike, first_position, offered, worst
from tasker.domain.revision import changes
from tasker.domain.status import LIVE
from tasker.errors import InvalidRequest, ProjectionBehind, UnsupportedEvent
from tasker.projections.filters import MAX_LIMIT, TaskFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.domain.revision import Change
    from tasker.projections.rows import TaskRow
    from tasker.runtime.context import Context

_TOGETHER = 2_000
"""Events of short streams that are read at once."""
_LONG = 500
"""A stream of so many events is read by itself, page by page."""
_OFFERED = 20
_Name = tuple[str, str]  # namespace, name


class Compared(NamedTuple):
    """What a change of its definition would do to a live task.

    Attributes:
        id: The task.
        definition: Full name of the definition that it is pinned to.
        digest: The 32 bytes that name that definition.
        status: The task's status.
        verdict: What would become of it; None where it was not decided, then `reason` says why.
        position: Position in the log of the event at which history and new definition part; None where they do not, or
            where that lies ahead.
        differences: All ways in which they part, the earliest first.
        changes: What changed from the definition that it is pinned to, settings too, which part no history.
        offers: Steps that it may start now, at most twenty; none for a task that is the same, as in `would_offer`.
        would_offer: Steps that it could start now under the new definition, at most twenty.
        reason: Why it was not decided.
    """

    id: str
    definition: str
    digest: bytes
    status: str
    verdict: Verdict | None
    position: int | None = None
    differences: tuple[Difference, ...] = ()
    changes: tuple[Change, ...] = ()
    offers: tuple[str, ...] = ()
    would_offer: tuple[str, ...] = ()
    reason: str | None = None


class Revised(NamedTuple):
    """A definition as it was and as it is to be.

    Attributes:
        old: As it was; None for a new one.
        new: As it is to be; None for one that is removed.
        changes: What changed; none where one of the two is missing.
    """

    old: TaskDefinition | None
    new: TaskDefinition | None
    changes: tuple[Change, ...]


def revised(old: Iterable[TaskDefinition], new: Iterable[TaskDefinition]) -> list[Revised]:
    """Pair definitions by namespace and name, each side in its highest version, and say what changed; needs no log.

    Args:
        old: The definitions as they were.
        new: As they are to be.
    """
    before, after = _highest(old), _highest(new)
    found = []
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        told = () if one is None or other is None else changes(_plain(one), _plain(other))
        found.append(Revised(one, other, told))
    return found


def _plain(definition: TaskDefinition) -> TaskDefinition:
    """Give a definition as the log would, whose handlers are names: so those of any origin can be compared."""
    return definition_codec.decode(definition_codec.encode(definition))


def _digest(definition: TaskDefinition) -> bytes:
    return definition_codec.digest(definition_codec.encode(definition))


def _highest(definitions: Iterable[TaskDefinition]) -> dict[_Name, TaskDefinition]:
    found: dict[_Name, TaskDefinition] = {}
    for one in definitions:
        key = (one.namespace, one.name)
        if key not in found or found[key].precedence <= one.precedence:
            found[key] = one
    return found


class _Target:
    """A definition to be compared with, and what changed to it from each that tasks are pinned to."""

    def __init__(self, definition: TaskDefinition) -> None:
        """Take the definition."""
        self.definition = definition
        self.digest = _digest(definition)
        self._changes: dict[bytes, tuple[Change, ...]] = {}
        self._alike: dict[bytes, bool] = {}

    def changed_from(self, digest: bytes, pinned: TaskDefinition) -> tuple[Change, ...]:
        """Say what changed, worked out once for each definition."""
        if digest not in self._changes:
            self._changes[digest] = changes(_plain(pinned), self.definition)
        return self._changes[digest]

    def alike(self, digest: bytes, pinned: TaskDefinition) -> bool:
        """Say whether no history can part under the two, worked out once for each definition."""
        if digest not in self._alike:
            self._alike[digest] = alike(pinned, self.definition)
        return self._alike[digest]


class Comparing:
    """Decides every live task of some definitions. It reads, and moves nothing."""

    def __init__(self, context: Context) -> None:
        """Take what use cases share."""
        self._context = context

    def diff(self, old: Iterable[TaskDefinition] | None, new: Iterable[TaskDefinition]) -> Iterator[Compared]:
        """Say for every live task what would become of it under the definition that a new task would get.

        Args:
            old: The definitions to which live tasks may be pinned; one pinned to a definition that is neither among
                them nor among `new` is told and not decided. None: each is compared with what it is pinned to.
            new: The definitions as they are to be; of each name the highest version counts. One of `old` that is
                missing here is taken for removed.

        Returns:
            The tasks, newest first for each name and status, read as they are asked for.

        Raises:
            InvalidRequest: `old` and `new` share no definition.
            ProjectionBehind: The read models, from which live tasks are known, cannot be brought up to the log.
        """
        before, after = None if old is None else list(old), list(new)
        targets = {key: _plain(one) for key, one in _highest(after).items()}
        names = {*targets, *(() if before is None else ((one.namespace, one.name) for one in before))}
        _check_shared(before, after)
        known = None if before is None else {_digest(one) for one in (*before, *after)}
        return self._all(sorted(names), targets, known)

    def _all(
        self, names: Sequence[_Name], targets: dict[_Name, TaskDefinition], known: set[bytes] | None
    ) -> Iterator[Compared]:
        self._catch_up()
        for name in names:
            target = _Target(targets.get(name) or TaskDefinition(namespace=name[0], name=name[1]))
            for page in self._live(name):
                unread = []
                for row in page:
                    if row.digest == target.digest:
                        yield _told(row, Verdict.SAME)
                    elif known is not None and row.digest not in known:
                        yield _told(row, None, "it is pinned to a definition that is neither the old nor the new one")
                    else:
                        unread.append(row)
                yield from self._decided(unread, target)

    def _catch_up(self) -> None:
        """Bring the read models to the head as of now."""
        head, projections = self._context.log().head(), self._context.projections
        while projections.checkpoint() < head and projections.serve():
            pass
        status = projections.status()
        if status.checkpoint < head:
            why = f" ({status.error})" if status.error else ""
            message = (
                f"expected the read models at position {head}, found them at {status.checkpoint}{why}; live tasks"
                " cannot be told without them: mend that, or run `tasker projections rebuild`"
            )
            raise ProjectionBehind(message)

    def _live(self, name: _Name) -> Iterator[list[TaskRow]]:
        """Read the live tasks of a name, page by page; one that starts meanwhile comes once."""
        seen: set[str] = set()
        for status in sorted(LIVE, reverse=True):  # pending first: a task leaves it for in_progress, never back
            wanted = TaskFilter(namespace=name[0], name=name[1], status=status)
            cursor: str | None = None
            while True:
                page = self._context.projections.query(wanted, limit=MAX_LIMIT, cursor=cursor)
                yield [row for row in page.rows if row.id not in seen]
                if status == "pending":
                    seen.update(row.id for row in page.rows)
                cursor = page.cursor
                if cursor is None:
                    break

    def _decided(self, rows: Sequence[TaskRow], target: _Target) -> Iterator[Compared]:
        """Decide tasks by their histories, up to the versions that the rows show."""
        piece: list[TaskRow] = []
        events = 0
        for row in rows:
            pinned = self._context.plans.get(row.digest).definition
            if target.alike(row.digest, pinned):
                yield _told(row, Verdict.SAME)._replace(changes=target.changed_from(row.digest, pinned))
                continue
            if row.stream_version > _LONG:
                yield self._decide(row, target, self._pages(row))
                continue
            if events + row.stream_version > _TOGETHER:
                yield from self._together(piece, target)
                piece, events = [], 0
            piece.append(row)
            events += row.stream_version
        yield from self._together(piece, target)

    def _together(self, rows: Sequence[TaskRow], target: _Target) -> Iterator[Compared]:
        """Read short streams at once and decide their tasks."""
        wanted = {id_bytes(row.id): row for row in rows}
        found: dict[bytes, list[StoredEvent]] = {stream_id: [] for stream_id in wanted}
        left, after = list(wanted), 0
        while left:
            page = self._context.log().tail(after, limit=_TOGETHER, streams=left)
            for event in page:
                if event.version <= wanted[event.stream_id].stream_version:
                    found[event.stream_id].append(event)
            if len(page) < _TOGETHER:
                break
            after = page[-1].position
            left = [one for one in left if len(found[one]) < wanted[one].stream_version]
        for stream_id, row in wanted.items():
            yield self._decide(row, target, found[stream_id])

    def _pages(self, row: TaskRow) -> Iterator[StoredEvent]:
        """Read a long stream."""
        stream_id, after = id_bytes(row.id), 0
        while after < row.stream_version:
            page = self._context.log().stream(stream_id, after=after, limit=min(_LONG, row.stream_version - after))
            if not page:
                return
            yield from page
            after = page[-1].version

    def _decide(self, row: TaskRow, target: _Target, history: Iterable[StoredEvent]) -> Compared:
        pinned = self._context.plans.get(row.digest).definition
        parted = Divergence(row.id, pinned, target.definition)
        try:
            for stored in history:
                parted.add(decode(stored), stored.position)
        except UnsupportedEvent as error:
            return _told(row, None, str(error))
        differences, told = parted.differences(), target.changed_from(row.digest, pinned)
        if not differences:
            return _told(row, Verdict.SAME)._replace(changes=told)
        now = self._context.office.now()
        return _told(row, worst(differences))._replace(
            position=first_position(differences),
            differences=differences,
            changes=told,
            offers=offered(parted.old, now)[:_OFFERED],
            would_offer=offered(parted.new, now)[:_OFFERED],
        )


def _told(row: TaskRow, verdict: Verdict | None, reason: str | None = None) -> Compared:
    full_name = f"{row.namespace}.{row.name}@{row.version}"
    return Compared(row.id, full_name, row.digest, row.status, verdict, reason=reason)


def _check_shared(old: list[TaskDefinition] | None, new: list[TaskDefinition]) -> None:
    """Refuse sides that have nothing to do with each other: a wrong path would pass for a removal of everything."""
    if old is None or _highest(old).keys() & _highest(new).keys():
        return
    sides = [", ".join(sorted({f"{one.namespace}.{one.name}" for one in side})) or "none" for side in (old, new)]
    message = f"expected a definition that stands on both sides, found {sides[0]} in the old and {sides[1]} in the new"
    raise InvalidRequest(f"{message}; correct the path, or the name or namespace that changed")
