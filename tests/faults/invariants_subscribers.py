"""The invariants of subscribers: what was told to the world outside, against the log and the rows of subscriptions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tasker.catalog.patterns import Patterns
from tasker.codec.decode import text_id
from tasker.codec.recorded import CONTROL_NAMESPACE, CONTROL_STREAM
from tasker.codec.rows import StoredEvent
from tests.faults.evidence import Evidence
from tests.faults.invariants import Violations
from tests.faults.samples import Sample, Standing
from tests.faults.told import BUS, DONE, SENT, Told

_PAUSED = "paused, because"


@dataclass(frozen=True)
class Deliveries:
    """What is known of the deliveries of a history.

    Attributes:
        evidence: The log.
        told: What reached the world outside, in the order in which it did.
        samples: The rows of subscriptions while they changed.
        discarded: For each subscription, what people gave up for good, position by position.
        globs: For each subscription, what it wants; all begin with the first event.
    """

    evidence: Evidence
    told: Sequence[Told]
    samples: Sequence[Sample]
    discarded: Mapping[str, Collection[int]]
    globs: Mapping[str, str | tuple[str, ...]]

    @property
    def latest(self) -> Mapping[str, Standing]:
        """Give the rows as they were read last."""
        return self.samples[-1].standings if self.samples else {}

    def lines(self, name: str, word: str) -> list[Told]:
        """Give the lines of a subscription with a word."""
        return [line for line in self.told if (line.subscription, line.word) == (name, word)]

    def wanted(self, name: str) -> Iterator[StoredEvent]:
        """Give what a subscription wants."""
        patterns = Patterns(self.globs[name])
        return (row for row in self.evidence.rows if patterns.matches(row.type))

    def by_stream(self, name: str) -> Mapping[bytes, list[StoredEvent]]:
        """Give what a subscription wants, stream by stream."""
        found: dict[bytes, list[StoredEvent]] = defaultdict(list)
        for row in self.wanted(name):
            found[row.stream_id].append(row)
        return found


def told_is_logged(deliveries: Deliveries) -> Violations:
    """Whatever was told stands in the log, as it was told, and was wanted."""
    rows = {row.position: row for row in deliveries.evidence.rows}
    wanted = {name: {row.position for row in deliveries.wanted(name)} for name in deliveries.globs}
    for line in deliveries.told:
        row = rows.get(line.position)
        told = (line.event_id, line.stream_id, line.version)
        if row is None or told != (text_id(row.event_id), _stream(row), row.version):
            yield f"{line}: it is not what stands in the log: {row}"
        elif line.subscription != BUS and line.position not in wanted[line.subscription]:
            yield f"{line}: nobody wanted {row.type}"


def order_is_kept(deliveries: Deliveries) -> Violations:
    """Within a task, no event is sent before each earlier one went through or was given up by a person."""
    for name in deliveries.globs:
        before: dict[int, int] = {}
        for rows in deliveries.by_stream(name).values():
            before |= {after.position: row.position for row, after in pairwise(rows)}
        through = set(deliveries.discarded.get(name, ()))
        for line in deliveries.told:
            if line.subscription != name:
                continue
            earlier = before.get(line.position)
            if line.word == SENT and earlier is not None and earlier not in through:
                yield f"{line}: sent before position {earlier} of its task went through"
            if line.word == DONE:
                through.add(line.position)


def checkpoints_never_go_back(deliveries: Deliveries) -> Violations:
    """Neither checkpoints nor the numbers of owners go back, but where the server lost what it need not keep."""
    for old, new in pairwise(deliveries.samples):
        for name, before in old.standings.items():
            after = new.standings.get(name, before)
            if after.checkpoint < before.checkpoint or after.epoch < before.epoch:
                yield f"{name}: it went back from {before} to {after}"


@dataclass
class _Late:
    """Which processes have owned a subscription, by number of the owner, and what they sent too late."""

    epochs: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    used: Counter[int] = field(default_factory=Counter)

    def allows(self, pid: int, now: Standing) -> bool:
        """Say whether a process that has lost a subscription may still have had this one event in its hand."""
        self.used[pid] += 1
        lost = self.epochs[pid] - ({now.epoch} if now.pid == pid else set())
        return self.used[pid] <= max(len(lost), now.pid != pid)


def settled_is_not_sent_again(deliveries: Deliveries) -> Violations:
    """What lies below a stored checkpoint and waits for nothing is not sent again.

    But for the one event that an owner had in its hand when it lost the subscription.
    """
    late: defaultdict[str, _Late] = defaultdict(_Late)
    for line, sample in _with_samples(deliveries):
        for name, standing in sample.standings.items():
            late[name].epochs[standing.pid].add(standing.epoch)
        now = sample.standings.get(line.subscription)
        again = line.word == SENT and now is not None and _is_settled(line, now, deliveries.evidence)
        if again and not late[line.subscription].allows(line.pid, now):
            yield f"{line}: sent again; the subscription stood at {now}"


def _with_samples(deliveries: Deliveries) -> Iterator[tuple[Told, Sample]]:
    """Give each line with the rows as they had been read last before it."""
    left, now = list(reversed(deliveries.samples)), Sample(0, {})
    for line in deliveries.told:
        while left and left[-1].time < line.time:
            now = left.pop()
        yield line, now


def _is_settled(line: Told, standing: Standing, evidence: Evidence) -> bool:
    if not 1 <= line.position <= len(evidence.rows):
        return False
    stream = text_id(evidence.rows[line.position - 1].stream_id)
    return line.position <= standing.checkpoint and line.position < standing.held.get(stream, line.position + 1)


def poison_stops_nobody(deliveries: Deliveries) -> Violations:
    """Events that never go through hold up their own task: the subscription is neither paused nor failed for them."""
    for sample in deliveries.samples:
        for name, standing in sample.standings.items():
            error = standing.error or ""
            if standing.state == "failed" or (name == "poison" and error.startswith(_PAUSED)):
                yield f"{name}: it does not go on: {standing}"


def bus_keeps_the_order(deliveries: Deliveries) -> Violations:
    """The bus of a process tells each event at most once, in the order of the log."""
    last: dict[int, int] = {}
    for line in deliveries.told:
        if line.subscription == BUS:
            if line.position <= last.get(line.pid, 0):
                yield f"{line}: told after position {last[line.pid]}"
            last[line.pid] = line.position


ALWAYS: tuple[Callable[[Deliveries], Violations], ...] = (
    told_is_logged,
    order_is_kept,
    checkpoints_never_go_back,
    settled_is_not_sent_again,
    poison_stops_nobody,
    bus_keeps_the_order,
)
"""What holds for deliveries at any moment."""


def everything_was_told(deliveries: Deliveries) -> Violations:
    """At the end each wanted event went through, or is parked or given up, or waits behind a parked one of its task."""
    for name in deliveries.globs:
        standing = deliveries.latest.get(name)
        if standing is None:
            yield f"{name}: it has no row"
            continue
        done = {line.position for line in deliveries.lines(name, DONE)} | set(deliveries.discarded.get(name, ()))
        for row in deliveries.wanted(name):
            if row.position not in done and row.position < standing.held.get(text_id(row.stream_id), row.position + 1):
                yield f"{name}: {row.type} at position {row.position} never went through, and nobody knows"


def checkpoints_are_at_the_head(deliveries: Deliveries) -> Violations:
    """At the end every subscription is active and has come to the end of the log."""
    head = len(deliveries.evidence.rows)
    for name, standing in deliveries.latest.items():
        if (standing.state, standing.checkpoint) != ("active", head):
            yield f"{name}: the log ends at {head}, and it stands at {standing}"


def only_poison_is_parked(deliveries: Deliveries) -> Violations:
    """At the end nothing waits but what can never go through; it was tried as often as its row says."""
    for name, standing in deliveries.latest.items():
        if standing.hopeful:
            yield f"{name}: what can go through waits at the positions {standing.hopeful}: {standing}"
        sent = Counter(line.position for line in deliveries.lines(name, SENT))
        for position, (tries, error) in standing.parked.items():
            if not 1 <= tries <= sent[position]:
                yield f"{name}: {error} at position {position}: {tries} tries, and it was sent {sent[position]} times"


LAST: tuple[Callable[[Deliveries], Violations], ...] = (
    everything_was_told,
    checkpoints_are_at_the_head,
    only_poison_is_parked,
)
"""What holds at the end."""


def _stream(row: StoredEvent) -> str:
    return CONTROL_STREAM if row.header.namespace == CONTROL_NAMESPACE else text_id(row.stream_id)
