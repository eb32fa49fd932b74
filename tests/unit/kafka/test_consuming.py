"""The thread that consumes: nothing unsettled is acknowledged, what fails begins anew, and stopping has a bound."""

from __future__ import annotations

import asyncio
import threading
from threading import Event

import pytest

from tasker.kafka import consuming
from tasker.kafka.consuming import Consumption
from tasker.kafka.errors import Unsettled
from tasker.kafka.progress import Lag
from tasker.settings.sections import Kafka
from tests.integration.cli_kit import wait_for
from tests.unit.kafka.kit import message


class Place:
    """A partition."""

    topic, partition = "requests", 0


class Feed:
    """Stands for a Faust app: gives one batch, and notes whether its agent came back for more."""

    def __init__(self, world, takers, dealt):
        """Take what the app is built with."""
        self.world, self.takers, self.dealt = world, takers, dealt
        self.should_stop = False
        self.consumer = self
        self.stopped = False

    async def start(self):
        """Join, or fail; then give the batch."""
        self.world.loop = asyncio.get_running_loop()
        if self.world.failures:
            raise self.world.failures.pop(0)
        if self.world.mute:
            self.world.mute.pop()
            await asyncio.Event().wait()
        self.dealt()
        self.agent = asyncio.create_task(self._agent())

    async def _agent(self):
        await self.takers["requests"]([message({})])
        self.world.acknowledged.set()

    def assignment(self):
        """The partitions."""
        return {Place()}

    async def stop(self):
        """Wait for what is in hand, as Faust does, or hang."""
        if self.world.hangs:
            await asyncio.Event().wait()
        if hasattr(self, "agent"):
            await self.agent
        self.stopped = True


class World:
    """Every app that was built, and how they behave."""

    def __init__(self, monkeypatch, **kafka):
        """Put itself in place of Faust."""
        self.apps, self.failures, self.hangs = [], [], False
        self.mute = []
        self.acknowledged, self.taken = Event(), []
        self.errors = []
        monkeypatch.setattr(consuming, "build", self._build)
        monkeypatch.setattr(consuming, "load", lambda: None)
        monkeypatch.setattr(consuming, "_AGAIN_SECONDS", 0.01)
        monkeypatch.setattr(consuming, "_FAULT_SECONDS", 0.01)
        monkeypatch.setattr(consuming, "_LOOK_SECONDS", 0.01)
        self.consumption = Consumption(Kafka(bootstrap=("nowhere:1",), **kafka), {"requests": self._take})

    def end(self):
        """End the thread of a consumption that is stuck: in earnest only the end of its process does."""
        [thread] = [one for one in threading.enumerate() if one.name == "tasker-kafka"]
        self.loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(self.loop)])
        thread.join(60)
        assert not thread.is_alive()

    def _build(self, settings, takers, dealt):
        self.apps.append(Feed(self, takers, dealt))
        return self.apps[-1]

    def _take(self, messages):
        self.taken.append(messages)
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def world(monkeypatch):
    """A world whose consumption is stopped afterwards."""
    made = World(monkeypatch)
    yield made
    made.consumption.stop(60)


def test_a_settled_batch_is_acknowledged(world):
    """The agent comes back when the batch is settled; stopping waits for Faust, and is safe to repeat."""
    world.consumption.start()
    assert world.acknowledged.wait(60)
    assert world.consumption.stop(60)
    assert world.consumption.stop(60)
    assert [one.stopped for one in world.apps] == [True]
    assert not world.consumption.stuck


def test_a_fault_of_the_program_is_tried_again_and_never_acknowledged(world):
    """Whatever is raised, Faust does not see it: the batch is given again until it is settled."""
    world.errors = [ZeroDivisionError(), ValueError()]
    world.consumption.start()
    assert world.acknowledged.wait(60)
    assert len(world.taken) == 3


def test_an_unsettled_batch_is_never_acknowledged(world, monkeypatch):
    """A batch that stops unsettled keeps its agent for ever: stopping ends all the same, and says so."""
    monkeypatch.setattr(consuming, "_RESTART_SECONDS", 0.05)
    world.errors = [Unsettled("not yet")]
    world.consumption.start()
    wait_for(lambda: world.taken != [])
    assert not world.consumption.stop(0.1)
    assert world.consumption.stuck
    assert not world.acknowledged.is_set()
    world.end()


def test_a_crash_and_a_failed_start_begin_anew(world):
    """An app that stopped by itself is replaced by another, also if that takes some tries; messages go on."""
    world.consumption.start()
    assert world.acknowledged.wait(60)
    world.acknowledged.clear()
    world.failures = [OSError("refused"), OSError("refused")]
    world.apps[0].should_stop = True
    assert world.acknowledged.wait(60)
    assert len(world.apps) == 4
    assert world.apps[0].stopped
    assert world.consumption.problem is None


def test_a_start_that_fails_is_tried_again(world):
    """As long as nothing is consumed it says why, and goes on trying; a fault of the program ends it, and says so."""
    world.failures = [OSError("refused")] * 100_000
    world.consumption.start()
    wait_for(lambda: "refused" in (world.consumption.problem or ""))
    world.failures.clear()
    assert world.acknowledged.wait(60)
    assert world.consumption.problem is None
    assert not world.consumption.failed


def test_a_broker_that_is_mute_is_told_and_tried_again(monkeypatch):
    """A start that does not come to its end has a limit; what is said names the broker, the limit and its setting."""
    world = World(monkeypatch, start_timeout=0.05)
    world.mute = [True]
    told = []
    monkeypatch.setattr(world.consumption, "_trouble", told.append)
    assert not world.consumption.begun
    world.consumption.start()
    assert world.acknowledged.wait(60)
    assert world.consumption.begun
    assert "nowhere:1" in told[0]
    assert "within 0.05 s (kafka.start_timeout)" in told[0]
    assert world.apps[0].stopped
    assert world.consumption.stop(60)


def test_a_fault_in_building_the_app_is_told(world, monkeypatch):
    """What cannot even be built is no reason to live and do nothing."""
    monkeypatch.setattr(consuming, "build", None)
    world.consumption.start()
    wait_for(lambda: world.consumption.failed)
    assert world.consumption.stop(60)


def test_what_stands_still_is_replaced(monkeypatch):
    """If the group does not advance although messages wait, another app consumes."""
    world = World(monkeypatch, progress_timeout=0.05)
    monkeypatch.setattr(consuming, "lags", lambda settings, places, topics: {("requests", 0): Lag(5, 9)})
    world.consumption.start()
    wait_for(lambda: len(world.apps) > 1)
    assert world.apps[0].stopped
    assert world.consumption.stop(60)


def test_an_app_that_does_not_stop_is_left(monkeypatch):
    """If it cannot be replaced because it does not stop, this process cannot go on, and says so."""
    world = World(monkeypatch)
    monkeypatch.setattr(consuming, "_RESTART_SECONDS", 0.05)
    world.hangs = True
    world.consumption.start()
    assert world.acknowledged.wait(60)
    world.apps[0].should_stop = True
    wait_for(lambda: world.consumption.stuck)
    assert not world.consumption.stop(60)
    world.end()
