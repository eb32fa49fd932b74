"""Contract of the states that read models are made of: many are read together, and are those that are read alone."""

from __future__ import annotations

from random import Random

import pytest

from tasker.codec.decode import text_id
from tasker.domain import commands as cmd
from tasker.errors import UnsupportedEvent
from tasker.projections.models import Projections
from tasker.runtime import streams as module
from tasker.runtime.plans import Plans
from tasker.runtime.streams import Known, Streams
from tasker.runtime.threads import Threads
from tests.contracts.kit import event, more
from tests.contracts.lives import Life, populate
from tests.contracts.test_projections import contents

_LATER = (77, "task.migrated")


class Counted:
    """A log that counts the reads of streams and of tails."""

    def __init__(self, log):
        """Take the log."""
        self._log = log
        self.tails = self.alone = 0

    def __getattr__(self, name):
        """Give everything else as it is."""
        return getattr(self._log, name)

    def tail(self, *args, **keywords):
        """Count and read."""
        self.tails += 1
        return self._log.tail(*args, **keywords)

    def stream(self, *args, **keywords):
        """Count and read."""
        self.alone += 1
        return self._log.stream(*args, **keywords)


def states_of(log):
    """Give the states of a process that has seen nothing."""
    return Streams(lambda: log, Plans(lambda: log), Threads())


def lived(store, number, rounds=80):
    """Let random tasks live; give those that are in the log."""
    lives = []
    populate(store.log, Random(number), lives, rounds=rounds)
    return [life for life in lives if life.appended]


@pytest.mark.parametrize("together", [1, 7, 40, 300])
@pytest.mark.parametrize("long", [5, 500])
def test_read_together_as_alone(store, monkeypatch, together, long):
    """States at any versions are those that are read one by one, however little is read at once, long streams too."""
    seed, lives = Random(together), lived(store, 21)
    monkeypatch.setattr(module, "_TOGETHER", together)
    monkeypatch.setattr(module, "LONG", long)
    alone = states_of(store.log)
    for _ in range(4):
        wanted = {life.stream_id: seed.randint(1, life.appended) for life in lives if seed.random() < 0.8}
        plain = {one: alone.at_version(one, version) for one, version in wanted.items()}
        assert states_of(store.log).at_versions(wanted) == plain
    assert alone.at_versions({}) == {}


def test_few_reads(store):
    """As many streams as fit are read at once; one whose state is remembered as of its version is not read."""
    lives, log = lived(store, 22), Counted(store.log)
    states, wanted = states_of(log), {life.stream_id: life.appended for life in lives}
    found = states.at_versions(wanted)
    reads = log.tails
    assert len(wanted) > 20
    assert log.alone == 0
    assert reads <= 1 + 2 * sum(wanted.values()) // module._TOGETHER
    states.put_all((one, Known(task, 1)) for one, task in found.items())
    assert states.at_versions(wanted) == found
    assert log.tails == reads
    older = {life.stream_id: life.appended - 1 for life in lives if life.appended > 1}
    assert {one: task.version for one, task in states.at_versions(older).items()} == older


def test_a_stream_that_goes_on(store, monkeypatch):
    """What a stream has behind the wanted version is not folded, and keeps no other stream from being read."""
    busy, late = Life(Random(1)), Life(Random(2))
    store.log.append([busy.append(1)])
    for _ in range(30):
        busy.run.give(cmd.AnnotateTask(now=busy.run.now, annotation_type="n", annotation={}))
    store.log.append([busy.append(50)])
    store.log.append([late.append(1)])
    monkeypatch.setattr(module, "_TOGETHER", 3)
    log = Counted(store.log)
    found = states_of(log).at_versions({busy.stream_id: 1, late.stream_id: 1})
    assert {one: task.version for one, task in found.items()} == {busy.stream_id: 1, late.stream_id: 1}
    assert found[late.stream_id].id == text_id(late.stream_id)
    assert (log.alone, log.tails) == (0, 2)


def test_what_cannot_be_read_stops_the_read_models_there(store):
    """An event of a newer release among many stops the read models before it; everything before it is shown."""
    lives = lived(store, 23)
    life = lives[0]
    store.log.append([more(life.stream_id, life.appended, event(_LATER, step=None, attempt=None))])
    position = store.log.head()
    lived(store, 24, rounds=20)
    states = states_of(store.log)
    with pytest.raises(UnsupportedEvent):
        states.at_versions({one.stream_id: one.appended + (one is life) for one in lives})
    models = Projections(store, states.at_versions)
    while models.serve():
        pass
    assert models.status()[:2] == ("failed", position - 1)
    assert models.status().failed_at == position
    assert len(contents(store)["tasks"]) == len(lives)


def test_read_models_of_the_runtime_states(store):
    """Read models that are served from these states, a piece at a time, are those of the log folded anew."""
    models = Projections(store, states_of(store.log).at_versions)
    seed, lives = Random(25), []
    for _ in range(20):
        populate(store.log, seed, lives, rounds=seed.randrange(8))
        models.serve(limit=seed.choice((1, 7, 30, 5000)))
    while models.serve(limit=30):
        pass
    assert models.compare().differences == ()
