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
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE, WORKER, OPERATOR = "engine", "worker", "operator"
WORKER_OR_OPERATOR = "worker or operator"
_BY_COMMAND = "When the command is accepted."
_DIGEST = "^[0-9a-f]{64}$"


def _task(name: str, emitted_by: str, description: str, when: str, /, **fields: Field) -> CatalogEntry:
    schema = body({**PROMISED, "status": status(), **fields})
    return CatalogEntry(name, TASK, description, schema, None, emitted_by, when=when)


def _control(name: str, description: str, when: str) -> CatalogEntry:
    scope = text("What it is about: `all`, `namespace:x`, `task:namespace.name` or `system:x` (a dependent system).")
    schema = body({"scope": scope, **OPERATED})
    return CatalogEntry(name, CONTROL, description, schema, None, OPERATOR, when=when)


def _created() -> CatalogEntry:
    parent = mapping(
        "The step of another task that asked for this one; null if none did.",
        task_id=text("The other task."),
        step=text("Its step."),
    )
    return _task(
        "task.created", ENGINE,
        "A request was accepted. The first event of every task, recorded once for each identity: a repeated request "
        "gets the task that is there.",
        "When a request is submitted; the task is durable with it.",
        context=anything("What the request gave the steps to read."),
        definition_digest=text("SHA-256 of the definition to which the task is pinned, in hex.", pattern=_DIGEST),
        identity=nullable(text("SHA-256 of the identity, in hex; null if every request is a task of its own.",
                               pattern=_DIGEST)),
        correlation_id=text("Joins logs, traces and events of several systems; by default the task id."),
        initiator=text("Who asked for the task."),
        source_system=text("Where the request came from."),
        reason=text("Why the task was asked for."),
        priority=whole("Higher runs first.", -100, maximum=100),
        tags=texts("Names by which the task is found."),
        bypass_steps=texts("Skippable steps that shall not run."),
        not_before=instant("Nothing starts before this time; null for at once."),
        requested_at=instant("When the request was made, if that was told."),
        parent=nullable(parent),
    )  # fmt: skip


def _failed() -> CatalogEntry:
    kind = text("Qualified class name of the error.")
    message = nullable(text("What the error said; null once the task is erased."))
    return _task(
        "task.failed", ENGINE,
        "The task ended in error. Only an operator wakes it again.",
        "When no step can run any more and at least one is in error, in the append of the last outcome (reason "
        "steps_failed); or when the task's time ran out (reason timeout).",
        reason=one_of("What ended it.", "steps_failed", "timeout"),
        duration=seconds("Seconds since the creation of the task."),
        counts=COUNTS,
        failed_steps=items(
            "The steps in error, in the order of the definition; after a timeout perhaps none.",
            mapping("One step in error.", step=text("Its name."), type=kind, message=message),
        ),
        error_type=text("The error class of the first failed step; `timeout` if no step failed."),
        error_message=nullable(text("The message of the first failed step; null once the task is erased.")),
    )  # fmt: skip


def _plain() -> Iterator[CatalogEntry]:
    yield _task(
        "task.started", WORKER,
        "The first attempt of any step began. The task's timeout runs from here.",
        "In the append of the first `step.started`, right before it.",
    )  # fmt: skip
    yield _task(
        "task.completed", ENGINE,
        "The task ended well: each step is complete, skipped or settled.",
        "When no step can run any more and none is in error or cancelled, in the append of the last outcome; for a "
        "task without steps, with its creation.",
        duration=seconds("Seconds since the creation of the task."), counts=COUNTS,
    )  # fmt: skip
    yield _task(
        "task.updated", OPERATOR,
        "The task's reason or its tags were changed; what is not named stays as it was.",
        "When the command is accepted; in any status.",
        actor=OPERATED["actor"],
        reason=nullable(text("The task's new reason; null if it stays.")),
        tags=optional(texts("The task's new tags; missing if they stay.")),
    )  # fmt: skip
    yield _task(
        "task.annotated", WORKER_OR_OPERATOR,
        "Something was noted about the task: a JSON object under a type.",
        "When a person annotates, in any status; what the definition's annotations hook notes is recorded right "
        "before the event that ends the task.",
        type=text("What kind of note it is."), annotation=anything("The note, a JSON object."), **OPERATED,
    )  # fmt: skip


def _operated() -> Iterator[CatalogEntry]:
    yield _task(
        "task.cancelled", WORKER_OR_OPERATOR,
        "The task was cancelled. Reports of attempts that still run are refused.",
        "When the command is accepted, behind one `step.cancelled` for each step that it cancels; or when no step can "
        "run any more and one is cancelled and none in error.",
        **OPERATED,
    )  # fmt: skip
    yield _task(
        "task.paused", OPERATOR,
        "Nothing of the task starts from here on; what runs goes on, and its outcome is recorded.",
        _BY_COMMAND, **OPERATED,
    )  # fmt: skip
    yield _task("task.resumed", OPERATOR, "A pause ended: steps of the task may start again.", _BY_COMMAND, **OPERATED)
    yield _task(
        "task.retried", OPERATOR,
        "A failed task was reopened, and its timeout starts anew.",
        "When a person retries the task, before one `step.reset` for each step in error; or when a step of a failed "
        "task is reset or resolved, before that.",
        **OPERATED,
    )  # fmt: skip
    yield _task(
        "task.resolved_manually", OPERATOR,
        "A person settled a failed task outside; nothing of it runs any more.",
        _BY_COMMAND, **OPERATED,
    )  # fmt: skip
    yield _task(
        "task.erased", OPERATOR,
        "The user's data of all earlier events of the task (context, results, error texts, annotations, bodies of "
        "custom events) was destroyed; headers and hashes stay, so that the chain still verifies.",
        "When the command is accepted, in the transaction that destroys the data.",
        **OPERATED,
    )  # fmt: skip


def entries() -> Iterator[CatalogEntry]:
    """Give the entry of every event of a task and of a control scope, without their examples."""
    yield _created()
    yield from _plain()
    yield _failed()
    yield from _operated()
    yield _control(
        "control.paused",
        "Nothing in the scope starts after this position; running attempts finish.",
        "When the command is accepted, in the stream `$control`.",
    )
    yield _control(
        "control.resumed", "The pause of the scope is over.", "When the command is accepted, in the stream `$control`."
    )
