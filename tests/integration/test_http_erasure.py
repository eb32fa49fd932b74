"""An erased task over HTTP: no answer, no page and no stream has what its users wrote."""

from __future__ import annotations

import json

import pytest

from tests.contracts.shop import SECRET, shop, sold
from tests.integration.http_kit import client, every_route, served
from tests.integration.runner_kit import eventually
from tests.integration.test_http_stream import Listener

ENDLESS = {"/live", "/v1/events/stream"}


@pytest.fixture
def erased():
    """Give a shop and the ids of two tasks that were erased, one of them failed."""
    with shop() as app:
        tasks = [sold(app), sold(app, fails=True)]
        for task in tasks:
            app.erase(task, reason="asked for")
        app.run_until_idle()
        yield app, tasks


def paths(app, task):
    """Give every path that can be read, with a task and its step."""
    values = {"task_id": task, "step": "pay", "namespace": "default", "name": "order", "digest": "any"}
    found = {one.path for one in every_route(app) if "GET" in (one.methods or ())} - ENDLESS
    return sorted(path.format_map(values) for path in found)


def test_no_answer_has_it(erased):
    """Every path of the API and every page answers without what was erased, also for a task as it was."""
    app, tasks = erased
    http = client(app)
    answered = 0
    for task in tasks:
        for path in paths(app, task):
            for query in ("", "?at=3"):
                answer = http.get(path + query)
                assert answer.status_code < 500, path
                assert SECRET not in answer.text, path
                answered += answer.status_code == 200 and task in answer.text
    assert answered >= 16


def test_a_replayed_stream_has_it_not(erased):
    """Who resumes the stream of events from the beginning gets the events of erased tasks without contents."""
    app, tasks = erased
    head = app.task(tasks[-1]).position
    with served(app) as url:
        listener = Listener(url, after=0)
        eventually(lambda: listener.ids[-1:] == [head])
        listener.close()
    assert {json.loads(one["data"])["subject"] for one in listener.frames} == set(tasks)
    assert SECRET not in json.dumps(listener.frames)
