"""The invariants of subscribers: each finds what is planted for it, and nothing in sound deliveries."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tasker import BaseSubscriber, PermanentError, StepTemplate, TaskDefinition, testing
from tasker.codec.decode import text_id
from tests.faults import invariants_subscribers as invariants
from tests.faults import told
from tests.faults.evidence import read
from tests.faults.invariants_subscribers import Deliveries
from tests.faults.plans import POISONED
from tests.faults.samples import Sample, Samples, Standing
from tests.faults.told import BUS, DONE, FREEZE_AFTER, FREEZE_BEFORE, KILL, RAISED, SENT, Told, World

PID, OTHER = 7, 8
NAME = "plain"
START = 1_000_000


def give(task, sequence, step):
    """Complete."""
    return {}


@pytest.fixture
def sound() -> Deliveries:
    """Give the deliveries of two tasks in a log, one after the other, with what was sampled meanwhile."""
    with testing.app(TaskDefinition(name="one", step_templates=[StepTemplate(name="a", handler_class=give)])) as app:
        for number in range(2):
            app.submit(name="one", context={"number": number})
            app.run_until_idle()
        evidence = read(app._engine.context.store)
    lines = [line for row in evidence.rows for line in (_line(SENT, row), _line(DONE, row), _line(SENT, row, BUS))]
    samples = [Sample(_at(row.position) + 2, {NAME: standing(row.position)}) for row in evidence.rows]
    return Deliveries(evidence, lines, samples, {}, {NAME: "*"})


def _at(position: int) -> int:
    return START + position * 10


def _line(word: str, row, subscription: str = NAME) -> Told:
    ids = text_id(row.event_id), text_id(row.stream_id)
    return Told(word, subscription, row.position, *ids, row.version, PID, _at(row.position))


def standing(checkpoint: int, *, pid: int = PID, epoch: int = 1, **others: object) -> Standing:
    """Give the row of a subscription that a process owns."""
    values = {"state": "active", "owner": f"host-{pid}-abc", "error": None} | others
    return Standing(checkpoint, epoch, **values)


def found(deliveries: Deliveries) -> set[str]:
    """Name the invariants that do not hold."""
    return {one.__name__ for one in (*invariants.ALWAYS, *invariants.LAST) if list(one(deliveries))}


def without(deliveries: Deliveries, gone: Callable[[Told], bool]) -> Deliveries:
    """Take lines away."""
    return replace(deliveries, told=[line for line in deliveries.told if not gone(line)])


def ending(deliveries: Deliveries, **others: object) -> Deliveries:
    """Change what is sampled last."""
    last = deliveries.samples[-1]
    changed = {NAME: last.standings[NAME]._replace(**others)}
    return replace(deliveries, samples=[*deliveries.samples[:-1], last._replace(standings=changed)])


def late(deliveries: Deliveries, *lines: Told) -> Deliveries:
    """Let something be told at the very end."""
    return replace(deliveries, told=[*deliveries.told, *(line._replace(time=_at(1_000)) for line in lines)])


def test_sound_deliveries_break_no_invariant(sound):
    """Nothing is found where nothing is wrong."""
    assert found(sound) == set()


def test_a_lost_event_is_found(sound):
    """An event that was passed over is found; one that was sent and did not come back is one too."""
    last = len(sound.evidence.rows)
    assert found(without(sound, lambda line: line.position == last)) == {"everything_was_told"}
    assert found(without(sound, lambda line: line.position == last and line.word == DONE)) == {"everything_was_told"}


def test_a_subscription_without_a_row_is_found(sound):
    """What nobody ever subscribed is found."""
    assert found(replace(sound, samples=[])) == {"everything_was_told"}


def test_what_is_not_in_the_log_is_found(sound):
    """A line whose event stands nowhere, or elsewhere, is found; and one that nobody wanted."""
    first = sound.told[0]
    assert "told_is_logged" in found(late(sound, first._replace(position=1_000)))
    assert "told_is_logged" in found(late(sound, first._replace(subscription=BUS, version=9, position=1_000)))
    assert "told_is_logged" in found(replace(sound, globs={NAME: "step.*"}))


def test_a_broken_order_is_found(sound):
    """An event that is sent before an earlier one of its task went through is found."""
    first, second = (row.position for row in sound.evidence.rows[:2])
    lines = sorted(sound.told, key=lambda line: {first: second, second: first}.get(line.position, line.position))
    assert "order_is_kept" in found(replace(sound, told=lines))
    refused = [line._replace(word=RAISED) if (line.position, line.word) == (2, DONE) else line for line in sound.told]
    assert "order_is_kept" in found(replace(sound, told=refused))


def test_what_a_person_gave_up_holds_nobody_up(sound):
    """Behind an event that was discarded the next of its task may be sent; without that, it may not."""
    refused = without(sound, lambda line: (line.position, line.word) == (2, DONE))
    assert found(refused) == {"order_is_kept", "everything_was_told"}
    assert found(replace(refused, discarded={NAME: {2}})) == set()


def test_tasks_do_not_wait_for_each_other(sound):
    """An event that is parked keeps those behind it in its task, and in no other; the other task is found missing."""
    rows = sound.evidence.rows
    mine = [row.position for row in rows if row.stream_id == rows[0].stream_id]
    parked = without(sound, lambda line: line.word == DONE and line.position == mine[0])
    parked = without(parked, lambda line: line.position in mine[1:] and line.subscription == NAME)
    held = {"held": {text_id(rows[0].stream_id): mine[0]}, "parked": {mine[0]: (1, POISONED)}}
    assert found(ending(parked, **held)) == set()
    other = without(parked, lambda line: line.position == len(rows) and line.subscription == NAME)
    assert found(ending(other, **held)) == {"everything_was_told"}


def test_a_checkpoint_that_goes_back_is_found(sound):
    """A checkpoint, or a number of owners, that goes back is found, unless the server has crashed between."""
    back = Sample(_at(1_000), {NAME: standing(1)})
    assert "checkpoints_never_go_back" in found(replace(sound, samples=[*sound.samples, back]))
    crashed = replace(sound, samples=[*sound.samples, Sample(_at(999), {}), back])
    assert "checkpoints_never_go_back" not in found(crashed)
    older = [*sound.samples, Sample(_at(1_000), {NAME: standing(len(sound.samples), epoch=0)})]
    assert found(replace(sound, samples=older)) == {"checkpoints_never_go_back"}


def test_a_second_sending_by_its_owner_is_found(sound):
    """What lies below the stored checkpoint is not sent again, however much later."""
    assert found(late(sound, sound.told[0])) == {"settled_is_not_sent_again"}


def test_what_is_not_stored_may_be_sent_again(sound):
    """After a crash what lies above the stored checkpoint is sent again, by whoever comes next."""
    samples = [sample for sample in sound.samples if sample.time < _at(3)]
    again = [line._replace(pid=OTHER) for line in sound.told if line.position > 2 and line.subscription == NAME]
    more = late(replace(sound, samples=samples), *again)
    assert "settled_is_not_sent_again" not in found(more)
    assert "settled_is_not_sent_again" in found(late(more, sound.told[0]))


def test_a_late_owner_has_one_event_in_its_hand(sound):
    """An owner that has lost the subscription may still send one event, and no second one."""
    head = len(sound.samples)
    taken = [*sound.samples, Sample(_at(999), {NAME: standing(head, pid=OTHER, epoch=2)})]
    first, second = (line for line in sound.told[:6] if line.word == SENT and line.subscription == NAME)
    assert found(late(replace(sound, samples=taken), first)) == set()
    assert found(late(replace(sound, samples=taken), first, second)) == {"settled_is_not_sent_again"}


def test_what_waits_may_be_sent_again(sound):
    """What waits for a retry, and what waits behind it, lies below the checkpoint and is sent again."""
    rows, last = sound.evidence.rows, sound.samples[-1]
    waits = {NAME: last.standings[NAME]._replace(held={text_id(rows[0].stream_id): 2})}
    retried = replace(sound, samples=[*sound.samples, Sample(last.time + 1, waits)])
    second = next(line for line in sound.told if line.position == 2 and line.subscription == NAME)
    assert "settled_is_not_sent_again" not in found(late(retried, second))
    assert "settled_is_not_sent_again" in found(late(retried, sound.told[0]))


def test_a_subscription_that_does_not_go_on_is_found(sound):
    """At the end a checkpoint before the head is found, and one that is paused; poison pauses nothing at any time."""
    assert found(ending(sound, checkpoint=len(sound.samples) - 1)) >= {"checkpoints_are_at_the_head"}
    assert found(ending(sound, state="paused")) == {"checkpoints_are_at_the_head"}
    assert "poison_stops_nobody" in found(ending(sound, state="failed"))
    paused = Sample(_at(1), {"poison": standing(1, state="paused", error="paused, because 5 different tasks in a row")})
    assert found(replace(sound, samples=[paused, *sound.samples])) == {"poison_stops_nobody"}


@pytest.mark.parametrize("parked", [{}, {1: (10, "ValueError: no")}, {1: (2, POISONED)}, {1: (0, POISONED)}])
def test_what_is_parked_wrongly_is_found(sound, parked):
    """At the end nothing waits that could go through, and nothing that was not tried as often as its row says."""
    stream = text_id(sound.evidence.rows[0].stream_id)
    assert found(ending(sound, held={stream: 1}, parked=parked)) == {"only_poison_is_parked"}
    assert found(ending(sound, held={stream: 1}, parked={1: (1, POISONED)})) == set()


def test_a_bus_in_disorder_is_found(sound):
    """What a bus tells twice, or after what came behind it, is found."""
    lines = [line for line in sound.told if line.subscription == BUS]
    assert found(late(sound, lines[-1])) == {"bus_keeps_the_order"}
    assert found(late(sound, lines[0]._replace(pid=OTHER))) == set()


def test_lines_that_were_cut_off_count_for_nothing(tmp_path):
    """A line is read whole or not at all, and the next one is read whole."""
    event = SimpleNamespace(position=3, event_id="e", stream_id="$control", version=2)
    world = World(tmp_path)
    world.tell(SENT, NAME, event)
    with (tmp_path / "told").open("a") as cut:
        cut.write("\nsent plain 4 e")
    world.tell(RAISED, NAME, event)
    world.tell(SENT, BUS, event)
    assert [(line.word, line.position, line.pid) for line in told.read(tmp_path)] == [
        (word, 3, os.getpid()) for word in (SENT, RAISED, SENT)
    ]
    assert told.failures(tmp_path) == 1
    assert told.counts(told.read(tmp_path)) == {SENT: 1, RAISED: 1}
    world.close()


def test_a_trap_catches_once(tmp_path):
    """A trap lets as many deliveries pass as it shall, catches one, and says which process that was."""
    world, path = World(tmp_path), told.trap_of(tmp_path, NAME)
    assert world.trap(NAME) is None
    told.set_trap(path, KILL, 2)
    assert [world.trap(NAME) for _ in range(4)] == [None, None, KILL, None]
    assert (told.caught(path), told.caught(path)) == (os.getpid(), None)
    told.set_trap(path, KILL, 0)
    assert (told.caught(path), world.trap(NAME)) == (None, None)
    world.close()


def test_a_trap_springs_in_its_time(monkeypatch):
    """A kill comes after the sending, and a process stands still before it or after."""
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(number))
    for kind in (None, KILL, FREEZE_BEFORE, FREEZE_AFTER):
        told.spring(kind, sent=False)
    assert sent == [signal.SIGSTOP]
    for kind in (None, KILL, FREEZE_BEFORE, FREEZE_AFTER):
        told.spring(kind, sent=True)
    assert sent == [signal.SIGSTOP, signal.SIGKILL, signal.SIGSTOP]


class Refuses(BaseSubscriber):
    """Takes nothing."""

    name = NAME
    subscribe_to = "*"

    def handle(self, event):
        """Refuse."""
        raise PermanentError(POISONED)


def test_samples_show_the_rows():
    """Before there are rows nothing is read; then how each stands, what is parked, and what people gave up."""
    with testing.app(TaskDefinition(name="one", step_templates=[StepTemplate(name="a", handler_class=give)])) as app:
        store = app._engine.context.store
        samples, none = Samples(store, frozenset({NAME})), Samples(store, frozenset())
        for one in (samples, none):
            one.look(at_once=True)
        assert (samples.latest, none.all, none.discarded()) == ({}, [], {})
        assert (list(samples.unsettled(0)), list(none.unsettled(0))) == (["plain is not there"], [])
        app.subscribe(Refuses())
        task = app.submit(name="one")
        app.run_until_idle()
        samples.look(at_once=True)
        row, head = samples.latest[NAME], len(read(store).rows)
        assert (row.checkpoint, row.pid, dict(row.held)) == (head, os.getpid(), {task.id: 1})
        assert (dict(row.parked), row.hopeful) == ({1: (1, f"PermanentError: {POISONED}")}, [])
        assert (list(samples.unsettled(head)), len(list(samples.unsettled(head + 1)))) == ([], 1)
        app.subscriptions.discard(NAME, 1)
        assert samples.discarded() == {NAME: {1}}
