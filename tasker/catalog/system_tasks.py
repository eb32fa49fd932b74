"""The entries of the events of tasks and of control scopes: meaning, when, by whom, and what the body carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.catalog.entry import CONTROL, TASK, CatalogEntry
from tasker.catalog.shapes import (
    COUNTS,
    OPERATED,
    PROMISED,
    Field,
    anything,
    body,
    instant,
    items,
    mapping,
    nullable,
    one_of,
    optional,
    seconds,
    status,
    text,
    texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE, WORKER, OPERATOR = "engine", "worker", "operator"
WORKER_OR_OPERATOR = "worker or operator"


def _task(name: str, after: str, emitted_by: str, description: str, /, **fields: Field) -> CatalogEntry:
    schema, example = body({**PROMISED, "status": status(after), **fields})
    return CatalogEntry(name, TASK, description, schema, example, emitted_by)


def _control(name: str, description: str) -> CatalogEntry:
    scope = text("namespace:billing")
    schema, example = body({"scope": scope, **OPERATED})
    return CatalogEntry(name, CONTROL, description, schema, example, OPERATOR)


def _created() -> CatalogEntry:
    digest, moment = "9f" * 32, "2026-11-21T14:00:00.000000Z"
    return _task(
        "task.created", "pending", ENGINE,
        "A request was accepted: the first event of every task. Recorded once for each identity; a repeated request "
        "gets the task that is there.",
        context=anything({"order_id": 7}),
        definition_digest=text(digest, pattern="^[0-9a-f]{64}$"),
        identity=nullable(text(digest)),
        correlation_id=text("web-4711"),
        initiator=text("shop"), source_system=text("web"), reason=text("unknown"),
        priority=Field({"type": "integer", "minimum": -100, "maximum": 100}, 0),
        tags=texts(["vip"]), bypass_steps=texts([]),
        not_before=instant(moment), requested_at=instant(moment),
        parent=nullable(mapping(task_id=text("01928c5e-0000-7000-8000-000000000001"), step=text("fulfil"))),
    )  # fmt: skip


def _failed() -> CatalogEntry:
    message = nullable(text("card declined"))
    return _task(
        "task.failed", "error", ENGINE,
        "No step can run any more and at least one is in error, or the task's time ran out (reason timeout). Only an "
        "operator wakes the task again. `error_type` and `error_message` are those of the first failed step.",
        reason=one_of("steps_failed", "timeout"), duration=seconds(2.5), counts=COUNTS,
        failed_steps=items(mapping(step=text("charge"), type=text("shop.errors.Declined"), message=message)),
        error_type=text("shop.errors.Declined"), error_message=message,
    )  # fmt: skip


def _plain() -> Iterator[CatalogEntry]:
    yield _task(
        "task.started", "in_progress", WORKER,
        "The first attempt of any step began. The task's timeout runs from here.",
    )  # fmt: skip
    yield _task(
        "task.completed", "complete", ENGINE,
        "No step can run any more, and none is in error or cancelled. Recorded with the outcome of the last step. "
        "`duration` is in seconds since the creation.",
        duration=seconds(1.25), counts=COUNTS,
    )  # fmt: skip
    yield _task(
        "task.updated", "in_progress", OPERATOR,
        "The task's reason or its tags were changed; what is not named stays as it was.",
        tags=optional(texts(["vip", "refund"])), **OPERATED,
    )  # fmt: skip
    yield _task(
        "task.annotated", "in_progress", WORKER_OR_OPERATOR,
        "Something was noted about the task: a JSON object under a type, by a person or by the definition's "
        "annotations hook.",
        type=text("refund"), annotation=anything({"amount": 12}), **OPERATED,
    )  # fmt: skip


def _operated() -> Iterator[CatalogEntry]:
    yield _task(
        "task.cancelled", "cancelled", WORKER_OR_OPERATOR,
        "The task was cancelled, or it ended with a cancelled step and none in error. Reports of attempts that still "
        "run are refused.",
        **OPERATED,
    )  # fmt: skip
    yield _task(
        "task.paused", "in_progress", OPERATOR,
        "Nothing of the task starts from here on; what runs goes on, and its outcome is recorded.",
        **OPERATED,
    )  # fmt: skip
    yield _task(
        "task.resumed", "in_progress", OPERATOR,
        "A pause ended: steps of the task may start again.",
        **OPERATED,
    )  # fmt: skip
    yield _task(
        "task.retried", "in_progress", OPERATOR,
        "A failed task was reopened, and its timeout starts anew. One step.reset follows for every step that gets a "
        "new budget of attempts.",
        **OPERATED,
    )  # fmt: skip
    yield _task(
        "task.resolved_manually", "resolved_manually", OPERATOR,
        "A person settled a failed task outside; nothing of it runs any more.",
        **OPERATED,
    )  # fmt: skip
    yield _task(
        "task.erased", "complete", OPERATOR,
        "The user's data of all earlier events of the task (context, results, error texts, annotations, bodies of "
        "custom events) was destroyed; headers and hashes stay, so that the chain still verifies.",
        **OPERATED,
    )  # fmt: skip


def entries() -> Iterator[CatalogEntry]:
    """Give the entry of every event of a task and of a control scope."""
    yield _created()
    yield from _plain()
    yield _failed()
    yield from _operated()
    yield _control(
        "control.paused",
        "Nothing in the scope (`all`, `namespace:x`, `task:namespace.name` or `system:x`) starts after this position; "
        "running attempts finish. Stands in the stream $control.",
    )
    yield _control("control.resumed", "The pause of the scope is over. Stands in the stream $control.")
