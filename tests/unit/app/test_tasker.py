"""The composition root alone: what constructing does, what it refuses, and its asynchronous wrapper."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tasker import Tasker, aio
from tasker.errors import InvalidDefinition, InvalidRequest, TaskerError, UnknownTask
from tasker.testing import app as memory_app
from tasker.testing import run_step
from tests.integration.runner_kit import plan, step


def test_constructing_starts_and_opens_nothing(tmp_path):
    """No thread runs and no file is there before the first use."""
    before = threading.active_count()
    app = Tasker(f"sqlite:///{tmp_path / 'log.db'}", settings={})
    app.register(plan(step("a")))
    assert (threading.active_count(), list(tmp_path.iterdir())) == (before, [])
    app.close()
    assert list(tmp_path.iterdir()) == []


def test_closing_ends_every_thread():
    """`with` stops everything that was started."""
    before = threading.active_count()
    with memory_app(plan(step("a"))) as app:
        app.start()
        task = app.submit(name="plan")
        app.run_until_complete(task.id, timeout=10)
    assert threading.active_count() == before


@pytest.mark.parametrize("keys", [{"concurrency": 0}, {"concurrency": True}, {"concurrency": "4"}, {"bus": "some"}])
def test_wrong_arguments(keys):
    """A wrong argument is InvalidRequest."""
    with pytest.raises(InvalidRequest):
        Tasker("memory://", settings={}, **keys)


@pytest.mark.parametrize("url", ["", "log.db", "mysql://x", "sqlite://", "memory://x"])
def test_an_address_that_no_adapter_takes(url):
    """Another address is a TaskerError that says what works, or a log in memory; never something else."""
    try:
        Tasker(url, settings={}).close()
    except TaskerError as error:
        assert "://" in str(error)  # noqa: PT017 - both ends are right, what matters is that no other error comes


def test_wrong_settings():
    """An unknown setting is refused and names the key."""
    with pytest.raises(TaskerError, match="surprise"):
        Tasker("memory://", settings={"surprise": 1})


def test_pause_takes_a_task_or_a_scope():
    """Both, or neither, is InvalidRequest."""
    with memory_app() as app:
        for call in (app.pause, app.resume):
            with pytest.raises(InvalidRequest, match="neither"):
                call()
            with pytest.raises(InvalidRequest, match="both"):
                call("t", scope="all")


@pytest.mark.parametrize("scope", ["", "everything", "namespace:", "task:plan", 7])
def test_a_scope_of_another_form_is_refused(scope):
    """Scopes are `all`, `namespace:x`, `task:ns.name` and `system:x`."""
    with memory_app() as app, pytest.raises(InvalidRequest):
        app.pause(scope=scope)


def test_aio_gives_methods_as_coroutines():
    """The wrapper runs the same methods in threads; errors pass through, attributes are given as they are."""

    async def use(app):
        wrapped = aio(app)
        tasks = await asyncio.gather(*(wrapped.submit(name="plan") for _ in range(5)))
        await wrapped.run_until_idle()
        with pytest.raises(UnknownTask):
            await wrapped.task("nobody")
        assert wrapped.url == "memory://"
        return [(await wrapped.task(task.id)).status for task in tasks]

    with memory_app(plan(step("a"))) as app:
        assert asyncio.run(use(app)) == ["complete"] * 5


def test_run_step_refuses_what_is_no_handler():
    """A handler that cannot be declared is InvalidDefinition."""
    for handler in (7, "no.such:Handler", object()):
        with pytest.raises(InvalidDefinition):
            run_step(handler)
