"""The two samples in Rust, `rust_ext/handlers`, as a worker calls them."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType, SimpleNamespace

import pytest

from tasker.errors import PermanentError
from tasker.handlers.attempt import check_handler
from tasker.handlers.attempt_step import AttemptControl, AttemptStep
from tasker.handlers.native import NativeStepHandler
from tasker.handlers.native_typed import TypedStepHandler, adapted
from tasker.testing import run_step
from tests import samples
from tests.unit.handlers.kit import attempt, run
from tests.unit.handlers.native_kit import resident

CALLS = 100_000
LEAK = 50 * 1024 * 1024
"""Bytes: half of what a kilobyte lost in each call would come to."""
STEP = {
    "id": "t:b", "task_id": "t", "name": "b", "depends_on": ["a"], "status": "in_progress", "retryable": True,
    "retry_limit": 3, "attempts": 1, "last_attempted_at": "2026-01-01T00:00:00.000000Z", "completed_at": None,
    "backoff_seconds": 1.5, "inputs": {"one": "two"}, "results": {},
}  # fmt: skip


@pytest.fixture
def library() -> str:
    """Give the path of the sample with the C interface."""
    return str(samples.needed() / "json_handler")


@pytest.fixture
def typed(monkeypatch) -> ModuleType:
    """Import the typed sample."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(samples.needed())])
    return import_module("typed_handler")


@pytest.mark.parametrize("given", [{"one": "two"}, {}, [], None, "ä", "x" * 10_000_000])
def test_the_json_handler_answers_to_any_input(library, given):
    """Whatever goes in, `{"dummy": true}` comes out."""
    assert run(NativeStepHandler(library, input=lambda task, sequence, step: given)).results == {"dummy": True}


def test_the_json_handler_fails_as_it_is_told(library):
    """A failure in Rust is raised as the matching exception; where there is none, there are no results."""
    for given, kind in (({"error": "busy", "retryable": True}, "retryable"), ({"error": "gone"}, "permanent")):
        error = run(NativeStepHandler(library, symbol="refuse", input=lambda *_, given=given: given)).error
        assert (error.kind, error.message) == (kind, given["error"])
    assert run(NativeStepHandler(library, symbol="refuse")).results is None


def test_a_panic_is_an_error(library, typed, capfd):
    """A panic on either side of the samples fails the step for good, and prints nothing."""
    for handler in (NativeStepHandler(library, symbol="panics"), adapted(typed.panics)):
        error = run(handler).error
        assert (error.kind, error.code) == ("permanent", "PANIC")
        assert "a handler broke down" in error.message
    assert run(NativeStepHandler(library)).results == run(adapted(typed.handle)).results == {"dummy": True}
    assert capfd.readouterr() == ("", "")


def test_the_typed_handler_gives_the_step_back(typed):
    """A step goes in as a mapping or as an object and comes back with its results, everything else as it was."""
    for given in (STEP, SimpleNamespace(**STEP)):
        answer = typed.handle(given)
        assert {name: getattr(answer, name) for name in STEP} == STEP | {"results": {"dummy": True}}
        assert answer["results"] == {"dummy": True}
    for name in ("nothing", "__class__"):
        with pytest.raises(KeyError, match=name):
            typed.handle(STEP)[name]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("id", 7, "a text, found int"),
        ("task_id", None, "a text, found NoneType"),
        ("name", b"b", "a text, found bytes"),
        ("depends_on", "a", "a list of texts, found str"),
        ("depends_on", [1], "a list of texts, found list"),
        ("status", 0, "a text, found int"),
        ("retryable", 1, "a bool, found int"),
        ("retry_limit", -1, "a whole number, found int"),
        ("attempts", "1", "a whole number, found str"),
        ("attempts", 1.5, "a whole number, found float"),
        ("last_attempted_at", 5, "a text or None, found int"),
        ("completed_at", [], "a text or None, found list"),
        ("backoff_seconds", "soon", "a number or None, found str"),
    ],
)
def test_a_value_that_does_not_fit_is_named(typed, field, value, words):
    """The exception names the field, what was expected there and what kind of value was found, but no value."""
    with pytest.raises(TypeError, match=f"the field {field} of a step {words}$"):
        typed.handle(STEP | {field: value})


@pytest.mark.parametrize("field", STEP)
def test_a_field_that_is_missing_is_named(typed, field):
    """A step must have every field."""
    left = {name: value for name, value in STEP.items() if name != field}
    for given in (left, SimpleNamespace(**left)):
        with pytest.raises(TypeError, match=f"the field {field} of a step .*found none"):
            typed.handle(given)


def test_a_typed_handler_is_named_like_any_other(typed):
    """By its name, with a colon or a dot, or as the function itself it runs as a step; the results alone are taken."""
    for handler in ("typed_handler:handle", "typed_handler.handle", typed.handle):
        assert run_step(handler, inputs={"one": "two"}).results == {"dummy": True}
    one, other = adapted(typed.handle), adapted(typed.handle)
    check_handler(one)
    assert (one.name, one, hash(one)) == ("typed_handler:handle", other, hash(other))
    assert one != adapted(typed.panics)


def test_memory_stays_flat(library, typed):
    """100,000 calls of each, with a kilobyte in or out, leave the process as large as it was."""
    one = attempt(None)
    step = AttemptStep(one.task, one.number, AttemptControl())
    refusing = NativeStepHandler(library, symbol="refuse", input=lambda *_: {"error": "x" * 1_000})
    with pytest.raises(PermanentError, match=r"^x{1000}$"):
        refusing(one.task, one.task.sequence, step)
    handlers = (refusing, TypedStepHandler(lambda step: typed.handle(step | {"inputs": "x" * 1_000 + step["name"]})))
    for handler in handlers:
        _call(handler, one.task, step, 1_000)
        before = resident()
        _call(handler, one.task, step, CALLS)
        assert resident() - before < LEAK


def _call(handler, task, step, count: int) -> None:
    for _ in range(count):
        with suppress(PermanentError):
            handler(task, task.sequence, step)
