"""The entries of the events of steps: meaning, when, by whom, and what the body carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.catalog.entry import STEP, CatalogEntry
from tasker.catalog.shapes import (
    OPERATED,
    PROMISED,
    Field,
    anything,
    body,
    boolean,
    field,
    instant,
    mapping,
    nullable,
    one_of,
    optional,
    seconds,
    status,
    text,
    whole,
)
from tasker.catalog.system_tasks import ENGINE, OPERATOR, WORKER, WORKER_OR_OPERATOR

if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_REPORT = "When the worker reports the outcome of the attempt."
_BY_COMMAND = "When the command is accepted."
_ATTEMPT_SECONDS = "Seconds that the attempt took."


def _step(name: str, emitted_by: str, description: str, when: str, /, **fields: Field) -> CatalogEntry:
    promised = {
        **PROMISED,
        "status": status(),
        "step_name": text("The step."),
        "attempt": whole("Number of the step's latest attempt, from 1; 0 before the first. It never repeats."),
        "retry_limit": whole("How many attempts one budget has.", 1),
        "step": text("The step, as in `step_name`."),
    }
    return CatalogEntry(name, STEP, description, body({**promised, **fields}), None, emitted_by, when=when)


def _failed() -> CatalogEntry:
    kind = text("Qualified class name of the error.")
    message = nullable(text("What the error said; null once the task is erased."))
    error = mapping(
        "The whole error.",
        type=kind,
        message=message,
        backtrace=nullable(text("The innermost frames; null if there are none, and once the task is erased.")),
        kind=one_of(
            "Why: permanent and too_large are final at once, abandoned is a lost worker without a budget left.",
            "retryable", "permanent", "timeout", "abandoned", "too_large",
        ),
        http_status=nullable(whole("Status of the answer of an API step.")),
        code=nullable(text("Code that the handler gave, such as HTTP_404.")),
        context=anything("What the handler told beside the message."),
    )  # fmt: skip
    return _step(
        "step.failed", WORKER,
        "An attempt failed, a wait timed out, or a worker was lost for the last time. With `final` no further attempt "
        "follows; otherwise `step.retry_scheduled` stands right behind it.",
        "When the worker reports the outcome of the attempt, or a timer ends it.",
        error=error, error_type=kind, error_message=message,
        final=boolean("Whether no further attempt follows."), duration=optional(seconds(_ATTEMPT_SECONDS)),
    )  # fmt: skip


def _attempts() -> Iterator[CatalogEntry]:
    worker = text("The worker's id, new for each start of a process.")
    yield _step(
        "step.started", WORKER,
        "A worker claimed an attempt.",
        "Durable before the handler runs: in the append of the outcome that made the step ready, or in one of its own.",
        worker_id=worker,
    )  # fmt: skip
    yield _step(
        "step.completed", WORKER_OR_OPERATOR,
        "An attempt gave results, or somebody outside did for a waiting step. Steps behind it may start.",
        "When the worker reports the outcome of the attempt, or when the command is accepted.",
        results=anything("What the step gave, any JSON value."), duration=seconds(_ATTEMPT_SECONDS),
        reason=optional(text("Why, if a person completed it and said so.")),
    )  # fmt: skip
    yield _step(
        "step.retry_scheduled", ENGINE,
        "The step waits for its next attempt.",
        "Right behind every failure that is not final, and behind a lost attempt, in the same append.",
        not_before=instant("When the next attempt may start."),
        delay_seconds=seconds("The same, in seconds from this event."),
        backoff_type=one_of("What the delay was made of.", "exponential", "constant", "server_requested"),
    )  # fmt: skip
    yield _step(
        "step.abandoned", WORKER,
        "An attempt ended without a report: its worker was lost (which counts as an attempt), or it was stopped "
        "(which does not).",
        "When another worker finds its worker dead, or when a worker stops and cannot wait for the handler.",
        worker_id=nullable(text("The worker that had it.")),
        reason=one_of("What ended it.", "worker_lost", "worker_stopped"),
    )  # fmt: skip
    yield _step(
        "step.waiting", WORKER,
        "The step waits for somebody outside; it holds no slot meanwhile.",
        _BY_REPORT,
        until=instant("When the wait fails with kind timeout; null for never."),
        reason=text("What it waits for, in the handler's words."),
    )  # fmt: skip


def _without_attempt() -> Iterator[CatalogEntry]:
    yield _step(
        "step.skipped", ENGINE,
        "The request asked to bypass this step; its results are {}.",
        "In the append that satisfies its last parent; for a step without parents, with the task's creation.",
    )  # fmt: skip
    yield _step(
        "step.cancelled", OPERATOR,
        "The step will not run, or its running attempt no longer counts.",
        "When the command is accepted: one for each step that a cancellation meets.",
        **OPERATED,
    )  # fmt: skip
    yield _step(
        "step.reset", OPERATOR,
        "The step gets a new budget of attempts and is pending again.",
        "When the command is accepted; a retry of the task records one for each step in error.",
        rerun=boolean("Whether its idempotency key changes too, so that the effect may happen again."), **OPERATED,
    )  # fmt: skip
    yield _step(
        "step.resolved_manually", OPERATOR,
        "A person settled the step and gave its results; the steps behind it run.",
        _BY_COMMAND,
        results=anything("What the person gave as results."), **OPERATED,
    )  # fmt: skip
    sets = field("Which of the two were changed.", type="array", items={"enum": ["inputs", "retry_limit"]})
    yield _step(
        "step.updated", OPERATOR,
        "The step's inputs or its limit of attempts were changed.",
        _BY_COMMAND,
        sets=sets,
        inputs=optional(anything("The new inputs; missing if they stay.")), **OPERATED,
    )  # fmt: skip


def entries() -> Iterator[CatalogEntry]:
    """Give the entry of every event of a step, without their examples."""
    yield from _attempts()
    yield _failed()
    yield from _without_attempt()
