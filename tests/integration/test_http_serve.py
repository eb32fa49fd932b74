"""`tasker serve` and `tasker auth new-key`, as processes."""

from __future__ import annotations

import gc
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import httpx2
import pytest

from tasker import Tasker
from tasker.http.server import Server
from tests.integration.runner_kit import eventually

CODE = """
from tasker import StepTemplate, TaskDefinition

def hello(task, sequence, step):
    return {"hello": task.context["name"]}

def register(app):
    app.register(TaskDefinition(name="greet", step_templates=[StepTemplate(name="hello", handler_class=hello)]))
"""


@pytest.fixture
def place(tmp_path):
    """Give a project with a definition."""
    (tmp_path / "greeting.py").write_text(CODE)
    (tmp_path / "tasker.yaml").write_text("url: sqlite:///t.db\napp: greeting:register\nhttp: {port: 0}\n")
    return tmp_path


def run(place, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tasker", *arguments], cwd=place, capture_output=True, text=True, timeout=60, check=False
    )


def test_serve_answers_works_and_stops_on_a_signal(place):
    """One process answers and runs tasks; SIGTERM ends it cleanly, event streams too."""
    command = [sys.executable, "-m", "tasker", "serve", "--json"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=place, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = json.loads(process.stdout.readline())
            assert (told["worker"], told["definitions"]) == (True, ["default.greet@0.1.0"])
            url = told["address"]
            made = httpx2.post(f"{url}/v1/tasks", json={"name": "greet", "context": {"name": "you"}}, timeout=20)
            assert made.status_code == 201
            path = f"{url}/v1/tasks/{made.json()['id']}"
            done = eventually(lambda: (shown := httpx2.get(path, timeout=20).json())["status"] == "complete" and shown)
            assert done["steps"][0]["results"] == {"hello": "you"}
            with httpx2.stream("GET", f"{url}/v1/events/stream", timeout=20) as stream:
                assert stream.status_code == 200
                process.send_signal(signal.SIGTERM)
                stream.read()
            assert process.wait(20) == 0
            assert json.loads(process.stdout.readline()) == {"server": process.pid, "stopped": True, "healthy": True}
        finally:
            process.kill()


def test_serve_refuses_a_public_address_without_keys(place):
    """Exit 1 and a line that says what to do; and a taken port is told as such."""
    done = run(place, "serve", "--host", "0.0.0.0")
    assert done.returncode == 1
    assert "auth new-key" in done.stderr
    assert "Traceback" not in done.stderr
    wrong = run(place, "serve", "--host", "192.0.2.77")
    assert wrong.returncode == 1


def test_the_doctor_makes_the_checks_of_health(place):
    """`doctor` says of each check whether all is well, and ends with 1 where one has failed."""
    assert run(place, "submit", "greet", "--context", '{"name": "you"}').returncode == 0
    assert run(place, "tasks").returncode == 0
    well = run(place, "doctor", "--json")
    assert json.loads(well.stdout)["checks"] == {"log": "ok", "projections": "ok", "subscriptions": "ok"}
    assert well.returncode == 0
    with closing(sqlite3.connect(place / "t.db")) as log, log:
        log.execute("UPDATE projection_generations_v1 SET failed_at = 1, error = 'a fault'")
    broken = run(place, "doctor", "--json")
    assert json.loads(broken.stdout)["checks"]["projections"] == "failed: TaskerError"
    assert broken.returncode == 1


def test_a_new_key_lets_in_who_has_it(place):
    """The key is shown once, with what belongs into the settings; a made-up permission is refused."""
    done = run(place, "auth", "new-key", "ann", "--permission", "task:read", "--namespace", "*", "--json")
    made = json.loads(done.stdout)
    assert made["settings"]["permissions"] == ["task:read"]
    (place / "tasker.yaml").write_text(json.dumps({"http": {"keys": [made["settings"]]}}))
    shown = run(place, "doctor")
    assert made["key"] not in shown.stdout
    assert made["settings"]["hash"] not in shown.stdout
    plain = run(place, "auth", "new-key", "ann")
    assert "Key (shown once): tsk_" in plain.stdout
    assert "      permissions:" in plain.stdout
    wrong = run(place, "auth", "new-key", "ann", "--permission", "task:raed")
    assert (wrong.returncode, "'task:read'" in wrong.stderr) == (1, True)


def local(app):
    """A server on a free port of this machine, not started."""
    return Server(app.asgi, app.settings, "127.0.0.1", 0)


def test_threads_take_short_turns_while_it_answers(tmp_path):
    """A request does not wait for five milliseconds whenever a busy thread has the interpreter; afterwards it may."""
    before, during = sys.getswitchinterval(), []
    with Tasker(f"sqlite:///{tmp_path}/app.db", settings={}) as app, closing(local(app)) as server:

        def ready():
            during.append(sys.getswitchinterval())
            server.should_exit = True

        server.on_ready = ready
        server.listen()
    gc.unfreeze()
    assert (during, sys.getswitchinterval()) == ([0.0005], before)
