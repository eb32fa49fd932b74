"""`tasker kafka …`: topics, publishing, dead letters; wrong use and a missing broker are said clearly."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from tasker import Tasker
from tasker.cli.doctor import _extras
from tasker.kafka.client import cluster_id
from tasker.kafka.intake import Intake
from tasker.kafka.letters import Letters
from tasker.kafka.publisher import Publisher
from tasker.settings import Settings
from tests import broker
from tests.integration.cli_kit import Shell
from tests.integration.kafka_kit import everything
from tests.unit.kafka.kit import app


@pytest.fixture
def shell(tmp_path, monkeypatch, capfd):
    """A folder whose settings name a broker, and topics of its own."""
    bootstrap, own = broker.shared(), broker.prefix()
    monkeypatch.chdir(tmp_path)
    made = Shell(tmp_path, capfd.readouterr)
    names = {name: f"{own}.{name}" for name in ("requests", "dead_letters", "steps", "events")}
    kafka = {"bootstrap": [bootstrap], "group": own, "partitions": 2, "start_timeout": 10.0, "topics": names}
    (tmp_path / "tasker.yaml").write_text(json.dumps({"url": "sqlite:///shop.db", "kafka": kafka}))
    return made


def test_topics_are_made_and_checked(shell):
    """`--check` fails while one is missing and says what to do; without it they are made; then both succeed."""
    done = shell("kafka", "topics", "--check")
    assert done.code == 1
    assert "tasker kafka topics" in done.err
    assert "missing" in done.out
    made = shell.json("kafka", "topics")
    assert [line["state"] for line in made.lines] == ["created"] * 4
    assert shell("kafka", "topics", "--check").code == 0


def test_a_request_is_published(shell):
    """The command says where the request is, and its value is what was asked for."""
    shell.json("kafka", "topics")
    place = shell.json("kafka", "publish", "order", "--context", '{"order_id": 7}', "--idempotency-key", "k").one
    [found] = everything(broker.shared(), place["topic"])
    assert (found.partition, found.offset, found.key) == (place["partition"], place["offset"], b"k")
    assert json.loads(found.value) == {
        "name": "order", "context": {"order_id": 7}, "idempotency_key": "k", "source_system": "cli",
    }  # fmt: skip


def test_many_requests_are_published(shell):
    """A file of JSON lines is published as a whole, and spread, or, if one line is wrong, not at all."""
    shell.json("kafka", "topics")
    lines = shell.folder / "requests.jsonl"
    lines.write_text("\n".join(json.dumps({"name": "order", "context": {"order_id": n}}) for n in range(700)) + "\n\n")
    assert shell.json("kafka", "publish", "--lines", str(lines)).one == {"published": 700}
    found = everything(broker.shared(), Settings.load().kafka.topics.requests)
    assert {one.key for one in found} == {None}
    assert len({one.partition for one in found}) == 2
    lines.write_text('{"name": "order"}\n{"name": "order", "colour": "red"}\n')
    done = shell("kafka", "publish", "--lines", str(lines))
    assert done.code == 1
    assert "colour" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["publish"], 2, "NAME"),
        (["publish", "order", "--lines", "x"], 2, "not both"),
        (["publish", "--lines", "no-such-file"], 2, "no-such-file"),
        (["publish", "order", "--context", "7"], 2, "object"),
        (["publish", "not a name"], 1, "$.name"),
        (["publish", "order", "--options", '{"priority": 101}'], 1, "$.priority"),
    ],
)
def test_a_wrong_request_is_not_published(shell, arguments, code, says):
    """Wrong use is 2, a request that breaks the schema 1; the JSON path is named, and no broker is needed for that."""
    done = shell("kafka", *arguments)
    assert done.code == code
    assert says in done.err
    assert "Traceback" not in done.err


def test_dead_letters_are_listed_and_replayed(shell):
    """What could not be accepted is listed with its reason, published again by one command, and listed no more."""
    shell.json("kafka", "topics")
    shell.json("kafka", "publish", "order", "--context", '{"order_id": "seven"}')
    settings = Settings.load()
    names, cluster = settings.kafka.topics, cluster_id(settings.kafka)
    publisher = Publisher(settings.kafka)
    with app() as shop:
        taken = Intake(shop, settings, cluster).take(everything(broker.shared(), names.requests))
    Letters(publisher, names, cluster).write(taken)
    publisher.close()
    [letter] = shell.json("kafka", "dlq", "list").lines
    assert (letter["reason"], json.loads(letter["value"])["context"]) == ("invalid_request", {"order_id": "seven"})
    assert "$.order_id" in letter["error"]
    assert len(shell.json("kafka", "dlq", "replay", "--dry-run").lines) == 1
    assert len(shell.json("kafka", "dlq", "replay", letter["id"]).lines) == 1
    assert len(shell.json("kafka", "dlq", "replay").lines) == 1
    assert shell.json("kafka", "dlq", "list").lines == []
    assert len(shell.json("kafka", "dlq", "list", "--all").lines) == 1
    assert len(everything(broker.shared(), names.requests)) == 3
    assert shell("kafka", "dlq", "replay", "9/9").code == 1


def test_the_doctor_asks_what_is_imported_for_no_spec(monkeypatch):
    """Faust is there when it runs here already, though what it puts in its own place has no spec."""
    monkeypatch.setitem(sys.modules, "faust", ModuleType("faust"))
    assert dict(_extras())["kafka"] == "installed"


def test_the_doctor_looks_at_the_broker(shell):
    """With a broker in the settings it is among the checks, well or not; without one it is not."""
    with Tasker("sqlite:///shop.db", settings={}) as log:
        list(log.events())
    assert shell.json("doctor").one["checks"]["broker"] == "ok"
    (shell.folder / "tasker.yaml").write_text("url: sqlite:///shop.db\nkafka: {bootstrap: 'localhost:1'}\n")
    done = shell("doctor", "--json")
    assert (done.code, done.one["checks"]["broker"]) == (1, "failed: BrokerUnavailable")
    (shell.folder / "tasker.yaml").write_text("url: sqlite:///shop.db\n")
    assert "broker" not in shell.json("doctor").one["checks"]


def test_no_broker_is_one_clear_line(shell):
    """Without a setting, or without a broker, the command fails with what to do, in the time that was given."""
    (shell.folder / "tasker.yaml").write_text("url: sqlite:///shop.db\n")
    done = shell("kafka", "topics")
    assert done.code == 1
    assert "TASKER_KAFKA__BOOTSTRAP" in done.err
    (shell.folder / "tasker.yaml").write_text("kafka: {bootstrap: 'localhost:1', start_timeout: 1.0}\n")
    done = shell("kafka", "dlq", "list")
    assert done.code == 1
    assert "localhost:1" in done.err
    assert len(done.err.strip().splitlines()) == 1
