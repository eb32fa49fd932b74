"""Several `tasker kafka worker` processes over one PostgreSQL log: they join, leave and die, and nothing is lost."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing

from tasker.kafka import topics
from tasker.kafka.dead import DeadLetters
from tasker.kafka.publisher import Publisher
from tests import broker
from tests.integration.cli_kit import wait_for
from tests.integration.kafka_kit import everything, site

LATE = {"name": "late", "step_templates": [{"name": "one", "handler_class": "cli_shop:look"}]}


def completed(log, tag):
    """How many tasks of a tag are complete."""
    return sum(one.status == "complete" for one in log.tasks(tag=tag, limit=200).items)


def test_workers_come_and_go(tmp_path, postgres_url):
    """A letter is replayed to a worker that knows its definition, once; one of two workers is killed, and all complete.

    Every event reaches its topic, in order for each task, whoever relayed it.
    """
    leases = {"heartbeat": 0.5, "timeout": 4.0}
    plan = tmp_path / "late.yaml"
    plan.write_text(json.dumps(LATE))
    with site(tmp_path, postgres_url, broker.shared(), leases=leases, concurrency=4) as made:
        topics.create(made.settings.kafka)
        with made.worker(name="first") as first:
            made.publish({"name": "late", "tags": ["late"]})
            letters = DeadLetters(made.settings.kafka)
            wait_for(lambda: letters.letters() != [])
            with made.worker("--definitions", str(plan), name="second") as second:
                assert first.stop() == 0, first.err
                replay(made, letters)
                with made.worker("--definitions", str(plan), name="third") as third:
                    kill_one_of_two(made, second)
                    assert third.stop() == 0, third.err


def replay(made, letters):
    """A letter becomes the task that it was meant to be, once, however often it is replayed."""
    [letter] = letters.letters()
    assert (letter.reason, len(made.log.tasks(tag="late").items)) == ("unknown_definition", 0)
    with closing(Publisher(made.settings.kafka)) as publisher:
        for _ in range(2):
            assert len(letters.replay(publisher, ids=[letter.id])) == 1
    wait_for(lambda: completed(made.log, "late") == 1)


def kill_one_of_two(made, victim):
    """Requests come before and after one worker is killed; all of them complete, once, and their events are out."""
    for number in range(4):
        made.publish(*(order(number * 25 + one) for one in range(25)))
    wait_for(lambda: completed(made.log, "many") >= 10)
    victim.child.kill()
    victim.child.wait()
    made.publish(*(order(100 + one) for one in range(25)))
    wait_for(lambda: completed(made.log, "many") == 125, seconds=120)
    assert len(made.log.tasks(tag="late").items) == 1
    check(made)


def order(number):
    """A request with a key, so that a test can name it."""
    return {"name": "shop", "tags": ["many"], "idempotency_key": f"order-{number}"}


def check(made):
    """Every task once, no step completed twice, and all events on their topic in order."""
    events = list(made.log.events())
    assert Counter(one.type for one in events)["task.created"] == 126
    assert each_step_once(made)
    ids = {one.event_id for one in events}
    wait_for(lambda: ids <= {one["id"] for one in made.events()})
    seen: Counter[str] = Counter()
    for event in made.events():
        if event["streamversion"] == seen[event["subject"]] + 1:
            seen[event["subject"]] += 1
        assert event["streamversion"] <= seen[event["subject"]]  # a gap would stay above for ever


def each_step_once(made):
    """Whether no step was completed twice."""
    done = Counter((one.stream_id, one.step) for one in made.log.events() if one.type == "step.completed")
    return set(done.values()) == {1}


def test_steps_that_find_no_slot_are_offered(tmp_path, postgres_url):
    """Of a wide task what one worker has no slot for is offered on the topic of steps, and every step runs once."""
    names = [f"s{number}" for number in range(250)]
    wide = {"name": "wide", "step_templates": [{"name": name, "handler_class": "cli_shop:look"} for name in names]}
    plan = tmp_path / "wide.yaml"
    plan.write_text(json.dumps(wide))
    more = {"leases": {"heartbeat": 0.5, "timeout": 30.0}, "concurrency": 2}
    options = ("--definitions", str(plan))
    with site(tmp_path, postgres_url, broker.shared(), **more) as made:
        topics.create(made.settings.kafka)
        with made.worker(*options, name="first"), made.worker(*options, name="second"):
            wait_for(lambda: offered(made), seconds=120)
        for message in everything(broker.shared(), made.topics.steps):
            value = json.loads(message.value)
            assert message.key.decode() == value["task_id"]
            assert 1 <= len(value["steps"]) <= 100


def offered(made):
    """Whether a task was offered; one more is asked for if not: its worker may not have heard of the other yet."""
    made.publish({"name": "wide", "tags": ["wide"]})
    wait_for(lambda: {one.status for one in made.log.tasks(tag="wide").items} == {"complete"})
    assert each_step_once(made)
    return everything(broker.shared(), made.topics.steps) != []
