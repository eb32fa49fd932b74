"""The annotations hook: run by the reporting worker before the append of an outcome that would end its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.commands import Annotation
from tasker.domain.events import PERMANENT
from tasker.domain.status import StepStatus
from tasker.errors import InvalidRequest, LogUnavailable
from tasker.handlers.failure import step_error
from tasker.handlers.values import to_json
from tasker.handlers.views import Task
from tasker.instrument import logger
from tasker.redaction import mask_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.domain.task import Task as State
    from tasker.handlers.publishing import Sizes
    from tasker.handlers.views import PayloadSource

ERROR_TYPE = "tasker.annotation_error"
_LONGEST_TYPE = 128
_log = logger("runner")


def checked_annotation(annotation_type: object, value: object, *, limit_bytes: int) -> Annotation:
    """Give an annotation of plain JSON.

    Raises:
        InvalidRequest: The type is no short text, or the value no JSON object; names JSON paths.
        PayloadTooLarge: The value is over the limit.
    """
    if not isinstance(annotation_type, str) or not 0 < len(annotation_type) <= _LONGEST_TYPE:
        message = (
            f"expected as type of an annotation a text of 1 to {_LONGEST_TYPE} characters, found {annotation_type!r}"
        )
        raise InvalidRequest(message, problems={"$.type": message})
    plain, _ = to_json(value, limit_bytes=limit_bytes, what="the annotation")
    if not isinstance(plain, dict):
        message = f"expected as value of an annotation a JSON object, found {type(value).__name__}"
        raise InvalidRequest(message, problems={"$": message})
    return Annotation(annotation_type, plain)


class AnnotatingTask(Task):
    """The task that the hook sees: as the outcome leaves it, with a way to annotate."""

    __slots__ = ("_limit", "notes")

    def __init__(self, state: State, source: PayloadSource, *, limit_bytes: int) -> None:
        """Look at the state; collect in `notes`."""
        super().__init__(state, source)
        self._limit = limit_bytes
        self.notes: list[Annotation] = []

    def annotate(self, annotation_type: str, value: object) -> None:
        """Note something about the task; recorded just before the event that ends it.

        Args:
            annotation_type: What kind of note it is.
            value: A JSON object.

        Raises:
            InvalidRequest: The type is no text or the value no JSON object.
        """
        self.notes.append(checked_annotation(annotation_type, value, limit_bytes=self._limit))


def annotations_of(
    hooks: type, state: State, source: PayloadSource, *, secrets: Mapping[str, str], sizes: Sizes
) -> tuple[Annotation, ...]:
    """Run a hook and give what it noted; an exception becomes an annotation and fails nothing.

    Raises:
        LogUnavailable: What the hook looked at could not be read; it is to run again.
    """
    task = AnnotatingTask(state, source, limit_bytes=sizes.results)
    try:
        done = [step for step in task.sequence if step.status is StepStatus.COMPLETE]
        hooks().update_annotations(task, task.sequence, done)
        notes = task.notes
    except LogUnavailable:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a hook raises is recorded; the report goes on
        _log.warning("update_annotations of %s failed", state.definition.full_name, exc_info=True)
        told = step_error(error, PERMANENT, secrets=secrets, sizes=sizes)
        notes = [
            Annotation(ERROR_TYPE, {"error_type": told.type, "message": told.message, "backtrace": told.backtrace})
        ]
    return tuple(Annotation(note.type, mask_values(note.value, secrets)) for note in notes)
