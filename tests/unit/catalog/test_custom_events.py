"""Custom events from the declaration to the log: in code and YAML, what is refused, what is recorded, what is found."""

from __future__ import annotations

import logging

import pytest

from tasker import StepHandler, StepTemplate, TaskDefinition
from tasker.catalog.catalog import Catalog
from tasker.domain.definition import CustomEvent
from tasker.errors import InvalidDefinition, InvalidRequest, PermanentError
from tasker.testing import FrozenClock
from tasker.testing import app as memory_app

SCHEMA = {"type": "object", "required": ["order_id"], "properties": {"order_id": {"type": "integer"}}}
YAML = """\
name: yaml_plan
step_templates:
  - name: a
    handler_class: tests.unit.definitions.steps:Look
    custom_events:
      - name: order.paid
        description: The money is there
        schema: {type: object, required: [order_id], properties: {order_id: {type: integer}}}
      - {name: order.noted}
"""


def plan(process, *custom_events, name="plan", **keys):
    """Declare a task of one step that publishes."""
    keys = {"jitter": 0, "retry_delay": 1, **keys}
    return TaskDefinition(
        name=name, step_templates=[StepTemplate(name="a", handler_class=process, custom_events=custom_events, **keys)]
    )


def ran(app, name="plan"):
    """Run a task to where it can go, and give it."""
    task = app.submit(name=name)
    app.run_until_idle()
    return app.task(task.id)


def test_they_are_declared_in_yaml(tmp_path):
    """`custom_events` of a file stand in the catalogue, with what they mean and their schema, once it is loaded."""
    (tmp_path / "plan.yaml").write_text(YAML)
    with memory_app() as app:
        app.load_definitions(tmp_path)
        entry = app.catalog.info("order.paid")
        assert (entry.category, entry.description, entry.schema, entry.declared) == (
            "custom", "The money is there", SCHEMA, True,
        )  # fmt: skip
        assert [one.name for one in app.catalog.by_namespace("order")] == ["order.noted", "order.paid"]
        assert [one.name for one in app.catalog.search("MONEY")] == ["order.paid"]


def test_another_schema_in_a_file_is_refused_with_the_file(tmp_path):
    """What is wrong only beside what is registered already names the file, too."""
    (tmp_path / "plan.yaml").write_text(YAML)
    with memory_app() as app:
        app.catalog.register("order.paid", schema={"type": "array"})
        with pytest.raises(InvalidDefinition, match="with another schema already") as refused:
            app.load_definitions(tmp_path)
        assert refused.value.where == str(tmp_path / "plan.yaml")


def test_a_body_is_checked_at_the_call():
    """A body that breaks the schema raises at `publish`, where the handler can see it; nothing of it is recorded."""
    seen = []

    class Publishes(StepHandler):
        def process(self, task, sequence, step):
            try:
                self.publish("order.paid", {"order_id": "7"})
            except InvalidRequest as error:
                seen.append(error.problems)
            self.publish("order.paid", {"order_id": 7})
            return {}

    with memory_app(plan(Publishes, {"name": "order.paid", "schema": SCHEMA})) as app:
        task = ran(app)
        assert task.status == "complete"
        assert [set(problems) for problems in seen] == [{"$.order_id"}]
        assert [dict(event.body) for event in app.events(task.id, types="order.*")] == [{"order_id": 7}]


@pytest.mark.parametrize("name", ["task.mine", "step.completed", "custom.order", "log.read", "order", "Order.Paid", ""])
def test_a_name_that_may_not_be_is_refused_at_the_call(name):
    """Reserved first words, names without a dot and names that are none raise at `publish`."""
    refused = []

    def process(task, sequence, step):
        try:
            step.publish(name, {})
        except InvalidRequest as error:
            refused.append(str(error))
        return {}

    with memory_app(plan(process)) as app:
        task = ran(app)
        assert len(refused) == 1
        assert {event.type for event in app.events(task.id)} == {
            "task.created", "task.started", "step.started", "step.completed", "task.completed",
        }  # fmt: skip
        assert all(entry.category != "custom" for entry in app.catalog.all())


def test_an_undeclared_name_is_recorded_and_listed(caplog):
    """A name that nobody declared is recorded, stands in the catalogue as undeclared, and is warned about once."""

    def process(task, sequence, step):
        step.publish("cart.filled", {"n": 1})
        step.publish("cart.filled", {"n": 2})
        return {}

    with caplog.at_level(logging.WARNING, logger="tasker"), memory_app(plan(process)) as app:
        tasks = [ran(app), ran(app)]
        assert [len(list(app.events(task.id, types="cart.filled"))) for task in tasks] == [2, 2]
        assert (app.catalog.info("cart.filled").declared, app.catalog.info("cart.filled").schema) == (False, None)
    assert len([record for record in caplog.records if "never declared" in record.getMessage()]) == 1


def test_each_has_a_name_of_its_own_for_ever():
    """Task, step, attempt and number name an event; its id is the same whenever it is read."""

    def process(task, sequence, step):
        for _ in range(2):
            step.publish("order.tried", {}, always=True)
        if step.attempt == 1:
            raise ConnectionError
        step.publish("order.done", {})
        return {}

    clock = FrozenClock()
    with memory_app(plan(process), clock=clock) as app:
        task = ran(app)
        clock.advance(1)
        app.run_until_idle()
        found = list(app.events(task.id, types="order.*"))
        places = [(one.stream_id, one.step, one.attempt) for one in found]
        assert places == [(task.id, "a", attempt) for attempt in (1, 1, 2, 2, 2)]
        rows = app._engine.context.log().tail(0, limit=100)
        told = [(row.attempt, row.data) for row in rows if row.type.startswith("order.")]
        assert len(set(told)) == len(told) == 5
        assert [one.event_id for one in found] == [one.event_id for one in app.events(types=["order.*"])]
        assert len({one.event_id for one in found}) == 5


def test_they_stand_right_before_the_outcome():
    """They are recorded in the append of their attempt's outcome: its completion and, if asked for, its failure."""

    def process(task, sequence, step):
        step.publish("order.noted", {})
        step.publish("order.tried", {}, always=True)
        raise PermanentError("no")

    with memory_app(plan(process)) as app:
        task = ran(app)
        kinds = [event.type for event in app.events(task.id)]
        assert kinds[-3:] == ["order.tried", "step.failed", "task.failed"]
        assert "order.noted" not in kinds


def test_they_are_found_by_their_names():
    """`events` takes names and globs, over one task and over the log."""

    def process(task, sequence, step):
        step.publish("order.paid", {"order_id": 1})
        step.publish("cart.emptied", {})
        return {}

    with memory_app(plan(process)) as app:
        tasks = [ran(app), ran(app)]
        assert [one.type for one in app.events(tasks[0].id, types="order.*")] == ["order.paid"]
        assert len(list(app.events(types=["order.paid", "cart.*"]))) == 4


def test_a_definition_declares_all_or_none():
    """If one custom event of a definition is wrong, none of them is declared."""
    catalog = Catalog()
    catalog.register("order.paid", schema=SCHEMA)
    good = CustomEvent(name="order.noted", description="Noted")
    for wrong in (
        CustomEvent(name="task.mine"),
        CustomEvent(name="order.paid", schema={"type": "null"}),
        CustomEvent(name="order.sent", schema={"type": "nonsense"}),
    ):
        with pytest.raises(InvalidDefinition):
            catalog.declare([good, wrong])
        assert [entry.name for entry in catalog.by_namespace("order")] == ["order.paid"]
    catalog.declare(iter([good, CustomEvent(name="order.paid", schema={"type": "null"})]), replace=True)
    assert catalog.info("order.paid").schema == {"type": "null"}
    assert catalog.info("order.noted").description == "Noted"


def test_two_steps_that_announce_one_event_agree():
    """Within one definition two schemas of one name are refused, also with `replace`; equal ones are fine."""
    catalog = Catalog()
    same = CustomEvent(name="order.paid", schema=SCHEMA)
    catalog.declare([same, same])
    with pytest.raises(InvalidDefinition, match="another schema"):
        catalog.declare([same, CustomEvent(name="order.paid")], replace=True)
    catalog.declare([same])


def test_a_name_has_an_end():
    """A name has at most 128 characters."""
    catalog = Catalog()
    catalog.register("a." + "b" * 126)
    with pytest.raises(InvalidDefinition, match="at most 128"):
        catalog.register("a." + "b" * 127)
