"""Metrics: what all processes have counted is what the log holds, in the text formats of Prometheus."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from tasker import PermanentError, RetryableError, StepTemplate, TaskDefinition, Tasker, Wait
from tasker.errors import LogUnavailable
from tests.integration.http_kit import application, client, create, key_of, keys, problem
from tests.integration.runner_kit import Gate, eventually, memory_app, plan, step

TASKS = {word: f"task.{word}" for word in ("created", "completed", "failed", "cancelled")}
STEPS = {"started": "step.started", "completed": "step.completed", "failed": "step.failed"}
STEPS["retried"] = "step.retry_scheduled"


def scraped(app, **headers):
    """Scrape an application and give its samples, by name and labels; the labels are a frozen set of pairs."""
    answer = client(app).get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    parse = open_families if "openmetrics" in answer.headers["content-type"] else families
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }


def counted(app):
    """Count the events of the log as the counters are named."""
    found = Counter()
    for event in app.events():
        labels = {"namespace": event.namespace, "name": event.task_name}
        for what, words in (("tasks", TASKS), ("steps", STEPS)):
            for word, name in words.items():
                if event.type == name:
                    more = {"step": event.step} if what == "steps" else {}
                    found[f"tasker_{what}_{word}_total", frozenset((labels | more).items())] += 1
    return dict(found)


def flaky(task, sequence, step):
    """Fail the first time, and for good where the context says so."""
    if task.context.get("bad"):
        raise PermanentError("no")
    if step.attempt == 1:
        raise RetryableError("once more", retry_after=0)


def definitions():
    """Declare a task that is retried, one that waits and one of another namespace."""
    steps = [
        StepTemplate(name="first", handler_class=flaky, jitter=0),
        StepTemplate(name="second", handler_class=lambda *_: {}, depends_on_step="first"),
    ]
    steps[1].handler_class.name = "metrics.second"
    wait = StepTemplate(name="sign", handler_class=sign)
    return [
        TaskDefinition(name="retried", step_templates=steps),
        TaskDefinition(name="signed", namespace="legal", step_templates=[wait]),
    ]


def sign(task, sequence, step):
    """Wait for a person."""
    return Wait(3600, "sign")


def test_all_processes_together_count_what_the_log_holds(postgres_url):
    """Several workers, a process that submits and one that steers: their counters add up to the events of the log."""
    apps = [Tasker(postgres_url, settings={}, concurrency=4) for _ in range(4)]
    try:
        for app in apps:
            for definition in definitions():
                app.register(definition)
        submitter, *workers = apps
        for worker in workers:
            worker.start()
        tasks = submitter.submit_many([{"name": "retried", "context": {"bad": n % 5 == 0}} for n in range(30)])
        signed = [submitter.submit(name="signed", namespace="legal") for _ in range(3)]
        eventually(lambda: all(submitter.task(one.id).completed_at for one in tasks))
        eventually(lambda: all(submitter.task(one.id).step("sign").status == "waiting" for one in signed))
        submitter.complete_step(signed[0].id, "sign", results={})
        submitter.cancel(signed[1].id)
        for worker in workers:
            worker.stop()
        total = Counter()
        for app in apps:
            total.update(
                {
                    key: value
                    for key, value in scraped(app).items()
                    if key[0].startswith(("tasker_tasks_", "tasker_steps_"))
                }
            )
        assert {key: value for key, value in total.items() if value} == counted(submitter)
        durations = sum(value for (name, _), value in total.items() if name == "tasker_tasks_completed_total")
        assert durations == 25
    finally:
        for app in apps:
            app.close()


def test_durations_are_histograms():
    """Of tasks and of attempts: as many observations as events with a duration, in buckets that grow."""
    with memory_app(plan(step("nap", lambda *_: threading.Event().wait(0.02))), clock=None) as app:
        for _ in range(3):
            app.submit(name="plan")
        app.run_until_idle()
        found = scraped(app)
    for name, labels in (("task", {}), ("step", {"step": "nap"})):
        place = {"namespace": "default", "name": "plan", **labels}
        assert found[f"tasker_{name}_duration_seconds_count", frozenset(place.items())] == 3
        assert found[f"tasker_{name}_duration_seconds_sum", frozenset(place.items())] >= 0.05
        buckets = [
            value
            for (sample, pairs), value in sorted(found.items(), key=lambda one: float(dict(one[0][1]).get("le", 0)))
            if sample == f"tasker_{name}_duration_seconds_bucket"
        ]
        assert buckets == sorted(buckets)
        assert (buckets[0], buckets[-1]) == (0, 3)


def test_gauges_show_how_things_stand():
    """Live tasks and ready steps of the log, the lag of each subscription, and the stuck slots of this process."""
    gate = Gate()
    with memory_app(plan(step("hold", gate.process, timeout_seconds=0.05, default_retryable=False)), clock=None) as app:
        app.submit(name="plan")
        app.submit(name="plan")
        app._engine.readers.settle()
        before = scraped(app)
        app.start()
        eventually(lambda: scraped(app)["tasker_stuck_slots", frozenset()] == 2)
        gate.opened.set()
        eventually(lambda: scraped(app)["tasker_stuck_slots", frozenset()] == 0)
        eventually(lambda: scraped(app)["tasker_live_tasks", frozenset()] == 0)
        after = scraped(app)
    assert (before["tasker_live_tasks", frozenset()], before["tasker_ready_steps", frozenset()]) == (2, 2)
    assert after["tasker_ready_steps", frozenset()] == 0


def test_the_lag_of_each_subscription_is_shown():
    """A paused subscription falls behind by the events of the log."""
    from tasker import BaseSubscriber

    class Mail(BaseSubscriber):
        name, subscribe_to = "mail", ("task.*",)

        def handle(self, event):
            pass

    with memory_app(plan(step())) as app:
        app.subscribe(Mail())
        app.run_until_idle()
        app.subscriptions.pause("mail")
        app.submit(name="plan")
        app.run_until_idle()
        head = list(app.events())[-1].position
        assert scraped(app)["tasker_subscription_lag", frozenset({("subscription", "mail")})] == head


def test_metrics_are_never_sampled_but_can_be_routed_away():
    """A share of 0 leaves every counter as it is; events that go to other back ends alone are not counted."""
    rules = [{"match": "step.*", "backends": ["logs"]}, {"match": "*", "sampling": 0.0}]
    with memory_app(plan(step()), settings={"telemetry": {"events": rules}}) as app:
        app.submit(name="plan")
        app.run_until_idle()
        found = {name for name, _ in scraped(app)}
    assert "tasker_tasks_completed_total" in found
    assert "tasker_steps_started_total" not in found


def test_switched_off_nothing_is_counted():
    """Without telemetry the page shows gauges alone."""
    with memory_app(plan(step()), settings={"telemetry": {"enabled": False}}) as app:
        app.submit(name="plan")
        app.run_until_idle()
        found = {name for name, _ in scraped(app)}
    assert "tasker_live_tasks" in found
    assert not any(name.startswith("tasker_tasks_") for name in found)


def test_both_formats_are_written():
    """A scraper that asks for OpenMetrics gets it; the samples are the same."""
    with application() as app:
        create(client(app))
        app.run_until_idle()
        plain, strict = scraped(app), scraped(app, accept="application/openmetrics-text; version=1.0.0")
    assert {key: value for key, value in plain.items() if "total" in key[0]} == {
        key: value for key, value in strict.items() if "total" in key[0]
    }


def test_each_application_counts_for_itself():
    """Two applications of one process show their own counters: there is no registry of the process."""
    with memory_app(plan(step())) as one, memory_app(plan(step())) as other:
        one.submit(name="plan")
        one.run_until_idle()
        assert ("tasker_tasks_created_total", frozenset({("namespace", "default"), ("name", "plan")})) in scraped(one)
        assert not any(name == "tasker_tasks_created_total" for name, _ in scraped(other))


@pytest.mark.parametrize(("who", "status"), [("root", 200), ("both", 403), ("reader", 403), ("powerless", 403)])
def test_metrics_need_task_read_everywhere(who, status):
    """They tell of all namespaces, as workers and subscriptions do."""
    with application(keys()) as app:
        answer = client(app, who).get("/metrics")
        assert answer.status_code == status
        if status == 403:
            assert problem(answer, 403)["permission"] == "task:read"
        assert key_of(who) not in answer.text


def test_counters_are_shown_while_the_log_is_away(monkeypatch, caplog):
    """What cannot be read is left out with a warning; a scrape never fails for it."""
    with memory_app(plan(step())) as app:
        app.submit(name="plan")
        app.run_until_idle()

        def away(*_, **__):
            raise LogUnavailable("the database does not answer")

        monkeypatch.setattr(app._engine.context.store, "reading", away)
        monkeypatch.setattr(app._engine.context.projections, "checkpoint", away)
        found = {name for name, _ in scraped(app)}
    assert "tasker_tasks_created_total" in found
    assert "tasker_stuck_slots" in found
    assert "tasker_live_tasks" not in found
    assert "the database does not answer" in caplog.text
