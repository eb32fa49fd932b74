"""The guide about telemetry, beyond its Python: it names every metric, attribute and setting that there is."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families as families

from tasker import BaseSubscriber, RetryableError
from tasker.settings import Settings
from tasker.settings.sections import Telemetry, keys_of
from tests.integration.http_kit import client
from tests.integration.runner_kit import memory_app, plan, step
from tests.integration.test_docs import blocks
from tests.unit.telemetry.kit import host

PAGE = Path(__file__).resolve().parents[2] / "docs/guides/telemetry.md"


class Mail(BaseSubscriber):
    """A durable subscriber."""

    name, subscribe_to = "mail", ("task.*",)

    def handle(self, event):
        """Do nothing."""


def once_more(task, sequence, step):
    """Fail once."""
    if step.attempt == 1:
        raise RetryableError("again", retry_after=0)


def test_it_names_every_metric():
    """The metrics of the page are exactly those that are shown."""
    with memory_app(plan(step("a", once_more))) as app:
        app.subscribe(Mail())
        app.submit(name="plan")
        app.run_until_idle()
        text = client(app).get("/metrics").text
    counters = {family.name + "_total" * (family.type == "counter") for family in families(text)}
    named = set(re.findall(r"`(tasker_[a-z_]+)`", PAGE.read_text("utf-8")))
    assert named == counters


def test_operations_says_of_every_metric_when_to_alarm():
    """The table of docs/OPERATIONS.md has a line for each metric of the guide, and its rules use no other."""
    metrics = set(re.findall(r"`(tasker_[a-z_]+)`", PAGE.read_text("utf-8")))
    text = (PAGE.parents[1] / "OPERATIONS.md").read_text("utf-8").partition("### By metrics")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(tasker_[a-z_]+)`", text, re.MULTILINE)) == metrics
    assert set(re.findall(r"\btasker_[a-z_]+", text)) == metrics


def test_it_names_every_span_and_attribute(monkeypatch):
    """The spans and attributes of the page are exactly those that are sent."""
    with host(monkeypatch) as spans, memory_app(plan(step("a", once_more))) as app:
        task = app.submit(name="plan")
        app.run_until_idle()
        app.cancel(app.submit(name="plan").id)
        assert app.task(task.id).status == "complete"
    text = PAGE.read_text("utf-8")
    sent = {name for span in spans.all() for name in span.attributes} | {span.name for span in spans.all()}
    named = set(re.findall(r"`((?:tasker|error)\.[a-z_.]+)`", text)) - {"tasker.tasks", "tasker.yaml"}
    assert named == sent | {"tasker.task.repair"}


def test_its_settings_are_all_there_are():
    """The first YAML block has every key of the section, and all blocks of settings are valid."""
    found = [yaml.safe_load(block.body) for block in blocks(PAGE) if block.language == "yaml"]
    mine = [one for one in found if "telemetry" in one]
    assert set(mine[0]["telemetry"]) == {key for key, _ in keys_of(Telemetry)}
    for one in mine:
        assert Settings.of(one).telemetry.enabled
