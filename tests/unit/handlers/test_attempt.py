"""One attempt: how handlers are called, and what becomes of what they return and raise."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tasker.domain.commands import Publication
from tasker.errors import (
    InvalidDefinition,
    InvalidRequest,
    PayloadTooLarge,
    PermanentError,
    RetryableError,
    TaskerError,
)
from tasker.handlers.attempt import Cancelled, Completed, Failed, Waiting, is_async
from tasker.handlers.attempt_step import AttemptControl
from tasker.handlers.publishing import Sizes, Tools
from tasker.handlers.step_handler import Manual, StepHandler, Wait
from tests.unit.handlers.kit import attempt, run


class Greets(StepHandler):
    """Uses everything a class can."""

    def __init__(self):
        """Read the config early."""
        self.greeting = self.config["greeting"]

    def process(self, task, sequence, step):
        """Greet."""
        self.publish("order.greeted", {"n": sequence["a"].results["n"]})
        return {"said": self.greeting, "id": task.context["id"], "attempt": step.attempt}


def test_a_class_is_built_per_attempt_with_its_config():
    """`config` is there in `__init__`; the parent's results, the context and the attempt are at hand."""
    outcome = run(Greets, config={"greeting": "hi"})
    assert outcome.results == {"said": "hi", "id": 7, "attempt": 1}
    assert outcome.encoded == b'{"attempt":1,"id":7,"said":"hi"}'
    assert outcome.published == (Publication("order.greeted", {"n": [1]}, always=False),)


class Duck:
    """Not derived from StepHandler, and with slots."""

    __slots__ = ()

    def process(self, task, sequence, step):
        """Answer."""
        return 1

    def process_results(self, step, process_output, initial_results):
        """Count on."""
        step.results = [process_output + 1, initial_results]


def test_any_class_with_process_is_a_handler():
    """A handler need not derive from StepHandler."""
    assert run(Duck).results == [2, {}]


class Assigns(StepHandler):
    """Sets its results itself."""

    def process(self, task, sequence, step):
        """Assign and return something else."""
        step.results = {"mine": True}
        return {"ignored": True}


class Fills(StepHandler):
    """Fills the results in place."""

    def process(self, task, sequence, step):
        """Put a key."""
        step.results["mine"] = True


class Overrides(Assigns):
    """Has a process_results, too."""

    def process_results(self, step, process_output, initial_results):
        """Join all three."""
        step.results = [step.results, process_output, initial_results]


def assigns(task, sequence, step):
    """Assign as a function."""
    step.results = None
    return 1


@pytest.mark.parametrize(
    ("handler", "results"),
    [
        (Assigns, {"mine": True}),
        (Fills, {"mine": True}),
        (Overrides, [{"mine": True}, {"ignored": True}, {}]),
        (assigns, None),
        (lambda task, sequence, step: None, None),
        (lambda task, sequence, step: {"at": datetime(2026, 1, 1, tzinfo=UTC), "d": Decimal("1.0"), "t": (1,)},
         {"at": "2026-01-01T00:00:00.000000Z", "d": "1.0", "t": [1]}),
    ],
)  # fmt: skip
def test_results(handler, results):
    """The return value becomes the results unless `process` assigned some; `process_results` may override both."""
    assert run(handler).results == results


class Later(StepHandler):
    """An async handler with async results."""

    async def process(self, task, sequence, step):
        """Answer later."""
        await asyncio.sleep(0)
        return 1

    async def process_results(self, step, process_output, initial_results):
        """Answer even later."""
        await asyncio.sleep(0)
        step.results = process_output + 1


class HalfLater(Later):
    """An async handler with sync results."""

    def process_results(self, step, process_output, initial_results):
        """Answer at once."""
        step.results = process_output + 2


async def soon(task, sequence, step):
    """Answer soon."""
    await asyncio.sleep(0)
    return step.name


class Callable:
    """An object that is called, later."""

    async def __call__(self, task, sequence, step):
        """Answer."""
        return "called"


@pytest.mark.parametrize(("handler", "results"), [(Later, 2), (HalfLater, 3), (soon, "b"), (Callable(), "called")])
def test_async_handlers(handler, results):
    """Async classes, functions and objects run on the loop."""
    assert is_async(handler)
    assert run(handler).results == results
    assert not is_async(Assigns)
    assert not is_async(assigns)


def test_a_sync_handler_that_returns_a_coroutine():
    """It fails for good and says what to write; the coroutine never begins."""

    def disguised(task, sequence, step):
        return soon(task, sequence, step)

    outcome = run(disguised)
    assert (outcome.error.kind, "async def" in outcome.error.message) == ("permanent", True)


def test_kinds_of_failures():
    """PermanentError is final and carries its code; RetryableError asks for its delay; everything else is retryable."""

    def fails(error):
        def handler(task, sequence, step):
            raise error

        return run(handler)

    final = fails(PermanentError("no", code="DECLINED", context={"card": "visa"}))
    assert final.error[:3] == ("tasker.errors.PermanentError", "no", "permanent")
    assert (final.error.code, final.error.context, final.retry_after) == ("DECLINED", {"card": "visa"}, None)
    again = fails(RetryableError("busy", retry_after=30, context={"n": 1}))
    assert (again.error.kind, again.retry_after, again.error.context) == ("retryable", 30.0, {"n": 1})
    assert fails(RetryableError("x", retry_after=float("nan"))).retry_after is None
    assert fails(ValueError("v")).error[:3] == ("ValueError", "v", "retryable")
    assert fails(SystemExit(3)).error[:3] == ("SystemExit", "3", "retryable")
    assert fails(asyncio.CancelledError()).error.kind == "retryable"
    assert fails(StopIteration(1)).error.type == "StopIteration"
    assert fails(PayloadTooLarge("big")).error.kind == "too_large"


def test_an_interrupt_passes():
    """KeyboardInterrupt belongs to who runs the program, not to the step."""

    def stops(task, sequence, step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stops)


def test_a_cancelled_error_of_the_handlers_own():
    """An async handler that raises CancelledError itself fails; one cancelled from outside passes it on."""

    async def gives_up(task, sequence, step):
        raise asyncio.CancelledError

    async def sleeps(task, sequence, step):
        await asyncio.sleep(60)

    async def cancel():
        running = asyncio.ensure_future(attempt(sleeps).run_async())
        await asyncio.sleep(0)
        running.cancel()
        await running

    assert run(gives_up).error.kind == "retryable"
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())


def test_results_that_cannot_be_stored():
    """They fail for good, naming the JSON path; too large ones with their own kind. The effect has happened."""
    wrong = run(lambda task, sequence, step: {"items": [{"price": float("nan")}]})
    assert (wrong.error.kind, "$.items[0].price" in wrong.error.message) == ("permanent", True)
    large = run(lambda task, sequence, step: "x" * 300_000)
    assert (large.error.kind, "262144" in large.error.message) == ("too_large", True)
    small = run(lambda task, sequence, step: "12345678", tools=Tools(sizes=Sizes(results=9)))
    assert small.error.kind == "too_large"


class Unprintable(Exception):
    """Raises when it is printed."""

    def __str__(self):
        """Fail."""
        raise RuntimeError("never")


def deep(levels):
    """Raise from far below."""
    if levels:
        deep(levels - 1)
    raise ValueError("é" * 5_000 + "\0\ud800")


def test_error_texts_are_cut():
    """The message keeps 4 KiB, the backtrace its ten innermost frames, and both can be stored."""
    error = run(lambda task, sequence, step: deep(30)).error
    assert len(error.message.encode()) <= 4_096
    assert error.message.endswith("é…")
    assert error.backtrace.count("\n  File ") + 1 <= 10
    assert "deep" in error.backtrace
    assert "tasker/handlers/attempt.py" not in run(assigned_nothing).error.backtrace
    cut = run(lambda task, sequence, step: deep(3), tools=Tools(sizes=Sizes(error_message=10, backtrace=20))).error
    assert (len(cut.message.encode()) <= 10, len(cut.backtrace.encode()) <= 20) == (True, True)


def assigned_nothing(task, sequence, step):
    """Raise at the top."""
    raise Unprintable


def test_an_error_that_cannot_be_printed():
    """It is a failure like any other."""
    assert "RuntimeError" in run(assigned_nothing).error.message


def test_an_error_context_that_cannot_be_stored():
    """It is replaced by why; the failure keeps its kind."""

    def fails(task, sequence, step):
        raise PermanentError("no", context={"at": object()})

    error = run(fails).error
    assert (error.kind, list(error.context)) == ("permanent", ["not_recorded"])


def test_secrets_are_masked():
    """Values from the environment leave the handler nowhere: in results, texts, context, code, events or reasons."""
    secrets = {"API_KEY": "s3cr3t-key", "PORT": "80"}
    assert run(lambda task, sequence, step: {"k": "a s3cr3t-key 80"}, secrets=secrets) == Completed(
        {"k": "a [ENV:API_KEY] 80"}, b'{"k":"a [ENV:API_KEY] 80"}'
    )

    def tells(task, sequence, step):
        step.publish("key.told", {"key": ["s3cr3t-key"]}, always=True)
        raise PermanentError("with s3cr3t-key", code="s3cr3t-key", context={"s3cr3t-key": "s3cr3t-key"})

    told = run(tells, secrets=secrets)
    assert "s3cr3t-key" not in repr(told)
    assert told.published[0].body == {"key": ["[ENV:API_KEY]"]}
    long = run(fails_with("x" * 4_090 + "s3cr3t-key"), secrets=secrets)
    assert "s3cr" not in long.error.message
    waits = run(lambda task, sequence, step: Wait(1, "s3cr3t-key"), secrets=secrets)
    assert waits == Waiting(1, "[ENV:API_KEY]")


def fails_with(message):
    """Make a handler that fails with a message."""

    def handler(task, sequence, step):
        raise ValueError(message)

    return handler


def test_waiting():
    """Returning a Wait parks the step; `tasker.Manual` waits as long as its template says."""
    assert run(lambda task, sequence, step: Wait(timeout_seconds=60, reason="signature")) == Waiting(60, "signature")
    assert run(Manual).timeout_seconds == 3600
    for wrong in ({"timeout_seconds": 0}, {"timeout_seconds": "soon"}, {"reason": None}, {"timeout_seconds": True}):
        with pytest.raises(InvalidRequest):
            Wait(**{"timeout_seconds": None, "reason": "r", **wrong})


def test_publishing():
    """Names are checked, bodies are plain JSON and pass the check of their schema, failures keep what was published."""
    refused = []

    def check(name, body):
        refused.append((name, body))
        if body == "bad":
            raise InvalidRequest("schema")

    def publishes(task, sequence, step):
        for name in ("task.done", "Order.Done", "order", "log.read", "order.", 3, "o." + "x" * 127):
            with pytest.raises(InvalidRequest):
                step.publish(name, {})
        with pytest.raises(InvalidRequest, match=r"\$\.x"):
            step.publish("order.done", {"x": object()})
        with pytest.raises(PayloadTooLarge):
            step.publish("order.done", "x" * 1_000_000)
        with pytest.raises(InvalidRequest, match="schema"):
            step.publish("order.done", "bad")
        step.publish("order.done", {"t": (1,)})
        step.publish("order.half_done", None, always=True)
        raise ValueError

    outcome = run(publishes, tools=Tools(check_event=check))
    assert isinstance(outcome, Failed)
    assert outcome.published == (
        Publication("order.done", {"t": [1]}),
        Publication("order.half_done", None, always=True),
    )
    assert refused == [("order.done", "bad"), ("order.done", {"t": [1]}), ("order.half_done", None)]


def test_publishing_too_late():
    """After the outcome nothing can be published any more, and outside of attempts never."""
    kept = []
    run(lambda task, sequence, step: kept.append(step))
    with pytest.raises(TaskerError, match="ended"):
        kept[0].publish("order.done", {})
    with pytest.raises(TaskerError, match="attempt"):
        Assigns().publish("order.done", {})


def test_cancellation_and_heartbeats():
    """A handler learns of its cancellation, may leave by `raise_if_cancelled`, and says that it is alive."""
    control = AttemptControl()
    control.last_heartbeat = 0.0

    def obeys(task, sequence, step):
        step.raise_if_cancelled()
        step.heartbeat()
        before = step.cancelled()
        control.cancel()
        assert (before, step.cancelled()) == (False, True)
        step.raise_if_cancelled()

    assert run(obeys, control=control) == Cancelled()
    assert control.last_heartbeat > 0
    assert control.finished


def test_the_keys_of_a_step():
    """The idempotency key and the inputs are at hand."""
    outcome = run(lambda task, sequence, step: [step.idempotency_key, step.inputs, [one.name for one in sequence]])
    assert outcome.results == ["t:b", {"id": 7}, ["a", "b"]]


def test_handle_belongs_to_the_engine():
    """A subclass that defines `handle` is refused when it is created, with what to write instead."""
    with pytest.raises(InvalidDefinition, match="process"):

        class Wrong(StepHandler):
            """Defines handle."""

            def handle(self, task, sequence, step):
                """Never."""


def test_objects_serve_every_attempt():
    """An object with `process` is called as it is."""
    assert run(Duck()).results == 1
