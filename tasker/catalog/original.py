"""Every event name of the original project, Tasker for Ruby on Rails, and what became of it here."""

from __future__ import annotations

from typing import NamedTuple


class Mapped(NamedTuple):
    """One name of the original.

    Attributes:
        name: As the original wrote it.
        ours: The events that tell the same here; none where it is not recorded.
        because: What is different, or why it is not recorded.
    """

    name: str
    ours: tuple[str, ...]
    because: str


_HOOK = "A moment before something is no fact yet."
_SHADOW = "It repeated an event of the task or step under a second name."
_REQUEST = "Asking is a command, refused or accepted at once; what is recorded is what it brought."
_LOOP = (
    "There is no queue of tasks that are taken up, looked at and put back: what is ready or due stands in the live "
    "work, and `why` says what a task waits for."
)
_BATCH = "Steps start one by one: each start is an event of its own, so a group of them is nothing that happens."
_TELEMETRY = "Traces and metrics leave through OpenTelemetry; how that goes is told by its own metrics and the log."
_REGISTRY = "Registries belong to a process and its code; a wrong entry is an error when it is made."

_TASK = (
    Mapped("task.initialize_requested", ("task.created",), "An accepted request is the task's creation."),
    Mapped("task.start_requested", ("task.started",), "Recorded with the first attempt of any step."),
    Mapped("task.completed", ("task.completed",), "Recorded once; it was published twice."),
    Mapped("task.failed", ("task.failed",), "Recorded once, with the failed steps."),
    Mapped("task.retry_requested", ("task.retried",), _REQUEST),
    Mapped("task.cancelled", ("task.cancelled",), "The same."),
    Mapped("task.resolved_manually", ("task.resolved_manually",), "The same."),
    Mapped("task.before_transition", (), _HOOK),
)
_STEP = (
    Mapped("step.initialize_requested", ("task.created",), "Steps come into being with their task."),
    Mapped("step.execution_requested", ("step.started",), "Durable before the handler runs."),
    Mapped("step.before_handle", (), _HOOK),
    Mapped("step.handle", ("step.started",), "Declared, and never published."),
    Mapped("step.completed", ("step.completed",), "Recorded once; it was published up to three times."),
    Mapped("step.failed", ("step.failed",), "One for each attempt; `final` says whether another follows."),
    Mapped("step.retry_requested", ("step.retry_scheduled", "step.reset"), "By the engine, or by a person."),
    Mapped("step.cancelled", ("step.cancelled",), "The same."),
    Mapped("step.resolved_manually", ("step.resolved_manually",), "The same."),
    Mapped("step.before_transition", (), _HOOK),
)
_WORKFLOW = (
    Mapped("workflow.task_started", ("task.started",), _SHADOW),
    Mapped("workflow.task_completed", ("task.completed",), _SHADOW),
    Mapped("workflow.task_failed", ("task.failed",), _SHADOW),
    Mapped("workflow.step_completed", ("step.completed",), _SHADOW),
    Mapped("workflow.step_failed", ("step.failed",), _SHADOW),
    Mapped("workflow.step_execution_failed", ("step.failed",), _SHADOW),
    Mapped("workflow.viable_steps_discovered", (), "That a step is ready follows from what is recorded; see `why`."),
    Mapped("workflow.no_viable_steps", (), _LOOP),
    Mapped("workflow.orchestration_requested", (), _LOOP),
    Mapped("workflow.task_finalization_started", (), "A task ends in the append of its last outcome, all at once."),
    Mapped(
        "workflow.task_finalization_completed",
        ("task.completed", "task.failed", "task.cancelled"),
        "The end itself, with the step counts.",
    ),
    Mapped("workflow.task_reenqueue_started", (), _LOOP),
    Mapped("workflow.task_reenqueue_requested", (), _LOOP),
    Mapped("workflow.task_reenqueue_failed", (), _LOOP),
    Mapped("workflow.task_reenqueue_delayed", ("step.retry_scheduled",), "Steps are delayed, not tasks."),
    Mapped("workflow.task_state_unclear", (), "The state of a task is the fold of its events and is never unclear."),
    Mapped("workflow.viable_steps_batch_ready", (), _BATCH),
    Mapped("workflow.steps_execution_started", ("step.started",), _BATCH),
    Mapped("workflow.steps_execution_completed", ("step.completed", "step.failed"), _BATCH),
)
_OBSERVABILITY = (
    Mapped("observability.task.handle", (), _LOOP),
    Mapped("observability.task.enqueue", ("task.created",), _LOOP),
    Mapped("observability.task.finalize", ("task.completed", "task.failed", "task.cancelled"), _SHADOW),
    Mapped("observability.step.handle", ("step.started",), _SHADOW),
    Mapped("observability.step.find_viable", (), _LOOP),
    Mapped("observability.step.backoff", ("step.retry_scheduled",), "With the time and the delay."),
    Mapped("observability.step.skip", ("step.skipped",), "For steps that the request bypassed."),
    Mapped("observability.step.max_retries_reached", ("step.failed",), "`final` is true."),
)
_EXPORT = tuple(
    Mapped(f"tasker.telemetry.{name}", (), _TELEMETRY)
    for name in (
        "cache_synced", "export_requested", "export_completed", "export_failed", "plugin_registered",
        "plugin_unregistered",
    )
)  # fmt: skip
_REGISTRIES = (
    *(
        Mapped(f"{kind}.{name}", (), _REGISTRY)
        for kind in ("handler", "plugin", "subscriber")
        for name in ("registered", "unregistered", "validation_failed")
    ),
    *(
        Mapped(f"registry.{name}", (), _REGISTRY)
        for name in (
            "sync_requested", "health_check", "stats_collected", "cross_discovery", "coordination_complete",
        )
    ),
)  # fmt: skip
_OLDEST = (
    Mapped("tasker.TaskerTask.Initialize", ("task.created",), "A name of the first releases."),
    Mapped("tasker.TaskerTask.Start", ("task.started",), "A name of the first releases."),
    Mapped("tasker.TaskerTask.Handle", (), _LOOP),
    Mapped("tasker.TaskerTask.Enqueue", ("task.created",), _LOOP),
    Mapped("tasker.TaskerTask.Finalize", ("task.completed", "task.failed", "task.cancelled"), _SHADOW),
    Mapped("tasker.TaskerTask.Error", ("task.failed",), "A name of the first releases."),
    Mapped("tasker.TaskerTask.Complete", ("task.completed",), "A name of the first releases."),
    Mapped("tasker.TaskerStep.FindViable", (), _LOOP),
    Mapped("tasker.TaskerStep.Handle", ("step.started",), "A name of the first releases."),
    Mapped("tasker.TaskerStep.Complete", ("step.completed",), "A name of the first releases."),
    Mapped("tasker.TaskerStep.Error", ("step.failed",), "A name of the first releases."),
    Mapped("tasker.TaskerStep.Retry", ("step.retry_scheduled",), "A name of the first releases."),
    Mapped("tasker.TaskerStep.Backoff", ("step.retry_scheduled",), "A name of the first releases."),
    Mapped("tasker.TaskerStep.Skip", ("step.skipped",), "A name of the first releases."),
    Mapped("tasker.TaskerStep.MaxRetriesReached", ("step.failed",), "`final` is true."),
)
_CUSTOM = (
    Mapped("custom.*", (), "A custom event has the name that was published, without a prefix: `order.fulfilled`."),
)

ORIGINAL = (*_TASK, *_STEP, *_WORKFLOW, *_OBSERVABILITY, *_EXPORT, *_REGISTRIES, *_OLDEST, *_CUSTOM)
"""All of them, by namespace, in the order of the original."""
