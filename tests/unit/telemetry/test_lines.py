"""Rules of log lines: their fields, whose lines are written, and that an event is one of them."""

from __future__ import annotations

import io
import json
import logging
import sysconfig

import pytest

from tasker import PermanentError
from tasker.cli.logs import Lines, Noise
from tasker.redaction import Redactor
from tasker.telemetry import scope
from tasker.telemetry.lines import Batched
from tests.integration.runner_kit import memory_app, plan, step

INSTALLED = f"{sysconfig.get_path('purelib')}/shop/handlers.py"


@pytest.fixture
def written():
    """Give what an application's loggers write, as the commands write it."""
    stream, handler = io.StringIO(), logging.StreamHandler()
    handler.setStream(stream)
    handler.setFormatter(Lines("json"))
    handler.addFilter(Noise())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(before)


def record(name="shop", level=logging.INFO, path="shop.py", **fields):
    """Make a record."""
    made = logging.LogRecord(name, level, path, 1, "done", None, None)
    vars(made).update(fields)
    return made


def run(handler, **settings):
    """Run one task of one step."""
    with memory_app(plan(step("pay", handler)), settings={"telemetry": settings}) as app:
        task = app.submit(name="plan", correlation_id="corr-1")
        app.run_until_idle()
    return task.id


def test_every_event_is_a_line(written):
    """Each event this process appends is one line, in order, with its task, step, attempt and duration."""
    with memory_app(plan(step("pay"))) as app:
        task_id = app.submit(name="plan", correlation_id="corr-1").id
        app.run_until_idle()
        recorded = list(app.events(task_id))
    lines = [line for line in written() if "event" in line]
    assert [line["event"] for line in lines] == [event.type for event in recorded]
    assert {line["component"] for line in lines} == {"tasks"}
    assert all((line["task_id"], line["correlation_id"]) == (task_id, "corr-1") for line in lines)
    done = next(line for line in lines if line["event"] == "step.completed")
    assert (done["step_name"], done["attempt"], done["level"]) == ("pay", 1, "info")
    assert done["message"] == "step.completed plan/pay"
    assert done["duration_ms"] >= 0


def test_handlers_own_lines_name_what_runs(written):
    """What a handler logs, sync or async, carries its task and step; outside of handlers nothing is added."""

    def sync(task, sequence, step):
        logging.getLogger("shop").info("sync")

    async def coroutine(task, sequence, step):
        logging.getLogger("shop").info("async")

    first, second = run(sync), run(coroutine)
    logging.getLogger("shop").info("outside")
    lines = {line["message"]: line for line in written() if line["component"] == "shop"}
    assert (lines["sync"]["task_id"], lines["async"]["task_id"]) == (first, second)
    assert all(lines[one]["step_name"] == "pay" and lines[one]["attempt"] == 1 for one in ("sync", "async"))
    assert "task_id" not in lines["outside"]
    assert scope.fields() == {}


def test_a_handler_cannot_log_its_secrets(written, monkeypatch):
    """A value that its configuration got from the environment is masked in what a handler logs, not elsewhere."""
    monkeypatch.setenv("SHOP_WORD", "open-sesame")

    def careless(task, sequence, step):
        word = step.secrets["SHOP_WORD"]
        try:
            raise ValueError(word)
        except ValueError:
            logging.getLogger("shop").exception("with %s", word, extra={"header": {"x": [f"Bearer {word}"]}})

    with memory_app(plan(step("pay", careless, handler_config={"word": "${SHOP_WORD}"}))) as app:
        task = app.run_until_complete(app.submit(name="plan").id)
        logging.getLogger("shop").info("not a secret of anybody here: open-sesame")
    first, second = (line for line in written() if line["component"] == "shop")
    assert task.status == "complete"
    assert "open-sesame" not in str(first)
    assert (first["message"], first["header"]) == ("with [ENV:SHOP_WORD]", {"x": ["Bearer [ENV:SHOP_WORD]"]})
    assert "open-sesame" in second["message"]


def test_failures_are_warnings_and_masked(written):
    """What went wrong is a warning with the error's type and its text, in which the secrets of URLs are masked."""

    def fail(task, sequence, step):
        raise PermanentError("GET https://a/?token=tok-12345 gave 500")

    run(fail)
    failed = {line["event"]: line for line in written() if line.get("level") == "warning" and "event" in line}
    assert set(failed) == {"step.failed", "task.failed"}
    assert failed["step.failed"]["error_type"] == "tasker.errors.PermanentError"
    assert failed["task.failed"]["error_message"] == "GET https://a/?token=[FILTERED] gave 500"


def test_rules_choose_the_lines(written):
    """Events routed elsewhere or sampled out are no lines."""
    rules = [{"match": "step.*", "backends": ["metrics"]}, {"match": "task.started", "sampling": 0.0}]
    run(lambda *_: {}, events=rules)
    assert [line["event"] for line in written() if "event" in line] == ["task.created", "task.completed"]


def test_a_pause_of_a_scope_is_a_line(written):
    """Events of no task are lines, too."""
    with memory_app() as app:
        app.pause(scope="namespace:default", actor="ann", reason="deploy")
        app._engine.context.telemetry.flush()
    (line,) = [line for line in written() if line.get("event") == "control.paused"]
    assert (line["scope"], line["actor"], line["reason"]) == ("namespace:default", "ann", "deploy")


def test_without_a_listener_no_line_is_made(caplog):
    """At the level warning only what went wrong is queued: a quiet application costs nothing."""
    with caplog.at_level(logging.WARNING), memory_app(plan(step())) as app:
        app.submit(name="plan")
        app.run_until_idle()
        assert app._engine.context.telemetry._pipe._thread is None


@pytest.mark.parametrize(
    ("made", "passes"),
    [
        (record(), True),
        (record(path=INSTALLED), False),
        (record(path=INSTALLED, level=logging.WARNING), True),
        (record(name="tasker.runtime", path=INSTALLED), True),
        (record(name="tasker_subscribers.slack", path=INSTALLED), True),
        (record(name="mine.handlers", path=INSTALLED), True),
        (record(name="asyncio", path=f"{sysconfig.get_path('stdlib')}/asyncio/base_events.py"), False),
    ],
)
def test_libraries_are_heard_from_warnings_on(made, passes):
    """Below warnings only Tasker's lines and the user's own are written; so is installed code with handlers."""
    noise = Noise()
    noise.let_in(["mine.handlers:Pay", ""])
    assert noise.filter(made) is passes


def test_fields_are_masked_by_the_settings():
    """The keys of `telemetry.filter_keys` are masked at every depth, with the mask of the settings."""
    lines = Lines("json", Redactor(["iban", "customer.phone"], "***"))
    line = json.loads(lines.format(record(order={"iban": "DE1", "n": 1}, customer={"phone": "1", "name": "Ann"})))
    assert line["order"] == {"iban": "***", "n": 1}
    assert line["customer"] == {"phone": "***", "name": "Ann"}


def test_a_line_cannot_steer_a_terminal():
    """In the form for people, control characters are shown and not sent."""
    assert "\x1b" not in Lines("console").format(record(evil="\x1b[2J"))


def test_lines_of_events_are_written_in_batches_and_in_order():
    """A batch of event lines is one write; whoever else logs comes behind what was kept; closing loses nothing."""
    writes = []

    class Stream(io.StringIO):
        def write(self, text):
            writes.append(text)
            return len(text)

    handler = Batched(Stream())
    for number in range(3):
        handler.handle(record(name="tasker.tasks", number=number))
    assert writes == []
    handler.handle(record(name="shop"))
    assert [text.count("done") for text in writes] == [4]
    handler.handle(record(name="tasker.tasks"))
    handler.flush()
    assert len(writes) == 2


def test_a_stream_that_is_gone_raises_nothing(capsys):
    """What cannot be written is reported as logging does, and whoever logs goes on."""
    stream = io.StringIO()
    handler = Batched(stream)
    handler.handle(record(name="tasker.tasks"))
    stream.close()
    handler.handle(record(name="shop"))
    assert "I/O operation on closed file" in capsys.readouterr().err
