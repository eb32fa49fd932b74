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
    instant,
    mapping,
    nullable,
    one_of,
    optional,
    seconds,
    status,
    text,
    texts,
    whole,
)
from tasker.catalog.system_tasks import ENGINE, OPERATOR, WORKER, WORKER_OR_OPERATOR

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOMENT = "2026-11-21T14:00:02.000000Z"
_LIMIT = Field({"type": "integer", "minimum": 1}, 3)


def _step(name: str, emitted_by: str, description: str, /, **fields: Field) -> CatalogEntry:
    promised = {**PROMISED, "status": status("in_progress"), "step_name": text("charge")}
    counted = {"attempt": whole(1), "retry_limit": _LIMIT, "step": text("charge")}
    schema, example = body({**promised, **counted, **fields})
    return CatalogEntry(name, STEP, description, schema, example, emitted_by)


def _failed() -> CatalogEntry:
    kind, message = text("shop.errors.GatewayTimeout"), nullable(text("no answer within 5 s"))
    error = mapping(
        type=kind,
        message=message,
        backtrace=nullable(text("shop/pay.py:12 in process")),
        kind=one_of("retryable", "permanent", "timeout", "abandoned", "too_large"),
        http_status=nullable(whole(504)),
        code=nullable(text("HTTP_504")),
        context=anything(None),
    )
    return _step(
        "step.failed", WORKER,
        "An attempt failed. With `final` no further attempt follows; otherwise step.retry_scheduled stands right "
        "behind it. `duration` is in seconds of the attempt.",
        error=error, error_type=kind, error_message=message, final=boolean(example=False),
        duration=optional(seconds(5.0)),
    )  # fmt: skip


def _attempts() -> Iterator[CatalogEntry]:
    worker = text("01928c5e-7d0a-7c3e-9f00-00000000beef")
    yield _step(
        "step.started", WORKER,
        "A worker claimed an attempt; durable before the handler runs. `attempt` counts from 1 and never repeats "
        "within a step.",
        worker_id=worker,
    )  # fmt: skip
    yield _step(
        "step.completed", WORKER_OR_OPERATOR,
        "An attempt gave results, or somebody outside did for a waiting step. Steps behind it may start. `duration` "
        "is in seconds of the attempt.",
        results=anything({"charged": True}), duration=seconds(0.25), reason=optional(text("confirmed by telephone")),
    )  # fmt: skip
    yield _step(
        "step.retry_scheduled", ENGINE,
        "The next attempt may start at `not_before`, `delay_seconds` from here. Follows every failure that is not "
        "final, in the same append.",
        not_before=instant(_MOMENT), delay_seconds=seconds(2.0),
        backoff_type=one_of("exponential", "constant", "server_requested"),
    )  # fmt: skip
    yield _step(
        "step.abandoned", WORKER,
        "An attempt ended without a report: its worker was lost (which counts as an attempt), or it was stopped "
        "(which does not).",
        worker_id=nullable(worker), reason=one_of("worker_lost", "worker_stopped"),
    )  # fmt: skip
    yield _step(
        "step.waiting", WORKER,
        "The step waits for somebody outside, until `until` at the latest (null: without end). It holds no slot.",
        until=instant(_MOMENT), reason=text("approval"),
    )  # fmt: skip


def _without_attempt() -> Iterator[CatalogEntry]:
    yield _step(
        "step.skipped", ENGINE,
        "The request asked to bypass this step, and its parents are satisfied; its results are {}.",
    )  # fmt: skip
    yield _step(
        "step.cancelled", OPERATOR,
        "The step will not run, or its running attempt no longer counts. One for each step that a cancellation meets.",
        **OPERATED,
    )  # fmt: skip
    yield _step(
        "step.reset", OPERATOR,
        "The step gets a new budget of attempts and is pending again. With `rerun` its idempotency key changes too.",
        rerun=boolean(example=False), **OPERATED,
    )  # fmt: skip
    yield _step(
        "step.resolved_manually", OPERATOR,
        "A person settled the step and gave its results; the steps behind it run.",
        results=anything({"charged": True}), **OPERATED,
    )  # fmt: skip
    yield _step(
        "step.updated", OPERATOR,
        "The step's inputs or its limit of attempts were changed; `sets` names which.",
        sets=texts(["inputs"]), inputs=optional(anything({"amount": 12})), **OPERATED,
    )  # fmt: skip


def entries() -> Iterator[CatalogEntry]:
    """Give the entry of every event of a step."""
    yield from _attempts()
    yield _failed()
    yield from _without_attempt()
