"""The log: one structured line for each event."""

from __future__ import annotations

import io
import json
import logging

import pytest

from tasker.cli.logs import Lines
from tasker_subscribers import LogSubscriber
from tests.subscribers.history import HOSTILE, events


@pytest.fixture
def lines():
    """Give what the loggers of Tasker write, in the form of its own lines."""
    logger, stream = logging.getLogger("tasker.events"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines("json"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield lambda: stream.getvalue().splitlines()
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_one_line_an_event(lines):
    """Every event is one line, whatever is in it, with the fields of Tasker's own lines and the masked body."""
    found = events({"declined": HOSTILE})
    subscriber = LogSubscriber()
    for event in found.values():
        assert subscriber.deliver(event)
    written = [json.loads(line) for line in lines()]
    assert [line["event"] for line in written] == list(found)
    failed = next(line for line in written if line["event"] == "step.failed")
    event = found["step.failed"]
    assert (failed["level"], failed["component"]) == ("error", "events")
    assert (failed["task_id"], failed["step_name"], failed["attempt"]) == (event.stream_id, "pay", 1)
    assert (failed["correlation_id"], failed["position"]) == (event.correlation_id, event.position)
    assert failed["duration_ms"] >= 0
    assert failed["message"].startswith("shop: step pay failed: <!channel>")
    assert failed["data"]["error"]["context"] == {"password": "[FILTERED]", "amount": 3}
    assert not any(secret in line for line in lines() for secret in ("tok-12345", "key-12345", "pw-12345"))


def test_json_in_the_message(caplog):
    """For formatters that know no fields the message is the JSON."""
    with caplog.at_level(logging.INFO, logger="mine"):
        LogSubscriber(logger="mine", form="json", data=False, level="warning").handle(events()["order.sold"])
    (record,) = (one for one in caplog.records if one.name == "mine")
    found = json.loads(record.getMessage())
    assert (record.levelname, found["event"], found["task_name"]) == ("WARNING", "order.sold", "shop")
    assert "data" not in found


def test_a_large_body_is_cut(lines):
    """A body above the limit is cut, and says how long it was."""
    LogSubscriber().handle(events({"declined": "x" * 100_000})["task.created"])
    (line,) = lines()
    assert len(line) < 10_000
    assert line.rstrip('"}').endswith("characters)")
