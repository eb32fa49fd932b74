"""The demo's parts tell the truth also when something is wrong."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tasker import Tasker
from tasker.cli.demo import handlers
from tasker.cli.demo.crew import Crew, DemoFailed
from tasker.cli.demo.gateway import DECLINED, Gateway
from tasker.cli.demo.play import Story
from tasker.cli.demo.progress import Bar
from tasker.cli.demo.watch import Watch
from tasker.cli.output import Output

STEPS = 7


@pytest.fixture
def story(monkeypatch):
    """Give the story of one good and one declined order, run in this process."""
    with Gateway() as gateway, Tasker("memory://", settings={}) as app:
        monkeypatch.setenv("PAYMENT_URL", gateway.url)
        monkeypatch.setenv("SHOP_URL", gateway.url)
        handlers.register(app)
        orders = (1, DECLINED)
        tasks = {number: app.submit(name="order_process", context={"order_id": number}).id for number in orders}
        for task_id in tasks.values():
            app.run_until_complete(task_id, timeout=30)
        watch = Watch(app)
        watch.look()
        yield Story(app, watch, gateway.ledger, tasks, in_flight=0)


def test_a_good_story_has_no_problem(story):
    """One order complete, one declined: nothing to complain of."""
    assert story.problems() == []
    assert (story.facts()["complete"], story.facts()["error"], story.watch.steps) == (1, 1, STEPS + 3)


def test_a_second_charge_is_found(story):
    """A charge in the gateway's books that the log does not name is a problem, and so is a missing one."""
    story.ledger.charge("another key", 1, 4)
    assert any("charged_twice" in problem for problem in story.problems())
    assert any(problem.startswith("order 1:") for problem in story.problems())
    story.ledger.charges.clear()
    assert any("charges: expected 1, found 0" in problem for problem in story.problems())


def test_a_lost_attempt_is_found(story):
    """An attempt that was in flight at the kill and was not abandoned is a problem."""
    lost = Story(story.app, story.watch, story.ledger, story.tasks, in_flight=2)
    assert any("2 abandoned" in problem for problem in lost.problems())


def test_a_watch_has_an_end(story):
    """What is not reached in time is an error that says what was expected and how far it is."""
    with pytest.raises(DemoFailed, match="the moon within 0 s"):
        story.watch.until(lambda: False, lambda: None, seconds=0, what="the moon")


def test_a_worker_that_ends_by_itself_is_noticed(tmp_path):
    """A worker that cannot start is an error of the demo, with its last words; no process is left behind."""
    with Crew(tmp_path, "nonsense://", "http://127.0.0.1:9", slots=1) as crew:
        crew.start()
        assert crew._worker is not None
        crew._worker.wait(20)
        with pytest.raises(DemoFailed, match="exit code 1"):
            crew.check()
        assert "nonsense" in crew.last_words()


def test_nobody_at_work_cannot_be_killed(tmp_path):
    """Without a worker there is nothing to kill."""
    with Crew(tmp_path, "memory://", "http://127.0.0.1:9", slots=1) as crew, pytest.raises(DemoFailed):
        crew.kill()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_everywhere(capsys, monkeypatch, is_terminal):
    """A terminal gets a bar that goes away, a pipe some lines; what is said is seen in both."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
    with Bar(Output(json_lines=False), steps=10, orders=2) as bar:
        for steps in range(11):
            bar.at(steps, steps // 5)
        bar.say("a [red]worker[/red] starts")
    shown = capsys.readouterr().out
    assert "a [red]worker[/red] starts" in shown
    assert is_terminal or shown.count("orders ended") == 5


def test_half_a_request_charges_nothing(capfd):
    """A client that is killed after its headers were sent is charged nothing, and nobody prints a traceback."""
    with Gateway() as gateway:
        where = urlsplit(gateway.url)
        with socket.create_connection((where.hostname, where.port), timeout=10) as client:
            client.sendall(b"POST /charges HTTP/1.1\r\nHost: here\r\nIdempotency-Key: k\r\nContent-Length: 40\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b""
        assert not gateway.ledger.charges
    assert capfd.readouterr().err == ""
