"""Telemetry of real processes: spans of two of them reach one collector over OTLP, and a worker's lines are whole."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.cli_kit import ROOT, own_environment
from tests.integration.runner_kit import eventually
from tests.integration.test_cli_tasks import prepared

SHOP = '''\
"""A task whose handler logs and traces."""
import logging

from opentelemetry import trace

from tasker import PermanentError, StepTemplate, TaskDefinition

log = logging.getLogger(__name__)


def pay(task, sequence, step):
    with trace.get_tracer("shop").start_as_current_span("charge"):
        log.info("charging %s", "https://bank/pay?token=tok-12345", extra={"card": {"pin_token": "pin-12345"}})
        logging.getLogger("json.noise").debug("never")
    if task.context.get("bad"):
        raise PermanentError("declined, see https://bank/?api_key=key-12345")
    return {}


def register(app):
    app.register(TaskDefinition(name="shop", step_templates=[StepTemplate(name="pay", handler_class=pay)]))
'''
SUBMIT = """
import sys
from opentelemetry import trace
from tasker import Tasker
import traced_shop

with Tasker(sys.argv[1], settings={}) as app:
    traced_shop.register(app)
    app.publish_telemetry()
    with trace.get_tracer("shop").start_as_current_span("order"):
        print(app.submit(name="shop", context={"bad": len(sys.argv) > 2}, correlation_id="corr-7").id)
"""


class Collector:
    """A collector that keeps the spans it is sent."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.spans: list[tuple[str, object]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keep what was sent, each span with the name of its service."""
        for resource in request.resource_spans:
            (service,) = (one.value.string_value for one in resource.resource.attributes if one.key == "service.name")
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(20)

    def variables(self) -> dict[str, str]:
        """Give the variables that send a process's spans here."""
        return {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{self.server.server_port}/v1/traces",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "PYTHONPATH": f"{ROOT}:.",
        }


@pytest.fixture
def collector():
    """Give a collector."""
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a folder with a shop that traces and logs, in JSON."""
    shell = prepared(tmp_path, monkeypatch, capsys)
    (tmp_path / "traced_shop.py").write_text(SHOP)
    (tmp_path / "tasker.yaml").write_text(
        "url: sqlite:///shop.db\napp: traced_shop:register\ntelemetry: {service_name: shop-worker}\n"
    )
    return shell


def submitted(shell, variables, *more):
    """Submit from a process of its own, inside a span of it; give the id of the task."""
    done = subprocess.run(
        [sys.executable, "-c", SUBMIT, "sqlite:///shop.db", *more],
        cwd=shell.folder,
        env=own_environment() | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def test_spans_of_two_processes_are_one_trace(shell, collector, monkeypatch):
    """The caller's span in one process, the task, its attempt and the handler's own span in another: one trace."""
    variables = collector.variables()
    task_id = submitted(shell, variables | {"OTEL_SERVICE_NAME": "front"})
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with shell.process("worker") as worker:
        eventually(
            lambda: {"order", "tasker.task", "tasker.step", "charge"} <= {one.name for _, one in collector.spans}
        )
        assert worker.stop() == 0
    spans = {span.name: (service, span) for service, span in collector.spans}
    assert len(collector.spans) == 4
    assert {name: service for name, (service, _) in spans.items()} == {
        "order": "front",
        "tasker.task": "shop-worker",
        "tasker.step": "shop-worker",
        "charge": "shop-worker",
    }
    order, task, step, charge = (spans[name][1] for name in ("order", "tasker.task", "tasker.step", "charge"))
    assert len({span.trace_id for span in (order, task, step, charge)}) == 1
    assert (task.parent_span_id, step.parent_span_id, charge.parent_span_id) == (
        order.span_id,
        task.span_id,
        step.span_id,
    )
    said = {one.key: one.value for one in task.attributes}
    assert said["tasker.task.id"].string_value == task_id
    assert said["tasker.correlation_id"].string_value == "corr-7"
    assert [event.name for event in task.events] == ["task.created", "task.started", "task.completed"]


def test_the_lines_of_a_worker_name_task_and_step_and_no_secret(shell):
    """The engine's lines and the handler's own are JSON with the correlation id; secrets are masked at every depth."""
    task_id = submitted(shell, {"PYTHONPATH": f"{ROOT}:."}, "bad")
    with shell.process("worker") as worker:
        worker.until(lambda: '"event": "task.failed"' in worker.err)
        assert worker.stop() == 0
    lines = [json.loads(line) for line in worker.err.splitlines()]
    assert all({"time", "level", "component", "message"} <= line.keys() for line in lines)
    mine = {line.get("event", "own"): line for line in lines if line.get("task_id") == task_id}
    assert set(mine) == {"own", "task.started", "step.started", "step.failed", "task.failed"}
    assert {line["correlation_id"] for line in mine.values()} == {"corr-7"}
    own, failed = mine["own"], mine["step.failed"]
    assert own["component"] == "traced_shop"
    assert own["message"] == "charging https://bank/pay?token=[FILTERED]"
    assert own["card"] == {"pin_token": "[FILTERED]"}
    assert (own["step_name"], own["attempt"], own["level"]) == ("pay", 1, "info")
    assert (failed["step_name"], failed["attempt"], failed["level"]) == ("pay", 1, "warning")
    assert failed["error_type"] == "tasker.errors.PermanentError"
    assert failed["duration_ms"] >= 0
    assert not any(secret in worker.err for secret in ("tok-12345", "pin-12345", "key-12345"))
