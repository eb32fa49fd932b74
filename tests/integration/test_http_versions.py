"""Commands with `expected_version`: of those that saw the same state one wins, however they meet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests import postgres
from tests.integration.http_kit import application, client, create, problem

TOGETHER = 8


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def urls(request, tmp_path):
    """Give the URLs by which the processes of one log reach it; a log in memory has one process."""
    if request.param == "memory":
        yield ["memory://"]
    elif request.param == "sqlite":
        yield [f"sqlite:///{tmp_path / 'log.db'}"] * 2
    else:
        with postgres.database() as url:
            yield [url] * 2


@pytest.fixture
def clients(urls):
    """Give a client of each process."""
    with ExitStack() as stack:
        yield [client(stack.enter_context(application(url=url))) for url in urls]


def test_of_commands_on_the_same_version_one_wins(clients):
    """Eight threads that saw one version annotate: one is recorded, seven are told at which version the task is."""
    task = create(clients[0])
    path = f"/v1/tasks/{task['id']}/annotations"

    def note(number: int) -> object:
        body = {"type": "note", "annotation": {"by": number}, "expected_version": task["stream_version"]}
        return clients[number % len(clients)].post(path, json=body)

    with ThreadPoolExecutor(TOGETHER) as pool:
        answers = list(pool.map(note, range(TOGETHER)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * (TOGETHER - 1)]
    for answer in answers:
        if answer.status_code != 201:
            told = problem(answer, 409)
            assert (told["field"], "found it at 2" in told["detail"]) == ("expected_version", True)
    shown = clients[0].get(f"/v1/tasks/{task['id']}").json()
    assert (shown["stream_version"], len(shown["annotations"])) == (2, 1)


def test_what_another_process_has_recorded_counts(clients):
    """A process that remembers an older state refuses what saw it, and takes what saw the newer one."""
    here, there = clients[0], clients[-1]
    task = create(here)
    path = f"/v1/tasks/{task['id']}"
    assert there.get(path).json()["stream_version"] == 1
    assert here.post(f"{path}/pause", json={"expected_version": 1}).status_code == 200
    assert "found it at 2" in problem(there.post(f"{path}/cancel", json={"expected_version": 1}), 409)["detail"]
    assert here.patch(path, json={"tags": ["a"], "expected_version": 2}).status_code == 200
    assert there.post(f"{path}/resume", json={"expected_version": 3}).json()["stream_version"] == 4
    assert problem(here.post(f"{path}/cancel", json={"expected_version": 9}), 409)["field"] == "expected_version"


def test_a_repeat_on_an_older_version_is_refused(clients):
    """Where the effect is already there a command is a repeat, unless its sender has not seen that it is."""
    here, there = clients[0], clients[-1]
    task = create(here)
    path = f"/v1/tasks/{task['id']}/pause"
    assert here.post(path, json={"expected_version": 1}).status_code == 200
    assert problem(there.post(path, json={"expected_version": 1}), 409)["field"] == "expected_version"
    assert there.post(path, json={"expected_version": 2}).json()["stream_version"] == 2
    assert there.post(path, json={}).json()["stream_version"] == 2


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        *(("POST", f"/{word}", {}) for word in ("cancel", "pause", "resume", "retry", "resolve")),
        *(("POST", f"/steps/fetch/{word}", {}) for word in ("reset", "resolve", "complete", "cancel")),
        ("PATCH", "", {"tags": ["a"]}),
        ("PATCH", "/steps/fetch", {"retry_limit": 2}),
        ("POST", "/annotations", {"type": "note", "annotation": {}}),
    ],
)
def test_every_command_takes_it(method, rest, body):
    """Each command on a task or a step is refused on another version than the expected one, and changes nothing."""
    with application() as app:
        http = client(app)
        task = create(http)
        answer = http.request(method, f"/v1/tasks/{task['id']}{rest}", json={**body, "expected_version": 7})
        assert problem(answer, 409)["field"] == "expected_version"
        assert app.task(task["id"]).stream_version == 1
